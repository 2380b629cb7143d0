import { type ExtensionSupport, ignored, type MessageSupport, message, rejected, silent } from './rules.js';

/** Rules of clusters that have the bridge. Any other cluster is parked, whatever it has set. */
export const clusterSupport: MessageSupport = message(
  'envoy.config.cluster.v3.Cluster',
  `name alt_stat_name type cluster_type eds_cluster_config connect_timeout per_connection_buffer_limit_bytes lb_policy
   load_balancing_policy load_assignment circuit_breakers common_http_protocol_options typed_extension_protocol_options
   dns_refresh_rate dns_failure_refresh_rate respect_dns_ttl dns_lookup_family typed_dns_resolver_config
   dns_resolution_config upstream_config transport_socket transport_socket_matches filters common_lb_config`,
  [
    ...ignored('health_checks', 'hosts are not probed; they have the health that the control plane gives them'),
    ...ignored('outlier_detection', 'failing hosts are not ejected'),
    ...ignored('lb_policy=LEAST_REQUEST|RANDOM', 'the cluster is balanced round robin'),
    ...ignored('lb_policy=RING_HASH|MAGLEV', 'the cluster is balanced round robin, so requests do not stick to a host'),
    ...rejected('lb_policy=CLUSTER_PROVIDED', 'no cluster type of Pontoon brings its own load balancer'),
    ...ignored('ring_hash_lb_config maglev_lb_config least_request_lb_config', 'the cluster is balanced round robin'),
    ...rejected('original_dst_lb_config', 'hosts are never taken from the original destination'),
    ...ignored('round_robin_lb_config', 'there is no slow start'),
    ...rejected(
      'lb_subset_config',
      'hosts are not divided into subsets, so requests would reach hosts that they must not',
    ),
    ...rejected('upstream_bind_config', 'connections would come from another address than configured'),
    ...rejected('connection_pool_per_downstream_connection', 'clients would share connections that must be their own'),
    ...rejected('dns_resolvers', 'names would be asked of other servers than configured'),
    ...rejected('transport_socket_matcher', 'hosts are matched by transport_socket_matches only'),
    ...ignored('dns_jitter', 'names are asked at the refresh rate'),
    ...ignored('stats_matcher', 'all statistics are kept'),
    ...ignored('per_connection_buffer_high_watermark_timeout', 'a slow server is waited for'),
    ...ignored('queuing_policies', 'pending requests are served in order'),
    ...ignored('use_tcp_for_dns_lookups', 'the system resolver decides'),
    ...ignored('upstream_connection_options', 'the system defaults of TCP keep-alive apply'),
    ...ignored('max_requests_per_connection', 'a connection serves any number of requests'),
    ...ignored('preconnect_policy', 'connections are opened when they are needed'),
    ...ignored('close_connections_on_host_health_failure', 'there is no health check that could fail'),
    ...ignored('ignore_health_on_host_removal', 'removed hosts leave at once'),
    ...ignored('lrs_server', 'load is reported to `cluster_manager.load_stats_config` of the bootstrap alone'),
    ...ignored('lrs_report_endpoint_metrics', 'servers that speak TCP send no load reports of their own'),
    ...ignored('track_timeout_budgets track_cluster_stats', 'these statistics are not kept'),
    ...ignored('wait_for_warm_on_init', 'start-up waits for every cluster'),
    ...silent('upstream_http_protocol_options http_protocol_options http2_protocol_options protocol_selection'),
    ...silent('metadata cleanup_interval'),
  ],
);

export const commonLbConfigSupport: MessageSupport = message('envoy.config.cluster.v3.Cluster.CommonLbConfig', '', [
  ...ignored('healthy_panic_threshold', 'there is no panic mode'),
  ...ignored('zone_aware_lb_config locality_weighted_lb_config', 'localities of one priority are balanced as one'),
  ...ignored('consistent_hashing_lb_config', 'there is no hashing'),
  ...ignored('close_connections_on_host_set_change', 'connections stay open while their host stays'),
  ...ignored('override_host_status', 'sessions do not override the choice of a host'),
  ...silent('update_merge_window ignore_new_hosts_until_first_hc'),
]);

export const circuitBreakersSupport: MessageSupport = message('envoy.config.cluster.v3.CircuitBreakers', 'thresholds', [
  ...ignored('per_host_thresholds', 'only the limits of the whole cluster apply'),
]);

export const thresholdsSupport: MessageSupport = message(
  'envoy.config.cluster.v3.CircuitBreakers.Thresholds',
  'priority max_connections max_pending_requests max_requests max_retries retry_budget',
  [...ignored('max_connection_pools', 'there is one pool per host and priority'), ...silent('track_remaining')],
);

export const retryBudgetSupport: MessageSupport = message(
  'envoy.config.cluster.v3.CircuitBreakers.Thresholds.RetryBudget',
  'budget_percent min_retry_concurrency',
  ignored('budget_interval', 'the budget is a share of the requests of the moment'),
);

export const edsClusterConfigSupport: MessageSupport = message(
  'envoy.config.cluster.v3.Cluster.EdsClusterConfig',
  'eds_config service_name',
);

