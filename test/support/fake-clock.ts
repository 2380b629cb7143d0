import type { Clock, Timer } from '../../src/clock.js';

interface Pending {
  readonly at: number;
  readonly callback: () => void;
}

/** A clock that a test moves. Timers run inside `advance`, in the order of their times. */
export class FakeClock implements Clock {
  #elapsed = 0;
  readonly #timers = new Set<Pending>();

  constructor(readonly start = Date.UTC(2026, 0, 1)) {}

  now(): number {
    return this.start + this.#elapsed;
  }

  monotonic(): number {
    return this.#elapsed;
  }

  turnTime(): number {
    return this.#elapsed;
  }

  turnNow(): number {
    return this.now();
  }

  setTimeout<A>(callback: (argument: A) => void, ms: number, argument?: A): Timer {
    const pending = { at: this.#elapsed + Math.max(0, ms), callback: () => callback(argument as A) };
    this.#timers.add(pending);
    return { cancel: () => void this.#timers.delete(pending) };
  }

  /** Timers that wait. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Moves time by `ms` milliseconds and runs what falls due on the way. */
  advance(ms: number): void {
    const end = this.#elapsed + ms;
    for (;;) {
      const next = [...this.#timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      this.#timers.delete(next);
      this.#elapsed = Math.max(this.#elapsed, next.at);
      next.callback();
    }
    this.#elapsed = end;
  }
}
