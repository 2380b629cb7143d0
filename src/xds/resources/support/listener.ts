import { httpFilterSupport, upstreamHttpFilterSupport } from './http-filters.js';
import { downstreamTransportSocketSupport, listenerFilterSupport, networkFilterSupport } from './network-filters.js';
import {
  active,
  type ExtensionSupport,
  type MessageSupport,
  message,
  parked,
  rejected,
  types,
  warned,
  words,
} from './rules.js';

export const listenerSupport: MessageSupport = message(
  'envoy.config.listener.v3.Listener',
  `name address additional_addresses stat_prefix filter_chains default_filter_chain per_connection_buffer_limit_bytes
   tcp_backlog_size listener_filters listener_filters_timeout continue_on_listener_filters_timeout internal_listener`,
  [
    ...parked('filter_chain_matcher', 'filter chains are chosen by filter_chain_match only'),
    ...parked('use_original_dst=true', 'redirected connections are not taken'),
    ...parked('transparent=true freebind=true', 'only addresses of this machine are bound'),
    ...parked('bind_to_port=false', 'the listener is reached only through another one'),
    ...parked('deprecated_v1', 'the listener is reached only through another one'),
    ...parked('udp_listener_config', 'only TCP is served'),
    ...parked('fcds_config', 'filter chains are not discovered'),
    ...parked('api_listener', 'it is for proxyless clients'),
    ...warned('drain_type=MODIFY_ONLY', 'failing health checks drain it too'),
    ...warned('socket_options tcp_fast_open_queue_length enable_mptcp', 'the socket has the system defaults'),
    ...warned('tcp_keepalive', 'the system defaults of TCP keep-alive apply'),
    ...warned('stats_matcher', 'all statistics are kept'),
    ...warned(
      'per_connection_buffer_high_watermark_timeout',
      'a slow client is bounded by the timeouts of its requests',
    ),
    ...warned('access_log', 'only requests are logged'),
    ...active(
      'connection_balance_config reuse_port enable_reuse_port',
      'connections are shared out among the workers in turn',
    ),
    ...active('max_connections_to_accept_per_socket_event', 'at most 32 are'),
    ...active('metadata traffic_direction', 'nothing that runs reads it'),
    ...active('ignore_global_conn_limit bypass_overload_manager', 'there is no limit over all listeners'),
  ],
);

export const additionalAddressSupport: MessageSupport = message(
  'envoy.config.listener.v3.AdditionalAddress',
  'address',
  warned('socket_options tcp_keepalive', 'the socket has the system defaults'),
);

export const filterChainSupport: MessageSupport = message(
  'envoy.config.listener.v3.FilterChain',
  'name filter_chain_match filters transport_socket transport_socket_connect_timeout',
  [
    ...parked('use_proxy_proto=true', 'the PROXY protocol is not read'),
    ...active('metadata', 'nothing that runs reads it'),
    ...active('on_demand_configuration', 'the chain is ready when its listener is'),
  ],
);

export const filterChainMatchSupport: MessageSupport = message(
  'envoy.config.listener.v3.FilterChainMatch',
  `destination_port prefix_ranges server_names transport_protocol application_protocols direct_source_prefix_ranges
   source_type source_prefix_ranges source_ports`,
  rejected('address_suffix suffix_len', 'Envoy does not match by them either'),
);

export const filterSupport: MessageSupport = message('envoy.config.listener.v3.Filter', 'typed_config', [
  ...active('name', 'filters are chosen by the type of their configuration'),
  ...parked('config_discovery', 'filter configurations are not discovered'),
]);

export const listenerFilterFieldsSupport: MessageSupport = message(
  'envoy.config.listener.v3.ListenerFilter',
  'typed_config',
  [
    ...active('name', 'filters are chosen by the type of their configuration'),
    ...parked('config_discovery', 'filter configurations are not discovered'),
    ...active('filter_disabled', 'a filter is judged as if it were enabled'),
  ],
);

export const cidrRangeSupport: MessageSupport = message(
  'envoy.config.core.v3.CidrRange',
  'address_prefix prefix_len',
  [],
);

export const tlsInspectorSupport: MessageSupport = message(
  'envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector',
  '',
  [
    ...warned('enable_ja3_fingerprinting', 'no fingerprints are made: access logs have - for them'),
    ...active('initial_read_buffer_size', 'as much is read as the client says hello with'),
  ],
);

