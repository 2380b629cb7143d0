import { ignored, type MessageSupport, message, rejected, silent } from './rules.js';

export const loadAssignmentSupport: MessageSupport = message(
  'envoy.config.endpoint.v3.ClusterLoadAssignment',
  'cluster_name endpoints policy',
  [...rejected('named_endpoints', 'Envoy does not implement them either')],
);

export const policySupport: MessageSupport = message(
  'envoy.config.endpoint.v3.ClusterLoadAssignment.Policy',
  'overprovisioning_factor',
  [
    ...ignored('drop_overloads', 'no request is dropped'),
    ...ignored('endpoint_stale_after', 'endpoints stay until they are replaced'),
    ...ignored('weighted_priority_health', 'hosts count equally for the health of a priority'),
  ],
);

export const localitySupport: MessageSupport = message(
  'envoy.config.endpoint.v3.LocalityLbEndpoints',
  'locality lb_endpoints load_balancing_weight priority',
  [
    ...rejected('load_balancer_endpoints leds_cluster_locality_config', 'put the endpoints into lb_endpoints'),
    ...silent('metadata proximity'),
  ],
);

export const lbEndpointSupport: MessageSupport = message(
  'envoy.config.endpoint.v3.LbEndpoint',
  'endpoint health_status load_balancing_weight metadata',
  [...rejected('endpoint_name', 'Envoy does not implement it either')],
);

export const endpointSupport: MessageSupport = message('envoy.config.endpoint.v3.Endpoint', 'address hostname', [
  ...ignored('additional_addresses', 'only the first address is tried'),
  ...silent('health_check_config observability_name'),
]);

export const endpointMessages: readonly MessageSupport[] = [
  loadAssignmentSupport,
  policySupport,
  localitySupport,
  lbEndpointSupport,
  endpointSupport,
];
