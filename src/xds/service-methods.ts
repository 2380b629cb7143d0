/** The paths of a discovery service's two streaming methods. */
export interface ServiceMethods {
  readonly SOTW: string;
  readonly DELTA: string;
}

/** https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#aggregated-discovery-service */
export const aggregatedMethods: ServiceMethods = {
  SOTW: '/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources',
  DELTA: '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources',
};

function methods(service: string, resources: string): ServiceMethods {
  return { SOTW: `/envoy.service.${service}/Stream${resources}`, DELTA: `/envoy.service.${service}/Delta${resources}` };
}

/**
 * The services with one stream per type, by what they serve. The names follow no rule.
 * https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#streaming-grpc-subscriptions
 */
const byType: Readonly<Record<string, ServiceMethods>> = {
  'type.googleapis.com/envoy.config.cluster.v3.Cluster': methods('cluster.v3.ClusterDiscoveryService', 'Clusters'),
  'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment': methods(
    'endpoint.v3.EndpointDiscoveryService',
    'Endpoints',
  ),
  'type.googleapis.com/envoy.config.listener.v3.Listener': methods('listener.v3.ListenerDiscoveryService', 'Listeners'),
  'type.googleapis.com/envoy.config.route.v3.RouteConfiguration': methods('route.v3.RouteDiscoveryService', 'Routes'),
  'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret': methods(
    'secret.v3.SecretDiscoveryService',
    'Secrets',
  ),
};

/** @throws TypeError for a type that has no service of its own here */
export function methodsOf(typeUrl: string): ServiceMethods {
  const found = byType[typeUrl];
  if (found === undefined) throw new TypeError(`there is no discovery service for ${typeUrl}`);
  return found;
}
