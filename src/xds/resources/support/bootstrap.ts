import { ignored, type MessageSupport, message, rejected, silent } from './rules.js';

export const bootstrapSupport: MessageSupport = message(
  'envoy.config.bootstrap.v3.Bootstrap',
  'node static_resources dynamic_resources stats_flush_interval admin layered_runtime cluster_manager',
  [
    ...rejected('hds_config', 'hosts are not probed for a control plane'),
    ...rejected('default_regex_engine', 'regular expressions are those of RE2'),
    ...rejected('config_sources default_config_source', 'use ads_config'),
    ...ignored('stats_sinks', 'statistics are read at the admin address'),
    ...ignored('stats_config', 'all statistics are kept, without tags of their own'),
    ...ignored('stats_flush_on_admin', 'statistics are always current'),
    ...ignored('tracing', 'requests are not traced'),
    ...ignored('overload_manager', 'there are no overload actions'),
    ...ignored('header_prefix', 'headers begin with x-envoy-'),
    ...ignored(
      'use_tcp_for_dns_lookups dns_resolution_config typed_dns_resolver_config',
      'the system resolver is used',
    ),
    ...ignored('bootstrap_extensions', 'they are not loaded'),
    ...ignored('application_log_config', 'the log is JSON lines'),
    ...ignored(
      'certificate_provider_instances xds_delegate_extension xds_config_tracker_extension',
      'it is not loaded',
    ),
    ...ignored('enable_worker_cpu_affinity stats_eviction_interval', 'it is not used'),
    ...ignored('default_socket_interface fatal_actions perf_tracing_file_path', 'it is not used'),
    ...silent('flags_path watchdog watchdogs enable_dispatcher_stats stats_server_version_override inline_headers'),
    ...silent('deferred_stat_options grpc_async_client_manager_config memory_allocator_manager listener_manager'),
    ...silent('node_context_params'),
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
    ...ignored('local_cluster_name', 'zones have no part in load balancing'),
    ...ignored('outlier_detection', 'hosts are not ejected, so that nothing is logged of it'),
    ...ignored('upstream_bind_config', 'the system chooses the local address'),
    ...silent('enable_deferred_cluster_creation'),
  ],
);

export const nodeSupport: MessageSupport = message('envoy.config.core.v3.Node', 'id cluster metadata locality', [
  ...ignored('dynamic_parameters', 'they are not sent'),
  ...ignored('listening_addresses', 'they are not sent'),
  ...silent('user_agent_name user_agent_version user_agent_build_version extensions client_features'),
]);

export const adminSupport: MessageSupport = message(
  'envoy.config.bootstrap.v3.Admin',
  'address access_log access_log_path',
  [
    ...rejected('allow_paths', 'all admin paths would be open; bind admin where only operators are'),
    ...ignored('socket_options', 'the socket has the system defaults'),
    ...silent('profile_path ignore_global_conn_limit'),
  ],
);

export const layeredRuntimeSupport: MessageSupport = message(
  'envoy.config.bootstrap.v3.RuntimeLayer',
  'name static_layer admin_layer',
  ignored('disk_layer rtds_layer', 'runtime keys have no effect'),
);

export const bootstrapMessages: readonly MessageSupport[] = [
  bootstrapSupport,
  nodeSupport,
  adminSupport,
  staticResourcesSupport,
  dynamicResourcesSupport,
  clusterManagerSupport,
  layeredRuntimeSupport,
];
