import type { CircuitBreakerThresholds } from '../model/cluster.js';
import { defineStats, type StatsOf } from '../stats/group.js';
import type { Gauge, StatsStore } from '../stats/store.js';

const breakerStats = defineStats({
  gauges: {
    cxOpen: 'cx_open',
    remainingCx: 'remaining_cx',
    pendingOpen: 'rq_pending_open',
    remainingPending: 'remaining_pending',
    rqOpen: 'rq_open',
    remainingRq: 'remaining_rq',
    retryOpen: 'rq_retry_open',
    remainingRetries: 'remaining_retries',
  },
});

type BreakerStats = StatsOf<typeof breakerStats>;

/** The gauges of one limit. */
interface Shown {
  readonly open: keyof BreakerStats;
  readonly remaining: keyof BreakerStats;
}

const shown = {
  connections: { open: 'cxOpen', remaining: 'remainingCx' },
  pendingRequests: { open: 'pendingOpen', remaining: 'remainingPending' },
  requests: { open: 'rqOpen', remaining: 'remainingRq' },
  retries: { open: 'retryOpen', remaining: 'remainingRetries' },
} as const satisfies Record<string, Shown>;

/** One bounded resource. Its gauges are set while the version that it belongs to is the one that serves. */
export class ResourceLimit {
  readonly #max: number | (() => number);
  readonly #stats: BreakerStats;
  readonly #names: Shown;
  #remaining: Gauge | undefined;
  #isOpen = false;
  #count = 0;

  /** `max` as a function: a maximum that moves, so that nothing is known to remain. */
  constructor(max: number | (() => number), stats: BreakerStats, names: Shown) {
    this.#max = max;
    this.#stats = stats;
    this.#names = names;
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
    if (this.#remaining) this.#show(this.#remaining);
  }

  show(shown: boolean): void {
    this.#remaining = shown ? this.#stats[this.#names.remaining] : undefined;
    if (this.#remaining) this.#show(this.#remaining);
    else this.#setOpen(false);
  }

  #show(remaining: Gauge): void {
    this.#setOpen(this.#count >= this.max);
    remaining.value = typeof this.#max === 'number' ? Math.max(0, this.#max - this.#count) : 0;
  }

  /** Most never are. */
  #setOpen(open: boolean): void {
    if (open === this.#isOpen) return;
    this.#isOpen = open;
    this.#stats[this.#names.open].value = open ? 1 : 0;
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
  const gauges = stats.scope(`circuit_breakers.${priority}`).group(breakerStats);
  const limit = (max: number | (() => number), which: keyof typeof shown) =>
    new ResourceLimit(max, gauges, shown[which]);
  const pendingRequests = limit(thresholds.maxPendingRequests, 'pendingRequests');
  const requests = limit(thresholds.maxRequests, 'requests');
  const { maxRetries, retryBudget } = thresholds;
  const budget =
    retryBudget &&
    (() =>
      Math.max(
        Math.floor((retryBudget.percent / 100) * (requests.count + pendingRequests.count)),
        retryBudget.minConcurrency,
      ));
  return {
    connections: limit(thresholds.maxConnections, 'connections'),
    pendingRequests,
    requests,
    retries: limit(budget ?? maxRetries, 'retries'),
  };
}

export function showCircuitBreakers(breakers: CircuitBreakers, shown: boolean): void {
  for (const limit of Object.values(breakers) as ResourceLimit[]) limit.show(shown);
}
