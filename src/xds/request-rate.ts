import type { Clock, Timer } from '../clock.js';

/** envoy.config.core.v3.RateLimitSettings: so many requests at once, and so many per second. */
export interface RateLimit {
  readonly maxTokens: number;
  readonly fillRate: number;
}

/**
 * A token bucket for the requests of one stream.
 * https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/core/v3/config_source.proto#config-core-v3-ratelimitsettings
 */
export class RequestRate {
  readonly #limit: RateLimit;
  readonly #clock: Clock;
  readonly #onFilled: () => void;
  readonly #onEnforced: () => void;
  #tokens: number;
  #filledAt: number;
  #timer: Timer | undefined;

  /**
   * @param onFilled a request that had to wait may go out
   * @param onEnforced called each time that requests begin to wait
   */
  constructor(limit: RateLimit, clock: Clock, onFilled: () => void, onEnforced: () => void) {
    this.#limit = limit;
    this.#clock = clock;
    this.#onFilled = onFilled;
    this.#onEnforced = onEnforced;
    this.#tokens = limit.maxTokens;
    this.#filledAt = clock.monotonic();
  }

  /** Whether a request may go out now. */
  ready(): boolean {
    const now = this.#clock.monotonic();
    const { maxTokens, fillRate } = this.#limit;
    this.#tokens = Math.min(maxTokens, this.#tokens + ((now - this.#filledAt) / 1_000) * fillRate);
    this.#filledAt = now;
    return this.#tokens >= 1;
  }

  /** A request has to wait: `onFilled` follows. */
  wait(): void {
    if (this.#timer) return;
    this.#onEnforced();
    const { fillRate } = this.#limit;
    const missing = 1 - this.#tokens;
    // Rounded up: a timer that comes a moment too early would find no whole token.
    const waitMs = Math.ceil((missing / fillRate) * 1_000) + 1;
    this.#timer = this.#clock.setTimeout(() => {
      this.#timer = undefined;
      this.#onFilled();
    }, waitMs);
  }

  take(): void {
    this.#tokens = Math.max(0, this.#tokens - 1);
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
