import { bootstrapSupport } from './bootstrap.js';
import { clusterHttpOptionsSupport, clusterSupport } from './cluster.js';
import { socketAddressSupport } from './common.js';
import { apiConfigSourceSupport } from './control-plane.js';
import {
  accessLogSupport,
  connectionManagerSupport,
  formatStringSupport,
  http1OptionsSupport,
  listenerSupport,
} from './listener.js';
import { retryPolicySupport } from './retry.js';
import {
  routeActionSupport,
  routeConfigurationSupport,
  routeMatchSupport,
  stringMatcherSupport,
  virtualHostSupport,
} from './route.js';
import { type CategorySupport, insideField } from './rules.js';
import { commonTlsSupport, tlsCertificateSupport, validationSupport } from './tls.js';

/** Categories of extensions that stand in a field with one verdict. */
export const fieldCategories: readonly CategorySupport[] = [
  insideField(
    'envoy.access_loggers.extension_filters',
    accessLogSupport,
    'filter',
    'envoy.access_loggers.extension_filters.cel envoy.access_loggers.extension_filters.process_ratelimit',
  ),
  insideField(
    'envoy.bootstrap',
    bootstrapSupport,
    'bootstrap_extensions',
    `envoy.bootstrap.dynamic_modules envoy.bootstrap.internal_listener
     envoy.bootstrap.reverse_tunnel.downstream_socket_interface
     envoy.bootstrap.reverse_tunnel.upstream_socket_interface envoy.bootstrap.vcl envoy.bootstrap.wasm
     envoy.extensions.network.socket_interface.default_socket_interface
     envoy.extensions.network.socket_interface.sockmap`,
  ),
  insideField('envoy.common.key_value', clusterHttpOptionsSupport, 'auto_config', 'envoy.key_value.file_based'),
  insideField(
    'envoy.config.validators',
    apiConfigSourceSupport,
    'config_validators',
    `envoy.config.validators.dynamic_modules envoy.config.validators.minimum_clusters
     envoy.config.validators.minimum_clusters_validator`,
  ),
  insideField(
    'envoy.formatter',
    formatStringSupport,
    'formatters',
    `envoy.formatter.cel envoy.formatter.dynamic_modules envoy.formatter.file_content envoy.formatter.generic_secret
     envoy.formatter.metadata envoy.formatter.req_without_query`,
  ),
  insideField(
    'envoy.guarddog_actions',
    bootstrapSupport,
    'watchdogs',
    'envoy.watchdog.abort_action envoy.watchdog.backtrace_action envoy.watchdog.profile_action',
  ),
  insideField('envoy.health_check.event_sinks', clusterSupport, 'health_checks', 'envoy.health_check.event_sink.file'),
  insideField(
    'envoy.health_checkers',
    clusterSupport,
    'health_checks',
    `envoy.health_checkers.dynamic_modules envoy.health_checkers.grpc envoy.health_checkers.http
     envoy.health_checkers.redis envoy.health_checkers.tcp envoy.health_checkers.thrift envoy.health_checkers.udp`,
  ),
  insideField(
    'envoy.http.early_header_mutation',
    connectionManagerSupport,
    'early_header_mutation_extensions',
    'envoy.http.early_header_mutation.dynamic_modules envoy.http.early_header_mutation.header_mutation',
  ),
  insideField(
    'envoy.http.forward_client_cert_details',
    connectionManagerSupport,
    'forward_client_cert_matcher',
    'forward_client_cert',
  ),
  insideField(
    'envoy.http.header_validators',
    connectionManagerSupport,
    'typed_header_validation_config',
    'envoy.http.header_validators.envoy_default',
  ),
  insideField(
    'envoy.http.original_ip_detection',
    connectionManagerSupport,
    'original_ip_detection_extensions',
    'envoy.http.original_ip_detection.custom_header envoy.http.original_ip_detection.xff',
  ),
  insideField(
    'envoy.http.stateful_header_formatters',
    http1OptionsSupport,
    'header_key_format',
    `envoy.http.stateful_header_formatters.dynamic_modules envoy.http.stateful_header_formatters.preserve_case
     preserve_case`,
  ),
  insideField(
    'envoy.internal_redirect_predicates',
    routeActionSupport,
    'internal_redirect_policy',
    `envoy.internal_redirect_predicates.allow_listed_routes envoy.internal_redirect_predicates.filter_state
     envoy.internal_redirect_predicates.previous_routes envoy.internal_redirect_predicates.safe_cross_scheme`,
  ),
  insideField(
    'envoy.listener_manager_impl',
    bootstrapSupport,
    'listener_manager',
    'envoy.listener_manager_impl.default envoy.listener_manager_impl.validation',
  ),
  insideField(
    'envoy.matching.action',
    clusterSupport,
    'transport_socket_matcher',
    'envoy.matching.action.transport_socket.name envoy.matching.actions.format_string',
  ),
  insideField(
    'envoy.matching.common_inputs',
    virtualHostSupport,
    'matcher',
    'envoy.matching.common_inputs.environment_variable',
  ),
  insideField(
    'envoy.matching.http.custom_matchers',
    virtualHostSupport,
    'matcher',
    'envoy.matching.custom_matchers.domain_matcher envoy.matching.custom_matchers.ip_range_matcher',
  ),
  insideField(
    'envoy.matching.http.input',
    virtualHostSupport,
    'matcher',
    `envoy.matching.inputs.cel_data_input envoy.matching.inputs.destination_ip envoy.matching.inputs.destination_port
     envoy.matching.inputs.direct_source_ip envoy.matching.inputs.dns_san envoy.matching.inputs.dynamic_metadata
     envoy.matching.inputs.dynamic_module_data_input envoy.matching.inputs.dynamic_module_string_data_input
     envoy.matching.inputs.filter_state envoy.matching.inputs.local_reply envoy.matching.inputs.network_namespace
     envoy.matching.inputs.request_headers envoy.matching.inputs.request_trailers
     envoy.matching.inputs.response_headers envoy.matching.inputs.response_trailers envoy.matching.inputs.server_name
     envoy.matching.inputs.source_ip envoy.matching.inputs.source_port envoy.matching.inputs.source_type
     envoy.matching.inputs.status_code_class_input envoy.matching.inputs.status_code_input
     envoy.matching.inputs.subject envoy.matching.inputs.uri_san query_params`,
  ),
  insideField(
    'envoy.matching.input_matchers',
    virtualHostSupport,
    'matcher',
    `envoy.matching.input_matchers.generic_request_matcher envoy.matching.input_matchers.hyperscan
     envoy.matching.matchers.cel_matcher envoy.matching.matchers.consistent_hashing
     envoy.matching.matchers.dynamic_modules envoy.matching.matchers.ip envoy.matching.matchers.metadata_matcher
     envoy.matching.matchers.runtime_fraction`,
  ),
  insideField(
    'envoy.matching.network.custom_matchers',
    listenerSupport,
    'filter_chain_matcher',
    'envoy.matching.custom_matchers.domain_matcher envoy.matching.custom_matchers.ip_range_matcher',
  ),
  insideField(
    'envoy.matching.network.input',
    listenerSupport,
    'filter_chain_matcher',
    `envoy.matching.inputs.application_protocol envoy.matching.inputs.destination_ip
     envoy.matching.inputs.destination_port envoy.matching.inputs.direct_source_ip envoy.matching.inputs.dns_san
     envoy.matching.inputs.filter_state envoy.matching.inputs.network_namespace envoy.matching.inputs.server_name
     envoy.matching.inputs.source_ip envoy.matching.inputs.source_port envoy.matching.inputs.source_type
     envoy.matching.inputs.subject envoy.matching.inputs.transport_protocol envoy.matching.inputs.uri_san`,
  ),
  insideField(
    'envoy.matching.stat_matching_data.input',
    bootstrapSupport,
    'stats_config',
    'stat_full_name_match_input',
  ),
  insideField('envoy.matching.stat_tag_matching_data.input', bootstrapSupport, 'stats_config', 'stat_tag_value_input'),
  insideField(
    'envoy.matching.transport_socket.input',
    clusterSupport,
    'transport_socket_matcher',
    `envoy.matching.inputs.endpoint_metadata envoy.matching.inputs.locality_metadata
     envoy.matching.inputs.transport_socket_filter_state`,
  ),
  insideField(
    'envoy.network.connection_balance',
    listenerSupport,
    'connection_balance_config',
    'envoy.network.connection_balance.dlb',
  ),
  insideField(
    'envoy.path.match',
    routeMatchSupport,
    'path_match_policy',
    'envoy.path.match.uri_template.uri_template_matcher',
  ),
  insideField(
    'envoy.path.rewrite',
    routeActionSupport,
    'path_rewrite_policy',
    'envoy.path.rewrite.uri_template.uri_template_rewriter',
  ),
  insideField('envoy.queue_policy', clusterSupport, 'queuing_policies', 'envoy.queue_policy.fifo'),
  insideField(
    'envoy.quic.client_packet_writer',
    clusterSupport,
    'upstream_http_protocol_options',
    'envoy.quic.packet_writer.default',
  ),
  ...quicCategories(),
  insideField(
    'envoy.rate_limit_descriptors',
    routeActionSupport,
    'rate_limits',
    'envoy.rate_limit_descriptors.expr envoy.rate_limit_descriptors.jwt_claim',
  ),
  insideField('envoy.resolvers', socketAddressSupport, 'resolver_name', 'envoy.ip envoy.resolvers.reverse_connection'),
  insideField(
    'envoy.resource_monitors',
    bootstrapSupport,
    'overload_manager',
    `envoy.resource_monitors.cgroup_memory envoy.resource_monitors.cpu_utilization envoy.resource_monitors.fixed_heap
     envoy.resource_monitors.injected_resource`,
  ),
  insideField(
    'envoy.retry_priorities',
    retryPolicySupport,
    'retry_priority',
    'envoy.retry_priorities.previous_priorities',
  ),
  insideField(
    'envoy.route.early_data_policy',
    routeActionSupport,
    'early_data_policy',
    'envoy.route.early_data_policy.default',
  ),
  insideField(
    'envoy.router.cluster_specifier_plugin',
    routeActionSupport,
    'cluster_specifier_plugin',
    `envoy.router.cluster_specifier_plugin.dynamic_modules envoy.router.cluster_specifier_plugin.golang
     envoy.router.cluster_specifier_plugin.lua envoy.router.cluster_specifier_plugin.matcher
     envoy.router.cluster_specifier_plugin.priority_group`,
  ),
  insideField(
    'envoy.router.route_specifiers',
    routeConfigurationSupport,
    'route_specifiers',
    'envoy.router.route_specifiers.dynamic_modules',
  ),
  insideField('envoy.srds_factory', connectionManagerSupport, 'scoped_routes', 'envoy.srds_factory.default'),
  insideField(
    'envoy.stats_sinks',
    bootstrapSupport,
    'stats_sinks',
    `envoy.dog_statsd envoy.graphite_statsd envoy.metrics_service envoy.open_telemetry_stat_sink
     envoy.stat_sinks.dog_statsd envoy.stat_sinks.dynamic_modules envoy.stat_sinks.graphite_statsd
     envoy.stat_sinks.hystrix envoy.stat_sinks.metrics_service envoy.stat_sinks.open_telemetry envoy.stat_sinks.statsd
     envoy.stat_sinks.wasm envoy.statsd`,
  ),
  insideField('envoy.string_matcher', stringMatcherSupport, 'custom', 'envoy.string_matcher.lua'),
  insideField(
    'envoy.tls.cert_validator',
    validationSupport,
    'custom_validator_config',
    'envoy.tls.cert_validator.default envoy.tls.cert_validator.dynamic_modules envoy.tls.cert_validator.spiffe',
  ),
  ...['envoy.tls.certificate_selectors', 'envoy.tls.upstream_certificate_selectors'].map((category) =>
    insideField(
      category,
      commonTlsSupport,
      'custom_tls_certificate_selector',
      'envoy.tls.certificate_selectors.on_demand_secret',
    ),
  ),
  insideField(
    'envoy.tls.certificate_mappers',
    commonTlsSupport,
    'custom_tls_certificate_selector',
    'envoy.tls.certificate_mappers.sni envoy.tls.certificate_mappers.static_name',
  ),
  insideField(
    'envoy.tls.upstream_certificate_mappers',
    commonTlsSupport,
    'custom_tls_certificate_selector',
    'envoy.tls.certificate_mappers.static_name envoy.tls.upstream_certificate_mappers.filter_state_override',
  ),
  insideField('envoy.tls_handshakers', commonTlsSupport, 'custom_handshaker', 'envoy.tls.handshakers.dynamic_modules'),
  insideField(
    'envoy.tls.key_providers',
    tlsCertificateSupport,
    'private_key_provider',
    'envoy.tls.key_providers.cryptomb envoy.tls.key_providers.qat',
  ),
  insideField(
    'envoy.tracers',
    connectionManagerSupport,
    'tracing',
    `envoy.tracers.datadog envoy.tracers.dynamic_modules envoy.tracers.fluentd envoy.tracers.opentelemetry
     envoy.tracers.skywalking envoy.tracers.xray envoy.tracers.zipkin envoy.zipkin`,
  ),
  insideField(
    'envoy.tracers.opentelemetry.resource_detectors',
    connectionManagerSupport,
    'tracing',
    `envoy.tracers.opentelemetry.resource_detectors.dynatrace envoy.tracers.opentelemetry.resource_detectors.environment
     envoy.tracers.opentelemetry.resource_detectors.static_config`,
  ),
  insideField(
    'envoy.tracers.opentelemetry.samplers',
    connectionManagerSupport,
    'tracing',
    `envoy.tracers.opentelemetry.samplers.always_on envoy.tracers.opentelemetry.samplers.cel
     envoy.tracers.opentelemetry.samplers.dynatrace envoy.tracers.opentelemetry.samplers.parent_based
     envoy.tracers.opentelemetry.samplers.trace_id_ratio_based`,
  ),
  insideField(
    'envoy.upstream.local_address_selector',
    clusterSupport,
    'upstream_bind_config',
    `envoy.upstream.local_address_selector.default_local_address_selector
     envoy.upstream.local_address_selector.filter_state_override`,
  ),
  insideField('envoy.xds_delegates', bootstrapSupport, 'xds_delegate_extension', 'envoy.xds_delegates.kv_store'),
];

function quicCategories(): CategorySupport[] {
  const categories: Readonly<Record<string, string>> = {
    'envoy.quic.connection_debug_visitor':
      'envoy.quic.connection_debug_visitor.basic envoy.quic.connection_debug_visitor.quic_stats',
    'envoy.quic.connection_id_generator':
      'envoy.quic.connection_id_generator.quic_lb envoy.quic.deterministic_connection_id_generator',
    'envoy.quic.proof_source': 'envoy.quic.proof_source.filter_chain',
    'envoy.quic.server.crypto_stream': 'envoy.quic.crypto_stream.server.quiche',
    'envoy.quic.server_preferred_address':
      'quic.server_preferred_address.datasource quic.server_preferred_address.fixed',
    'envoy.udp_packet_writer': 'envoy.udp_packet_writer.default envoy.udp_packet_writer.gso',
    'quic.http_server_connection': 'quic.http_server_connection.default',
  };
  return Object.entries(categories).map(([category, names]) =>
    insideField(category, listenerSupport, 'udp_listener_config', names),
  );
}