export const connectionManagerSupport: MessageSupport = message(
  'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
  `codec_type stat_prefix rds route_config http_filters common_http_protocol_options http_protocol_options server_name
   server_header_transformation max_request_headers_kb stream_idle_timeout request_timeout request_headers_timeout
   drain_timeout delayed_close_timeout access_log use_remote_address xff_num_trusted_hops skip_xff_append via
   generate_request_id preserve_external_request_id always_set_request_id_in_response proxy_100_continue normalize_path
   merge_slashes path_with_escaped_slashes_action strip_matching_host_port strip_any_host_port strip_trailing_host_dot
   request_id_extension upgrade_configs forward_client_cert_details set_current_client_cert_details`,
  [
    ...parked('codec_type=HTTP2|HTTP3', 'only HTTP/1.1 is served'),
    ...parked('scoped_routes', 'use rds or route_config'),
    ...parked('original_ip_detection_extensions', "the client's address would be another one"),
    ...parked('early_header_mutation_extensions', 'requests would be routed with other headers'),
    ...parked('forward_client_cert_matcher', 'servers would be told of other clients than configured'),
    ...warned('internal_address_config', 'no address counts as internal'),
    ...warned('http1_safe_max_connection_duration', 'connections over max_connection_duration are drained'),
    ...warned('stream_flush_timeout', 'stream_idle_timeout applies'),
    ...warned('drain_timeout_jitter', 'drain_timeout applies'),
    ...warned('forward_proto_config', 'x-forwarded-proto is that of the connection'),
    ...warned('record_route_resolution_stats', 'these statistics are not kept'),
    ...warned('tracing', 'requests are not traced'),
    ...warned('local_reply_config', "local replies have Envoy's default texts"),
    ...warned('scheme_header_transformation', ':scheme is that of the connection'),
    ...warned('add_user_agent', 'user-agent is left as it is'),
    ...warned('stream_error_on_invalid_http_message', 'an invalid message closes the connection'),
    ...warned('path_normalization_options', 'normalize_path and merge_slashes apply'),
    ...warned('proxy_status_config append_local_overload', 'the header is not sent'),
    ...warned('append_x_forwarded_port', 'x-forwarded-port is not set'),
    ...warned('represent_ipv4_remote_address_as_ipv4_mapped_ipv6', 'addresses are written as they are'),
    ...warned(
      'access_log_flush_interval flush_access_log_on_new_request access_log_options',
      'a request is logged when it ends',
    ),
    ...parked('typed_header_validation_config', 'Envoy does not support header validators either'),
    ...active('http2_protocol_options http3_protocol_options', 'HTTP/1.1 is served'),
    ...active('add_proxy_protocol_connection_state', 'the PROXY protocol is not read'),
  ],
);

export const upgradeConfigSupport: MessageSupport = message(
  'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.UpgradeConfig',
  'upgrade_type enabled',
  parked('filters', 'an upgraded request would pass other filters'),
);

export const httpFilterFieldsSupport: MessageSupport = message(
  'envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter',
  'name typed_config is_optional disabled',
  parked('config_discovery', 'filter configurations are not discovered'),
);

export const downstreamHttpOptionsSupport: MessageSupport = message(
  'envoy.config.core.v3.HttpProtocolOptions',
  'idle_timeout max_connection_duration max_headers_count headers_with_underscores_action max_requests_per_connection',
  [
    ...warned('max_stream_duration', 'the timeouts of the route and of idle streams apply'),
    ...warned('max_connection_duration_jitter', 'max_connection_duration applies'),
    ...active('max_response_headers_kb', 'the headers of an answer come from the plugin'),
  ],
  'of a connection manager',
);

export const http1OptionsSupport: MessageSupport = message(
  'envoy.config.core.v3.Http1ProtocolOptions',
  'allow_absolute_url accept_http_10 default_host_for_http_10 allow_chunked_length',
  [
    ...warned('header_key_format', 'response headers are written in lower case'),
    ...warned('enable_trailers', 'trailers of requests end the body and go no further'),
    ...warned('override_stream_error_on_invalid_http_message', 'an invalid message closes the connection'),
    ...warned('allow_custom_methods', 'the methods that Node knows are allowed'),
    ...active('ignore_http_11_upgrade', 'connections are not upgraded'),
    ...active('send_fully_qualified_url', 'it is for requests to servers, which are spoken to in TCP'),
    ...active('use_balsa_parser', 'the parser is another one'),
  ],
);

export const routerSupport: MessageSupport = message(
  'envoy.extensions.filters.http.router.v3.Router',
  'suppress_envoy_headers',
  [
    ...warned('upstream_log upstream_log_options', 'attempts are not logged'),
    ...warned('strict_check_headers', 'invalid x-envoy- headers are ignored'),
    ...warned('respect_expected_rq_timeout', 'x-envoy-expected-rq-timeout-ms of the client is replaced'),
    ...parked('upstream_http_filters', 'filters between the router and the bridge are not run'),
    ...active('reject_connect_request_early_data', 'there is no early data'),
    ...active('dynamic_stats suppress_grpc_request_failure_code_stats', 'it changes statistics alone'),
    ...active('start_child_span', 'requests are not traced'),
  ],
);

