import type { ConfigSource } from './config-source.js';
import type { LoadAssignment } from './endpoint.js';
import type { UpstreamTls } from './tls.js';

/** The bridge of a cluster: envoy.extensions.upstreams.http.tcp.golang.v3alpha.Config. */
export interface BridgeConfig {
  readonly libraryId: string;
  readonly libraryPath: string;
  readonly pluginName: string;
  /**
   * The serialized value of `plugin_config`; typeUrl '' and no bytes when there is none. `canonical` is equal for values of
   * equal meaning: maps that were serialized in another order, both names of TypedStruct.
   */
  readonly pluginConfig: {
    readonly typeUrl: string;
    readonly value: Uint8Array;
    readonly canonical?: string;
  };
}

/** Limits of one priority of envoy.config.cluster.v3.CircuitBreakers. */
export interface CircuitBreakerThresholds {
  readonly maxConnections: number;
  readonly maxPendingRequests: number;
  readonly maxRequests: number;
  readonly maxRetries: number;
  /** Instead of `maxRetries`: a share of the requests that are active or wait, and what is allowed however few these are. */
  readonly retryBudget?: { readonly percent: number; readonly minConcurrency: number };
}

export interface DnsSettings {
  readonly refreshRateMs: number;
  /** Back-off after a failed resolution. */
  readonly failureRefreshRate: {
    readonly baseMs: number;
    readonly maxMs: number;
  };
  readonly respectTtl: boolean;
  readonly lookupFamily: 'AUTO' | 'V4_ONLY' | 'V6_ONLY' | 'V4_PREFERRED' | 'ALL';
}

/** How a cluster learns its hosts. */
export type Discovery =
  | { readonly type: 'STATIC'; readonly loadAssignment: LoadAssignment }
  | {
      readonly type: 'STRICT_DNS' | 'LOGICAL_DNS';
      readonly loadAssignment: LoadAssignment;
      readonly dns: DnsSettings;
    }
  | {
      readonly type: 'EDS';
      readonly serviceName: string;
      readonly source: ConfigSource;
    };

/**
 * An entry of `transport_socket_matches`: hosts whose `envoy.transport_socket_match` metadata has all of `match` use this
 * transport socket. The first entry that fits decides.
 */
export interface TransportSocketMatch {
  readonly name: string;
  readonly match: Readonly<Record<string, unknown>>;
  /** raw_buffer. */
  readonly plainText: boolean;
  /** How connections are encrypted; neither this nor `plainText`: the host can't be reached, because it expects something else. */
  readonly tls?: UpstreamTls;
}

/** envoy.config.cluster.v3.Cluster, as far as Pontoon runs it. */
export interface Cluster {
  readonly name: string;
  /** The name in statistics: alt_stat_name, else the name; ':' becomes '_'. */
  readonly statName: string;
  readonly discovery: Discovery;
  readonly lbPolicy: 'ROUND_ROBIN';
  readonly connectTimeoutMs: number;
  /** How long an idle connection stays in the pool; 0 means for ever. */
  readonly idleTimeoutMs: number;
  readonly perConnectionBufferLimitBytes: number;
  readonly circuitBreakers: {
    readonly default: CircuitBreakerThresholds;
    readonly high: CircuitBreakerThresholds;
  };
  /** undefined: plain text, where `transportSocketMatches` say nothing else. */
  readonly tls?: UpstreamTls | undefined;
  /** Hosts that can't be reached by any are left out: see `reachableEndpoints`. */
  readonly transportSocketMatches?: readonly TransportSocketMatch[];
  /** undefined: no bridge, so the cluster carries no requests (it may still be the control plane's address). */
  readonly bridge: BridgeConfig | undefined;
}
