import type { Clock, Timer } from '../clock.js';
import type { RequestTimeouts } from './request-timeout.js';

/** Who is told that time is over. */
export interface TimeoutHandler {
  onTimeout(): void;
  onPerTryTimeout(): void;
}

/**
 * The clocks of one request. All of its time begins when the request is complete, an attempt's when it has a connection, too.
 * https://www.envoyproxy.io/docs/envoy/latest/faq/configuration/timeouts#route-timeouts
 */
export class RequestTimers {
  readonly #clock: Clock;
  readonly #timeouts: RequestTimeouts;
  readonly #handler: TimeoutHandler;
  #completeAt: number | undefined;
  #connected = false;
  #total: Timer | undefined;
  #perTry: Timer | undefined;

  constructor(clock: Clock, timeouts: RequestTimeouts, handler: TimeoutHandler) {
    this.#clock = clock;
    this.#timeouts = timeouts;
    this.#handler = handler;
  }

  /** Since the request was complete, in whole milliseconds; undefined: it is not. */
  get elapsedMs(): number | undefined {
    return this.#completeAt === undefined ? undefined : Math.floor(this.#clock.turnTime() - this.#completeAt);
  }

  requestComplete(): void {
    this.#completeAt = this.#clock.turnTime();
    if (this.#timeouts.ms > 0) this.#total = this.#clock.setTimeout(tellTimeout, this.#timeouts.ms, this.#handler);
    this.#startPerTry();
  }

  connected(): void {
    this.#connected = true;
    this.#startPerTry();
  }

  /** Its response has begun, or it failed. */
  attemptOver(): void {
    this.#connected = false;
    this.#perTry?.cancel();
    this.#perTry = undefined;
  }

  stop(): void {
    this.attemptOver();
    this.#total?.cancel();
    this.#total = undefined;
  }

  #startPerTry(): void {
    const { perTryMs } = this.#timeouts;
    if (perTryMs === 0 || this.#perTry || !this.#connected || this.#completeAt === undefined) return;
    this.#perTry = this.#clock.setTimeout(tellPerTryTimeout, perTryMs, this.#handler);
  }
}

function tellTimeout(handler: TimeoutHandler): void {
  handler.onTimeout();
}

function tellPerTryTimeout(handler: TimeoutHandler): void {
  handler.onPerTryTimeout();
}
