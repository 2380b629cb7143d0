/** Time, as far as the program depends on it; tests put their own in its place. All values in milliseconds. */
export interface Clock {
  /** Wall clock, since the epoch. */
  now(): number;
  /** Never goes back; for durations. Fractions of a millisecond. */
  monotonic(): number;
  setTimeout(callback: () => void, ms: number): Timer;
}

export interface Timer {
  cancel(): void;
}

/** The longest delay a Node timer takes; longer ones would fire at once. */
const longestDelayMs = 2 ** 31 - 1;

/** The real clock. Its timers do not keep the process alive. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimeout(callback, ms) {
    const handle = setTimeout(callback, Math.min(ms, longestDelayMs));
    handle.unref();
    return { cancel: () => clearTimeout(handle) };
  },
};
