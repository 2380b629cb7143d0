/** Time, as far as the program depends on it; tests put their own in its place. All values in milliseconds. */
export interface Clock {
  /** Wall clock, since the epoch. */
  now(): number;
  /** Never goes back; for durations. Fractions of a millisecond. */
  monotonic(): number;
  /**
   * `monotonic()`, as it was when a turn of the event loop asked for it first: for the times of requests, of which many are noted in a row. What is measured by it
   * must last for longer than a turn.
   */
  turnTime(): number;
  setTimeout(callback: () => void, ms: number): Timer;
}

export interface Timer {
  cancel(): void;
}

/** The longest delay a Node timer takes; longer ones would fire at once. */
const longestDelayMs = 2 ** 31 - 1;

let timeOfTurn: number | undefined;

function askForTime(): number {
  process.nextTick(forgetTime);
  timeOfTurn = performance.now();
  return timeOfTurn;
}

function forgetTime(): void {
  timeOfTurn = undefined;
}

/** Without a closure for each: there are several per request. */
class NodeTimer implements Timer {
  readonly #handle: NodeJS.Timeout;

  constructor(handle: NodeJS.Timeout) {
    this.#handle = handle;
  }

  cancel(): void {
    clearTimeout(this.#handle);
  }
}

/** The real clock. Its timers do not keep the process alive. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  turnTime: () => timeOfTurn ?? askForTime(),
  setTimeout(callback, ms) {
    const handle = setTimeout(callback, Math.min(ms, longestDelayMs));
    handle.unref();
    return new NodeTimer(handle);
  },
};
