/**
 * Full jitter: a whole number of milliseconds from nothing up to, not including, an interval that doubles from `baseMs`. As in Envoy, the interval is `maxMs` when
 * doubling it would come up to that.
 *
 * @param random from 0 up to but not including 1
 */
export function createRetryBackOff(
  { baseMs, maxMs }: { readonly baseMs: number; readonly maxMs: number },
  random: () => number,
): () => number {
  let interval = baseMs;
  return () => {
    const delay = Math.floor(random() * interval);
    interval = interval < Math.floor(maxMs / 2) ? interval * 2 : maxMs;
    return delay;
  };
}
