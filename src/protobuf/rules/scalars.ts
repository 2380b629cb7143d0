import protobuf from 'protobufjs';
import {
  all,
  type BytesRules,
  type Check,
  count,
  type EnumRules,
  listOf,
  must,
  type NumberRules,
  type Rules,
  rejectUnknown,
} from './check.js';
import { compileString } from './strings.js';

const numberKinds = ['float', 'double', 'int32', 'int64', 'uint32', 'uint64', 'sint32', 'sint64'].concat([
  'fixed32',
  'fixed64',
  'sfixed32',
  'sfixed64',
]);

/** Whether the rules have a part for scalar values. */
export function isScalarRule(rules: Rules): boolean {
  return (
    rules.string !== undefined ||
    rules.bytes !== undefined ||
    rules.bool !== undefined ||
    numberKinds.some((kind) => rules[kind] !== undefined)
  );
}

/** The check of a value of a scalar or enum field. */
export function compileScalar(field: protobuf.FieldBase, rules: Rules): Check | undefined {
  if (field.resolvedType instanceof protobuf.Enum) return rules.enum && compileEnum(field.resolvedType, rules.enum);
  if (rules.string) return compileString(rules.string);
  if (rules.bytes) return compileBytes(rules.bytes);
  if (rules.bool) return compileBool(rules.bool);
  const kind = numberKinds.find((each) => rules[each] !== undefined);
  return kind === undefined ? undefined : compileNumber(kind, rules[kind] as NumberRules);
}

function compileBool(rules: { readonly const?: boolean }): Check | undefined {
  rejectUnknown('bool', rules, ['const']);
  if (rules.const === undefined) return undefined;
  return must((value: boolean) => value === rules.const, `must be ${rules.const}`);
}

function compileEnum(type: protobuf.Enum, rules: EnumRules): Check | undefined {
  rejectUnknown('enum', rules, ['const', 'defined_only', 'in', 'not_in']);
  const names = Object.keys(type.values);
  // A decoded enum is its name, or the number where the number has no name.
  const nameOf = (number: number): string | number => type.valuesById[number] ?? number;
  const allowed = (values: readonly (string | number)[]): string => `must be one of ${values.join(', ')}`;
  const checks: Check[] = [];
  if (rules.const !== undefined) {
    const only = nameOf(rules.const);
    checks.push(must((value: string | number) => value === only, `must be ${only}`));
  }
  if (rules.defined_only) checks.push(must((value: string | number) => typeof value === 'string', allowed(names)));
  if (rules.in !== undefined) {
    const values = listOf(rules.in).map(nameOf);
    checks.push(must((value: string | number) => values.includes(value), allowed(values)));
  }
  if (rules.not_in !== undefined) {
    const values = listOf(rules.not_in).map(nameOf);
    checks.push(
      must(
        (value: string | number) => !values.includes(value),
        allowed(names.filter((name) => !values.includes(name))),
      ),
    );
  }
  return all(checks);
}

function compileBytes(rules: BytesRules): Check | undefined {
  rejectUnknown('bytes', rules, ['len', 'min_len', 'max_len', 'ignore_empty']);
  const checks: Check[] = [];
  const { len, min_len: min, max_len: max } = rules;
  if (len !== undefined) checks.push(must((value: Uint8Array) => value.length === len, `must be ${len} bytes`));
  if (min !== undefined)
    checks.push(must((value: Uint8Array) => value.length >= min, `must be at least ${count(min, 'byte')}`));
  if (max !== undefined)
    checks.push(must((value: Uint8Array) => value.length <= max, `must be at most ${count(max, 'byte')}`));
  const check = all(checks);
  if (!check || !rules.ignore_empty) return check;
  return (value, problems) => {
    if ((value as Uint8Array).length > 0) check(value, problems);
  };
}

/** Compares numbers of all kinds: 64-bit integers are strings, and not all of them are exact as a number. */
function compare(a: number | string, b: number | string): number {
  if (typeof a === 'string') {
    const [left, right] = [BigInt(a), BigInt(b)];
    return left < right ? -1 : left > right ? 1 : 0;
  }
  const right = Number(b);
  return a < right ? -1 : a > right ? 1 : a === right ? 0 : Number.NaN;
}

function compileNumber(kind: string, rules: NumberRules): Check | undefined {
  rejectUnknown(kind, rules, ['const', 'lt', 'lte', 'gt', 'gte', 'in', 'not_in', 'ignore_empty']);
  const check = compileRange(rules, compare, String);
  if (!check || !rules.ignore_empty) return check;
  return (value, problems) => {
    if (Number(value) !== 0) check(value, problems);
  };
}

/**
 * The check of `const`, `lt`, `lte`, `gt`, `gte`, `in` and `not_in`, for anything with an order. An upper bound below the
 * lower one means outside of the two: https://github.com/bufbuild/protoc-gen-validate/blob/main/README.md#numerics
 */
export function compileRange<T>(
  rules: { const?: T; lt?: T; lte?: T; gt?: T; gte?: T; in?: T | readonly T[]; not_in?: T | readonly T[] },
  order: (a: T, b: T) => number,
  show: (value: T) => string,
): Check | undefined {
  const checks: Check[] = [];
  const { const: only, in: allowed, not_in: refused } = rules;
  if (only !== undefined) checks.push(must((value: T) => order(value, only) === 0, `must be ${show(only)}`));
  if (allowed !== undefined) {
    const values = listOf(allowed);
    checks.push(
      must(
        (value: T) => values.some((each) => order(value, each) === 0),
        `must be one of ${values.map(show).join(', ')}`,
      ),
    );
  }
  if (refused !== undefined) {
    const values = listOf(refused);
    checks.push(
      must(
        (value: T) => !values.some((each) => order(value, each) === 0),
        `must not be ${values.map(show).join(', ')}`,
      ),
    );
  }
  checks.push(...compileBounds(rules, order, show));
  return all(checks);
}

interface Bound<T> {
  readonly at: T;
  readonly within: (value: T) => boolean;
  readonly words: string;
}

function compileBounds<T>(
  rules: { lt?: T; lte?: T; gt?: T; gte?: T },
  order: (a: T, b: T) => number,
  show: (value: T) => string,
): Check[] {
  const { lt, lte, gt, gte } = rules;
  let lower: Bound<T> | undefined;
  let upper: Bound<T> | undefined;
  if (gt !== undefined) lower = { at: gt, within: (value) => order(value, gt) > 0, words: `> ${show(gt)}` };
  else if (gte !== undefined) lower = { at: gte, within: (value) => order(value, gte) >= 0, words: `>= ${show(gte)}` };
  if (lt !== undefined) upper = { at: lt, within: (value) => order(value, lt) < 0, words: `< ${show(lt)}` };
  else if (lte !== undefined) upper = { at: lte, within: (value) => order(value, lte) <= 0, words: `<= ${show(lte)}` };
  if (lower && upper) {
    const [low, high] = [lower, upper];
    if (order(high.at, low.at) < 0) {
      return [must((value: T) => low.within(value) || high.within(value), `must be ${low.words} or ${high.words}`)];
    }
    return [must((value: T) => low.within(value) && high.within(value), `must be ${low.words} and ${high.words}`)];
  }
  const bound = lower ?? upper;
  return bound ? [must(bound.within, `must be ${bound.words}`)] : [];
}
