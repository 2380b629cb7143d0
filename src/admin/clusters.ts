import { RE2JS } from 're2js';
import type { CircuitBreakerThresholds } from '../model/cluster.js';
import type { SocketAddress } from '../model/endpoint.js';
import type { ClusterStatus } from '../upstream/cluster-manager.js';
import { countedOf, type Host } from '../upstream/host.js';
import { type AdminEndpoint, indented, text } from './endpoint.js';
import type { AdminSources } from './sources.js';

/** How /clusters names a host's health: https://www.envoyproxy.io/docs/envoy/latest/operations/admin#get--clusters */
function healthFlags(host: Host): string {
  switch (host.healthStatus) {
    case 'UNHEALTHY':
    case 'TIMEOUT':
      return '/failed_eds_health';
    case 'DRAINING':
      return '/eds_status_draining';
    case 'DEGRADED':
      return '/degraded_eds_health';
    default:
      return 'healthy';
  }
}

function hostNumbers(host: Host): {
  counters: [string, number][];
  gauges: [string, number][];
} {
  const stats = countedOf(host);
  return {
    counters: [
      ['cx_connect_fail', stats.cxConnectFail],
      ['cx_total', stats.cxTotal],
      ['rq_error', stats.rqError],
      ['rq_success', stats.rqSuccess],
      ['rq_timeout', stats.rqTimeout],
      ['rq_total', stats.rqTotal],
    ],
    gauges: [
      ['cx_active', stats.cxActive],
      ['rq_active', stats.rqActive],
    ],
  };
}

function thresholdLines(name: string, priority: string, limits: CircuitBreakerThresholds): string[] {
  return [
    `${name}::${priority}_priority::max_connections::${limits.maxConnections}`,
    `${name}::${priority}_priority::max_pending_requests::${limits.maxPendingRequests}`,
    `${name}::${priority}_priority::max_requests::${limits.maxRequests}`,
    `${name}::${priority}_priority::max_retries::${limits.maxRetries}`,
  ];
}

function clusterText(status: ClusterStatus): string {
  const { name } = status;
  const config = status.active?.config;
  const lines = [`${name}::observability_name::${config?.statName ?? name}`];
  if (config) {
    lines.push(...thresholdLines(name, 'default', config.circuitBreakers.default));
    lines.push(...thresholdLines(name, 'high', config.circuitBreakers.high));
  }
  lines.push(`${name}::added_via_api::${status.origin === 'dynamic'}`);
  if (config?.discovery.type === 'EDS') lines.push(`${name}::eds_service_name::${config.discovery.serviceName}`);
  for (const host of status.shownHosts) {
    const prefix = `${name}::${host.address}::`;
    const { counters, gauges } = hostNumbers(host);
    for (const [stat, value] of [...counters, ...gauges].sort(([a], [b]) => (a < b ? -1 : 1)))
      lines.push(`${prefix}${stat}::${value}`);
    lines.push(
      `${prefix}hostname::${host.hostname}`,
      `${prefix}health_flags::${healthFlags(host)}`,
      `${prefix}weight::${host.weight}`,
      `${prefix}region::${host.locality.region}`,
      `${prefix}zone::${host.locality.zone}`,
      `${prefix}sub_zone::${host.locality.subZone}`,
      `${prefix}canary::false`,
      `${prefix}priority::${host.priority}`,
      `${prefix}success_rate::-1`,
      `${prefix}local_origin_success_rate::-1`,
    );
  }
  return `${lines.join('\n')}\n`;
}

/** A socket address as ProtoJSON of envoy.config.core.v3.Address. */
export function addressJson(address: SocketAddress): unknown {
  return address.kind === 'pipe'
    ? { pipe: { path: address.path } }
    : {
        socket_address: { address: address.address, port_value: address.port },
      };
}

const thresholdsJson = (limits: CircuitBreakerThresholds, priority?: 'HIGH') => ({
  ...(priority && { priority }),
  max_connections: limits.maxConnections,
  max_pending_requests: limits.maxPendingRequests,
  max_requests: limits.maxRequests,
  max_retries: limits.maxRetries,
});

