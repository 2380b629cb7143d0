import type { StoredLibrary } from '../../bridge/prepared-bridge.js';
import type { Http1CodecName } from '../../http/http1-codec.js';
import type { LogLevel } from '../../log.js';
import type { Cluster } from '../../model/cluster.js';
import type { LoadAssignment, SocketAddress } from '../../model/endpoint.js';
import type { Listener } from '../../model/listener.js';
import type { RouteConfiguration } from '../../model/route.js';
import type { SocketsName } from '../../sockets/open-sockets.js';
import type { StatsChanges } from '../../stats/changes.js';
import type { GivenSecret } from '../../tls/given-secrets.js';
import type { HostStatsReport } from '../../upstream/host-stats-transfer.js';

/** What a worker's program is started with. */
export interface WorkerSettings {
  readonly logLevel: LogLevel;
  readonly logPath: string | undefined;
  readonly drainTimeMs: number;
  /** How many workers share the limits of circuit breakers. */
  readonly workers: number;
  readonly http1Codec: Http1CodecName;
  readonly sockets: SocketsName;
}

/** A listening socket of the main process. */
export interface SocketName {
  readonly id: number;
  readonly address: SocketAddress;
  readonly localAddress: SocketAddress;
}

/** A version of a cluster that a worker is to run. */
export interface ClusterMessage {
  readonly kind: 'cluster';
  readonly config: Cluster;
  readonly version: string;
  readonly library: StoredLibrary;
  /** What the worker writes into its call mark while the plugin's code runs. */
  readonly mark: number;
  readonly hosts: LoadAssignment;
}

/** Configuration for workers. Carried out in the order of sending. */
export type WorkerMessage =
  | ClusterMessage
  | { readonly kind: 'hosts'; readonly cluster: string; readonly hosts: LoadAssignment }
  | { readonly kind: 'cluster_parked'; readonly cluster: string; readonly reason: string }
  | { readonly kind: 'cluster_removed'; readonly cluster: string }
  /** Before what uses it; undefined: nobody does any more. */
  | { readonly kind: 'secret'; readonly key: string; readonly secret: GivenSecret | undefined }
  | { readonly kind: 'routes'; readonly name: string; readonly config: RouteConfiguration | undefined }
  /** A new listener, or a new version of one. */
  | { readonly kind: 'listener'; readonly id: number; readonly config: Listener }
  | {
      readonly kind: 'listener_sockets';
      readonly id: number;
      readonly sockets: readonly SocketName[];
      readonly drainTimeMs: number;
    }
  | { readonly kind: 'listener_drain'; readonly id: number; readonly drainTimeMs: number }
  | { readonly kind: 'draining'; readonly draining: boolean }
  | { readonly kind: 'log_level'; readonly component: string | undefined; readonly level: LogLevel }
  | { readonly kind: 'reopen_logs' };

/** Where a connection belongs. */
export interface ConnectionTarget {
  readonly socket: number;
}

/**
 * What the main process asks workers. They report `numbers` and answer with nothing then: an answer that comes too late is dropped, and
 * what was counted would be lost with it.
 */
export type WorkerQuestion = { readonly kind: 'numbers' };

/** What was counted since the last time. */
export interface WorkerNumbers {
  readonly stats: StatsChanges;
  readonly hosts: HostStatsReport;
  /** Listener → open connections. */
  readonly connections: readonly (readonly [id: number, connections: number])[];
}

/** What workers tell unasked. */
export type WorkerReport =
  | { readonly kind: 'started' }
  | { readonly kind: 'listener_drained'; readonly id: number }
  /** A piece of configuration that was judged well could not be carried out. */
  | { readonly kind: 'failed'; readonly what: string; readonly message: string }
  | { readonly kind: 'go_libraries'; readonly open: number; readonly retired: number }
  | { readonly kind: 'numbers'; readonly numbers: WorkerNumbers }
  | { readonly kind: 'uncaught' };
