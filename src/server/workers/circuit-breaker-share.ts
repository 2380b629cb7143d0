import type { CircuitBreakerThresholds, Cluster } from '../../model/cluster.js';

const share = (limit: number, workers: number): number => Math.ceil(limit / workers);

const thresholds = (limits: CircuitBreakerThresholds, workers: number): CircuitBreakerThresholds => ({
  maxConnections: share(limits.maxConnections, workers),
  maxPendingRequests: share(limits.maxPendingRequests, workers),
  maxRequests: share(limits.maxRequests, workers),
  maxRetries: share(limits.maxRetries, workers),
});

/** The cluster as one of `workers` processes runs it: its limits protect the servers, so they are for all workers together. */
export function shareOf(cluster: Cluster, workers: number): Cluster {
  const { circuitBreakers } = cluster;
  return {
    ...cluster,
    circuitBreakers: {
      default: thresholds(circuitBreakers.default, workers),
      high: thresholds(circuitBreakers.high, workers),
    },
  };
}
