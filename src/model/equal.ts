/**
 * Whether two models mean the same: the order of record keys, buffers of equal bytes and the version that brought them make
 * no difference, the order of lists does. A value with a `canonical` form (a bridge's plugin_config) is compared by it.
 */
export function equalMeaning(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (a instanceof Uint8Array || b instanceof Uint8Array) return equalBytes(a, b);
  if (Array.isArray(a) || Array.isArray(b)) return equalLists(a, b);
  if ('canonical' in a && 'canonical' in b) return a.canonical === b.canonical;
  return equalRecords(a as Record<string, unknown>, b as Record<string, unknown>);
}

function equalBytes(a: unknown, b: unknown): boolean {
  return a instanceof Uint8Array && b instanceof Uint8Array && Buffer.compare(a, b) === 0;
}

function equalLists(a: unknown, b: unknown): boolean {
  if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false;
  return a.every((item, index) => equalMeaning(item, b[index]));
}

function equalRecords(a: Record<string, unknown>, b: Record<string, unknown>): boolean {
  const keys = Object.keys(a);
  if (keys.length !== Object.keys(b).length) return false;
  return keys.every((key) => Object.hasOwn(b, key) && equalMeaning(a[key], b[key]));
}
