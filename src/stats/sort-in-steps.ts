const stepSize = 500;

/** Sorts strings, or what has a string as its key, by code unit. Yields after each bit of work, for whoever lets others have their turn. */
export function* sortInSteps<T>(items: readonly T[], keyOf: (item: T) => string): Generator<undefined, T[]> {
  const compare = (a: T, b: T) => {
    const [one, other] = [keyOf(a), keyOf(b)];
    return one < other ? -1 : one > other ? 1 : 0;
  };
  let runs: T[][] = [];
  for (let i = 0; i < items.length; i += stepSize) {
    runs.push(items.slice(i, i + stepSize).sort(compare));
    yield;
  }
  while (runs.length > 1) {
    const longer: T[][] = [];
    for (let i = 0; i < runs.length; i += 2) longer.push(yield* merge(runs[i] as T[], runs[i + 1] ?? [], compare));
    runs = longer;
  }
  return runs[0] ?? [];
}

function* merge<T>(a: readonly T[], b: readonly T[], compare: (a: T, b: T) => number): Generator<undefined, T[]> {
  const merged: T[] = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    const fromA = j >= b.length || (i < a.length && compare(a[i] as T, b[j] as T) <= 0);
    merged.push((fromA ? a[i++] : b[j++]) as T);
    if (merged.length % stepSize === 0) yield;
  }
  return merged;
}
