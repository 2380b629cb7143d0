import type { HealthStatus, LbEndpoint, Locality, SocketAddress } from '../model/endpoint.js';

/** One server of a cluster, with a resolved address. Immutable: an update makes another host with the same `key` and `stats`. */
export interface Host {
  /** Hosts with the same key share connections and statistics: the address, or, for LOGICAL_DNS, the name behind which it changes. */
  readonly key: string;
  /** `ip:port`, or the path of a Unix socket: also how admin and logs name it. */
  readonly address: string;
  readonly socketAddress: SocketAddress;
  readonly hostname: string;
  readonly locality: Locality;
  readonly priority: number;
  readonly weight: number;
  readonly healthStatus: HealthStatus;
  /** What the cluster's transport_socket_matches are compared with. */
  readonly transportSocketMatch?: LbEndpoint['transportSocketMatch'];
  readonly stats: HostStats;
}

/** Plain numbers, counted on the request path and shown in /clusters. They outlive updates and new versions of the cluster. */
export interface HostStats {
  cxActive: number;
  cxConnectFail: number;
  cxTotal: number;
  rqActive: number;
  rqError: number;
  rqSuccess: number;
  rqTimeout: number;
  rqTotal: number;
}

export type Health = 'healthy' | 'degraded' | 'unhealthy';

/**
 * What a health status that discovery set means for load balancing.
 * https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/core/v3/health_check.proto#envoy-v3-api-enum-config-core-v3-healthstatus
 */
export function healthOf(host: Pick<Host, 'healthStatus'>): Health {
  switch (host.healthStatus) {
    case 'UNHEALTHY':
    case 'DRAINING':
    case 'TIMEOUT':
      return 'unhealthy';
    case 'DEGRADED':
      return 'degraded';
    default:
      return 'healthy';
  }
}

/** Where a host is in its cluster. */
export interface HostPlace {
  readonly key: string;
  readonly address: string;
  readonly locality: Locality;
  readonly priority: number;
}

/** It has its endpoint instead of a copy of what that says. Its numbers are made when something is counted. */
class EndpointHost implements Host {
  readonly key: string;
  readonly address: string;
  readonly locality: Locality;
  readonly priority: number;
  readonly #endpoint: LbEndpoint;
  #stats: HostStats | undefined;

  constructor({ key, address, locality, priority }: HostPlace, endpoint: LbEndpoint, stats: HostStats | undefined) {
    this.key = key;
    this.address = address;
    this.locality = locality;
    this.priority = priority;
    this.#endpoint = endpoint;
    this.#stats = stats;
  }

  get socketAddress(): SocketAddress {
    return this.#endpoint.address;
  }

  get hostname(): string {
    return this.#endpoint.hostname;
  }

  get weight(): number {
    return this.#endpoint.weight;
  }

  get healthStatus(): HealthStatus {
    return this.#endpoint.healthStatus;
  }

  get transportSocketMatch(): LbEndpoint['transportSocketMatch'] {
    return this.#endpoint.transportSocketMatch;
  }

  get stats(): HostStats {
    this.#stats ??= newHostStats();
    return this.#stats;
  }

  static counted(host: Host): Readonly<HostStats> {
    return host instanceof EndpointHost ? (host.#stats ?? nothingCounted) : host.stats;
  }
}

/** A host with an endpoint's address. `stats`: what was counted of it before. */
export function createHost(place: HostPlace, endpoint: LbEndpoint, stats?: HostStats): Host {
  return new EndpointHost(place, endpoint, stats);
}

/** What was counted of a host, for reading: unlike `stats` it makes nothing. */
export const countedOf = (host: Host): Readonly<HostStats> => EndpointHost.counted(host);

const nothingCounted = Object.freeze(newHostStats());

/** Of a host of which nothing was counted yet. */
export function newHostStats(): HostStats {
  return {
    cxActive: 0,
    cxConnectFail: 0,
    cxTotal: 0,
    rqActive: 0,
    rqError: 0,
    rqSuccess: 0,
    rqTimeout: 0,
    rqTotal: 0,
  };
}
