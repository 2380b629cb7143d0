import type { Clock, Timer } from '../clock.js';

/**
 * When resources end that the control plane does not renew, also while there is no stream: that is what a TTL is for.
 * https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#ttl
 */
export class TimesToLive {
  readonly #clock: Clock;
  readonly #onExpired: (name: string) => void;
  readonly #timers = new Map<string, Timer>();

  constructor(clock: Clock, onExpired: (name: string) => void) {
    this.#clock = clock;
    this.#onExpired = onExpired;
  }

  /** Starts over; undefined: the resource lives until it is removed. */
  set(name: string, ttlMs: number | undefined): void {
    this.#timers.get(name)?.cancel();
    if (ttlMs === undefined) {
      this.#timers.delete(name);
      return;
    }
    const expire = () => {
      this.#timers.delete(name);
      this.#onExpired(name);
    };
    this.#timers.set(name, this.#clock.setTimeout(expire, ttlMs));
  }

  /** Starts over for one that has a time to live, and changes nothing for any other. */
  renew(name: string, ttlMs: number): void {
    if (this.#timers.has(name)) this.set(name, ttlMs);
  }

  /** How many resources have one. */
  get size(): number {
    return this.#timers.size;
  }

  has(name: string): boolean {
    return this.#timers.has(name);
  }

  close(): void {
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
  }
}
