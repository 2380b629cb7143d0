import type { CircuitBreakerThresholds } from '../model/cluster.js';
import type { Gauge, StatsStore } from '../stats/store.js';

/** One bounded resource. Its gauges are set while the version that it belongs to is the one that serves. */
export class ResourceLimit {
  readonly #max: number | (() => number);
  readonly #open: Gauge;
  readonly #remaining: Gauge;
  #count = 0;
  #shown = false;

  /** `max` as a function: a maximum that moves, so that nothing is known to remain. */
  constructor(max: number | (() => number), open: Gauge, remaining: Gauge) {
    this.#max = max;
    this.#open = open;
    this.#remaining = remaining;
  }

  get max(): number {
    return typeof this.#max === 'number' ? this.#max : this.#max();
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
    this.#remaining.value = typeof this.#max === 'number' ? Math.max(0, this.#max - this.#count) : 0;
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
  /** Those that wait for their time, and those that run. */
  readonly retries: ResourceLimit;
}

export function createCircuitBreakers(
  thresholds: CircuitBreakerThresholds,
  stats: StatsStore,
  priority: Priority,
): CircuitBreakers {
  const limit = (max: number | (() => number), open: string, remaining: string) =>
    new ResourceLimit(
      max,
      stats.gauge(`circuit_breakers.${priority}.${open}`),
      stats.gauge(`circuit_breakers.${priority}.${remaining}`),
    );
  const pendingRequests = limit(thresholds.maxPendingRequests, 'rq_pending_open', 'remaining_pending');
  const requests = limit(thresholds.maxRequests, 'rq_open', 'remaining_rq');
  const { maxRetries, retryBudget } = thresholds;
  const budget =
    retryBudget &&
    (() =>
      Math.max(
        Math.floor((retryBudget.percent / 100) * (requests.count + pendingRequests.count)),
        retryBudget.minConcurrency,
      ));
  return {
    connections: limit(thresholds.maxConnections, 'cx_open', 'remaining_cx'),
    pendingRequests,
    requests,
    retries: limit(budget ?? maxRetries, 'rq_retry_open', 'remaining_retries'),
  };
}

export function showCircuitBreakers(breakers: CircuitBreakers, shown: boolean): void {
  for (const limit of Object.values(breakers) as ResourceLimit[]) limit.show(shown);
}
