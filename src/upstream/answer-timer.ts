import type { Clock, Timer } from '../clock.js';

/** Watches that the next answer in turn comes. One timer for all of them: nothing to set or cancel per exchange. */
export class AnswerTimer {
  readonly #clock: Clock;
  readonly #limitMs: number;
  /** How long it has been waited for, ms; undefined: nothing is awaited. */
  readonly #waited: () => number | undefined;
  readonly #onTimeout: () => void;
  #timer: Timer | undefined;

  constructor(clock: Clock, limitMs: number, waited: () => number | undefined, onTimeout: () => void) {
    this.#clock = clock;
    this.#limitMs = limitMs;
    this.#waited = waited;
    this.#onTimeout = onTimeout;
  }

  /** An answer is awaited now. */
  start(): void {
    if (this.#timer === undefined) this.#arm(this.#limitMs);
  }

  cancel(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #arm(ms: number): void {
    this.#timer = this.#clock.setTimeout(() => this.#check(), ms);
  }

  #check(): void {
    this.#timer = undefined;
    const waited = this.#waited();
    if (waited === undefined) return;
    if (waited < this.#limitMs) this.#arm(Math.max(1, this.#limitMs - waited));
    else this.#onTimeout();
  }
}
