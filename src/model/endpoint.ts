/** An IP address or DNS name and a port, or a Unix domain socket's path. */
export type SocketAddress =
  | { readonly kind: 'tcp'; readonly address: string; readonly port: number }
  | { readonly kind: 'pipe'; readonly path: string };

/** `127.0.0.1:80`, `[::1]:80` or a socket's path. */
export function formatAddress(address: SocketAddress): string {
  if (address.kind === 'pipe') return address.path;
  const { address: host, port } = address;
  // `join` makes a flat string; a template would keep its parts besides once it is used as a key.
  return [host.includes(':') ? `[${host}]` : host, port].join(':');
}

export type HealthStatus = 'UNKNOWN' | 'HEALTHY' | 'UNHEALTHY' | 'DRAINING' | 'TIMEOUT' | 'DEGRADED';

export interface Locality {
  readonly region: string;
  readonly zone: string;
  readonly subZone: string;
}

export interface LbEndpoint {
  readonly address: SocketAddress;
  readonly hostname: string;
  /** At least 1. */
  readonly weight: number;
  readonly healthStatus: HealthStatus;
  /** The metadata `envoy.transport_socket_match` as plain JSON; absent when there is none. */
  readonly transportSocketMatch?: Readonly<Record<string, unknown>>;
}

export interface LocalityEndpoints {
  readonly locality: Locality;
  readonly priority: number;
  /** Locality weight, undefined when unset. */
  readonly weight: number | undefined;
  readonly endpoints: readonly LbEndpoint[];
}

/** envoy.config.endpoint.v3.ClusterLoadAssignment. */
export interface LoadAssignment {
  readonly clusterName: string;
  readonly localities: readonly LocalityEndpoints[];
  /** Per cent, 140 unless set. */
  readonly overprovisioningFactor: number;
}
