import type { HealthStatus, LbEndpoint, Locality, SocketAddress } from '../model/endpoint.js';
import { equalMeaning } from '../model/equal.js';

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

/** A host before it is known whether it existed before. */
export type HostSpec = Omit<Host, 'stats'>;

export type Health = 'healthy' | 'degraded' | 'unhealthy';

/**
 * What a health status that discovery set means for load balancing.
 * https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/core/v3/health_check.proto#envoy-v3-api-enum-config-core-v3-healthstatus
 */
export function healthOf(host: HostSpec): Health {
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

/** Its numbers are made when something is counted: of a hundred thousand hosts most are never used. */
class CountedHost implements Host {
  readonly key: string;
  readonly address: string;
  readonly socketAddress: SocketAddress;
  readonly hostname: string;
  readonly locality: Locality;
  readonly priority: number;
  readonly weight: number;
  readonly healthStatus: HealthStatus;
  readonly transportSocketMatch?: LbEndpoint['transportSocketMatch'];
  #stats: HostStats | undefined;

  constructor(spec: HostSpec, stats: HostStats | undefined) {
    this.key = spec.key;
    this.address = spec.address;
    this.socketAddress = spec.socketAddress;
    this.hostname = spec.hostname;
    this.locality = spec.locality;
    this.priority = spec.priority;
    this.weight = spec.weight;
    this.healthStatus = spec.healthStatus;
    if (spec.transportSocketMatch) this.transportSocketMatch = spec.transportSocketMatch;
    this.#stats = stats;
  }

  get stats(): HostStats {
    this.#stats ??= newHostStats();
    return this.#stats;
  }

  static counted(host: Host): Readonly<HostStats> {
    return host instanceof CountedHost ? (host.#stats ?? nothingCounted) : host.stats;
  }
}

/** What was counted of a host, for reading: unlike `stats` it makes nothing. */
export const countedOf = (host: Host): Readonly<HostStats> => CountedHost.counted(host);

export interface Reconciled {
  readonly hosts: readonly Host[];
  /** Keys that were there and are no longer. */
  readonly removed: readonly string[];
  /** Hosts whose key is new. */
  readonly added: number;
  /** Anything differs from `previous`: membership, order, or an attribute of a host. */
  readonly changed: boolean;
}

/**
 * Takes over what is unchanged: the host itself when all its attributes are the same, else its statistics.
 * `statsOf` knows those of hosts that are elsewhere: in the cluster's version before, or removed and still draining.
 */
export function reconcileHosts(
  previous: readonly Host[],
  specs: readonly HostSpec[],
  statsOf: (key: string) => HostStats | undefined,
): Reconciled {
  const known = new Map(previous.map((host) => [host.key, host]));
  const seen = new Map<string, Host>();
  let added = 0;
  const hosts = specs.map((spec, index): Host => {
    const same = previous[index];
    const old = same?.key === spec.key ? same : known.get(spec.key);
    const twin = seen.get(spec.key);
    if (!old && !twin) added++;
    const host =
      old && sameSpec(old, spec) ? old : new CountedHost(spec, old?.stats ?? twin?.stats ?? statsOf(spec.key));
    if (!twin) seen.set(spec.key, host);
    return host;
  });
  return {
    hosts,
    removed: [...known.keys()].filter((key) => !seen.has(key)),
    added,
    changed: hosts.length !== previous.length || hosts.some((host, index) => host !== previous[index]),
  };
}

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

function sameSpec(a: HostSpec, b: HostSpec): boolean {
  return (
    a.key === b.key &&
    a.address === b.address &&
    a.hostname === b.hostname &&
    a.priority === b.priority &&
    a.weight === b.weight &&
    a.healthStatus === b.healthStatus &&
    a.locality.region === b.locality.region &&
    a.locality.zone === b.locality.zone &&
    a.locality.subZone === b.locality.subZone &&
    equalMeaning(a.transportSocketMatch, b.transportSocketMatch)
  );
}
