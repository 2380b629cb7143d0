import { createAuthority } from '../../support/certificates.js';
import { downstreamTls, inline, tlsCertificate, trusting, upstreamTls } from '../../support/tls-config.js';

/** JSON of a message with as much set in it as can run, so that each message that is read stands in it somewhere. */
export interface RichResource {
  readonly title: string;
  /** The message's full name. */
  readonly type: string;
  readonly json: object;
}

const any = (type: string, config: object = {}) => ({ '@type': `type.googleapis.com/${type}`, ...config });
const typed = (name: string, type: string, config: object = {}) => ({ name, typed_config: any(type, config) });

const authority = createAuthority();
const certificate = { ...tlsCertificate(authority.issue(['localhost'])), password: inline('') };
const address = { socket_address: { address: '127.0.0.1', port_value: 80 } };
/** A file and a folder that exist wherever the tests run. */
const file = process.execPath;
const folder = '/';

const common = {
  tls_params: { cipher_suites: ['ECDHE-ECDSA-AES128-GCM-SHA256'] },
  tls_certificates: [{ ...certificate, watched_directory: { path: folder } }],
  alpn_protocols: ['http/1.1'],
  validation_context: trusting(authority, {
    match_typed_subject_alt_names: [{ san_type: 'DNS', matcher: { exact: 'a' } }],
    watched_directory: { path: folder },
  }),
};
const sds = { name: 'ca', sds_config: { ads: {} } };
const combined = {
  combined_validation_context: {
    default_validation_context: { system_root_certs: {} },
    validation_context_sds_secret_config: sds,
  },
};

const assignment = {
  cluster_name: 'c',
  endpoints: [
    {
      locality: { region: 'r', zone: 'z' },
      lb_endpoints: [
        {
          endpoint: { address, hostname: 'h' },
          metadata: { filter_metadata: { 'envoy.transport_socket_match': { a: 'b' } } },
        },
      ],
    },
  ],
  policy: { overprovisioning_factor: 140 },
};

const bridge = typed('bridge', 'envoy.extensions.upstreams.http.tcp.golang.v3alpha.Config', {
  library_id: 'l',
  library_path: '/l.so',
  plugin_name: 'p',
});

const bridgeCluster = {
  name: 'c',
  connect_timeout: '1s',
  upstream_config: bridge,
  circuit_breakers: { thresholds: [{ retry_budget: { budget_percent: { value: 10 } } }] },
  common_lb_config: {},
  load_balancing_policy: {
    policies: [
      {
        typed_extension_config: typed('rr', 'envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin'),
      },
    ],
  },
  filters: [
    typed('metadata', 'udpa.type.v1.TypedStruct', {
      type_url: 'type.googleapis.com/envoy.tcp.metadataexchange.config.MetadataExchange',
    }),
  ],
  typed_extension_protocol_options: {
    tcp: any('envoy.extensions.upstreams.tcp.v3.TcpProtocolOptions', { idle_timeout: '2s' }),
    http: any('envoy.extensions.upstreams.http.v3.HttpProtocolOptions', {
      use_downstream_protocol_config: {},
      common_http_protocol_options: { idle_timeout: '3s' },
    }),
  },
};

const dnsAssignment = {
  cluster_name: 'c',
  endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: 'a.test', port_value: 80 } } } }] }],
};

const grpcService = { envoy_grpc: { cluster_name: 'xds' } };
const apiSource = {
  resource_api_version: 'V3',
  api_config_source: {
    api_type: 'GRPC',
    transport_api_version: 'V3',
    rate_limit_settings: { max_tokens: 5 },
    grpc_services: [
      {
        envoy_grpc: { cluster_name: 'xds', retry_policy: { retry_back_off: { base_interval: '1s' } } },
        initial_metadata: [{ key: 'a', value: 'b' }],
        retry_policy: { retry_back_off: { base_interval: '2s' } },
      },
      {
        retry_policy: { retry_back_off: { base_interval: '2s' } },
        google_grpc: {
          target_uri: 'a:1',
          stat_prefix: 's',
          channel_credentials: { ssl_credentials: { root_certs: inline(authority.cert) } },
          call_credentials: [
            {
              from_plugin: typed('envoy.grpc_credentials.file_based_metadata', fileMetadata(), {
                secret_data: { filename: file },
              }),
            },
          ],
          channel_args: { args: { 'grpc.keepalive_time_ms': { int_value: 1 } } },
        },
      },
    ],
  },
};