/** SimpleMetric as ProtoJSON: a zero is left out, as Envoy does. */
const metric = (name: string, value: number, gauge: boolean) => ({
  ...(gauge && { type: 'GAUGE' }),
  ...(value !== 0 && { value: String(value) }),
  name,
});

const healthStatuses = {
  UNHEALTHY: 'UNHEALTHY',
  TIMEOUT: 'UNHEALTHY',
  DRAINING: 'DRAINING',
  DEGRADED: 'DEGRADED',
  HEALTHY: 'HEALTHY',
  UNKNOWN: 'HEALTHY',
} as const;

/** Envoy has no opinion of its own where EDS gives none: healthy. */
export const edsHealthStatus = (host: Host): string => healthStatuses[host.healthStatus];

function hostJson(host: Host): unknown {
  const { counters, gauges } = hostNumbers(host);
  const { region, zone, subZone } = host.locality;
  return {
    address: addressJson(host.socketAddress),
    stats: [
      ...counters.map(([name, value]) => metric(name, value, false)),
      ...gauges.map(([name, value]) => metric(name, value, true)),
    ],
    health_status: { eds_health_status: edsHealthStatus(host) },
    weight: host.weight,
    ...(host.hostname && { hostname: host.hostname }),
    ...(host.priority && { priority: host.priority }),
    locality: {
      ...(region && { region }),
      ...(zone && { zone }),
      ...(subZone && { sub_zone: subZone }),
    },
  };
}

function clusterJson(status: ClusterStatus): unknown {
  const config = status.active?.config;
  const hosts = status.shownHosts;
  return {
    name: status.name,
    ...(status.origin === 'dynamic' && { added_via_api: true }),
    ...(hosts.length > 0 && { host_statuses: hosts.map(hostJson) }),
    ...(config && {
      circuit_breakers: {
        thresholds: [
          thresholdsJson(config.circuitBreakers.default),
          thresholdsJson(config.circuitBreakers.high, 'HIGH'),
        ],
      },
    }),
    observability_name: config?.statName ?? status.name,
    ...(config?.discovery.type === 'EDS' && {
      eds_service_name: config.discovery.serviceName,
    }),
  };
}

/** GET /clusters */
export function clustersEndpoint(sources: AdminSources): AdminEndpoint {
  return {
    path: '/clusters',
    method: 'GET',
    help: 'upstream cluster status',
    parameters: {
      filter: 'Regular expression (RE2) for filtering clusters by name',
      format: 'json or text',
    },
    needsNumbers: true,
    handle({ query }) {
      const filter = query.get('filter');
      let pattern: RE2JS | undefined;
      try {
        pattern = filter ? RE2JS.compile(filter) : undefined;
      } catch {
        return text('Invalid re2 regex', 400);
      }
      const wanted = (status: ClusterStatus) =>
        status.active !== undefined && (!pattern || pattern.matcher(status.name).find());
      if (query.get('format') !== 'json') return text(clustersText(sources.clusters(), wanted));
      return { status: 200, contentType: 'application/json', body: clustersJson(sources.clusters(), wanted) };
    },
  };
}

type Wanted = (status: ClusterStatus) => boolean;

function* clustersText(statuses: Iterable<ClusterStatus>, wanted: Wanted): Generator<string> {
  for (const status of statuses) yield wanted(status) ? clusterText(status) : '';
}

/** What `json` would make of all of them. */
function* clustersJson(statuses: Iterable<ClusterStatus>, wanted: Wanted): Generator<string> {
  let separator = '{\n "cluster_statuses": [\n  ';
  let end = '{}\n';
  for (const status of statuses) {
    if (!wanted(status)) {
      yield '';
      continue;
    }
    yield separator + indented(clusterJson(status), 2);
    separator = ',\n  ';
    end = '\n ]\n}\n';
  }
  yield end;
}
