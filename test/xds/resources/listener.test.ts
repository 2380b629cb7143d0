import { expect } from 'chai';
import type { HttpConnectionManager, Listener } from '../../../src/model/listener.js';
import { active, listener, summary, translators } from './translators.js';

const router =
  '{ name: router, typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router } }';
const filter = (type: string, more = ''): string =>
  `{ name: f, ${more} typed_config: { "@type": type.googleapis.com/xds.type.v3.TypedStruct, type_url: type.googleapis.com/${type}, value: {} } }`;

interface Parts {
  readonly listener?: string;
  readonly chain?: string;
  readonly manager?: string;
  readonly filters?: string;
  readonly routes?: string;
}

/** A listener on 127.0.0.1:10000 with additions in YAML flow style. */
function yamlOf({
  listener: own = '',
  chain = '',
  manager = '',
  filters = router,
  routes = 'route_config: { name: r }',
}: Parts): string {
  return `{ name: l, ${own} address: { socket_address: { address: 127.0.0.1, port_value: 10000 } }, filter_chains: [{ ${chain} filters: [{ name: hcm, typed_config: {
    "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager,
    stat_prefix: s, ${manager} http_filters: [${filters}], ${routes} } }] }] }`;
}
const read = (parts: Parts): Listener => active(listener(yamlOf(parts)));
const at = 'filter_chains\\[0\\].filters\\[0\\].typed_config';

const managerOf = (model: Listener) => model.filterChains[0]?.httpConnectionManager as HttpConnectionManager;