function fileMetadata(): string {
  return 'envoy.config.grpc_credential.v3.FileBasedMetadataConfig';
}

const stringMatch = { exact: 'a' };
const regex = { google_re2: {}, regex: 'a' };
const percent = { default_value: { numerator: 1 }, runtime_key: '' };
const mutations = [
  { header: { key: 'a', value: 'b' } },
  { header: { key: 'b', raw_value: 'YQ==' } },
  { header: { key: 'c' }, keep_empty_value: true },
];
const headers = { request_headers_to_add: mutations, response_headers_to_add: mutations };
const retryPolicy = {
  retry_on: '5xx',
  retry_back_off: { base_interval: '1s' },
  retry_host_predicate: [typed('previous', 'envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate')],
};
const routes = {
  name: 'r',
  ...headers,
  virtual_hosts: [
    {
      name: 'v',
      domains: ['*'],
      ...headers,
      routes: [
        {
          ...headers,
          match: {
            prefix: '/',
            runtime_fraction: percent,
            headers: [
              { name: 'a', range_match: { start: 1, end: 2 } },
              { name: 'b', string_match: stringMatch },
              { name: 'c', safe_regex_match: regex },
            ],
            query_parameters: [{ name: 'q', string_match: stringMatch }],
          },
          route: {
            cluster: 'c',
            regex_rewrite: { pattern: regex, substitution: 'b' },
            retry_policy: retryPolicy,
            upgrade_configs: [
              { upgrade_type: 'CONNECT', connect_config: { proxy_protocol_config: { version: 'V2' } } },
            ],
          },
        },
        { match: { prefix: '/w' }, route: { weighted_clusters: { clusters: [{ name: 'c', weight: 1 }] } } },
        { match: { prefix: '/r' }, redirect: { host_redirect: 'h' } },
        { match: { prefix: '/d' }, direct_response: { status: 200, body: inline('b') } },
      ],
    },
  ],
};

