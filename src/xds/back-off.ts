/** Delays that double from `baseMs` to `maxMs` and start over after `reset`. */
export interface BackOff {
  /** Milliseconds to wait before the next try. */
  next(): number;
  reset(): void;
}

/**
 * Full jitter: anything from nothing to the current interval, as Envoy waits between streams
 * (https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/core/v3/grpc_service.proto, retry_policy: 500 ms to 30 s).
 *
 * @param random from 0 up to but not including 1
 */
export function createBackOff(baseMs: number, maxMs: number, random: () => number): BackOff {
  let interval = baseMs;
  return {
    next() {
      const delay = random() * interval;
      interval = Math.min(interval * 2, maxMs);
      return delay;
    },
    reset() {
      interval = baseMs;
    },
  };
}

/**
 * Spaces the rejections of one type. Many control planes answer a NACK at once with the same resources; without a pause the two go
 * round as fast as the machines can. The first NACK goes out at once, each further one no sooner after the last than an interval that
 * doubles, until something is accepted. To what was not refused before an answer is news: it waits for a second at most.
 */
export class NackPacer {
  static readonly firstSpacingMs = 200;
  static readonly longestSpacingMs = 5_000;
  static readonly longestForNewsMs = 1_000;
  #spacing = 0;
  #last = Number.NEGATIVE_INFINITY;

  /** Milliseconds that the next NACK must wait at time `now`. `news`: what it says was not said before. */
  wait(now: number, news: boolean): number {
    return Math.max(0, this.#last + this.#spacingFor(news) - now);
  }

  /** One goes out at time `now`. What waits and never goes out does not count. */
  sent(now: number, news: boolean): void {
    this.#last = now;
    this.#spacing = Math.min(
      Math.max(this.#spacingFor(news) * 2, NackPacer.firstSpacingMs),
      NackPacer.longestSpacingMs,
    );
  }

  accepted(): void {
    this.#spacing = 0;
  }

  #spacingFor(news: boolean): number {
    return news ? Math.min(this.#spacing, NackPacer.longestForNewsMs) : this.#spacing;
  }
}
