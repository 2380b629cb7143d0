import { type DurationValue, durationMs } from '../../protobuf/duration.js';
import type { Context } from './translate.js';

/** The longest time that a timer of Node can wait, some 24.8 days; longer durations are taken for it. */
const maxTimerMs = 2 ** 31 - 1;

/**
 * A duration in whole milliseconds, rounded up, so that the shortest is not taken for 0, which often means none.
 * Negative ones are malformed, as in Envoy.
 */
export function readDuration(
  context: Context,
  duration: DurationValue | null | undefined,
  defaultMs: number,
  path: string,
): number {
  const milliseconds = Math.ceil(durationMs(duration, defaultMs));
  if (milliseconds < 0 || (duration && duration.nanos < 0)) {
    context.findings.malformed.push({ path, message: 'must not be negative' });
    return defaultMs;
  }
  return Math.min(milliseconds, maxTimerMs);
}
