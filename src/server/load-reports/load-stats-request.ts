import { systemClock } from '../../clock.js';
import type { SocketAddress } from '../../model/endpoint.js';
import type { Schema } from '../../protobuf/schema.js';
import { createTurns } from '../../turns.js';
import type { ClusterLoad, Load } from '../../upstream/cluster-load.js';

/** One cluster of a report. */
export interface ReportedCluster {
  readonly name: string;
  /** What EDS calls its endpoints, where that is another name. */
  readonly serviceName: string | undefined;
  readonly load: ClusterLoad;
  /** For how long it was counted. */
  readonly intervalMs: number;
}

const addressOf = (address: SocketAddress): object =>
  address.kind === 'pipe'
    ? { pipe: { path: address.path } }
    : { socket_address: { address: address.address, port_value: address.port } };

const requestsOf = ({ success, error, inProgress, issued }: Load): object => ({
  total_successful_requests: success,
  total_error_requests: error,
  total_requests_in_progress: inProgress,
  total_issued_requests: issued,
});

/** Whole microseconds, as Envoy has them. */
function durationOf(ms: number): object {
  const micros = Math.floor(ms * 1000);
  return { seconds: Math.floor(micros / 1_000_000), nanos: (micros % 1_000_000) * 1000 };
}

function clusterStats({ name, serviceName, load, intervalMs }: ReportedCluster, endpoints: boolean): object {
  return {
    cluster_name: name,
    cluster_service_name: serviceName ?? '',
    upstream_locality_stats: load.localities.map((each) => ({
      locality: {
        region: each.locality.region,
        zone: each.locality.zone,
        sub_zone: each.locality.subZone,
      },
      priority: each.priority,
      ...requestsOf(each),
      upstream_endpoint_stats: endpoints
        ? each.endpoints.map((one) => ({ address: addressOf(one.host.socketAddress), ...requestsOf(one) }))
        : [],
    })),
    total_dropped_requests: load.dropped,
    load_report_interval: durationOf(intervalMs),
  };
}

/**
 * Writes a LoadStatsRequest. Other work gets its turn between clusters, which are read one by one.
 * https://www.envoyproxy.io/docs/envoy/latest/api-v3/service/load_stats/v3/lrs.proto
 */
export async function writeLoadStatsRequest(
  schema: Schema,
  node: object,
  clusters: Iterable<ReportedCluster>,
  endpoints: boolean,
): Promise<Buffer> {
  const typeName = 'envoy.service.load_stats.v3.LoadStatsRequest';
  const pieces = [schema.encode(typeName, { node })];
  const turns = createTurns(systemClock);
  for (const cluster of clusters) {
    const pause = turns();
    if (pause) await pause;
    // Messages one after the other are one message: https://protobuf.dev/programming-guides/encoding/#last-one-wins
    pieces.push(schema.encode(typeName, { cluster_stats: [clusterStats(cluster, endpoints)] }));
  }
  return Buffer.concat(pieces);
}
