import type { Cluster } from './cluster.js';
import type { ApiSource, ConfigSource } from './config-source.js';
import type { Locality, SocketAddress } from './endpoint.js';
import type { GrpcCluster } from './grpc-service.js';
import type { AccessLogConfig, Listener } from './listener.js';
import type { Secret } from './tls.js';
import type { Problem, Resource } from './verdict.js';

/** Who we are, for the control plane (envoy.config.core.v3.Node). `metadata` is plain JSON. */
export interface Node {
  readonly id: string;
  readonly cluster: string;
  readonly locality: Locality;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** The judged bootstrap file. */
export interface Bootstrap {
  /** The serialized envoy.config.bootstrap.v3.Bootstrap, for /config_dump. */
  readonly bytes: Uint8Array;
  readonly node: Node;
  readonly admin:
    | {
        readonly address: SocketAddress;
        readonly accessLogs: readonly AccessLogConfig[];
      }
    | undefined;
  /** Static resources; a rejected one never gets here, it fails the file. */
  readonly clusters: readonly Resource<Cluster>[];
  readonly listeners: readonly Resource<Listener>[];
  readonly secrets: readonly Resource<Secret>[];
  /** The aggregated stream. */
  readonly ads: ApiSource | undefined;
  /** undefined: no dynamic clusters (listeners). */
  readonly cds: ConfigSource | undefined;
  readonly lds: ConfigSource | undefined;
  /** Who is told how much load there was (`cluster_manager.load_stats_config`); undefined: nobody. Only its first service is. */
  readonly loadReporting: ApiSource | undefined;
  /** The static clusters that can be control planes, by name. */
  readonly grpcClusters: ReadonlyMap<string, GrpcCluster>;
  readonly statsFlushIntervalMs: number;
  /** Fields outside of clusters and listeners that were ignored. */
  readonly warnings: readonly Problem[];
}
