import { isObject, type Json } from './view.js';

/** One field that is not the same; undefined: it is not set on that side. */
export interface FieldChange {
  /** As in `load_assignment.endpoints[0].priority`. */
  readonly path: string;
  readonly before: Json | undefined;
  readonly after: Json | undefined;
}

/** The fields in which two messages differ, the deepest that do. Entries of lists are told apart by their names where they have some. */
export function fieldChanges(before: Json | undefined, after: Json | undefined, path = ''): FieldChange[] {
  if (isObject(before) && isObject(after)) {
    const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
    return [...keys].flatMap((key) =>
      fieldChanges(own(before, key), own(after, key), path === '' ? key : `${path}.${key}`),
    );
  }
  if (Array.isArray(before) && Array.isArray(after)) return listChanges(before as Json[], after as Json[], path);
  return Object.is(before, after) ? [] : [{ path, before, after }];
}

const own = (object: { readonly [key: string]: Json }, key: string): Json | undefined =>
  Object.hasOwn(object, key) ? object[key] : undefined;

function listChanges(before: readonly Json[], after: readonly Json[], path: string): FieldChange[] {
  const [namesBefore, namesAfter] = [namesOf(before), namesOf(after)];
  if (namesBefore && namesAfter) {
    const names = [...new Set([...namesBefore.keys(), ...namesAfter.keys()])];
    const changes = names.flatMap((name) =>
      fieldChanges(namesBefore.get(name), namesAfter.get(name), `${path}[${name}]`),
    );
    const order = (list: Iterable<string>) => JSON.stringify([...list]);
    if (changes.length > 0 || order(namesBefore.keys()) === order(namesAfter.keys())) return changes;
    return [{ path: `${path} (order)`, before: [...namesBefore.keys()], after: [...namesAfter.keys()] }];
  }
  return Array.from({ length: Math.max(before.length, after.length) }, (_, index) =>
    fieldChanges(before[index], after[index], `${path}[${index}]`),
  ).flat();
}

function namesOf(list: readonly Json[]): ReadonlyMap<string, Json> | undefined {
  const named = list.map((item) => [isObject(item) ? item.name : undefined, item] as const);
  if (!named.every((pair): pair is readonly [string, Json] => typeof pair[0] === 'string' && pair[0] !== ''))
    return undefined;
  const byName = new Map(named);
  return byName.size === list.length ? byName : undefined;
}
