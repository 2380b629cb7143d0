import type { PreparedBridge } from '../bridge/prepared-bridge.js';
import type { Counter, Histogram, StatsStore } from '../stats/store.js';
import type { ActiveCluster } from '../upstream/cluster-manager.js';

/** The router filter's own statistics of one connection manager: https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/router_filter#statistics */
export interface RouterStats {
  readonly rqTotal: Counter;
  readonly noRoute: Counter;
  readonly noCluster: Counter;
  /** Redirects too, as in Envoy. */
  readonly rqDirectResponse: Counter;
  readonly rqTooLarge: Counter;
  readonly upgradeRejected: Counter;
}

export function createRouterStats(stats: StatsStore, statPrefix: string): RouterStats {
  const counter = (name: string): Counter => stats.counter(`http.${statPrefix}.${name}`);
  return {
    rqTotal: counter('rq_total'),
    noRoute: counter('no_route'),
    noCluster: counter('no_cluster'),
    rqDirectResponse: counter('rq_direct_response'),
    rqTooLarge: counter('downstream_rq_too_large'),
    upgradeRejected: counter('downstream_rq_ws_on_non_ws_route'),
  };
}

/** What is counted of one cluster's retries. */
export interface ClusterRetryStats {
  readonly retry: Counter;
  readonly success: Counter;
  readonly overflow: Counter;
  readonly limitExceeded: Counter;
  readonly backOffExponential: Counter;
}

/** What the router counts of one cluster's responses, its own replies for the cluster included. */
export interface ClusterResponseStats {
  /** Counts a response in `upstream_rq_completed`, its class and its code, and again under `internal.` or `external.`. */
  charge(status: number, internal: boolean): void;
  /** Counts a response that is retried, under `retry.`. */
  chargeRetried(status: number): void;
  /** From the whole request to the whole response. */
  recordTime(ms: number, internal: boolean): void;
  readonly timeout: Counter;
  readonly perTryTimeout: Counter;
  /** Requests that came to be too large to be kept for a retry. */
  readonly retryAbandoned: Counter;
  readonly retries: ClusterRetryStats;
}

/** https://www.envoyproxy.io/docs/envoy/latest/configuration/upstream/cluster_manager/cluster_stats#dynamic-http-statistics */
function createClusterResponseStats(stats: StatsStore): ClusterResponseStats {
  const origin = (internal: boolean): string => (internal ? 'internal' : 'external');
  const charged = new Map<number, readonly Counter[]>();
  const time = stats.histogram('upstream_rq_time', 'ms');
  const times = new Map<boolean, Histogram>();

  function countersOf(status: number, prefixes: readonly string[]): readonly Counter[] {
    const codes = ['upstream_rq_completed', `upstream_rq_${Math.floor(status / 100)}xx`, `upstream_rq_${status}`];
    return prefixes.flatMap((prefix) => codes.map((code) => stats.counter(prefix + code)));
  }

  return {
    timeout: stats.counter('upstream_rq_timeout'),
    perTryTimeout: stats.counter('upstream_rq_per_try_timeout'),
    retryAbandoned: stats.counter('retry_or_shadow_abandoned'),
    retries: {
      retry: stats.counter('upstream_rq_retry'),
      success: stats.counter('upstream_rq_retry_success'),
      overflow: stats.counter('upstream_rq_retry_overflow'),
      limitExceeded: stats.counter('upstream_rq_retry_limit_exceeded'),
      backOffExponential: stats.counter('upstream_rq_retry_backoff_exponential'),
    },
    chargeRetried(status) {
      for (const counter of countersOf(status, ['retry.'])) counter.value++;
    },
    charge(status, internal) {
      // Bounded: statuses are 100 to 599.
      const key = internal ? -status : status;
      let counters = charged.get(key);
      if (!counters) {
        counters = countersOf(status, ['', `${origin(internal)}.`]);
        charged.set(key, counters);
      }
      for (const counter of counters) counter.value++;
    },
    recordTime(ms, internal) {
      time.record(ms);
      let histogram = times.get(internal);
      if (!histogram) {
        histogram = stats.histogram(`${origin(internal)}.upstream_rq_time`, 'ms');
        times.set(internal, histogram);
      }
      histogram.record(ms);
    },
  };
}

/** Looks a cluster's statistics up; they are kept as long as that version of the cluster is. */
export function clusterStatsLookup(): (cluster: ActiveCluster<PreparedBridge>) => ClusterResponseStats {
  const known = new WeakMap<ActiveCluster<PreparedBridge>, ClusterResponseStats>();
  return (cluster) => {
    let found = known.get(cluster);
    if (!found) {
      found = createClusterResponseStats(cluster.stats);
      known.set(cluster, found);
    }
    return found;
  };
}
