import type { CircuitBreakerThresholds } from '../model/cluster.js';
import type { Gauge, StatsStore } from '../stats/store.js';

/** One bounded resource. Its gauges are set while the version that it belongs to is the one that serves. */
export class ResourceLimit {
  readonly max: number;
  readonly #open: Gauge;
  readonly #remaining: Gauge;
  #count = 0;
  #shown = false;

  constructor(max: number, open: Gauge, remaining: Gauge) {
    this.max = max;
    this.#open = open;
    this.#remaining = remaining;
  }

  get count(): number {
    return this.#count;
  }

  canCreate(): boolean {
    return this.#count < this.max;
  }

  /** `delta` is 1 or -1. The count may pass the maximum: a host's first connection is always allowed. */
  add(delta: number): void {
    this.#count += delta;
    if (this.#shown) this.#show();
  }

  show(shown: boolean): void {
    this.#shown = shown;
    if (shown) this.#show();
  }

  #show(): void {
    this.#open.value = this.#count < this.max ? 0 : 1;
    this.#remaining.value = Math.max(0, this.max - this.#count);
  }
}

export type Priority = 'default' | 'high';

/**
 * The limits of one routing priority, counted per cluster version.
 * https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/circuit_breaking
 */
export interface CircuitBreakers {
  readonly connections: ResourceLimit;
  readonly pendingRequests: ResourceLimit;
  readonly requests: ResourceLimit;
}

export function createCircuitBreakers(
  thresholds: CircuitBreakerThresholds,
  stats: StatsStore,
  priority: Priority,
): CircuitBreakers {
  const limit = (max: number, open: string, remaining: string) =>
    new ResourceLimit(
      max,
      stats.gauge(`circuit_breakers.${priority}.${open}`),
      stats.gauge(`circuit_breakers.${priority}.${remaining}`),
    );
  return {
    connections: limit(thresholds.maxConnections, 'cx_open', 'remaining_cx'),
    pendingRequests: limit(thresholds.maxPendingRequests, 'rq_pending_open', 'remaining_pending'),
    requests: limit(thresholds.maxRequests, 'rq_open', 'remaining_rq'),
  };
}

export function showCircuitBreakers(breakers: CircuitBreakers, shown: boolean): void {
  for (const limit of [breakers.connections, breakers.pendingRequests, breakers.requests]) limit.show(shown);
}
