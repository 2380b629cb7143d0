import { active, type ExtensionSupport, type MessageSupport, message, rejected, types, warned } from './rules.js';

export const bootstrapSupport: MessageSupport = message(
  'envoy.config.bootstrap.v3.Bootstrap',
  `node static_resources dynamic_resources stats_flush_interval admin layered_runtime default_regex_engine
   cluster_manager`,
  [
    ...rejected('hds_config', 'hosts are not probed for a control plane'),
    ...rejected('config_sources default_config_source', 'use ads_config'),
    ...warned('stats_sinks', 'statistics are read at the admin address'),
    ...warned('stats_config', 'all statistics are kept, without tags of their own'),
    ...warned('stats_flush_on_admin', 'statistics are always current'),
    ...warned('tracing', 'requests are not traced'),
    ...warned('overload_manager', 'there are no overload actions'),
    ...warned('header_prefix', 'headers begin with x-envoy-'),
    ...warned('use_tcp_for_dns_lookups dns_resolution_config typed_dns_resolver_config', 'the system resolver is used'),
    ...warned('bootstrap_extensions', 'they are not loaded'),
    ...warned('application_log_config', 'the log is JSON lines'),
    ...warned('certificate_provider_instances xds_delegate_extension xds_config_tracker_extension', 'it is not loaded'),
    ...warned('enable_worker_cpu_affinity stats_eviction_interval', 'it is not used'),
    ...warned('default_socket_interface fatal_actions perf_tracing_file_path', 'it is not used'),
    ...active('flags_path stats_server_version_override', 'it changes only what Envoy tells of itself'),
    ...active('watchdog watchdogs enable_dispatcher_stats', 'there are no dispatcher threads to watch'),
    ...active(
      'inline_headers deferred_stat_options grpc_async_client_manager_config memory_allocator_manager',
      'it tunes how Envoy uses memory',
    ),
    ...active('listener_manager', 'there is one'),
    ...active('node_context_params', 'names are sent as they are'),
  ],
);

export const staticResourcesSupport: MessageSupport = message(
  'envoy.config.bootstrap.v3.Bootstrap.StaticResources',
  'clusters listeners secrets',
);

export const dynamicResourcesSupport: MessageSupport = message(
  'envoy.config.bootstrap.v3.Bootstrap.DynamicResources',
  'ads_config cds_config lds_config',
  rejected('lds_resources_locator cds_resources_locator', 'use cds_config and lds_config with ads'),
);

export const clusterManagerSupport: MessageSupport = message(
  'envoy.config.bootstrap.v3.ClusterManager',
  'load_stats_config',
  [
    ...warned('local_cluster_name', 'zones have no part in load balancing'),
    ...warned('outlier_detection', 'hosts are not ejected, so that nothing is logged of it'),
    ...warned('upstream_bind_config', 'the system chooses the local address'),
    ...active('enable_deferred_cluster_creation', 'clusters without requests hold little anyway'),
  ],
);

export const nodeSupport: MessageSupport = message('envoy.config.core.v3.Node', 'id cluster metadata locality', [
  ...warned('dynamic_parameters', 'they are not sent'),
  ...warned('listening_addresses', 'they are not sent'),
  ...active(
    'user_agent_name user_agent_version user_agent_build_version extensions client_features',
    'the program tells its own',
  ),
]);

export const adminSupport: MessageSupport = message(
  'envoy.config.bootstrap.v3.Admin',
  'address access_log access_log_path',
  [
    ...rejected('allow_paths', 'all admin paths would be open; bind admin where only operators are'),
    ...warned('socket_options', 'the socket has the system defaults'),
    ...active('profile_path', 'there is no profiler'),
    ...active('ignore_global_conn_limit', 'there is no limit of connections over all listeners'),
  ],
);

export const layeredRuntimeSupport: MessageSupport = message('envoy.config.bootstrap.v3.RuntimeLayer', '', [
  ...active('name admin_layer', 'nothing reads runtime keys'),
  ...warned('static_layer disk_layer rtds_layer', 'runtime keys have no effect'),
]);

export const runtimeSupport: MessageSupport = message('envoy.config.bootstrap.v3.LayeredRuntime', 'layers');

export const regexEngineSupport: ExtensionSupport = {
  point: '`default_regex_engine` of the bootstrap',
  categories: ['envoy.regex_engines'],
  implemented: ['envoy.extensions.regex_engines.v3.GoogleRE2'],
  rules: [
    types(
      'rejected',
      'envoy.extensions.regex_engines',
      'hyperscan.v3alpha.Hyperscan',
      'regular expressions are those of RE2',
    ),
  ],
  others: { treatment: 'rejected', reason: 'regular expressions are those of RE2' },
};

export const bootstrapMessages: readonly MessageSupport[] = [
  bootstrapSupport,
  nodeSupport,
  adminSupport,
  staticResourcesSupport,
  dynamicResourcesSupport,
  clusterManagerSupport,
  runtimeSupport,
  layeredRuntimeSupport,
];
