import type { ClusterStatus } from '../upstream/cluster-manager.js';
import type { Host } from '../upstream/host.js';
import { addressJson, edsHealthStatus } from './clusters.js';

/** What /config_dump shows of configuration that came inside of something else: routes in listeners, endpoints in clusters. */
type Json = Readonly<Record<string, unknown>>;

const routeType = 'type.googleapis.com/envoy.config.route.v3.RouteConfiguration';
const assignmentType = 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment';

const isJson = (value: unknown): value is Json => typeof value === 'object' && value !== null;
const listOf = (value: unknown): readonly Json[] => (Array.isArray(value) ? value.filter(isJson) : []);

/** The inline `route_config`s of a listener, which is given as ProtoJSON. */
export function inlineRouteConfigs(listener: Json): readonly Json[] {
  const chains = [...listOf(listener.filter_chains), ...listOf([listener.default_filter_chain])];
  return chains
    .flatMap((chain) => listOf(chain.filters))
    .map(({ typed_config: config }) => (isJson(config) ? config.route_config : undefined))
    .filter(isJson)
    .map((routes) => ({ '@type': routeType, ...routes }));
}

function endpointJson(host: Host): Json {
  return {
    endpoint: {
      address: addressJson(host.socketAddress),
      health_check_config: {},
      ...(host.hostname && { hostname: host.hostname }),
    },
    health_status: edsHealthStatus(host),
    load_balancing_weight: host.weight,
  };
}

/** The endpoints of a cluster that does not learn them by EDS, as Envoy tells them: by priority and locality. */
export function loadAssignmentOf({ name, active, shownHosts }: ClusterStatus): Json {
  const localities = new Map<string, Host[]>();
  for (const host of shownHosts) {
    const { region, zone, subZone } = host.locality;
    const key = JSON.stringify([host.priority, region, zone, subZone]);
    const known = localities.get(key);
    if (known) known.push(host);
    else localities.set(key, [host]);
  }
  const endpoints = [...localities.values()].map((group) => {
    const [{ locality, priority }] = group as [Host, ...Host[]];
    return {
      locality: {
        ...(locality.region && { region: locality.region }),
        ...(locality.zone && { zone: locality.zone }),
        ...(locality.subZone && { sub_zone: locality.subZone }),
      },
      lb_endpoints: group.map(endpointJson),
      ...(priority > 0 && { priority }),
    };
  });
  return {
    '@type': assignmentType,
    cluster_name: name,
    ...(endpoints.length > 0 && { endpoints }),
    policy: { overprovisioning_factor: active?.overprovisioningFactor },
  };
}
