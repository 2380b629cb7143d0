/** The largest number of these times that any window of `windowMs` has. */
export function densest(times: readonly number[], windowMs: number): number {
  const sorted = [...times].sort((a, b) => a - b);
  let first = 0;
  let most = 0;
  for (const [index, time] of sorted.entries()) {
    while (time - (sorted[first] as number) >= windowMs) first++;
    most = Math.max(most, index - first + 1);
  }
  return most;
}
