import { expect } from 'chai';
import type { ForwardAction, Route, RouteMatch } from '../../../src/model/route.js';
import { active, route, summary } from './translators.js';

const ofRoute = (yaml: string): string => `name: r\nvirtual_hosts: [{ name: v, domains: ["*"], routes: [${yaml}] }]`;
const ofMatch = (yaml: string): string => ofRoute(`{ match: ${yaml}, route: { cluster: c } }`);
const ofAction = (yaml: string): string => ofRoute(`{ match: { prefix: / }, ${yaml} }`);
const at = 'virtual_hosts\\[0\\].routes\\[0\\]';

const first = (yaml: string): Route => {
  const [found] = active(route(yaml)).virtualHosts[0]?.routes ?? [];
  if (found === undefined) throw new Error('no route');
  return found;
};
const none = { add: [], remove: [] };

describe('xds/resources route', () => {
  it('fills in the defaults of Envoy', () => {
    expect(active(route(ofMatch('{ prefix: / }')))).to.deep.equal({
      name: 'r',
      ignorePortInHostMatching: false,
      maxDirectResponseBodySizeBytes: 4096,
      requestHeaders: none,
      responseHeaders: none,
      virtualHosts: [
        {
          name: 'v',
          domains: ['*'],
          requireTls: 'NONE',
          requestBufferLimitBytes: undefined,
          retryPolicy: undefined,
          includeRequestAttemptCount: false,
          includeAttemptCountInResponse: false,
          includeIsTimeoutRetryHeader: false,
          requestHeaders: none,
          responseHeaders: none,
          routes: [
            {
              name: '',
              match: {
                path: { kind: 'prefix', value: '/', caseSensitive: true },
                headers: [],
                queryParameters: [],
                fraction: undefined,
              },
              action: {
                kind: 'route',
                cluster: { kind: 'cluster', name: 'c' },
                clusterNotFoundStatus: 503,
                timeoutMs: 15_000,
                idleTimeoutMs: undefined,
                prefixRewrite: undefined,
                regexRewrite: undefined,
                hostRewrite: undefined,
                priority: 'default',
                retryPolicy: undefined,
                connect: undefined,
              },
              requestBufferLimitBytes: undefined,
              requestHeaders: none,
              responseHeaders: none,
            },
          ],
        },
      ],
    });
  });

  describe('matches', () => {
    const header = (test: RouteMatch['headers'][number]['test'], more = {}) => ({
      headers: [{ name: 'x-a', test, invert: false, treatMissingAsEmpty: false, ...more }],
    });
    const string = (kind: 'exact' | 'prefix' | 'suffix' | 'contains', ignoreCase = false) =>
      header({ kind: 'string', match: { kind, value: 'v', ignoreCase } });
    const regex = header({ kind: 'string', match: { kind: 'safe_regex', pattern: 'a+' } });
    const cases: [yaml: string, expected: Partial<RouteMatch>][] = [
      ['{ path: /a, case_sensitive: false }', { path: { kind: 'path', value: '/a', caseSensitive: false } }],
      ['{ prefix: "" }', { path: { kind: 'prefix', value: '', caseSensitive: true } }],
      ['{ path_separated_prefix: /a }', { path: { kind: 'path_separated_prefix', value: '/a', caseSensitive: true } }],
      ['{ safe_regex: { regex: "/a.*" } }', { path: { kind: 'safe_regex', pattern: '/a.*' } }],
      ['{ connect_matcher: {} }', { path: { kind: 'connect' } }],
      [
        '{ prefix: /, runtime_fraction: { default_value: { numerator: 5, denominator: MILLION } } }',
        { fraction: { numerator: 5, denominator: 1_000_000 } },
      ],
      ['{ prefix: /, headers: [{ name: X-A }] }', header({ kind: 'present', present: true })],
      ['{ prefix: /, headers: [{ name: X-A, present_match: false }] }', header({ kind: 'present', present: false })],
      ['{ prefix: /, headers: [{ name: X-A, exact_match: v }] }', string('exact')],
      ['{ prefix: /, headers: [{ name: X-A, prefix_match: v }] }', string('prefix')],
      ['{ prefix: /, headers: [{ name: X-A, suffix_match: v }] }', string('suffix')],
      ['{ prefix: /, headers: [{ name: X-A, contains_match: v }] }', string('contains')],
      ['{ prefix: /, headers: [{ name: X-A, string_match: { exact: v, ignore_case: true } }] }', string('exact', true)],
      ['{ prefix: /, headers: [{ name: X-A, safe_regex_match: { regex: a+ } }] }', regex],
      ['{ prefix: /, headers: [{ name: X-A, string_match: { safe_regex: { regex: a+ } } }] }', regex],
      [
        '{ prefix: /, headers: [{ name: X-A, range_match: { start: -1, end: "9223372036854775807" } }] }',
        header({ kind: 'range', start: -1n, end: 9223372036854775807n }),
      ],
      [
        '{ prefix: /, headers: [{ name: X-A, invert_match: true, treat_missing_header_as_empty: true }] }',
        header({ kind: 'present', present: true }, { invert: true, treatMissingAsEmpty: true }),
      ],
      [
        '{ prefix: /, query_parameters: [{ name: q }] }',
        { queryParameters: [{ name: 'q', test: { kind: 'present', present: true } }] },
      ],
      [
        '{ prefix: /, query_parameters: [{ name: q, string_match: { prefix: v } }] }',
        {
          queryParameters: [
            { name: 'q', test: { kind: 'string', match: { kind: 'prefix', value: 'v', ignoreCase: false } } },
          ],
        },
      ],
    ];
    for (const [yaml, expected] of cases)
      it(yaml, () => {
        expect(first(ofMatch(yaml)).match).to.deep.include(expected);
      });

    it('reads grpc as a rule about content-type', () => {
      const [rule] = first(ofMatch('{ prefix: /, grpc: {} }')).match.headers;
      expect(rule).to.have.property('name', 'content-type');
    });
  });

  describe('actions', () => {
    const forwards: [yaml: string, expected: Partial<ForwardAction>][] = [
      ['cluster_header: X-Cluster', { cluster: { kind: 'cluster_header', header: 'x-cluster' } }],
      [
        'weighted_clusters: { clusters: [{ name: a, weight: 1 }, { name: b, weight: 0 }] }',
        {
          cluster: {
            kind: 'weighted',
            clusters: [
              { name: 'a', weight: 1 },
              { name: 'b', weight: 0 },
            ],
          },
        },
      ],
      ['cluster: c, cluster_not_found_response_code: NOT_FOUND', { clusterNotFoundStatus: 404 }],
      ['cluster: c, timeout: 0s, idle_timeout: 1.5s', { timeoutMs: 0, idleTimeoutMs: 1500 }],
      [
        'cluster: c, prefix_rewrite: /x, host_rewrite_literal: h, priority: HIGH',
        { prefixRewrite: '/x', hostRewrite: 'h', priority: 'high' },
      ],
      [
        'cluster: c, regex_rewrite: { pattern: { regex: "^/a" }, substitution: /b }',
        { regexRewrite: { pattern: '^/a', substitution: '/b' } },
      ],
      [
        'cluster: c, upgrade_configs: [{ upgrade_type: CONNECT, connect_config: {} }]',
        { connect: { proxyProtocol: undefined } },
      ],
      [
        'cluster: c, upgrade_configs: [{ upgrade_type: connect, connect_config: { proxy_protocol_config: {} } }]',
        { connect: { proxyProtocol: 'V1' } },
      ],
      [
        'cluster: c, upgrade_configs: [{ upgrade_type: CONNECT, connect_config: { proxy_protocol_config: { version: V2 } } }]',
        { connect: { proxyProtocol: 'V2' } },
      ],
      ['cluster: c, upgrade_configs: [{ upgrade_type: CONNECT, enabled: false }]', { connect: undefined }],
    ];
    for (const [yaml, expected] of forwards)
      it(yaml, () => {
        expect(first(ofAction(`route: { ${yaml} }`)).action).to.deep.include(expected);
      });

    it('reads redirects', () => {
      expect(
        first(
          ofAction(
            'redirect: { https_redirect: true, host_redirect: h, port_redirect: 8443, path_redirect: /x, response_code: PERMANENT_REDIRECT, strip_query: true }',
          ),
        ).action,
      ).to.deep.equal({
        kind: 'redirect',
        status: 308,
        scheme: { kind: 'https' },
        host: 'h',
        port: 8443,
        path: { kind: 'path', value: '/x' },
        stripQuery: true,
      });
      expect(
        first(
          ofAction('redirect: { scheme_redirect: http, regex_rewrite: { pattern: { regex: a }, substitution: b } }'),
        ).action,
      ).to.deep.include({
        status: 301,
        scheme: { kind: 'scheme', value: 'http' },
        path: { kind: 'regex_rewrite', pattern: 'a', substitution: 'b' },
      });
    });

    it('reads direct responses', () => {
      const { action } = first(ofAction('direct_response: { status: 418, body: { inline_string: tea } }'));
      expect(action).to.deep.equal({ kind: 'direct_response', status: 418, body: Buffer.from('tea') });
    });

    it('prefers request_body_buffer_limit', () => {
      const limits = 'route: { cluster: c }, per_request_buffer_limit_bytes: 10';
      expect(first(ofAction(limits)).requestBufferLimitBytes).to.equal(10);
      expect(first(ofAction(`${limits}, request_body_buffer_limit: 20`)).requestBufferLimitBytes).to.equal(20);
    });
  });

  it('reads durations as what timers can wait', () => {
    const of = (timeout: string) => first(ofAction(`route: { cluster: c, timeout: ${timeout} }`)).action;
    expect(of('0.0001s')).to.have.property('timeoutMs', 1);
    expect(of('315576000000s')).to.have.property('timeoutMs', 2 ** 31 - 1);
  });

  it('reads header mutations as literal text', () => {
    const { requestHeaders, responseHeaders } = first(
      ofAction(`route: { cluster: c }, request_headers_to_remove: [X-Gone], response_headers_to_add: [{ header: { key: X-D, value: d }, append: false }], request_headers_to_add: [
        { header: { key: X-A, value: "100%%" } },
        { header: { key: X-B, value: b }, append_action: ADD_IF_ABSENT },
        { header: { key: X-C, value: c }, append: true },
        { header: { key: X-Empty } },
        { header: { key: X-Kept }, keep_empty_value: true }]`),
    );
    expect(requestHeaders).to.deep.equal({
      remove: ['x-gone'],
      add: [
        { name: 'x-a', value: '100%', action: 'append' },
        { name: 'x-b', value: 'b', action: 'add_if_absent' },
        { name: 'x-c', value: 'c', action: 'append' },
        { name: 'x-kept', value: '', action: 'append' },
      ],
    });
    expect(responseHeaders.add).to.deep.equal([{ name: 'x-d', value: 'd', action: 'overwrite' }]);
  });

  describe('verdicts', () => {
    const cases: [title: string, yaml: string, expected: RegExp][] = [
      [
        'a second wildcard',
        'virtual_hosts: [{ name: a, domains: ["*"] }, { name: b, domains: ["*"] }]',
        /^rejected \| virtual_hosts\[1\].domains\[0\]: Only a single wildcard domain is permitted$/,
      ],
      [
        'a domain twice',
        'virtual_hosts: [{ name: a, domains: [x, X] }]',
        /^rejected \| virtual_hosts\[0\].domains\[1\]: Only unique values for domains are permitted. Duplicate entry of domain X$/,
      ],
      ['no domain', 'virtual_hosts: [{ name: a }]', /^rejected \| virtual_hosts\[0\].domains: /],
      [
        'a regex that RE2 does not take',
        ofMatch('{ safe_regex: { regex: "a(?=b)" } }'),
        new RegExp(`^rejected \\| ${at}.match.safe_regex.regex: error parsing regexp`),
      ],
      [
        'a regex in a header',
        ofMatch('{ prefix: /, headers: [{ name: a, string_match: { safe_regex: { regex: "(" } } }] }'),
        new RegExp(`^rejected \\| ${at}.match.headers\\[0\\].string_match.safe_regex.regex: `),
      ],
      ['a regex bomb', ofMatch('{ safe_regex: { regex: "((a{500}){500}){500}" } }'), /^rejected /],
      ['an enormous regex', ofMatch(`{ safe_regex: { regex: "${'a'.repeat(20_000)}" } }`), /longer than 16384/],
      [
        'a regex in a rewrite',
        ofAction('route: { cluster: c, regex_rewrite: { pattern: { regex: "[" }, substitution: x } }'),
        new RegExp(`^rejected \\| ${at}.route.regex_rewrite.pattern.regex: `),
      ],
      [
        'weights of 0',
        ofAction('route: { weighted_clusters: { clusters: [{ name: a, weight: 0 }] } }'),
        /weighted_clusters: the sum of the weights must be greater than 0/,
      ],
      [
        'weights over 32 bits',
        ofAction(
          'route: { weighted_clusters: { clusters: [{ name: a, weight: 4294967295 }, { name: b, weight: 1 }] } }',
        ),
        /the sum of the weights exceeds 4294967295/,
      ],
      [
        'no weight',
        ofAction('route: { weighted_clusters: { clusters: [{ name: a }] } }'),
        /clusters\[0\].weight: is required/,
      ],
      [
        'a cluster without a name',
        ofAction('route: { weighted_clusters: { clusters: [{ weight: 1 }] } }'),
        /exactly one of name and cluster_header/,
      ],
      [
        'two rewrites',
        ofAction(
          'route: { cluster: c, prefix_rewrite: /a, regex_rewrite: { pattern: { regex: a }, substitution: b } }',
        ),
        /only one of prefix_rewrite/,
      ],
      [
        'an upgrade twice',
        ofAction('route: { cluster: c, upgrade_configs: [{ upgrade_type: CONNECT }, { upgrade_type: connect }] }'),
        /duplicate upgrade connect/,
      ],
      [
        'connect_config elsewhere',
        ofAction('route: { cluster: c, upgrade_configs: [{ upgrade_type: websocket, connect_config: {} }] }'),
        /^rejected .*connect_config: is allowed with upgrade_type CONNECT only/,
      ],
      [
        'a websocket',
        ofAction('route: { cluster: c, upgrade_configs: [{ upgrade_type: websocket }] }'),
        /^active \| .*upgrade_configs\[0\]: ignored/,
      ],
      ['no action', ofRoute('{ match: { prefix: / } }'), /^rejected /],
      [
        'an action that is none',
        ofAction('non_forwarding_action: {}'),
        /^rejected .*non_forwarding_action: not supported/,
      ],
      [
        'a cluster of its own choice',
        ofAction('route: { cluster_specifier_plugin: p }'),
        /^rejected .*cluster_specifier_plugin: not supported/,
      ],
      [
        'mirrors',
        ofAction('route: { cluster: c, request_mirror_policies: [{ cluster: m }] }'),
        /^active \| .*request_mirror_policies: ignored/,
      ],
      [
        'hashing',
        ofAction('route: { cluster: c, hash_policy: [{ header: { header_name: a } }] }'),
        /^active \| .*hash_policy: ignored/,
      ],
      [
        'hedging',
        ofAction('route: { cluster: c, hedge_policy: { hedge_on_per_try_timeout: true } }'),
        /^active \| .*hedge_policy: ignored/,
      ],
      ['CORS', ofAction('route: { cluster: c, cors: { allow_methods: GET } }'), /^active \| .*cors: ignored/],
      [
        'rate limits',
        ofAction('route: { cluster: c, rate_limits: [{ actions: [{ remote_address: {} }] }] }'),
        /^active \| .*rate_limits: ignored/,
      ],
      [
        'settings of filters',
        ofAction(
          'route: { cluster: c }, typed_per_filter_config: { x: { "@type": type.googleapis.com/google.protobuf.Struct, value: {} } }',
        ),
        /^active \| .*typed_per_filter_config: ignored/,
      ],
      [
        'client certificates',
        ofMatch('{ prefix: /, tls_context: { presented: true } }'),
        /^rejected .*tls_context: not supported/,
      ],
      [
        'a large direct response',
        ofAction(`direct_response: { status: 200, body: { inline_string: ${'a'.repeat(4097)} } }`),
        /direct_response.body.inline_string: is 4097 bytes; the maximum is 4096/,
      ],
      [
        'a direct response from nowhere',
        ofAction('direct_response: { status: 200, body: { filename: /no/such/file } }'),
        /direct_response.body.filename: ENOENT/,
      ],
      ['a status that is none', ofAction('direct_response: { status: 99 }'), /^rejected .*direct_response.status: /],
      [
        'a protected header',
        ofAction('route: { cluster: c }, request_headers_to_add: [{ header: { key: ":path", value: x } }]'),
        /request_headers_to_add\[0\].header.key: :-prefixed and host/,
      ],
      [
        'the removal of one',
        ofAction('route: { cluster: c }, request_headers_to_remove: [Host]'),
        /request_headers_to_remove\[0\]: :-prefixed and host/,
      ],
      [
        'a lone %',
        ofAction('route: { cluster: c }, request_headers_to_add: [{ header: { key: a, value: "50%" } }]'),
        /^rejected .*header.value: has a %/,
      ],
      [
        'a computed header',
        ofAction('route: { cluster: c }, request_headers_to_add: [{ header: { key: a, value: "%PROTOCOL%" } }]'),
        /^active \| .*header.value: ignored/,
      ],
      [
        'append twice',
        ofAction(
          'route: { cluster: c }, request_headers_to_add: [{ header: { key: a, value: x }, append: true, append_action: ADD_IF_ABSENT }]',
        ),
        /^rejected .*append: must not be set/,
      ],
      ['virtual hosts from elsewhere', 'vhds: { config_source: { ads: {} } }', /^rejected \| vhds: not supported/],
      ['internal headers', 'internal_only_headers: [x-internal]', /^rejected \| internal_only_headers: not supported/],
      [
        'a negative timeout',
        ofAction('route: { cluster: c, timeout: -1s }'),
        /^rejected .*route.timeout: must not be negative/,
      ],
      ['validated clusters', 'validate_clusters: true', /^active \| validate_clusters: ignored/],
      ['clusters not validated', 'validate_clusters: false', /^active$/],
    ];
    for (const [title, yaml, expected] of cases)
      it(title, () => {
        expect(summary(route(yaml))).to.match(expected);
      });
  });
});
