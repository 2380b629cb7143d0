import { active, type MessageSupport, message, rejected, warned } from './rules.js';

const otherServers = 'names would be asked of other servers than configured; the system resolver is used';

/** Rules of clusters that have the bridge. Any other cluster is parked, whatever it has set. */
export const clusterSupport: MessageSupport = message(
  'envoy.config.cluster.v3.Cluster',
  `name alt_stat_name type cluster_type eds_cluster_config connect_timeout per_connection_buffer_limit_bytes lb_policy
   load_balancing_policy load_assignment circuit_breakers common_http_protocol_options typed_extension_protocol_options
   dns_refresh_rate dns_failure_refresh_rate respect_dns_ttl dns_lookup_family typed_dns_resolver_config
   upstream_config transport_socket transport_socket_matches filters common_lb_config`,
  [
    ...warned('health_checks', 'hosts are not probed; they have the health that the control plane gives them'),
    ...warned('outlier_detection', 'failing hosts are not ejected'),
    ...warned('lb_policy=LEAST_REQUEST|RANDOM', 'the cluster is balanced round robin'),
    ...warned('lb_policy=RING_HASH|MAGLEV', 'the cluster is balanced round robin, so requests do not stick to a host'),
    ...rejected('lb_policy=CLUSTER_PROVIDED', 'no cluster type of Pontoon brings its own load balancer'),
    ...warned('ring_hash_lb_config maglev_lb_config least_request_lb_config', 'the cluster is balanced round robin'),
    ...rejected('original_dst_lb_config', 'hosts are never taken from the original destination'),
    ...warned('round_robin_lb_config', 'there is no slow start'),
    ...rejected(
      'lb_subset_config',
      'hosts are not divided into subsets, so requests would reach hosts that they must not',
    ),
    ...rejected('upstream_bind_config', 'connections would come from another address than configured'),
    ...rejected('connection_pool_per_downstream_connection', 'clients would share connections that must be their own'),
    ...rejected('dns_resolvers dns_resolution_config', otherServers),
    ...rejected('transport_socket_matcher', 'hosts are matched by transport_socket_matches only'),
    ...warned('dns_jitter', 'names are asked at the refresh rate'),
    ...warned('stats_matcher', 'all statistics are kept'),
    ...warned('per_connection_buffer_high_watermark_timeout', 'a slow server is waited for'),
    ...warned('queuing_policies', 'pending requests are served in order'),
    ...warned('use_tcp_for_dns_lookups', 'the system resolver decides'),
    ...warned('upstream_connection_options', 'the system defaults of TCP keep-alive apply'),
    ...warned('max_requests_per_connection', 'a connection serves any number of requests'),
    ...warned('preconnect_policy', 'connections are opened when they are needed'),
    ...warned('close_connections_on_host_health_failure', 'there is no health check that could fail'),
    ...warned('ignore_health_on_host_removal', 'removed hosts leave at once'),
    ...warned('lrs_server', 'load is reported to `cluster_manager.load_stats_config` of the bootstrap alone'),
    ...warned('lrs_report_endpoint_metrics', 'servers that speak TCP send no load reports of their own'),
    ...warned('track_timeout_budgets track_cluster_stats', 'these statistics are not kept'),
    ...warned('wait_for_warm_on_init', 'start-up waits for every cluster'),
    ...active(
      'upstream_http_protocol_options http_protocol_options http2_protocol_options protocol_selection',
      'servers are spoken to in TCP',
    ),
    ...active('metadata', 'nothing that runs reads it'),
    ...active('cleanup_interval', 'it is for hosts of the original destination'),
  ],
);

export const commonLbConfigSupport: MessageSupport = message('envoy.config.cluster.v3.Cluster.CommonLbConfig', '', [
  ...warned('healthy_panic_threshold', 'there is no panic mode'),
  ...warned('zone_aware_lb_config locality_weighted_lb_config', 'localities of one priority are balanced as one'),
  ...warned('consistent_hashing_lb_config', 'there is no hashing'),
  ...warned('close_connections_on_host_set_change', 'connections stay open while their host stays'),
  ...warned('override_host_status', 'sessions do not override the choice of a host'),
  ...active('update_merge_window', 'updates are applied as they come'),
  ...active('ignore_new_hosts_until_first_hc', 'there is no health check to wait for'),
]);

export const circuitBreakersSupport: MessageSupport = message('envoy.config.cluster.v3.CircuitBreakers', 'thresholds', [
  ...warned('per_host_thresholds', 'only the limits of the whole cluster apply'),
]);

export const thresholdsSupport: MessageSupport = message(
  'envoy.config.cluster.v3.CircuitBreakers.Thresholds',
  'priority max_connections max_pending_requests max_requests max_retries retry_budget',
  [
    ...warned('max_connection_pools', 'there is one pool per host and priority'),
    ...active('track_remaining', 'what remains is always shown'),
  ],
);

export const retryBudgetSupport: MessageSupport = message(
  'envoy.config.cluster.v3.CircuitBreakers.Thresholds.RetryBudget',
  'budget_percent min_retry_concurrency',
  warned('budget_interval', 'the budget is a share of the requests of the moment'),
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
    ...warned('dns_jitter', 'names are asked at the refresh rate'),
    ...warned('dns_min_refresh_rate', 'a TTL below it is kept'),
  ],
);