describe('xds/resources listener', () => {
  it('fills in the defaults of Envoy', () => {
    const model = read({});
    expect(model).to.deep.include({
      name: 'l',
      statPrefix: '127.0.0.1_10000',
      addresses: [{ kind: 'tcp', address: '127.0.0.1', port: 10000 }],
      perConnectionBufferLimitBytes: 1024 * 1024,
      ipv4Compat: false,
    });
    const { routes, ...manager } = managerOf(model);
    expect(routes).to.have.property('kind', 'inline');
    expect(manager).to.deep.equal({
      statPrefix: 's',
      codecType: 'AUTO',
      serverName: 'envoy',
      serverHeader: 'OVERWRITE',
      via: '',
      useRemoteAddress: false,
      xffNumTrustedHops: 0,
      skipXffAppend: false,
      generateRequestId: true,
      preserveExternalRequestId: false,
      alwaysSetRequestIdInResponse: false,
      normalizePath: false,
      mergeSlashes: false,
      pathWithEscapedSlashes: 'KEEP_UNCHANGED',
      stripAnyHostPort: false,
      stripMatchingHostPort: false,
      stripTrailingHostDot: false,
      maxRequestHeadersBytes: 60 * 1024,
      maxHeadersCount: 100,
      headersWithUnderscores: 'ALLOW',
      streamIdleTimeoutMs: 300_000,
      requestTimeoutMs: 0,
      requestHeadersTimeoutMs: 0,
      idleTimeoutMs: 3_600_000,
      maxConnectionDurationMs: 0,
      maxRequestsPerConnection: 0,
      drainTimeoutMs: 5000,
      delayedCloseTimeoutMs: 1000,
      http1: { acceptHttp10: false, defaultHostForHttp10: '', allowAbsoluteUrl: true, allowChunkedLength: false },
      proxy100Continue: false,
      accessLogs: [],
      suppressEnvoyHeaders: false,
      forwardClientCert: { mode: 'SANITIZE', details: [] },
    });
  });

  it('reads what is set', () => {
    const model = read({
      listener:
        'stat_prefix: p, per_connection_buffer_limit_bytes: 4096, tcp_backlog_size: 7, additional_addresses: [{ address: { pipe: { path: /run/l.sock } } }],',
      manager: `codec_type: HTTP1, server_name: me, server_header_transformation: PASS_THROUGH, via: v, use_remote_address: true, xff_num_trusted_hops: 2,
        skip_xff_append: true, generate_request_id: false, preserve_external_request_id: true, always_set_request_id_in_response: true, normalize_path: true,
        merge_slashes: true, path_with_escaped_slashes_action: REJECT_REQUEST, strip_any_host_port: true, strip_trailing_host_dot: true, max_request_headers_kb: 8,
        stream_idle_timeout: 0s, request_timeout: 1s, request_headers_timeout: 2s, drain_timeout: 3s, delayed_close_timeout: 0s, proxy_100_continue: true,
        common_http_protocol_options: { idle_timeout: 4s, max_connection_duration: 5s, max_headers_count: 6, headers_with_underscores_action: DROP_HEADER, max_requests_per_connection: 7 },
        http_protocol_options: { accept_http_10: true, default_host_for_http_10: d, allow_absolute_url: false, allow_chunked_length: true },`,
      filters: router.replace('Router }', 'Router, suppress_envoy_headers: true }'),
      routes: 'rds: { route_config_name: r, config_source: { ads: {}, initial_fetch_timeout: 1s } }',
    });
    expect(model).to.deep.include({ statPrefix: 'p', perConnectionBufferLimitBytes: 4096, backlog: 7 });
    expect(model.addresses[1]).to.deep.equal({ kind: 'pipe', path: '/run/l.sock' });
    expect(managerOf(model)).to.deep.include({
      codecType: 'HTTP1',
      routes: { kind: 'rds', name: 'r', source: { kind: 'ads', initialFetchTimeoutMs: 1000 } },
      serverName: 'me',
      serverHeader: 'PASS_THROUGH',
      via: 'v',
      useRemoteAddress: true,
      xffNumTrustedHops: 2,
      skipXffAppend: true,
      generateRequestId: false,
      preserveExternalRequestId: true,
      alwaysSetRequestIdInResponse: true,
      normalizePath: true,
      mergeSlashes: true,
      pathWithEscapedSlashes: 'REJECT_REQUEST',
      stripAnyHostPort: true,
      stripTrailingHostDot: true,
      maxRequestHeadersBytes: 8192,
      maxHeadersCount: 6,
      headersWithUnderscores: 'DROP_HEADER',
      streamIdleTimeoutMs: 0,
      requestTimeoutMs: 1000,
      requestHeadersTimeoutMs: 2000,
      idleTimeoutMs: 4000,
      maxConnectionDurationMs: 5000,
      maxRequestsPerConnection: 7,
      drainTimeoutMs: 3000,
      delayedCloseTimeoutMs: 0,
      http1: { acceptHttp10: true, defaultHostForHttp10: 'd', allowAbsoluteUrl: false, allowChunkedLength: true },
      proxy100Continue: true,
      suppressEnvoyHeaders: true,
    });
  });

  it('reads access loggers', () => {
    const logger = (config: string): string =>
      `{ name: a, typed_config: { "@type": type.googleapis.com/envoy.extensions.access_loggers.${config} } }`;
    const { accessLogs } = managerOf(
      read({
        manager: `access_log: [
        ${logger('file.v3.FileAccessLog, path: /tmp/a.log')},
        ${logger('file.v3.FileAccessLog, path: /dev/stdout, log_format: { text_format_source: { inline_string: "%PROTOCOL%" } }')},
        ${logger('file.v3.FileAccessLog, path: /tmp/a.log, format: "%DURATION%"')},
        ${logger('stream.v3.StderrAccessLog, log_format: { json_format: { m: "%REQ(:METHOD)%", n: { a: 1 } } }')},
        ${logger('stream.v3.StdoutAccessLog')}],`,
      }),
    );
    expect(accessLogs).to.deep.equal([
      { target: { kind: 'file', path: '/tmp/a.log' }, format: undefined },
      { target: { kind: 'stdout' }, format: { kind: 'text', text: '%PROTOCOL%' } },
      { target: { kind: 'file', path: '/tmp/a.log' }, format: { kind: 'text', text: '%DURATION%' } },
      { target: { kind: 'stderr' }, format: { kind: 'json', json: { m: '%REQ(:METHOD)%', n: { a: 1 } } } },
      { target: { kind: 'stdout' }, format: undefined },
    ]);
  });

  it('serves a default filter chain when there is no other, whatever its own match, as in Envoy', () => {
    expect(
      active(
        listener(
          yamlOf({ chain: 'filter_chain_match: { server_names: [a] },' }).replace(
            /filter_chains: \[(.*)\] }$/s,
            'default_filter_chain: $1 }',
          ),
        ),
      ).name,
    ).to.equal('l');
  });

  it('takes the name of its address when it has none', () => {
    const model = active(listener(yamlOf({}).replace('name: l,', '').replace('127.0.0.1', '"::1"'), 'static'));
    expect(model).to.include({ name: '[::1]:10000', statPrefix: '[__1]_10000' });
  });

  describe('verdicts', () => {
    const tls =
      'transport_socket: { name: tls, typed_config: { "@type": type.googleapis.com/envoy.extensions.transport_sockets.starttls.v3.StartTlsConfig } },';
    const raw =
      'transport_socket: { name: raw, typed_config: { "@type": type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer } },';
    const listenerFilter = (type: string): string =>
      `listener_filters: [{ name: f, typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.listener.${type} } }],`;
    const cases: [title: string, yaml: string, expected: RegExp][] = [
      [
        'a transport socket that is neither plain text nor TLS',
        yamlOf({ chain: tls }),
        /^parked filter_chains\[0\].transport_socket.typed_config: .*only plain text and TLS are served/,
      ],
      ['plain text', yamlOf({ chain: raw }), /^active$/],
      [
        'HTTP/2',
        yamlOf({ manager: 'codec_type: HTTP2,' }),
        new RegExp(`^parked ${at}.codec_type: .*only HTTP/1.1 is served \\(HTTP2\\)$`),
      ],
      [
        'scoped routes',
        yamlOf({
          routes:
            'scoped_routes: { name: a, scope_key_builder: { fragments: [{ header_value_extractor: { name: x } }] }, scoped_rds: { scoped_rds_config_source: { ads: {} } } }',
        }),
        /^parked .*scoped_routes/,
      ],
      [
        'a chain for a server name that no connection has',
        yamlOf({ chain: 'filter_chain_match: { server_names: [a] },' }),
        /^active \| filter_chains\[0\].filter_chain_match: .*without the listener filter tls_inspector$/,
      ],
      [
        'a chain for a server name',
        yamlOf({
          chain: 'filter_chain_match: { server_names: [a, "*.b.c"], destination_port: 443 },',
          listener: listenerFilter('tls_inspector.v3.TlsInspector'),
        }),
        /^active$/,
      ],
      [
        'an HTTP version of plain connections',
        yamlOf({
          chain: 'filter_chain_match: { application_protocols: [http/1.1] },',
          listener: listenerFilter('http_inspector.v3.HttpInspector'),
        }),
        /^parked filter_chains\[0\].filter_chain_match.application_protocols: .*http_inspector/,
      ],
      [
        'a partial wildcard',
        yamlOf({ chain: 'filter_chain_match: { server_names: ["a*.b"] },' }),
        /^rejected \| filter_chains\[0\].filter_chain_match.server_names\[0\]: "a\*\.b" has a wildcard/,
      ],
      [
        'a range that is none',
        yamlOf({ chain: 'filter_chain_match: { prefix_ranges: [{ address_prefix: a, prefix_len: 8 }] },' }),
        /^rejected \| filter_chains\[0\].filter_chain_match.prefix_ranges\[0\].address_prefix: "a" is no IP address/,
      ],
      [
        'two chains for the same connections',
        yamlOf({}).replace(
          /filter_chains: \[(.*)\] }$/s,
          (_, chain: string) =>
            `filter_chains: [${chain.replace('{', '{ filter_chain_match: { server_names: [a, b], source_ports: [1] },')}, ${chain.replace('{', '{ filter_chain_match: { server_names: [b], source_ports: [2, 1] },')}] }`,
        ),
        /^rejected \| filter_chains\[1\].filter_chain_match: has matching rules that overlap with those of filter_chains\[0\]$/,
      ],
      [
        'a chain for plain text',
        yamlOf({ chain: 'filter_chain_match: { transport_protocol: raw_buffer },' }),
        /^active$/,
      ],
      ['a chain for all', yamlOf({ chain: 'filter_chain_match: {},' }), /^active$/],
      [
        'TCP',
        '{ name: l, address: { socket_address: { address: 127.0.0.1, port_value: 1 } }, filter_chains: [{ filters: [{ name: t, typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: s, cluster: c } }] }] }',
        /^parked .*plain TCP is not proxied$/,
      ],
      ['redirected connections', yamlOf({ listener: 'use_original_dst: true,' }), /^parked use_original_dst/],
      ['connections of others', yamlOf({ listener: 'bind_to_port: false,' }), /^parked bind_to_port/],
      ['inspectors', yamlOf({ listener: listenerFilter('http_inspector.v3.HttpInspector') }), /^active$/],
      [
        'the PROXY protocol',
        yamlOf({ listener: listenerFilter('proxy_protocol.v3.ProxyProtocol') }),
        /^parked listener_filters\[0\]: .*PROXY protocol/,
      ],
      [
        'original destinations',
        yamlOf({ listener: listenerFilter('original_dst.v3.OriginalDst') }),
        /^parked listener_filters\[0\]/,
      ],
      ['UDP', yamlOf({}).replace('port_value', 'protocol: UDP, port_value'), /^parked address.socket_address.protocol/],
      ['an internal listener', '{ name: l, internal_listener: {} }', /^parked internal_listener/],
      [
        'an API listener',
        '{ name: l, api_listener: { api_listener: { "@type": type.googleapis.com/google.protobuf.Struct, value: {} } } }',
        /^parked api_listener/,
      ],
      [
        'no filter chain',
        '{ name: l, address: { socket_address: { address: 127.0.0.1, port_value: 1 } } }',
        /^rejected \| filter_chains: no filter chains specified/,
      ],
      ['no address', '{ name: l, filter_chains: [{}] }', /^rejected \| address: is required/],
      [
        'a name as address',
        yamlOf({}).replace('127.0.0.1', 'localhost'),
        /^rejected \| address.socket_address.address: malformed IP address/,
      ],
      [
        'ipv4_compat on IPv4',
        yamlOf({}).replace('port_value', 'ipv4_compat: true, port_value'),
        /^rejected \| address.socket_address.ipv4_compat/,
      ],
      [
        'no filters',
        '{ name: l, address: { pipe: { path: /a } }, filter_chains: [{}] }',
        /^parked filter_chains\[0\].filters: .*no HTTP connection manager/,
      ],
      ['no router', yamlOf({ filters: '' }), /^parked .*http_filters: .*no router/],
      [
        'a filter after the router',
        yamlOf({ filters: `${router}, ${filter('envoy.extensions.filters.http.cors.v3.Cors')}` }),
        /^rejected .*http_filters\[0\]: the router must be the last/,
      ],
      [
        'a filter without a type',
        yamlOf({ filters: `{ name: x }, ${router}` }),
        /^rejected .*http_filters\[0\].typed_config: is required/,
      ],
      [
        'access control',
        yamlOf({ filters: `${filter('envoy.extensions.filters.http.rbac.v3.RBAC')}, ${router}` }),
        /^parked .*http_filters\[0\]: .*RBAC.*must not$/,
      ],
      [
        'a filter of their own',
        yamlOf({ filters: `${filter('acme.Filter')}, ${router}` }),
        /^parked .*http_filters\[0\]: .*acme.Filter/,
      ],
      [
        'an optional one',
        yamlOf({ filters: `${filter('acme.Filter', 'is_optional: true,')}, ${router}` }),
        /^active \| .*http_filters\[0\]: ignored: .*acme.Filter/,
      ],
      ['a disabled one', yamlOf({ filters: `${filter('acme.Filter', 'disabled: true,')}, ${router}` }), /^active$/],
      [
        'harmless ones',
        yamlOf({
          filters: `${filter('istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig')}, ${filter('envoy.extensions.filters.http.fault.v3.HTTPFault')}, ${router}`,
        }),
        /^active \| .*\[0\]: ignored: .* \| .*\[1\]: ignored: .*no fault/,
      ],
      [
        'another trusted address',
        yamlOf({
          manager:
            'original_ip_detection_extensions: [{ name: x, typed_config: { "@type": type.googleapis.com/envoy.extensions.http.original_ip_detection.xff.v3.XffConfig } }],',
        }),
        /^parked .*original_ip_detection_extensions/,
      ],
      [
        'forwarded certificates of some clients',
        yamlOf({
          manager:
            'forward_client_cert_matcher: { on_no_match: { action: { name: a, typed_config: { "@type": type.googleapis.com/google.protobuf.Empty } } } },',
        }),
        /^parked .*forward_client_cert_matcher/,
      ],
      ['forwarded certificates', yamlOf({ manager: 'forward_client_cert_details: SANITIZE_SET,' }), /^active$/],
      ['tracing', yamlOf({ manager: 'tracing: {},' }), /^active \| .*tracing: ignored/],
      [
        'both ways to strip ports',
        yamlOf({ manager: 'strip_any_host_port: true, strip_matching_host_port: true,' }),
        /^rejected .*only one of strip_matching_host_port/,
      ],
      [
        'an upgrade twice',
        yamlOf({ manager: 'upgrade_configs: [{ upgrade_type: a }, { upgrade_type: A }],' }),
        /^rejected .*duplicate upgrade A/,
      ],
      [
        'routes from a file that is not there',
        yamlOf({ routes: 'rds: { route_config_name: r, config_source: { path: /no/such/file } }' }),
        /^rejected .*rds.config_source.path: there is no file \/no\/such\/file/,
      ],
      [
        'routes without a name',
        yamlOf({ routes: 'rds: { config_source: { ads: {} } }' }),
        /^rejected .*rds.route_config_name: is required/,
      ],
      [
        'routes by a name that asks for all',
        yamlOf({ routes: "rds: { route_config_name: '*', config_source: { ads: {} } }" }),
        /^rejected .*rds.route_config_name: must not be '\*'/,
      ],
      [
        'a bad inline route',
        yamlOf({ routes: 'route_config: { virtual_hosts: [{ name: v, domains: ["*", "*"] }] }' }),
        new RegExp(`^rejected \\| ${at}.route_config.virtual_hosts\\[0\\].domains\\[1\\]: Only a single wildcard`),
      ],
      ['no stat_prefix', yamlOf({}).replace('stat_prefix: s,', ''), new RegExp(`^rejected \\| ${at}.stat_prefix: `)],
      [
        'a log format with an error',
        yamlOf({
          manager:
            'access_log: [{ name: a, typed_config: { "@type": type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog, log_format: { text_format_source: { inline_string: "%REQ(%" } } } }],',
        }),
        /^rejected .*access_log\[0\]/,
      ],
      [
        'another logger',
        yamlOf({ manager: `access_log: [${filter('acme.Logger')}],` }),
        /^active \| .*access_log\[0\].typed_config: ignored: .*acme.Logger/,
      ],
    ];
    for (const [title, yaml, expected] of cases)
      it(title, () => {
        expect(summary(listener(yaml))).to.match(expected);
      });

    it('parks what is both parked and unsupported', () => {
      const yaml = yamlOf({ chain: tls, routes: 'rds: { route_config_name: r, config_source: { path: /a } }' });
      expect(listener(yaml)).to.have.property('kind', 'parked');
    });
  });

  it('gives a parked listener no model that it could not run', () => {
    const tls =
      'transport_socket: { name: t, typed_config: { "@type": type.googleapis.com/envoy.extensions.transport_sockets.starttls.v3.StartTlsConfig } },';
    const vhds = 'route_config: { name: r, vhds: { config_source: { ads: {} } } }';
    expect(listener(yamlOf({ chain: tls }))).to.have.nested.property('model.name', 'l');
    expect(listener(yamlOf({ chain: tls, routes: vhds }))).to.include({ kind: 'parked', model: undefined });
  });

  it('is named by its name', () => {
    expect(translators.listener.nameOf(Buffer.from([0x0a, 1, 0x6c]))).to.equal('l');
  });
});
