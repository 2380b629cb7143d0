import type { Clock } from '../../clock.js';
import type { Logger } from '../../log.js';
import type { Bootstrap } from '../../model/bootstrap.js';
import type { Schema } from '../../protobuf/schema.js';
import type { StatsRegistry } from '../../stats/create-store.js';
import { nodeMessage } from '../../xds/discovery.js';
import { createSecretFiles } from '../discovery-file.js';
import { grpcChannel } from '../grpc-channel.js';
import { createLoadReporter, type LoadReporter, type LoadReporterOptions } from './load-reporter.js';

export interface LoadReportsOptions extends Pick<LoadReporterOptions, 'clusters' | 'collect'> {
  readonly bootstrap: Bootstrap;
  readonly schema: Schema;
  readonly version: string;
  readonly clock: Clock;
  readonly stats: StatsRegistry;
  readonly log: Logger;
}

/** Reports load where the bootstrap says so (`cluster_manager.load_stats_config`). */
export function startLoadReports(options: LoadReportsOptions): LoadReporter | undefined {
  const { bootstrap, schema, version, stats } = options;
  const [service] = bootstrap.loadReporting?.services ?? [];
  if (service === undefined) return undefined;
  const channels = { clusters: bootstrap.grpcClusters, files: createSecretFiles(schema), random: Math.random };
  const reporter = createLoadReporter({
    ...options,
    channel: grpcChannel(service, channels),
    retry: service.retry,
    node: nodeMessage(bootstrap.node, version, ['envoy.lrs.supports_send_all_clusters']),
    random: Math.random,
    // What a circuit breaker refuses is never tried again: there is one refusal for each request that is dropped.
    droppedOf: ({ active }) => stats.counters.get(`cluster.${active?.config.statName}.upstream_rq_pending_overflow`),
  });
  reporter.start();
  return reporter;
}
