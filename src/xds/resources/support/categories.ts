import { fieldCategories } from './field-categories.js';
import { httpFilterSupport } from './http-filters.js';
import { listenerFilterSupport, networkFilterSupport } from './network-filters.js';
import { type CategorySupport, insideExtension, type Treatment, words } from './rules.js';

const http = 'envoy.extensions.filters.http';
const network = 'envoy.extensions.filters.network';

/** What no configuration names, or what is told apart by something else than a type. */
function other(category: string, inside: string, treatment: Treatment, names: string, reason: string): CategorySupport {
  return { category, inside, treatment, reason, names: words(names) };
}

const notConfigured = 'no configuration names it';
const generic = 'envoy.matching.generic_proxy.input';

const inHttpFilters: readonly CategorySupport[] = (
  [
    ['envoy.compression.compressor', 'compressor.v3.Compressor', compression('compressor', 'qatzip qatzstd')],
    ['envoy.compression.decompressor', 'decompressor.v3.Decompressor', compression('decompressor', '')],
    ['envoy.content_parsers', 'sse_to_metadata.v3.SseToMetadata', 'envoy.content_parsers.json'],
    ['envoy.geoip_providers', 'geoip.v3.Geoip', 'envoy.geoip_providers.maxmind'],
    [
      'envoy.http.ai_filters',
      'ai_protocol_manager.v3.AiProtocolManager',
      `envoy.http.ai_filters.request_info envoy.http.ai_filters.schema_validation envoy.http.ai_filters.transcoder`,
    ],
    [
      'envoy.http.cache',
      'cache.v3.CacheConfig',
      'envoy.extensions.http.cache.file_system_http_cache envoy.extensions.http.cache.simple',
    ],
    [
      'envoy.http.cache_v2',
      'cache_v2.v3.CacheV2Config',
      'envoy.extensions.http.cache_v2.file_system_http_cache envoy.extensions.http.cache_v2.simple',
    ],
    [
      'envoy.http.custom_response',
      'custom_response.v3.CustomResponse',
      `envoy.extensions.http.custom_response.local_response_policy
       envoy.extensions.http.custom_response.redirect_policy`,
    ],
    [
      'envoy.http.ext_proc.processing_request_modifiers',
      'ext_proc.v3.ExternalProcessor',
      'envoy.extensions.http.ext_proc.mapped_attribute_builder',
    ],
    [
      'envoy.http.ext_proc.response_processors',
      'ext_proc.v3.ExternalProcessor',
      'envoy.extensions.http.ext_proc.save_processing_response',
    ],
    [
      'envoy.http.injected_credentials',
      'credential_injector.v3.CredentialInjector',
      'envoy.http.injected_credentials.generic envoy.http.injected_credentials.oauth2',
    ],
    [
      'envoy.http.stateful_session',
      'stateful_session.v3.StatefulSession',
      'envoy.http.stateful_session.cookie envoy.http.stateful_session.envelope envoy.http.stateful_session.header',
    ],
    ['envoy.rbac.matchers', 'rbac.v3.RBAC', 'envoy.rbac.matchers.upstream_ip_port'],
    ['envoy.rbac.principals', 'rbac.v3.RBAC', 'envoy.rbac.principals.mtls_authenticated'],
    ['envoy.wasm.runtime', 'wasm.v3.Wasm', 'envoy.wasm.runtime.null envoy.wasm.runtime.v8'],
    [
      'filter_state.object',
      'set_filter_state.v3.Config',
      `envoy.ai.llm_protocol.request envoy.ai.model.request envoy.bool envoy.filters.listener.original_dst.local_ip
       envoy.filters.listener.original_dst.remote_ip envoy.hashable_string envoy.network.application_protocols
       envoy.network.ip envoy.network.network_namespace envoy.network.transport_socket.http_11_proxy.info
       envoy.network.transport_socket.original_dst_address envoy.network.upstream_server_name
       envoy.network.upstream_subject_alt_names envoy.ratelimit.hits_addend envoy.router.debug_config envoy.string
       envoy.tcp_proxy.cluster envoy.tcp_proxy.disable_tunneling envoy.tcp_proxy.per_connection_idle_timeout_ms
       envoy.upstream.dynamic_host envoy.upstream.dynamic_port`,
    ],
  ] as const
).map(([category, type, names]) => insideExtension(category, httpFilterSupport, `${http}.${type}`, names));

function compression(what: string, contrib: string): string {
  return ['brotli', 'gzip', 'zstd', ...words(contrib)].map((kind) => `envoy.compression.${kind}.${what}`).join(' ');
}

