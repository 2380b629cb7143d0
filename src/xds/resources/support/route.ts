import {
  retryBackOffSupport,
  retryHostPredicateFieldsSupport,
  retryHostPredicateSupport,
  retryPolicySupport,
} from './retry.js';
import { active, type ExtensionSupport, type MessageSupport, message, rejected, warned } from './rules.js';

const headers = 'request_headers_to_add request_headers_to_remove response_headers_to_add response_headers_to_remove';
const noFilterReadsIt = 'there is no filter that reads it';
const perFilter = warned('typed_per_filter_config', noFilterReadsIt);
const notMirrored = warned('request_mirror_policies', 'requests are not mirrored');
const typedRetryPolicy = warned('retry_policy_typed_config', 'use retry_policy');

export const routeConfigurationSupport: MessageSupport = message(
  'envoy.config.route.v3.RouteConfiguration',
  `name virtual_hosts ${headers} ignore_port_in_host_matching max_direct_response_body_size_bytes`,
  [
    ...rejected('vhds', 'virtual hosts are not discovered; put them into virtual_hosts'),
    ...rejected('vhost_header', 'virtual hosts are chosen by :authority'),
    ...rejected('route_specifiers', 'a specifier may choose another cluster'),
    ...rejected('internal_only_headers', 'clients could send headers that are for internal use'),
    ...rejected('ignore_path_parameters_in_path_matching', 'paths with parameters would match other routes'),
    ...warned('validate_clusters=true', 'a route to an unknown cluster answers 503'),
    ...warned(
      'most_specific_header_mutations_wins',
      'headers are changed by the route, then the virtual host, then the whole',
    ),
    ...notMirrored,
    ...perFilter,
    ...active('cluster_specifier_plugins', 'a route that uses one is rejected'),
    ...active('metadata', 'nothing that runs reads it'),
  ],
);

export const virtualHostSupport: MessageSupport = message(
  'envoy.config.route.v3.VirtualHost',
  `name domains routes require_tls ${headers} per_request_buffer_limit_bytes request_body_buffer_limit retry_policy
   include_request_attempt_count include_attempt_count_in_response include_is_timeout_retry_header`,
  [
    ...rejected('matcher', 'use routes'),
    ...rejected('route_specifiers', 'a specifier may choose another cluster'),
    ...typedRetryPolicy,
    ...warned('hedge_policy', 'requests are not hedged'),
    ...warned('rate_limits cors', noFilterReadsIt),
    ...warned('virtual_clusters', 'these statistics are not kept'),
    ...notMirrored,
    ...perFilter,
    ...active('metadata', 'nothing that runs reads it'),
  ],
);

export const routeSupport: MessageSupport = message(
  'envoy.config.route.v3.Route',
  `name match route redirect direct_response ${headers} per_request_buffer_limit_bytes
   request_body_buffer_limit`,
  [
    ...rejected('route_specifiers', 'a specifier may choose another cluster'),
    ...rejected('filter_action', 'use route, redirect or direct_response'),
    ...warned('tracing', 'requests are not traced'),
    ...warned('stat_prefix', 'these statistics are not kept'),
    ...perFilter,
    ...active('metadata', 'nothing that runs reads it'),
    ...active('decorator', 'requests are not traced'),
    ...rejected('non_forwarding_action', 'use route, redirect or direct_response'),
  ],
);

export const routeMatchSupport: MessageSupport = message(
  'envoy.config.route.v3.RouteMatch',
  `prefix path safe_regex path_separated_prefix connect_matcher case_sensitive runtime_fraction headers query_parameters grpc`,
  [
    ...rejected('path_match_policy', 'use prefix, path, path_separated_prefix or safe_regex'),
    ...rejected('cookies filter_state', 'the route would match requests without them too'),
    ...rejected('tls_context', 'the route would match clients without the certificate too'),
    ...rejected('dynamic_metadata', 'the route would match requests without the metadata too'),
  ],
);

export const routeActionSupport: MessageSupport = message(
  'envoy.config.route.v3.RouteAction',
  `cluster cluster_header weighted_clusters cluster_not_found_response_code prefix_rewrite regex_rewrite
   host_rewrite_literal timeout idle_timeout priority retry_policy upgrade_configs`,
  [
    ...rejected(
      'cluster_specifier_plugin inline_cluster_specifier_plugin',
      'use cluster, cluster_header or weighted_clusters',
    ),
    ...rejected('path_rewrite_policy path_rewrite', 'the plugin would see another path'),
    ...rejected('host_rewrite host_rewrite_header host_rewrite_path_regex', 'the plugin would see another host'),
    ...warned('auto_host_rewrite=true', ':authority is left as the client sent it'),
    ...warned('append_x_forwarded_host', 'x-forwarded-host is not set'),
    ...warned('metadata_match', 'hosts are not divided into subsets'),
    ...typedRetryPolicy,
    ...warned('hedge_policy', 'requests are not hedged'),
    ...warned('rate_limits include_vh_rate_limits cors', noFilterReadsIt),
    ...warned('hash_policy', 'requests do not stick to a host'),
    ...warned('max_stream_duration max_grpc_timeout grpc_timeout_offset', 'timeout applies'),
    ...warned('internal_redirect_policy max_internal_redirects', 'redirects are passed to the client'),
    ...warned('internal_redirect_action=HANDLE_INTERNAL_REDIRECT', 'redirects are passed to the client'),
    ...warned('flush_timeout', 'idle_timeout applies'),
    ...warned('early_data_policy', 'there is no early data'),
    ...notMirrored,
  ],
);

