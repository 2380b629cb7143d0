import type { CircuitBreakerThresholds, Cluster } from '../model/cluster.js';
import { defineStats, type StatsOf } from '../stats/group.js';
import type { Gauge, StatsStore } from '../stats/store.js';

export type Priority = 'default' | 'high';

const breakerStatsOf = (priority: Priority) =>
  defineStats({
    gauges: {
      cxOpen: `circuit_breakers.${priority}.cx_open`,
      remainingCx: `circuit_breakers.${priority}.remaining_cx`,
      pendingOpen: `circuit_breakers.${priority}.rq_pending_open`,
      remainingPending: `circuit_breakers.${priority}.remaining_pending`,
      rqOpen: `circuit_breakers.${priority}.rq_open`,
      remainingRq: `circuit_breakers.${priority}.remaining_rq`,
      retryOpen: `circuit_breakers.${priority}.rq_retry_open`,
      remainingRetries: `circuit_breakers.${priority}.remaining_retries`,
    },
  });

/** Whole names, so that no cluster needs a scope in its scope. */
const breakerStats: Readonly<Record<Priority, ReturnType<typeof breakerStatsOf>>> = {
  default: breakerStatsOf('default'),
  high: breakerStatsOf('high'),
};

type BreakerStats = StatsOf<ReturnType<typeof breakerStatsOf>>;

/** The gauges of one limit. */
interface Shown {
  readonly open: GaugeKey;
  readonly remaining: GaugeKey;
}

type GaugeKey = keyof typeof breakerStats.default.names.gauges;

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
    this.#stats.set(this.#names.open, open ? 1 : 0);
  }
}

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
  const gauges = gaugesOf(stats, priority);
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

const gaugesOf = (stats: StatsStore, priority: Priority): BreakerStats => stats.group(breakerStats[priority]);

/** The limits of a cluster version. Those of a priority are made with its first request: most of ten thousand clusters are never used. */
export class ClusterBreakers {
  readonly #thresholds: Cluster['circuitBreakers'];
  readonly #stats: StatsStore;
  #default: CircuitBreakers | undefined;
  #high: CircuitBreakers | undefined;
  #shown = false;

  /** `stats` is the cluster's scope. */
  constructor(thresholds: Cluster['circuitBreakers'], stats: StatsStore) {
    this.#thresholds = thresholds;
    this.#stats = stats;
    // Their gauges are there from the beginning, at zero.
    gaugesOf(stats, 'default');
    gaugesOf(stats, 'high');
  }

  of(priority: Priority): CircuitBreakers {
    const known = this.#known(priority);
    if (known) return known;
    const made = createCircuitBreakers(this.#thresholds[priority], this.#stats, priority);
    if (priority === 'default') this.#default = made;
    else this.#high = made;
    if (this.#shown) showCircuitBreakers(made, true);
    return made;
  }

  /** Whether the gauges tell of this version. */
  show(shown: boolean): void {
    this.#shown = shown;
    for (const priority of ['default', 'high'] as const) {
      const known = this.#known(priority);
      if (known) showCircuitBreakers(known, shown);
      else if (shown) this.#showUnused(priority);
    }
  }

  #known(priority: Priority): CircuitBreakers | undefined {
    return priority === 'default' ? this.#default : this.#high;
  }

  #showUnused(priority: Priority): void {
    const { maxConnections, maxPendingRequests, maxRequests, maxRetries, retryBudget } = this.#thresholds[priority];
    const retries = retryBudget ? retryBudget.minConcurrency : maxRetries;
    // A limit that allows nothing is open before anything is counted.
    if (Math.min(maxConnections, maxPendingRequests, maxRequests, retries) <= 0) {
      this.of(priority);
      return;
    }
    const gauges = gaugesOf(this.#stats, priority);
    gauges.set('remainingCx', maxConnections);
    gauges.set('remainingPending', maxPendingRequests);
    gauges.set('remainingRq', maxRequests);
    gauges.set('remainingRetries', retryBudget ? 0 : maxRetries);
  }
}
