import protobuf from 'protobufjs';
import type { Problem } from '../model/verdict.js';
import { type Check, type Problems, prefixProblems, type Rules } from './rules/check.js';
import { compileMap, compileRepeated } from './rules/collections.js';
import { compileMessageRules, durationValidity } from './rules/messages.js';
import { compileScalar, isScalarRule } from './rules/scalars.js';
import type { Schema } from './schema.js';

/** Enough to repair a resource with. */
const MAX_PROBLEMS = 100;

/**
 * Checks a decoded message against the field rules of its proto file (https://github.com/bufbuild/protoc-gen-validate),
 * recursively, but not into Anys, whose types are known to who reads them.
 * @param plain as `Schema.decode` or `parseJson` gives it
 * @returns what is wrong, with paths as in `load_assignment.endpoints[0].lb_endpoints[2].endpoint.address`; empty if nothing
 */
export function validate(schema: Schema, typeName: string, plain: object): Problem[] {
  const problems: Problems = [];
  checkOf(schema.type(typeName))?.(plain, problems);
  if (problems.length > MAX_PROBLEMS) problems.splice(MAX_PROBLEMS, problems.length, { path: '', message: 'and more' });
  return problems;
}

type FieldCheck = (message: Readonly<Record<string, unknown>>, problems: Problems) => void;

interface Compiled {
  /** Undefined while it is being compiled, and where no rule applies below this type. */
  check: Check | undefined;
  done: boolean;
}

const compiled = new WeakMap<protobuf.Type, Compiled>();

/** The check of a message type, compiled when first asked for. Undefined if there is nothing to check. */
function checkOf(type: protobuf.Type): Check | undefined {
  const known = compiled.get(type);
  if (known?.done) return known.check;
  // A type that contains itself: its check is looked up again when it runs.
  if (known) return (value, problems) => known.check?.(value, problems);
  const entry: Compiled = { check: undefined, done: false };
  compiled.set(type, entry);
  const checks = [
    ...type.fieldsArray.map(compileField),
    ...type.oneofsArray.filter((oneof) => oneof.options?.required === true).map(compileOneof),
  ].filter((check) => check !== undefined);
  if (checks.length > 0) {
    entry.check = (value, problems) => {
      for (const check of checks) check(value as Record<string, unknown>, problems);
    };
  }
  entry.done = true;
  return entry.check;
}

function compileOneof(oneof: protobuf.OneOf): FieldCheck {
  const { name } = oneof;
  const message = `required: one of ${oneof.oneof.join(', ')} must be set`;
  return (value, problems) => {
    if (value[name] === undefined) problems.push({ path: name, message });
  };
}

function compileField(field: protobuf.Field): FieldCheck | undefined {
  field.resolve();
  const { name } = field;
  const check = compileValue(field, (field.options?.rules ?? {}) as Rules);
  if (check === undefined) return undefined;
  return (message, problems) => {
    const value = message[name];
    // Absent members of a oneof, and optional fields without a value.
    if (value === undefined) return;
    const before = problems.length;
    check(value, problems);
    prefixProblems(problems, before, name);
  };
}

function compileValue(field: protobuf.Field, rules: Rules): Check | undefined {
  if (field.map) return compileMap(field, rules.map, compileItem);
  if (field.repeated) return compileRepeated(rules.repeated, compileItem(field, rules.repeated?.items ?? {}));
  return compileItem(field, rules);
}

/** The check of one value of a field: the field's own, an item of its list or a value of its map. */
function compileItem(field: protobuf.FieldBase, rules: Rules): Check | undefined {
  const type = field.resolvedType;
  if (!(type instanceof protobuf.Type)) return compileScalar(field, rules);
  const inner = rules.message?.skip === true ? undefined : innerCheck(type, rules);
  return compileMessageRules(type, rules, inner);
}

function innerCheck(type: protobuf.Type, rules: Rules): Check | undefined {
  if (type.fullName === '.google.protobuf.Any') return undefined;
  if (type.fullName === '.google.protobuf.Duration') return durationValidity;
  const { value } = type.fields;
  // The rules of a wrapper's value are written on the field that holds the wrapper.
  if (value !== undefined && type.fullName.startsWith('.google.protobuf.') && isScalarRule(rules)) {
    const check = compileScalar(value.resolve(), rules);
    return check && ((wrapper, problems) => check((wrapper as { value: unknown }).value, problems));
  }
  return checkOf(type);
}
