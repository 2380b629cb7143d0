import type { Clock, Timer } from '../clock.js';

/**
 * Fires when nothing was touched for a while; never touched, it is a deadline. Starting, touching and stopping are cheap: they only note the
 * time, and the timer that runs already is armed anew when it fires too early. So a connection needs few timers, however many requests it
 * brings, and still each fires as exactly as the clock's timers do. `dispose` ends it.
 */
export class InactivityTimer {
  readonly #clock: Clock;
  readonly #onExpired: () => void;
  /** Milliseconds; 0: not running. */
  #limit = 0;
  #touched = 0;
  #armed: { readonly timer: Timer; readonly due: number } | undefined;

  constructor(clock: Clock, onExpired: () => void) {
    this.#clock = clock;
    this.#onExpired = onExpired;
  }

  /**
   * @param limit milliseconds; 0 stops it
   * @param now `Clock.monotonic()`, for those who know it
   */
  start(limit: number, now = this.#clock.turnTime()): void {
    this.#limit = limit;
    if (limit === 0) return;
    this.#touched = now;
    const due = this.#touched + limit;
    if (this.#armed && this.#armed.due <= due) return;
    this.#armed?.timer.cancel();
    this.#arm(limit, due);
  }

  touch(now = this.#clock.turnTime()): void {
    this.#touched = now;
  }

  stop(): void {
    this.#limit = 0;
  }

  dispose(): void {
    this.#limit = 0;
    this.#armed?.timer.cancel();
    this.#armed = undefined;
  }

  #arm(delay: number, due: number): void {
    this.#armed = { timer: this.#clock.setTimeout(() => this.#onTimer(), delay), due };
  }

  #onTimer(): void {
    this.#armed = undefined;
    if (this.#limit === 0) return;
    const due = this.#touched + this.#limit;
    const left = due - this.#clock.monotonic();
    if (left > 0) {
      this.#arm(Math.max(1, Math.ceil(left)), due);
      return;
    }
    this.#limit = 0;
    this.#onExpired();
  }
}