const manager = {
  stat_prefix: 's',
  route_config: routes,
  common_http_protocol_options: { idle_timeout: '1s' },
  http_protocol_options: { accept_http_10: true },
  set_current_client_cert_details: { uri: true },
  upgrade_configs: [{ upgrade_type: 'websocket', enabled: false }, { upgrade_type: 'CONNECT' }],
  request_id_extension: { typed_config: any('envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig') },
  access_log: [
    typed('file', 'envoy.extensions.access_loggers.file.v3.FileAccessLog', {
      path: '/dev/null',
      log_format: { text_format_source: inline('a') },
    }),
    typed('out', 'envoy.extensions.access_loggers.stream.v3.StdoutAccessLog', { log_format: { text_format: 'a' } }),
    typed('err', 'envoy.extensions.access_loggers.stream.v3.StderrAccessLog', { log_format: { text_format: 'a' } }),
  ],
  http_filters: [
    { ...typed('fault', 'envoy.extensions.filters.http.fault.v3.HTTPFault'), disabled: true },
    typed('router', 'envoy.extensions.filters.http.router.v3.Router'),
  ],
};
const hcm = (config: object) => [
  typed('hcm', 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', config),
];

const range = { address_prefix: '127.0.0.0', prefix_len: 8 };
const listener = (chain: object, more: object = {}) => ({
  name: 'l',
  address,
  listener_filters: [typed('tls', 'envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector')],
  filter_chains: [{ filters: hcm(manager), filter_chain_match: {}, ...chain }],
  ...more,
});

const rds = (config_source: object) => ({
  ...manager,
  route_config: undefined,
  rds: { route_config_name: 'r', config_source },
});

const cluster = 'envoy.config.cluster.v3.Cluster';
const listenerType = 'envoy.config.listener.v3.Listener';
const secret = 'envoy.extensions.transport_sockets.tls.v3.Secret';

export const richResources: readonly RichResource[] = [
  {
    title: 'static cluster',
    type: cluster,
    json: {
      ...bridgeCluster,
      load_assignment: { cluster_name: 'c', endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }] },
      transport_socket_matches: [{ name: 'm', match: { a: 'b' }, transport_socket: upstreamTls(common) }],
    },
  },
  {
    title: 'EDS cluster',
    type: cluster,
    json: {
      ...bridgeCluster,
      type: 'EDS',
      eds_cluster_config: { eds_config: { self: {} } },
      load_balancing_policy: undefined,
      transport_socket: upstreamTls(common),
      typed_extension_protocol_options: { http: bridgeCluster.typed_extension_protocol_options.http },
    },
  },
  {
    title: 'DNS cluster',
    type: cluster,
    json: {
      ...bridgeCluster,
      type: 'STRICT_DNS',
      typed_extension_protocol_options: {},
      common_http_protocol_options: { idle_timeout: '3s' },
      dns_failure_refresh_rate: { base_interval: '1s' },
      typed_dns_resolver_config: typed(
        'getaddrinfo',
        'envoy.extensions.network.dns_resolver.getaddrinfo.v3.GetAddrInfoDnsResolverConfig',
      ),
      load_assignment: dnsAssignment,
    },
  },
  ...['cares.v3.CaresDnsResolverConfig', 'apple.v3.AppleDnsResolverConfig'].map((resolver) => ({
    title: `DnsCluster with ${resolver}`,
    type: cluster,
    json: {
      ...bridgeCluster,
      cluster_type: typed('dns', 'envoy.extensions.clusters.dns.v3.DnsCluster', {
        dns_failure_refresh_rate: { base_interval: '1s' },
        typed_dns_resolver_config: typed('resolver', `envoy.extensions.network.dns_resolver.${resolver}`),
      }),
      load_assignment: dnsAssignment,
    },
  })),
  { title: 'endpoints', type: 'envoy.config.endpoint.v3.ClusterLoadAssignment', json: assignment },
  {
    title: 'endpoint on a pipe',
    type: 'envoy.config.endpoint.v3.ClusterLoadAssignment',
    json: { cluster_name: 'c', endpoints: [{ lb_endpoints: [{ endpoint: { address: { pipe: { path: '/p' } } } }] }] },
  },
  { title: 'routes', type: 'envoy.config.route.v3.RouteConfiguration', json: routes },
  {
    title: 'listener',
    type: listenerType,
    json: listener({}, { additional_addresses: [{ address }] }),
  },
  {
    title: 'listener with TLS',
    type: listenerType,
    json: listener({ transport_socket: downstreamTls(common), filters: hcm(rds({ ads: {} })) }),
  },
  {
    title: 'listener with secrets',
    type: listenerType,
    json: listener({
      transport_socket: downstreamTls({ tls_certificate_sds_secret_configs: [sds], ...combined }),
      filters: hcm(rds(apiSource)),
    }),
  },
  {
    title: 'listener with files',
    type: listenerType,
    json: listener({
      filters: hcm(rds({ path_config_source: { path: file, watched_directory: { path: folder } } })),
    }),
  },
  {
    title: 'listener with a default filter chain',
    type: listenerType,
    json: { name: 'l', address, default_filter_chain: { filters: hcm(manager) } },
  },
  {
    title: 'listener whose chains are for different connections',
    type: listenerType,
    json: listener({
      filter_chain_match: {
        destination_port: 443,
        server_names: ['a.example'],
        transport_protocol: 'tls',
        application_protocols: ['h2'],
        prefix_ranges: [range],
        direct_source_prefix_ranges: [range],
        source_prefix_ranges: [range],
        source_ports: [1],
      },
    }),
  },
  { title: 'certificate', type: secret, json: { name: 's', tls_certificate: certificate } },
  {
    title: 'bootstrap',
    type: 'envoy.config.bootstrap.v3.Bootstrap',
    json: {
      node: { id: 'n', cluster: 'c', locality: { region: 'r' } },
      admin: { address },
      layered_runtime: { layers: [{ name: 'a', admin_layer: {} }] },
      default_regex_engine: typed('re2', 'envoy.extensions.regex_engines.v3.GoogleRE2'),
      dynamic_resources: {
        ads_config: { api_type: 'GRPC', transport_api_version: 'V3', grpc_services: [grpcService] },
        cds_config: { ads: {} },
      },
      cluster_manager: {
        load_stats_config: { api_type: 'GRPC', transport_api_version: 'V3', grpc_services: [grpcService] },
      },
      static_resources: {
        clusters: [{ name: 'xds', load_assignment: { ...assignment, cluster_name: 'xds' } }],
      },
    },
  },
];
