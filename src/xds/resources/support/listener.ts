import { type ExtensionSupport, ignored, type MessageSupport, message, parked, rejected, silent } from './rules.js';

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
    ...ignored('drain_type=MODIFY_ONLY', 'failing health checks drain it too'),
    ...ignored('socket_options tcp_fast_open_queue_length enable_mptcp', 'the socket has the system defaults'),
    ...ignored('tcp_keepalive', 'the system defaults of TCP keep-alive apply'),
    ...ignored('stats_matcher', 'all statistics are kept'),
    ...ignored(
      'per_connection_buffer_high_watermark_timeout',
      'a slow client is bounded by the timeouts of its requests',
    ),
    ...ignored('access_log', 'only requests are logged'),
    ...silent('connection_balance_config reuse_port enable_reuse_port max_connections_to_accept_per_socket_event'),
    ...silent('metadata traffic_direction'),
    ...silent('ignore_global_conn_limit bypass_overload_manager'),
  ],
);

export const additionalAddressSupport: MessageSupport = message(
  'envoy.config.listener.v3.AdditionalAddress',
  'address',
  ignored('socket_options tcp_keepalive', 'the socket has the system defaults'),
);

export const filterChainSupport: MessageSupport = message(
  'envoy.config.listener.v3.FilterChain',
  'name filter_chain_match filters transport_socket transport_socket_connect_timeout',
  [...parked('use_proxy_proto=true', 'the PROXY protocol is not read'), ...silent('metadata on_demand_configuration')],
);

export const filterChainMatchSupport: MessageSupport = message(
  'envoy.config.listener.v3.FilterChainMatch',
  `destination_port prefix_ranges server_names transport_protocol application_protocols direct_source_prefix_ranges
   source_type source_prefix_ranges source_ports`,
  rejected('address_suffix suffix_len', 'Envoy does not match by them either'),
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
    ...ignored('internal_address_config', 'no address counts as internal'),
    ...ignored('http1_safe_max_connection_duration', 'connections over max_connection_duration are drained'),
    ...ignored('stream_flush_timeout', 'stream_idle_timeout applies'),
    ...ignored('drain_timeout_jitter', 'drain_timeout applies'),
    ...ignored('forward_proto_config', 'x-forwarded-proto is that of the connection'),
    ...ignored('record_route_resolution_stats', 'these statistics are not kept'),
    ...ignored('tracing', 'requests are not traced'),
    ...ignored('local_reply_config', "local replies have Envoy's default texts"),
    ...ignored('scheme_header_transformation', ':scheme is that of the connection'),
    ...ignored('add_user_agent', 'user-agent is left as it is'),
    ...ignored('stream_error_on_invalid_http_message', 'an invalid message closes the connection'),
    ...ignored('path_normalization_options', 'normalize_path and merge_slashes apply'),
    ...ignored('proxy_status_config append_local_overload', 'the header is not sent'),
    ...ignored('append_x_forwarded_port', 'x-forwarded-port is not set'),
    ...ignored('represent_ipv4_remote_address_as_ipv4_mapped_ipv6', 'addresses are written as they are'),
    ...ignored(
      'access_log_flush_interval flush_access_log_on_new_request access_log_options',
      'a request is logged when it ends',
    ),
    ...parked('typed_header_validation_config', 'Envoy does not support header validators either'),
    ...silent('http2_protocol_options http3_protocol_options add_proxy_protocol_connection_state'),
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
    ...ignored('max_stream_duration', 'the timeouts of the route and of idle streams apply'),
    ...ignored('max_connection_duration_jitter', 'max_connection_duration applies'),
    ...silent('max_response_headers_kb'),
  ],
  'of a connection manager',
);

export const http1OptionsSupport: MessageSupport = message(
  'envoy.config.core.v3.Http1ProtocolOptions',
  'allow_absolute_url accept_http_10 default_host_for_http_10 allow_chunked_length',
  [
    ...ignored('header_key_format', 'response headers are written in lower case'),
    ...ignored('enable_trailers', 'trailers of requests end the body and go no further'),
    ...ignored('override_stream_error_on_invalid_http_message', 'an invalid message closes the connection'),
    ...ignored('allow_custom_methods', 'the methods that Node knows are allowed'),
    ...silent('ignore_http_11_upgrade'),
    ...silent('send_fully_qualified_url use_balsa_parser'),
  ],
);

export const routerSupport: MessageSupport = message(
  'envoy.extensions.filters.http.router.v3.Router',
  'suppress_envoy_headers',
  [
    ...ignored('upstream_log upstream_log_options', 'attempts are not logged'),
    ...ignored('strict_check_headers', 'invalid x-envoy- headers are ignored'),
    ...ignored('respect_expected_rq_timeout', 'x-envoy-expected-rq-timeout-ms of the client is replaced'),
    ...parked('upstream_http_filters', 'filters between the router and the bridge are not run'),
    ...silent('reject_connect_request_early_data'),
    ...silent('dynamic_stats start_child_span suppress_grpc_request_failure_code_stats'),
  ],
);

export const rdsSupport: MessageSupport = message(
  'envoy.extensions.filters.network.http_connection_manager.v3.Rds',
  'config_source route_config_name',
);

export const accessLogSupport: MessageSupport = message('envoy.config.accesslog.v3.AccessLog', 'typed_config', [
  ...ignored('filter', 'every request is logged'),
  ...silent('name'),
]);

