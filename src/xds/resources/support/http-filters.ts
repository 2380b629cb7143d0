import { type ExtensionSupport, types, words } from './rules.js';

const filters = 'envoy.extensions.filters.http';

const mayDecide = 'it may decide which requests pass and where they go';

export const httpFilterSupport: ExtensionSupport = {
  point:
    '`http_filters` of a connection manager. Disabled filters are left out; one with `is_optional` is left out with a warning where it would park',
  categories: ['envoy.filters.http'],
  implemented: [`${filters}.router.v3.Router`],
  rules: [
    types('warned', filters, 'cors.v3.Cors', 'CORS headers are not added, so browsers refuse'),
    types('warned', filters, 'fault.v3.HTTPFault', 'no fault is injected'),
    types('warned', filters, 'cache.v3.CacheConfig cache_v2.v3.CacheV2Config', 'each answer comes from a server'),
    types(
      'warned',
      filters,
      'on_demand.v3.OnDemand',
      'nothing is discovered on demand, so requests to what is unknown fail',
    ),
    types(
      'warned',
      filters,
      `aws_eventstream_parser.v3.AwsEventstreamParser grpc_field_extraction.v3.GrpcFieldExtractionConfig
       json_to_metadata.v3.JsonToMetadata proto_message_extraction.v3.ProtoMessageExtractionConfig
       set_metadata.v3.Config sse_to_metadata.v3.SseToMetadata thrift_to_metadata.v3.ThriftToMetadata`,
      'nothing that runs reads its metadata',
    ),
    types(
      'warned',
      filters,
      `alternate_protocols_cache.v3.FilterConfig compressor.v3.Compressor dynamo.v3.Dynamo grpc_stats.v3.FilterConfig
       stateful_session.v3.StatefulSession tap.v3.Tap`,
      'requests pass without it, and are served the same',
    ),
    {
      types: words(
        'io.istio.http.peer_metadata.Config stats.PluginConfig istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig',
      ),
      treatment: 'warned',
      reason: 'requests pass without it, and are served the same',
    },
    types(
      'parked',
      filters,
      `rbac.v3.RBAC jwt_authn.v3.JwtAuthentication ext_authz.v3.ExtAuthz oauth2.v3.OAuth2 basic_auth.v3.BasicAuth
       api_key_auth.v3.ApiKeyAuth csrf.v3.CsrfPolicy ext_proc.v3.ExternalProcessor cdn_loop.v3.CdnLoopConfig`,
      'without it requests would pass that must not',
    ),
    types(
      'parked',
      filters,
      `local_ratelimit.v3.LocalRateLimit ratelimit.v3.RateLimit rate_limit_quota.v3.RateLimitQuotaFilterConfig
       adaptive_concurrency.v3.AdaptiveConcurrency admission_control.v3.AdmissionControl
       bandwidth_limit.v3.BandwidthLimit bandwidth_share.v3.BandwidthShare body_size_limit.v3.BodySizeLimit
       buffer.v3.Buffer file_system_buffer.v3.FileSystemBufferFilterConfig`,
      'without it servers would get more than they are meant to',
    ),
    types(
      'parked',
      filters,
      `aws_lambda.v3.Config aws_request_signing.v3.AwsRequestSigning credential_injector.v3.CredentialInjector
       gcp_authn.v3.GcpAuthnFilterConfig`,
      'requests would lack their credentials',
    ),
    types(
      'parked',
      filters,
      `geoip.v3.Geoip header_mutation.v3.HeaderMutation header_to_metadata.v3.Config ip_tagging.v3.IPTagging
       language.v3alpha.Language transform.v3.TransformConfig`,
      'servers would be told other headers, or those that clients make up',
    ),
    types(
      'parked',
      filters,
      `connect_grpc_bridge.v3.FilterConfig decompressor.v3.Decompressor grpc_http1_bridge.v3.Config
       grpc_http1_reverse_bridge.v3.FilterConfig grpc_json_reverse_transcoder.v3.GrpcJsonReverseTranscoder
       grpc_json_transcoder.v3.GrpcJsonTranscoder grpc_web.v3.GrpcWeb mcp_json_rest_bridge.v3.McpJsonRestBridge
       proto_api_scrubber.v3.ProtoApiScrubberConfig sxg.v3alpha.SXG checksum.v3alpha.ChecksumConfig`,
      'requests or answers would have another form',
    ),
    types(
      'parked',
      filters,
      `a2a.v3.A2a ai_protocol_manager.v3.AiProtocolManager composite.v3.Composite custom_response.v3.CustomResponse
       dynamic_forward_proxy.v3.FilterConfig dynamic_modules.v3.DynamicModuleFilter file_server.v3.FileServerConfig
       filter_chain.v3.FilterChainConfig golang.v3alpha.Config health_check.v3.HealthCheck lua.v3.Lua mcp.v3.Mcp
       mcp_router.v3.McpRouter original_src.v3.OriginalSrc peak_ewma.v3alpha.PeakEwmaConfig set_filter_state.v3.Config
       wasm.v3.Wasm`,
      mayDecide,
    ),
    {
      types: ['envoy.extensions.common.matching.v3.ExtensionWithMatcher'],
      treatment: 'parked',
      reason: mayDecide,
    },
    {
      types: ['envoy.extensions.tap_sinks.udp_sink.v3alpha.UdpSink'],
      treatment: 'warned',
      reason: 'requests are not tapped',
    },
  ],
  others: { treatment: 'parked', reason: mayDecide },
  names: words(
    `envoy.bandwidth_limit envoy.buffer envoy.cors envoy.csrf envoy.ext_authz envoy.ext_proc envoy.fault envoy.geoip
     envoy.grpc_http1_bridge envoy.grpc_json_transcoder envoy.grpc_web envoy.health_check envoy.ip_tagging
     envoy.local_rate_limit envoy.lua envoy.rate_limit envoy.router`,
  ),
};

const betweenRouterAndServer = 'filters between the router and the bridge are not run';

/** Where they stand decides: `upstream_http_filters` of a router parks its listener, `http_filters` of a cluster rejects it. */
export const upstreamHttpFilterSupport: ExtensionSupport = {
  point: '`upstream_http_filters` of the router; in `http_filters` of a cluster they are rejected',
  categories: ['envoy.filters.http.upstream'],
  implemented: [],
  rules: [
    types(
      'parked',
      filters,
      `admission_control.v3.AdmissionControl ai_protocol_manager.v3.AiProtocolManager aws_lambda.v3.Config
       aws_request_signing.v3.AwsRequestSigning body_size_limit.v3.BodySizeLimit buffer.v3.Buffer
       composite.v3.Composite compressor.v3.Compressor credential_injector.v3.CredentialInjector
       dynamic_modules.v3.DynamicModuleFilter ext_proc.v3.ExternalProcessor header_mutation.v3.HeaderMutation lua.v3.Lua
       rbac.v3.RBAC upstream_codec.v3.UpstreamCodec wasm.v3.Wasm`,
      betweenRouterAndServer,
    ),
    {
      types: ['envoy.extensions.common.matching.v3.ExtensionWithMatcher'],
      treatment: 'parked',
      reason: betweenRouterAndServer,
    },
  ],
  others: { treatment: 'parked', reason: betweenRouterAndServer },
  names: ['envoy.buffer', 'envoy.ext_proc'],
};