const inNetworkFilters: readonly CategorySupport[] = (
  [
    ['envoy.dubbo_proxy.filters', 'dubbo_proxy.v3.DubboProxy', 'envoy.filters.dubbo.router'],
    ['envoy.dubbo_proxy.protocols', 'dubbo_proxy.v3.DubboProxy', 'dubbo'],
    ['envoy.dubbo_proxy.serializers', 'dubbo_proxy.v3.DubboProxy', 'dubbo.hessian2'],
    [
      'envoy.generic_proxy.codecs',
      'generic_proxy.v3.GenericProxy',
      'envoy.generic_proxy.codecs.dubbo envoy.generic_proxy.codecs.http1 envoy.generic_proxy.codecs.kafka',
    ],
    ['envoy.generic_proxy.filters', 'generic_proxy.v3.GenericProxy', 'envoy.filters.generic.router'],
    [
      'envoy.matching.generic_proxy_request_input.input',
      'generic_proxy.v3.GenericProxy',
      ['host', 'method', 'path', 'property', 'request', 'service'].map((input) => `${generic}.${input}`).join(' '),
    ],
    ['envoy.sip_proxy.filters', 'sip_proxy.v3alpha.SipProxy', 'envoy.filters.sip.router'],
    [
      'envoy.thrift_proxy.filters',
      'thrift_proxy.v3.ThriftProxy',
      `envoy.filters.thrift.header_to_metadata envoy.filters.thrift.payload_to_metadata envoy.filters.thrift.rate_limit
       envoy.filters.thrift.router`,
    ],
    ['envoy.thrift_proxy.protocols', 'thrift_proxy.v3.ThriftProxy', 'auto binary binary/non-strict compact twitter'],
    ['envoy.thrift_proxy.transports', 'thrift_proxy.v3.ThriftProxy', 'auto framed header unframed'],
  ] as const
).map(([category, type, names]) => insideExtension(category, networkFilterSupport, `${network}.${type}`, names));

const others: readonly CategorySupport[] = [
  insideExtension(
    'envoy.filters.udp.session',
    listenerFilterSupport,
    'envoy.extensions.filters.udp.udp_proxy.v3.UdpProxyConfig',
    `envoy.filters.udp.session.dynamic_forward_proxy envoy.filters.udp.session.ext_authz
     envoy.filters.udp.session.http_capsule`,
  ),
  other(
    'envoy.built_in_formatters',
    'the format of an access log',
    'active',
    `envoy.built_in_formatters.cel envoy.built_in_formatters.http.default envoy.built_in_formatters.metadata
     envoy.built_in_formatters.stream_info.default envoy.built_in_formatters.xfcc_value`,
    'commands of a format that have no value here are written as -',
  ),
  other(
    'envoy.config_subscription',
    'ConfigSource',
    'active',
    `envoy.config_subscription.ads envoy.config_subscription.grpc envoy.config_subscription.delta_grpc
     envoy.config_subscription.filesystem`,
    'these are the sources of resources',
  ),
  other(
    'envoy.config_subscription',
    'ConfigSource',
    'rejected',
    `envoy.config_subscription.rest envoy.config_subscription.ads_collection
     envoy.config_subscription.aggregated_grpc_collection envoy.config_subscription.delta_grpc_collection
     envoy.config_subscription.filesystem_collection`,
    'use ads, GRPC, DELTA_GRPC or a file; collections are not read',
  ),
  other(
    'envoy.grpc_credentials',
    'GoogleGrpc.credentials_factory_name',
    'active',
    'envoy.grpc_credentials.default envoy.grpc_credentials.file_based_metadata',
    'both are there',
  ),
  ...(
    [
      [
        'envoy.config_mux',
        `envoy.config_mux.delta_grpc_mux_factory envoy.config_mux.grpc_mux_factory
         envoy.config_mux.new_grpc_mux_factory envoy.config_mux.sotw_grpc_mux_factory`,
      ],
      ['envoy.connection_handler', 'envoy.connection_handler.default'],
      ['envoy.rds_factory', 'envoy.rds_factory.default'],
      ['envoy.route_config_update_requester', 'envoy.route_config_update_requester.default'],
      ['envoy.ssl.server_context_factory', 'envoy.ssl.server_context_factory.default'],
      ['network.connection.client', 'default envoy_internal'],
    ] as const
  ).map(([category, names]) => other(category, '', 'active', names, notConfigured)),
];

/** Every category of extensions of Envoy 1.40 (contrib as of 1.37) that stands in something which is treated the same whatever it holds. */
export const categorySupport: readonly CategorySupport[] = [
  ...fieldCategories,
  ...inHttpFilters,
  ...inNetworkFilters,
  ...others,
].sort((a, b) => (a.category < b.category ? -1 : a.category > b.category ? 1 : 0));
