import type protobuf from 'protobufjs';
import {
  all,
  type Check,
  count,
  type MapRules,
  must,
  prefixProblems,
  type RepeatedRules,
  type Rules,
  rejectUnknown,
} from './check.js';
import { compileScalar } from './scalars.js';

/** The check of a list: its length, whether its items differ, and `item` for each. */
export function compileRepeated(rules: RepeatedRules | undefined, item: Check | undefined): Check | undefined {
  rejectUnknown('repeated', rules ?? {}, ['min_items', 'max_items', 'unique', 'items', 'ignore_empty']);
  const { min_items: min, max_items: max, unique } = rules ?? {};
  const checks: Check[] = [];
  if (min !== undefined)
    checks.push(must((list: unknown[]) => list.length >= min, `must have at least ${count(min, 'item')}`));
  if (max !== undefined)
    checks.push(must((list: unknown[]) => list.length <= max, `must have at most ${count(max, 'item')}`));
  if (unique)
    checks.push(
      must((list: unknown[]) => new Set(list.map(identity)).size === list.length, 'must not have equal items'),
    );
  if (item) checks.push(eachItem(item));
  const check = all(checks);
  if (!check || !rules?.ignore_empty) return check;
  return (list, problems) => {
    if ((list as unknown[]).length > 0) check(list, problems);
  };
}

/** Equal bytes and messages are different objects. */
function identity(value: unknown): unknown {
  return typeof value === 'object' ? JSON.stringify(value) : value;
}

function eachItem(check: Check): Check {
  return (list, problems) => {
    const items = list as unknown[];
    for (let i = 0; i < items.length; i++) {
      const before = problems.length;
      check(items[i], problems);
      if (problems.length > before) prefixProblems(problems, before, `[${i}]`);
    }
  };
}

/** The check of a map: its size, and its keys and values each. */
export function compileMap(
  field: protobuf.Field,
  rules: MapRules | undefined,
  compileValue: (field: protobuf.FieldBase, rules: Rules) => Check | undefined,
): Check | undefined {
  rejectUnknown('map', rules ?? {}, ['min_pairs', 'max_pairs', 'keys', 'values', 'ignore_empty']);
  const { min_pairs: min, max_pairs: max } = rules ?? {};
  const checks: Check[] = [];
  if (min !== undefined)
    checks.push(
      must((map: object) => Object.keys(map).length >= min, `must have at least ${count(min, 'entry', 'entries')}`),
    );
  if (max !== undefined)
    checks.push(
      must((map: object) => Object.keys(map).length <= max, `must have at most ${count(max, 'entry', 'entries')}`),
    );
  const value = compileValue(field, rules?.values ?? {});
  // A key is a string or an integer, whatever the field's value is.
  const key = rules?.keys && compileScalar({ resolvedType: null } as protobuf.FieldBase, rules.keys);
  if (key || value) checks.push(eachEntry(key, value));
  return all(checks);
}

function eachEntry(checkKey: Check | undefined, checkValue: Check | undefined): Check {
  return (map, problems) => {
    for (const [key, value] of Object.entries(map as object)) {
      const before = problems.length;
      checkKey?.(key, problems);
      checkValue?.(value, problems);
      if (problems.length > before) prefixProblems(problems, before, `[${JSON.stringify(key)}]`);
    }
  };
}
