import { isIP } from 'node:net';
import type { ChannelCredentials, ClientOptions } from '@grpc/grpc-js';

/** How to reach the control plane. */
export interface ChannelConfig {
  /**
   * Where it is now: `127.0.0.1:18000`, `[::1]:18000`, `unix:/path`. Asked before every attempt; that number `attempt` since the last
   * response, from 0 on, takes the entry of that index, and begins again after the last.
   */
  addresses(attempt: number): readonly string[];
  /** The `:authority` of requests. Envoy's default is the name of the cluster. */
  readonly authority?: string;
  /** Plain text when absent. Asked before every attempt, so that files that were rotated count. Throws when they can't be read. */
  credentials?(): ChannelCredentials;
  /** Sent with the request that opens the stream. Asked before every attempt: a token may have been replaced. Throws as `credentials`. */
  metadata?(): readonly MetadataEntry[];
  readonly connectTimeoutMs: number;
  /**
   * A ping after this long without one, so that a connection that is only half there is found out. gRPC servers in Go hang up on those
   * who ping more often than every 5 minutes, unless told otherwise.
   */
  readonly keepaliveTimeMs: number;
  readonly keepaliveTimeoutMs: number;
  /** The largest response that is read, bytes; 64 MiB when absent. */
  readonly largestResponse?: number;
  /** More of grpc-js's options, over those that are set here. */
  readonly options?: ClientOptions;
}

export interface MetadataEntry {
  readonly key: string;
  readonly value: string | Buffer;
}

export const channelDefaults = {
  connectTimeoutMs: 5_000,
  keepaliveTimeMs: 330_000,
  keepaliveTimeoutMs: 20_000,
} as const;

/**
 * The largest response that is read. gRPC's default of 4 MiB is too small for a state of the world with thousands of clusters; a larger
 * response ends the stream with RESOURCE_EXHAUSTED.
 */
export const largestResponse = 64 * 1024 * 1024;

export function grpcTarget(address: string): string {
  if (/^(unix|dns|ipv4|ipv6):/.test(address)) return address;
  const host = address.slice(0, address.lastIndexOf(':'));
  if (host.startsWith('[')) return `ipv6:${address}`;
  return isIP(host) === 4 ? `ipv4:${address}` : `dns:${address}`;
}

/** Options under which gRPC itself neither retries, shares connections nor asks DNS for a service config. */
export function channelOptions(config: ChannelConfig): ClientOptions {
  return {
    'grpc.max_receive_message_length': config.largestResponse ?? largestResponse,
    'grpc.max_send_message_length': -1,
    'grpc.keepalive_time_ms': config.keepaliveTimeMs,
    'grpc.keepalive_timeout_ms': config.keepaliveTimeoutMs,
    'grpc.use_local_subchannel_pool': 1,
    'grpc.enable_retries': 0,
    'grpc.service_config_disable_resolution': 1,
    'grpc.enable_http_proxy': 0,
    'grpc.enable_channelz': 0,
    // Longer than any attempt lives.
    'grpc.initial_reconnect_backoff_ms': 60_000,
    'grpc.max_reconnect_backoff_ms': 60_000,
    ...(config.authority === undefined ? {} : { 'grpc.default_authority': config.authority }),
    ...config.options,
  };
}
