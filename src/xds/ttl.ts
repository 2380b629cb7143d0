import type { Clock, Timer } from '../clock.js';
import type { Turns } from '../turns.js';
import type { ResourceUpdate } from './resource-type.js';

/** What is to be known of resources that have a time to live. */
export interface TtlOwner {
  /** Whether a response is being handled, which may renew what has expired: it ends when that is over. */
  mayBeRenewed(): boolean;
  isHeld(name: string): boolean;
  onExpired(name: string): void;
}

/**
 * When resources end that the control plane does not renew, also while there is no stream: that is what a TTL is for.
 * https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#ttl
 */
export class TimesToLive {
  readonly #clock: Clock;
  readonly #owner: TtlOwner;
  readonly #timers = new Map<string, Timer>();
  /** Names whose time passed while a response was being handled. */
  #late: string[] = [];

  constructor(clock: Clock, owner: TtlOwner) {
    this.#clock = clock;
    this.#owner = owner;
  }

  /**
   * Takes the times of a response that was accepted into the cache.
   *
   * @param ttls of every resource that it mentions, heartbeats too; those without a time to live that are unchanged may be left out
   */
  async keep(
    ttls: Map<string, number | undefined>,
    { removed, rejected, unchanged }: ResourceUpdate<unknown>,
    turns: Turns,
  ): Promise<void> {
    for (const name of removed) this.set(name, undefined);
    const bad = new Set(rejected.map(({ name }) => name));
    if (this.#timers.size + this.#late.length > 0)
      for (const name of unchanged) if (!ttls.has(name)) ttls.set(name, undefined);
    for (const [name, ttlMs] of ttls) {
      const pause = turns();
      if (pause) await pause;
      if (ttlMs === undefined && !this.#timers.has(name) && this.#late.length === 0) continue;
      // A bad version keeps the good one alive, since such a resource is still wanted, and decides nothing else about it.
      if (bad.has(name)) {
        if (ttlMs !== undefined && this.#timers.has(name)) this.set(name, ttlMs);
      } else if (this.#owner.isHeld(name)) this.set(name, ttlMs);
      this.#late = this.#late.filter((late) => late !== name);
    }
  }

  /** What it did not renew in time ends. */
  responseHandled(): void {
    for (const name of this.#late.splice(0)) this.#owner.onExpired(name);
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
      if (this.#owner.mayBeRenewed()) this.#late.push(name);
      else this.#owner.onExpired(name);
    };
    this.#timers.set(name, this.#clock.setTimeout(expire, ttlMs));
  }

  has(name: string): boolean {
    return this.#timers.has(name);
  }

  close(): void {
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
  }
}
