import type { Clock, Timer } from '../clock.js';
import { NackPacer } from './back-off.js';
import type { Answer } from './subscription.js';

/** The answers of one type that were not sent yet. Rejections may have to wait (see NackPacer); acceptance never does. */
export class AnswerQueue {
  readonly #clock: Clock;
  readonly #supersede: boolean;
  readonly #onDue: () => void;
  readonly #pacer = new NackPacer();
  #answers: Answer[] = [];
  #hold: Timer | undefined;

  /**
   * @param supersede whether a later answer makes those before it pointless
   * @param onDue called when rejections waited long enough
   */
  constructor(clock: Clock, supersede: boolean, onDue: () => void) {
    this.#clock = clock;
    this.#supersede = supersede;
    this.#onDue = onDue;
  }

  get length(): number {
    return this.#answers.length;
  }

  /** Whether the next answer must wait. */
  get held(): boolean {
    return this.#hold !== undefined;
  }

  push(answer: Answer): void {
    if (this.#supersede) this.#answers = [];
    this.#answers.push(answer);
    this.#pace();
  }

  /** The oldest answer, due or not. */
  take(): Answer | undefined {
    const answer = this.#answers.shift();
    if (answer?.error) this.#pacer.sent(this.#clock.monotonic(), !answer.repeated);
    else if (answer) this.#pacer.accepted();
    this.#pace();
    return answer;
  }

  /** The stream is gone, and with it all nonces. How often rejections may go out is remembered. */
  clear(): void {
    this.#answers = [];
    this.#release();
  }

  /**
   * Holds rejections until the first is due. The time counts from when the last went out: one that comes meanwhile must not put it off. An
   * acceptance takes those before it along.
   */
  #pace(): void {
    this.#release();
    if (this.#answers.length === 0 || this.#answers.some(({ error }) => !error)) return;
    const news = this.#answers.some(({ repeated }) => !repeated);
    const delay = this.#pacer.wait(this.#clock.monotonic(), news);
    if (delay <= 0) return;
    this.#hold = this.#clock.setTimeout(() => {
      this.#hold = undefined;
      this.#onDue();
    }, delay);
  }

  #release(): void {
    this.#hold?.cancel();
    this.#hold = undefined;
  }
}