export const clientCertDetailsSupport: MessageSupport = message(
  'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.SetCurrentClientCertDetails',
  'subject cert chain dns uri',
  [
    ...warned('issuer', 'the issuer is not told'),
    ...parked('format=JSON', 'the header would have another form than servers expect'),
  ],
);

export const requestIdExtensionSupport: MessageSupport = message(
  'envoy.extensions.filters.network.http_connection_manager.v3.RequestIDExtension',
  'typed_config',
);

export const uuidRequestIdSupport: MessageSupport = message(
  'envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig',
  '',
  active('pack_trace_reason use_request_id_for_trace_sampling', 'requests are not traced'),
);

export const rdsSupport: MessageSupport = message(
  'envoy.extensions.filters.network.http_connection_manager.v3.Rds',
  'config_source route_config_name',
);

export const accessLogSupport: MessageSupport = message('envoy.config.accesslog.v3.AccessLog', 'typed_config', [
  ...warned('filter', 'every request is logged'),
  ...active('name', 'loggers are chosen by the type of their configuration'),
]);

export const formatStringSupport: MessageSupport = message(
  'envoy.config.core.v3.SubstitutionFormatString',
  'text_format json_format text_format_source',
  [
    ...warned('omit_empty_values', 'empty values are written as -'),
    ...warned('formatters', 'their commands are written as -'),
    ...active('content_type', 'it is for bodies'),
    ...active('json_format_options', 'the keys of a line are always sorted'),
  ],
);

export const fileAccessLogSupport: MessageSupport = message(
  'envoy.extensions.access_loggers.file.v3.FileAccessLog',
  'path format json_format typed_json_format log_format',
);

export const stdoutAccessLogSupport: MessageSupport = message(
  'envoy.extensions.access_loggers.stream.v3.StdoutAccessLog',
  'log_format',
);

export const stderrAccessLogSupport: MessageSupport = message(
  'envoy.extensions.access_loggers.stream.v3.StderrAccessLog',
  'log_format',
);

const useFile = 'use a file, stdout or stderr logger';

export const accessLoggerSupport: ExtensionSupport = {
  point: '`access_log` of a connection manager and of admin',
  categories: ['envoy.access_loggers'],
  implemented: [
    'envoy.extensions.access_loggers.file.v3.FileAccessLog',
    'envoy.extensions.access_loggers.stream.v3.StdoutAccessLog',
    'envoy.extensions.access_loggers.stream.v3.StderrAccessLog',
  ],
  rules: [
    types(
      'warned',
      'envoy.extensions.access_loggers',
      `dynamic_modules.v3.DynamicModuleAccessLog fluentd.v3.FluentdAccessLogConfig grpc.v3.HttpGrpcAccessLogConfig
       grpc.v3.TcpGrpcAccessLogConfig open_telemetry.v3.OpenTelemetryAccessLogConfig stats.v3.Config
       wasm.v3.WasmAccessLog`,
      useFile,
    ),
  ],
  others: { treatment: 'warned', reason: useFile },
  names: words(
    `envoy.file_access_log envoy.fluentd_access_log envoy.http_grpc_access_log envoy.open_telemetry_access_log
     envoy.stderr_access_log envoy.stdout_access_log envoy.tcp_grpc_access_log envoy.wasm_access_log`,
  ),
};

export const requestIdSupport: ExtensionSupport = {
  point: '`request_id_extension` of a connection manager',
  categories: ['envoy.request_id'],
  implemented: ['envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig'],
  rules: [],
  others: { treatment: 'warned', reason: 'request ids are UUIDs' },
};

export const listenerMessages: readonly MessageSupport[] = [
  listenerSupport,
  additionalAddressSupport,
  listenerFilterFieldsSupport,
  filterChainSupport,
  filterChainMatchSupport,
  cidrRangeSupport,
  tlsInspectorSupport,
  filterSupport,
  connectionManagerSupport,
  rdsSupport,
  httpFilterFieldsSupport,
  routerSupport,
  upgradeConfigSupport,
  downstreamHttpOptionsSupport,
  http1OptionsSupport,
  clientCertDetailsSupport,
  requestIdExtensionSupport,
  uuidRequestIdSupport,
  accessLogSupport,
  fileAccessLogSupport,
  stdoutAccessLogSupport,
  stderrAccessLogSupport,
  formatStringSupport,
];
export const listenerExtensions: readonly ExtensionSupport[] = [
  listenerFilterSupport,
  downstreamTransportSocketSupport,
  networkFilterSupport,
  httpFilterSupport,
  upstreamHttpFilterSupport,
  requestIdSupport,
  accessLoggerSupport,
];
