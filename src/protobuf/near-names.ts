/** Edits (insert, delete, replace) between two strings, or `limit + 1` as soon as there are more than `limit`. */
function distance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1;
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    let least = i;
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const cost = Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1);
      next.push(cost);
      least = Math.min(least, cost);
    }
    if (least > limit) return limit + 1;
    row = next;
  }
  return row[b.length] ?? limit + 1;
}

/** Spelling without case and separators, so that `connectTimeOut` is `connect_timeout`. */
const plain = (name: string): string => name.toLowerCase().replaceAll(/[_-]/g, '');

/** The name among `names` that `name` was probably meant to be, if one is near enough. */
export function nearest(name: string, names: Iterable<string>): string | undefined {
  if (name.length > 200) return undefined;
  const wanted = plain(name);
  let best: string | undefined;
  let limit = Math.min(3, Math.floor(wanted.length / 3));
  for (const each of names) {
    const edits = distance(wanted, plain(each), limit);
    if (edits > limit) continue;
    if (edits === 0) return each;
    best = each;
    // From here on only a nearer one is better.
    limit = edits - 1;
  }
  return best;
}

/** More names than these don't help who reads an error. */
const MAX_LISTED = 12;

/** The end of a message about an unknown name: the name that was meant, or all that are allowed where they are few. */
export function allowedNames(name: string, names: readonly string[]): string {
  const near = nearest(name, names);
  if (near !== undefined) return `, did you mean ${near}?`;
  if (names.length === 0 || names.length > MAX_LISTED) return '';
  return `, allowed: ${names.join(', ')}`;
}
