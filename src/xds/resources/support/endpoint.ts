import { active, type MessageSupport, message, rejected, warned } from './rules.js';

export const loadAssignmentSupport: MessageSupport = message(
  'envoy.config.endpoint.v3.ClusterLoadAssignment',
  'cluster_name endpoints policy',
  [...rejected('named_endpoints', 'Envoy does not implement them either')],
);

export const policySupport: MessageSupport = message(
  'envoy.config.endpoint.v3.ClusterLoadAssignment.Policy',
  'overprovisioning_factor',
  [
    ...warned('drop_overloads', 'no request is dropped'),
    ...warned('endpoint_stale_after', 'endpoints stay until they are replaced'),
    ...warned('weighted_priority_health', 'hosts count equally for the health of a priority'),
  ],
);

export const localitySupport: MessageSupport = message(
  'envoy.config.endpoint.v3.LocalityLbEndpoints',
  'locality lb_endpoints load_balancing_weight priority',
  [
    ...rejected('load_balancer_endpoints leds_cluster_locality_config', 'put the endpoints into lb_endpoints'),
    ...active('metadata proximity', 'nothing that runs reads it'),
  ],
);

export const lbEndpointSupport: MessageSupport = message(
  'envoy.config.endpoint.v3.LbEndpoint',
  'endpoint health_status load_balancing_weight metadata',
  [...rejected('endpoint_name', 'Envoy does not implement it either')],
);

export const endpointSupport: MessageSupport = message('envoy.config.endpoint.v3.Endpoint', 'address hostname', [
  ...warned('additional_addresses', 'only the first address is tried'),
  ...active('health_check_config', 'hosts are not probed'),
  ...active('observability_name', 'hosts are shown by their address'),
]);

export const endpointMetadataSupport: MessageSupport = message(
  'envoy.config.core.v3.Metadata',
  'filter_metadata',
  active('typed_filter_metadata', 'nothing that runs reads it'),
  'of an endpoint: `envoy.transport_socket_match` of filter_metadata is read',
);

export const endpointMessages: readonly MessageSupport[] = [
  loadAssignmentSupport,
  policySupport,
  localitySupport,
  lbEndpointSupport,
  endpointSupport,
  endpointMetadataSupport,
];
