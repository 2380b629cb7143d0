import { TimerWheel } from './timer-wheel.js';

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
  /** `now()` at the time of `turnTime()`. */
  turnNow(): number;
  /**
   * Calls `callback` once, with `argument`, after `ms` milliseconds or somewhat later: never before. Those that come with every request
   * give an argument instead of making a closure.
   */
  setTimeout<A = undefined>(callback: (argument: A) => void, ms: number, argument?: A): Timer;
}

export interface Timer {
  cancel(): void;
}

/** The longest delay a Node timer takes; longer ones would fire at once. */
const longestDelayMs = 2 ** 31 - 1;

let timeOfTurn: number | undefined;
let nowOfTurn = 0;

function askForTime(): number {
  process.nextTick(forgetTime);
  nowOfTurn = Date.now();
  timeOfTurn = performance.now();
  return timeOfTurn;
}

function forgetTime(): void {
  timeOfTurn = undefined;
}

/** Node's. Without a closure for each. */
class NodeTimer implements Timer {
  readonly #handle: NodeJS.Timeout;

  constructor(handle: NodeJS.Timeout) {
    this.#handle = handle;
  }

  cancel(): void {
    clearTimeout(this.#handle);
  }
}

const nodeTimers: Pick<Clock, 'monotonic' | 'setTimeout'> = {
  monotonic: () => performance.now(),
  setTimeout(callback, ms, argument) {
    const handle = setTimeout(callback as (argument: unknown) => void, Math.min(ms, longestDelayMs), argument);
    handle.unref();
    return new NodeTimer(handle);
  },
};

/** Shorter ones are exact to the millisecond. */
const shortestInWheelMs = 100;

const wheel = new TimerWheel(nodeTimers);

/** The real clock. Its timers do not keep the process alive. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: nodeTimers.monotonic,
  turnTime: () => timeOfTurn ?? askForTime(),
  turnNow() {
    if (timeOfTurn === undefined) askForTime();
    return nowOfTurn;
  },
  setTimeout(callback, ms, argument) {
    if (ms >= shortestInWheelMs) return wheel.start(callback as (argument: unknown) => void, ms, argument);
    return nodeTimers.setTimeout(callback, ms, argument);
  },
};
