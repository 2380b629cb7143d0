/** Different values that are kept, at most: models that share nothing are not to be remembered. */
const mostKept = 4_096;

/**
 * Makes equal parts of models one object: ten thousand clusters mostly have the same limits, the same bridge, the same source. What is given
 * to it must be plain data, never to be changed.
 *
 * @param keyOf equal for equal values, and only for them
 */
export function createSharing<T extends object>(keyOf: (value: T) => string = JSON.stringify): (value: T) => T {
  const kept = new Map<string, T>();
  return (value) => {
    const key = keyOf(value);
    const known = kept.get(key);
    if (known) return known;
    if (kept.size >= mostKept) kept.clear();
    kept.set(key, value);
    return value;
  };
}