export const formatStringSupport: MessageSupport = message(
  'envoy.config.core.v3.SubstitutionFormatString',
  'text_format json_format text_format_source',
  [
    ...ignored('omit_empty_values', 'empty values are written as -'),
    ...ignored('formatters', 'their commands are written as -'),
    ...silent('content_type json_format_options'),
  ],
);

const filters = 'envoy.extensions.filters';

export const listenerFilterSupport: ExtensionSupport = {
  point: '`listener_filters` of a listener',
  implemented: [`${filters}.listener.tls_inspector.v3.TlsInspector`],
  rules: [
    {
      types: [`${filters}.listener.http_inspector.v3.HttpInspector`],
      treatment: 'silent',
      reason:
        'what it finds out is used only to match filter chains by application_protocols, which parks the listener',
    },
    {
      types: [`${filters}.listener.proxy_protocol.v3.ProxyProtocol`],
      treatment: 'parked',
      reason: 'the PROXY protocol is not read, so clients would have another address',
    },
    {
      types: [`${filters}.listener.original_dst.v3.OriginalDst`, `${filters}.listener.original_src.v3.OriginalSrc`],
      treatment: 'parked',
      reason: 'redirected connections are not taken',
    },
  ],
  others: { treatment: 'parked', reason: 'it may decide who connects' },
};

export const networkFilterSupport: ExtensionSupport = {
  point: '`filters` of a filter chain',
  implemented: [`${filters}.network.http_connection_manager.v3.HttpConnectionManager`],
  rules: [
    {
      types: ['envoy.tcp.metadataexchange.config.MetadataExchange'],
      treatment: 'silent',
      reason: 'it exchanges metadata only where mutual TLS has agreed on it',
    },
    {
      types: [`${filters}.network.tcp_proxy.v3.TcpProxy`],
      treatment: 'parked',
      reason: 'plain TCP is not proxied',
    },
  ],
  others: {
    treatment: 'parked',
    reason: 'it may decide who connects and where connections go',
  },
};

export const downstreamTransportSocketSupport: ExtensionSupport = {
  point: '`transport_socket` of a filter chain',
  implemented: [
    'envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer',
    'envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext',
  ],
  rules: [],
  others: { treatment: 'parked', reason: 'only plain text and TLS are served' },
};

export const httpFilterSupport: ExtensionSupport = {
  point:
    '`http_filters` of a connection manager. Disabled filters are left out; one with `is_optional` is ignored where it would park',
  implemented: [`${filters}.http.router.v3.Router`],
  rules: [
    {
      types: [`${filters}.http.cors.v3.Cors`],
      treatment: 'ignored',
      reason: 'CORS headers are not added, so browsers refuse',
    },
    {
      types: [`${filters}.http.fault.v3.HTTPFault`],
      treatment: 'ignored',
      reason: 'no fault is injected',
    },
    {
      types: [
        `${filters}.http.compressor.v3.Compressor`,
        `${filters}.http.grpc_stats.v3.FilterConfig`,
        `${filters}.http.stateful_session.v3.StatefulSession`,
        `${filters}.http.tap.v3.Tap`,
        'io.istio.http.peer_metadata.Config',
        'stats.PluginConfig',
        'istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig',
      ],
      treatment: 'ignored',
      reason: 'requests pass without it, and are served the same',
    },
    {
      types: [
        'rbac.v3.RBAC',
        'jwt_authn.v3.JwtAuthentication',
        'ext_authz.v3.ExtAuthz',
        'oauth2.v3.OAuth2',
        'basic_auth.v3.BasicAuth',
        'api_key_auth.v3.ApiKeyAuth',
        'csrf.v3.CsrfPolicy',
        'ext_proc.v3.ExternalProcessor',
        'local_ratelimit.v3.LocalRateLimit',
        'ratelimit.v3.RateLimit',
      ].map((name) => `${filters}.http.${name}`),
      treatment: 'parked',
      reason: 'without it requests would pass that must not',
    },
  ],
  others: {
    treatment: 'parked',
    reason: 'it may decide which requests pass and where they go',
  },
};

export const accessLoggerSupport: ExtensionSupport = {
  point: '`access_log` of a connection manager and of admin',
  implemented: [
    'envoy.extensions.access_loggers.file.v3.FileAccessLog',
    'envoy.extensions.access_loggers.stream.v3.StdoutAccessLog',
    'envoy.extensions.access_loggers.stream.v3.StderrAccessLog',
  ],
  rules: [],
  others: {
    treatment: 'ignored',
    reason: 'use a file, stdout or stderr logger',
  },
};

export const requestIdSupport: ExtensionSupport = {
  point: '`request_id_extension` of a connection manager',
  implemented: ['envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig'],
  rules: [],
  others: { treatment: 'ignored', reason: 'request ids are UUIDs' },
};

export const listenerMessages: readonly MessageSupport[] = [
  listenerSupport,
  additionalAddressSupport,
  filterChainSupport,
  filterChainMatchSupport,
  connectionManagerSupport,
  rdsSupport,
  httpFilterFieldsSupport,
  routerSupport,
  upgradeConfigSupport,
  downstreamHttpOptionsSupport,
  http1OptionsSupport,
  accessLogSupport,
  formatStringSupport,
];
export const listenerExtensions: readonly ExtensionSupport[] = [
  listenerFilterSupport,
  downstreamTransportSocketSupport,
  networkFilterSupport,
  httpFilterSupport,
  requestIdSupport,
  accessLoggerSupport,
];