export const routeUpgradeSupport: MessageSupport = message(
  'envoy.config.route.v3.RouteAction.UpgradeConfig',
  'upgrade_type enabled connect_config',
);

export const weightedClusterSupport: MessageSupport = message('envoy.config.route.v3.WeightedCluster', 'clusters', [
  ...warned('header_name use_hash_policy', 'the choice is random'),
  ...active('total_weight', 'it is the sum of the weights'),
  ...active('runtime_key_prefix', 'runtime keys have no effect'),
]);

export const clusterWeightSupport: MessageSupport = message(
  'envoy.config.route.v3.WeightedCluster.ClusterWeight',
  'name weight',
  [
    ...rejected('cluster_header', 'use name'),
    ...warned('metadata_match', 'hosts are not divided into subsets'),
    ...warned(`${headers} host_rewrite_literal`, 'headers change only with the route, the virtual host and the whole'),
    ...perFilter,
  ],
);

export const redirectSupport: MessageSupport = message(
  'envoy.config.route.v3.RedirectAction',
  `https_redirect scheme_redirect host_redirect port_redirect path_redirect prefix_rewrite regex_rewrite response_code
   strip_query`,
  rejected('path_rewrite', 'the redirect would lead to another path'),
);

export const directResponseSupport: MessageSupport = message(
  'envoy.config.route.v3.DirectResponseAction',
  'status body',
  warned('body_format', 'the body is sent as it is'),
);

export const headerMatcherSupport: MessageSupport = message(
  'envoy.config.route.v3.HeaderMatcher',
  `name exact_match safe_regex_match range_match present_match prefix_match suffix_match contains_match string_match
   invert_match treat_missing_header_as_empty`,
);

export const queryMatcherSupport: MessageSupport = message(
  'envoy.config.route.v3.QueryParameterMatcher',
  'name string_match present_match',
);

export const stringMatcherSupport: MessageSupport = message(
  'envoy.type.matcher.v3.StringMatcher',
  'exact prefix suffix safe_regex contains ignore_case',
  rejected('custom', 'use exact, prefix, suffix, contains or safe_regex'),
);

export const regexMatcherSupport: MessageSupport = message(
  'envoy.type.matcher.v3.RegexMatcher',
  'regex',
  active('google_re2', 'expressions are those of RE2, up to 16 KiB long'),
);

export const regexSubstituteSupport: MessageSupport = message(
  'envoy.type.matcher.v3.RegexMatchAndSubstitute',
  'pattern substitution',
);

export const runtimeFractionSupport: MessageSupport = message(
  'envoy.config.core.v3.RuntimeFractionalPercent',
  'default_value',
  warned('runtime_key', 'runtime keys have no effect'),
);

export const fractionalPercentSupport: MessageSupport = message(
  'envoy.type.v3.FractionalPercent',
  'numerator denominator',
);

export const rangeSupport: MessageSupport = message('envoy.type.v3.Int64Range', 'start end');

export const connectConfigSupport: MessageSupport = message(
  'envoy.config.route.v3.RouteAction.UpgradeConfig.ConnectConfig',
  'proxy_protocol_config',
  warned('allow_post', 'POST is routed like any method'),
);

export const proxyProtocolSupport: MessageSupport = message(
  'envoy.config.core.v3.ProxyProtocolConfig',
  'version',
  warned('pass_through_tlvs added_tlvs', 'the header has addresses alone'),
);

export const routeMessages: readonly MessageSupport[] = [
  routeConfigurationSupport,
  virtualHostSupport,
  routeSupport,
  routeMatchSupport,
  headerMatcherSupport,
  queryMatcherSupport,
  stringMatcherSupport,
  regexMatcherSupport,
  regexSubstituteSupport,
  rangeSupport,
  runtimeFractionSupport,
  fractionalPercentSupport,
  routeActionSupport,
  routeUpgradeSupport,
  connectConfigSupport,
  proxyProtocolSupport,
  retryPolicySupport,
  retryBackOffSupport,
  retryHostPredicateFieldsSupport,
  weightedClusterSupport,
  clusterWeightSupport,
  redirectSupport,
  directResponseSupport,
];
export const routeExtensions: readonly ExtensionSupport[] = [retryHostPredicateSupport];