export const clusterHttpOptionsSupport: MessageSupport = message(
  'envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
  'common_http_protocol_options',
  [
    ...active(
      'upstream_http_protocol_options explicit_http_config use_downstream_protocol_config auto_config',
      'servers are spoken to in TCP',
    ),
    ...active('header_validation_config', 'the headers of an answer come from the plugin'),
    ...warned('outlier_detection', 'failing hosts are not ejected'),
    ...warned('request_mirror_policies', 'requests are not mirrored'),
    ...warned('retry_policy', 'the policies of routes and virtual hosts apply'),
    ...warned('hash_policy', 'requests do not stick to a host'),
    ...rejected('http_filters', 'filters between the router and the bridge are not run'),
  ],
  'of a cluster; the HTTP versions are without meaning where the bridge speaks TCP',
);

export const clusterCommonHttpOptionsSupport: MessageSupport = message(
  'envoy.config.core.v3.HttpProtocolOptions',
  'idle_timeout',
  [
    ...warned('max_connection_duration max_connection_duration_jitter', 'connections live until they are idle'),
    ...warned('max_requests_per_connection', 'a connection serves any number of requests'),
    ...warned('max_stream_duration', 'the timeout of the route bounds an exchange'),
    ...active(
      'max_headers_count max_response_headers_kb headers_with_underscores_action',
      'the headers of an answer come from the plugin',
    ),
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
    ...warned('slow_start_config', 'there is no slow start'),
    ...warned('locality_lb_config', 'localities of one priority are balanced as one'),
  ],
);

export const transportSocketMatchSupport: MessageSupport = message(
  'envoy.config.cluster.v3.Cluster.TransportSocketMatch',
  'name match transport_socket',
);

export const customClusterTypeSupport: MessageSupport = message(
  'envoy.config.cluster.v3.Cluster.CustomClusterType',
  'typed_config',
  active('name', 'types are chosen by the type of their configuration'),
);

export const refreshRateSupport: MessageSupport = message(
  'envoy.config.cluster.v3.Cluster.RefreshRate',
  'base_interval max_interval',
);

export const dnsClusterRefreshRateSupport: MessageSupport = message(
  'envoy.extensions.clusters.dns.v3.DnsCluster.RefreshRate',
  'base_interval max_interval',
);

const systemResolver = 'the system resolver is used';

export const caresResolverSupport: MessageSupport = message(
  'envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig',
  '',
  [
    ...rejected('resolvers', otherServers),
    ...active('use_resolvers_as_fallback', 'it is for resolvers'),
    ...warned(
      `filter_unroutable_families dns_resolver_options udp_max_queries max_udp_channel_duration query_timeout_seconds
       query_tries rotate_nameservers edns0_max_payload_size reinit_channel_on_timeout qcache_max_ttl`,
      systemResolver,
    ),
  ],
);

export const getaddrinfoResolverSupport: MessageSupport = message(
  'envoy.extensions.network.dns_resolver.getaddrinfo.v3.GetAddrInfoDnsResolverConfig',
  '',
  warned('num_retries num_resolver_threads', systemResolver),
);

export const appleResolverSupport: MessageSupport = message(
  'envoy.extensions.network.dns_resolver.apple.v3.AppleDnsResolverConfig',
  '',
  warned('include_unroutable_families', systemResolver),
);

export const clusterFilterFieldsSupport: MessageSupport = message('envoy.config.cluster.v3.Filter', 'typed_config', [
  ...active('name', 'filters are chosen by the type of their configuration'),
  ...rejected('config_discovery', 'filter configurations are not discovered'),
]);

export const loadBalancingPolicySupport: MessageSupport = message(
  'envoy.config.cluster.v3.LoadBalancingPolicy',
  'policies',
);

export const loadBalancingPolicyEntrySupport: MessageSupport = message(
  'envoy.config.cluster.v3.LoadBalancingPolicy.Policy',
  'typed_extension_config',
);

export const percentSupport: MessageSupport = message('envoy.type.v3.Percent', 'value');

export const bridgeConfigSupport: MessageSupport = message(
  'envoy.extensions.upstreams.http.tcp.golang.v3alpha.Config',
  'library_id library_path plugin_name plugin_config',
);

export const clusterMessages: readonly MessageSupport[] = [
  clusterSupport,
  bridgeConfigSupport,
  edsClusterConfigSupport,
  customClusterTypeSupport,
  dnsClusterSupport,
  dnsClusterRefreshRateSupport,
  refreshRateSupport,
  caresResolverSupport,
  getaddrinfoResolverSupport,
  appleResolverSupport,
  transportSocketMatchSupport,
  clusterFilterFieldsSupport,
  loadBalancingPolicySupport,
  loadBalancingPolicyEntrySupport,
  circuitBreakersSupport,
  thresholdsSupport,
  retryBudgetSupport,
  percentSupport,
  commonLbConfigSupport,
  clusterHttpOptionsSupport,
  clusterCommonHttpOptionsSupport,
  tcpOptionsSupport,
  roundRobinSupport,
];