export const dnsClusterSupport: MessageSupport = message(
  'envoy.extensions.clusters.dns.v3.DnsCluster',
  `dns_refresh_rate dns_failure_refresh_rate respect_dns_ttl dns_lookup_family all_addresses_in_single_endpoint
   typed_dns_resolver_config`,
  [
    ...ignored('dns_jitter', 'names are asked at the refresh rate'),
    ...ignored('dns_min_refresh_rate', 'a TTL below it is kept'),
  ],
);

export const clusterHttpOptionsSupport: MessageSupport = message(
  'envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
  'common_http_protocol_options',
  [
    ...silent('upstream_http_protocol_options explicit_http_config use_downstream_protocol_config auto_config'),
    ...silent('header_validation_config'),
    ...ignored('outlier_detection', 'failing hosts are not ejected'),
    ...ignored('request_mirror_policies', 'requests are not mirrored'),
    ...ignored('retry_policy', 'the policies of routes and virtual hosts apply'),
    ...ignored('hash_policy', 'requests do not stick to a host'),
    ...rejected('http_filters', 'filters between the router and the bridge are not run'),
  ],
  'of a cluster; the HTTP versions are without meaning where the bridge speaks TCP',
);

export const clusterCommonHttpOptionsSupport: MessageSupport = message(
  'envoy.config.core.v3.HttpProtocolOptions',
  'idle_timeout',
  [
    ...ignored('max_connection_duration max_connection_duration_jitter', 'connections live until they are idle'),
    ...ignored('max_requests_per_connection', 'a connection serves any number of requests'),
    ...ignored('max_stream_duration', 'the timeout of the route bounds an exchange'),
    ...silent('max_headers_count max_response_headers_kb headers_with_underscores_action'),
  ],
  'of a cluster',
);

export const tcpOptionsSupport: MessageSupport = message(
  'envoy.extensions.upstreams.tcp.v3.TcpProtocolOptions',
  'idle_timeout',
);

export const roundRobinSupport: MessageSupport = message(
  'envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin',
  '',
  [
    ...ignored('slow_start_config', 'there is no slow start'),
    ...ignored('locality_lb_config', 'localities of one priority are balanced as one'),
  ],
);

export const upstreamSupport: ExtensionSupport = {
  point: '`upstream_config` of a cluster',
  implemented: ['envoy.extensions.upstreams.http.tcp.golang.v3alpha.Config'],
  rules: [],
  others: {
    treatment: 'parked',
    reason: 'only the HTTP-TCP bridge serves requests',
  },
};

export const protocolOptionsSupport: ExtensionSupport = {
  point: '`typed_extension_protocol_options` of a cluster with the bridge',
  implemented: [
    'envoy.extensions.upstreams.tcp.v3.TcpProtocolOptions',
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
  ],
  rules: [],
  others: { treatment: 'ignored', reason: 'there is no filter that reads it' },
};

export const transportSocketSupport: ExtensionSupport = {
  point: '`transport_socket` of a cluster with the bridge',
  implemented: [
    'envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer',
    'envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
  ],
  rules: [],
  others: {
    treatment: 'rejected',
    reason: 'only plain text and TLS are; without this transport socket servers would see other bytes',
  },
};

export const clusterFilterSupport: ExtensionSupport = {
  point: '`filters` of a cluster with the bridge',
  implemented: [],
  rules: [
    {
      types: ['envoy.tcp.metadataexchange.config.MetadataExchange'],
      treatment: 'silent',
      reason: 'it exchanges metadata only where mutual TLS has agreed on it',
    },
  ],
  others: {
    treatment: 'rejected',
    reason: 'network filters are not run on connections to servers',
  },
};

export const lbPolicySupport: ExtensionSupport = {
  point: '`load_balancing_policy.policies` of a cluster with the bridge; the first known one counts',
  implemented: ['envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin'],
  rules: [
    {
      types: ['ring_hash.v3.RingHash', 'maglev.v3.Maglev'].map(
        (name) => `envoy.extensions.load_balancing_policies.${name}`,
      ),
      treatment: 'ignored',
      reason: 'the cluster is balanced round robin, so requests do not stick to a host',
    },
    {
      types: [
        'least_request.v3.LeastRequest',
        'random.v3.Random',
        'pick_first.v3.PickFirst',
        'client_side_weighted_round_robin.v3.ClientSideWeightedRoundRobin',
        'wrr_locality.v3.WrrLocality',
      ].map((name) => `envoy.extensions.load_balancing_policies.${name}`),
      treatment: 'ignored',
      reason: 'the cluster is balanced round robin',
    },
  ],
  others: {
    treatment: 'rejected',
    reason: 'this policy may choose hosts that round robin would not',
  },
};

export const clusterMessages: readonly MessageSupport[] = [
  clusterSupport,
  edsClusterConfigSupport,
  dnsClusterSupport,
  circuitBreakersSupport,
  thresholdsSupport,
  retryBudgetSupport,
  commonLbConfigSupport,
  clusterHttpOptionsSupport,
  clusterCommonHttpOptionsSupport,
  tcpOptionsSupport,
  roundRobinSupport,
];
export const clusterExtensions: readonly ExtensionSupport[] = [
  upstreamSupport,
  protocolOptionsSupport,
  transportSocketSupport,
  clusterFilterSupport,
  lbPolicySupport,
];
