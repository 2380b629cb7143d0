/** A decoded google.protobuf.Duration. */
export interface DurationValue {
  readonly seconds: string | number;
  readonly nanos: number;
}

/**
 * A duration in milliseconds, with fractions of them; `defaultMs` where the field is absent.
 * https://protobuf.dev/reference/protobuf/google.protobuf/#duration
 */
export function durationMs(duration: DurationValue | null | undefined, defaultMs: number): number {
  if (duration === null || duration === undefined) return defaultMs;
  return Number(duration.seconds) * 1000 + duration.nanos / 1e6;
}
