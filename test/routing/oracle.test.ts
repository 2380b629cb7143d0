import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { compileFormat } from '../../src/access-log/format.js';
import type { HeaderMap } from '../../src/bridge/header-map.js';
import type { Route } from '../../src/model/route.js';
import { type RunningEnvoy, requireEnvoy, startEnvoy } from '../support/envoy.js';
import {
  direct,
  forward,
  noMutations,
  plainHeaders,
  prefix,
  type RecordingStream,
  redirect,
  route,
  routeConfig,
  routeMatch,
  routerBed,
  virtualHost,
} from './support.js';

/** Each route in both languages. */
const table: readonly { readonly yaml: string; readonly model: Route }[] = [
  {
    yaml: '{name: unknown, match: {prefix: /unknown}, route: {cluster: nobody, cluster_not_found_response_code: NOT_FOUND}}',
    model: route({
      name: 'unknown',
      match: prefix('/unknown'),
      action: forward({ cluster: { kind: 'cluster', name: 'nobody' }, clusterNotFoundStatus: 404 }),
    }),
  },
  {
    yaml: '{match: {prefix: /direct/}, direct_response: {status: 201, body: {inline_string: hello}}}',
    model: route({ match: prefix('/direct/'), action: direct(201, 'hello') }),
  },
  {
    yaml: '{match: {prefix: /https}, redirect: {https_redirect: true}}',
    model: route({ match: prefix('/https'), action: redirect({ scheme: { kind: 'https' } }) }),
  },
  {
    yaml: '{match: {prefix: /r2}, redirect: {prefix_rewrite: /new, host_redirect: h.example, port_redirect: 81, response_code: FOUND}}',
    model: route({
      match: prefix('/r2'),
      action: redirect({ path: { kind: 'prefix_rewrite', value: '/new' }, host: 'h.example', port: 81, status: 302 }),
    }),
  },
  {
    yaml: '{match: {prefix: /r3}, redirect: {path_redirect: "/fix?own", strip_query: true, port_redirect: 82, response_code: SEE_OTHER}}',
    model: route({
      match: prefix('/r3'),
      action: redirect({ path: { kind: 'path', value: '/fix?own' }, stripQuery: true, port: 82, status: 303 }),
    }),
  },
  {
    yaml: '{match: {prefix: /r4}, redirect: {path_redirect: "/fix", strip_query: true, response_code: PERMANENT_REDIRECT}}',
    model: route({
      match: prefix('/r4'),
      action: redirect({ path: { kind: 'path', value: '/fix' }, stripQuery: true, status: 308 }),
    }),
  },
  {
    yaml: '{match: {prefix: /r5}, redirect: {regex_rewrite: {pattern: {regex: "r(5)"}, substitution: "x\\\\1"}}}',
    model: route({
      match: prefix('/r5'),
      action: redirect({ path: { kind: 'regex_rewrite', pattern: 'r(5)', substitution: 'x\\1' } }),
    }),
  },
  {
    yaml: `{match: {prefix: /h, headers: [{name: x-h, string_match: {exact: "a,b"}}]}, direct_response: {status: 210}}`,
    model: route({
      match: {
        ...prefix('/h'),
        headers: [
          {
            name: 'x-h',
            test: { kind: 'string', match: { kind: 'exact', value: 'a,b', ignoreCase: false } },
            invert: false,
            treatMissingAsEmpty: false,
          },
        ],
      },
      action: direct(210),
    }),
  },
  {
    yaml: `{match: {prefix: /h, headers: [{name: x-h, range_match: {start: 1, end: 5}, invert_match: true}]}, direct_response: {status: 211}}`,
    model: route({
      match: {
        ...prefix('/h'),
        headers: [
          { name: 'x-h', test: { kind: 'range', start: 1n, end: 5n }, invert: true, treatMissingAsEmpty: false },
        ],
      },
      action: direct(211),
    }),
  },
  {
    yaml: '{match: {path_separated_prefix: /sep, case_sensitive: false}, route: {cluster: echo, prefix_rewrite: /x}}',
    model: route({
      match: routeMatch({ path: { kind: 'path_separated_prefix', value: '/sep', caseSensitive: false } }),
      action: forward({ prefixRewrite: '/x' }),
    }),
  },
  {
    yaml: `{match: {safe_regex: {regex: "/re/[0-9]+"}}, route: {cluster: echo, regex_rewrite: {pattern: {regex: "([0-9])"}, substitution: "<\\\\1>"}, host_rewrite_literal: inner, timeout: 7s}}`,
    model: route({
      match: routeMatch({ path: { kind: 'safe_regex', pattern: '/re/[0-9]+' } }),
      action: forward({
        regexRewrite: { pattern: '([0-9])', substitution: '<\\1>' },
        hostRewrite: 'inner',
        timeoutMs: 7000,
      }),
    }),
  },
  {
    yaml: '{match: {prefix: /q, query_parameters: [{name: q, string_match: {prefix: "1"}}]}, direct_response: {status: 212}}',
    model: route({
      match: {
        ...prefix('/q'),
        queryParameters: [
          { name: 'q', test: { kind: 'string', match: { kind: 'prefix', value: '1', ignoreCase: false } } },
        ],
      },
      action: direct(212),
    }),
  },
  {
    yaml: '{match: {prefix: /echo}, route: {cluster: echo}, request_headers_to_add: [{header: {key: x-a, value: r}}, {header: {key: x-b, value: r}, append_action: OVERWRITE_IF_EXISTS}], request_headers_to_remove: [x-gone]}',
    model: route({
      match: prefix('/echo'),
      requestHeaders: {
        add: [
          { name: 'x-a', value: 'r', action: 'append' },
          { name: 'x-b', value: 'r', action: 'overwrite_if_exists' },
        ],
        remove: ['x-gone'],
      },
    }),
  },
];

const format =
  '%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %ROUTE_NAME% %UPSTREAM_CLUSTER% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %REQ(HOST)% %UPSTREAM_REQUEST_ATTEMPT_COUNT%';

const model = routeConfig({
  responseHeaders: { add: [{ name: 'x-config', value: 'c', action: 'append' }], remove: [] },
  virtualHosts: [
    virtualHost({ name: 'tls', domains: ['tls.example', '*.tls.example'], requireTls: 'ALL' }),
    virtualHost({
      name: 'rest',
      domains: ['example.com', 'example.com:*'],
      routes: table.map((entry) => entry.model),
      requestHeaders: { add: [{ name: 'x-a', value: 'v', action: 'append' }], remove: [] },
      responseHeaders: noMutations,
    }),
  ],
});

function bootstrap(log: string, echoPort: number): string {
  return `
static_resources:
  clusters:
  - name: echo
    type: STATIC
    load_assignment: {cluster_name: echo, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: ${echoPort}}}}}]}]}
  listeners:
  - address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: ingress
          http_filters: [{name: envoy.filters.http.router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]
          access_log:
          - name: envoy.access_loggers.file
            typed_config: {"@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog, path: ${log}, log_format: {text_format_source: {inline_string: "%REQ(X-CASE)% ${format}\\n"}}}
          route_config:
            name: routes
            validate_clusters: false
            response_headers_to_add: [{header: {key: x-config, value: c}}]
            virtual_hosts:
            - {name: tls, domains: ["tls.example", "*.tls.example"], require_tls: ALL, routes: [{match: {prefix: /}, route: {cluster: echo}}]}
            - name: rest
              domains: ["example.com", "example.com:*"]
              request_headers_to_add: [{header: {key: x-a, value: v}}]
              routes:
${table.map(({ yaml }) => `              - ${yaml}`).join('\n')}
`;
}

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly headers: Record<string, unknown>;
}

function ask(port: number, method: string, path: string, headers: Record<string, string>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ port, host: '127.0.0.1', method, path, headers, agent: false }, (response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => {
        body += chunk.toString();
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body, headers: response.headers }));
    });
    sent.on('error', reject);
    sent.end();
  });
}

/** What both must have alike. */
const replyHeaders = ['location', 'content-type', 'x-config', 'grpc-status', 'grpc-message'];
const pick = (headers: Record<string, unknown>, names: readonly string[]) =>
  Object.fromEntries(names.filter((name) => headers[name] !== undefined).map((name) => [name, headers[name]]));

const forwardedHeaders = [
  'x-a',
  'x-b',
  'x-gone',
  'x-envoy-original-path',
  'x-envoy-original-host',
  'x-envoy-expected-rq-timeout-ms',
];

describe('router, Envoy as oracle', () => {
  let envoy: RunningEnvoy;
  let echo: Server;
  let folder: string;
  let port: number;
  let seen: { path: string | undefined; headers: IncomingHttpHeaders } | undefined;

  before(async function () {
    const binary = await requireEnvoy(this);
    folder = await mkdtemp(join(tmpdir(), 'pontoon-routing-'));
    echo = createServer((incoming, response) => {
      seen = { path: incoming.url, headers: incoming.headers };
      response.end();
    });
    await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve));
    const bootstrapYaml = bootstrap(join(folder, 'access.log'), (echo.address() as AddressInfo).port);
    envoy = await startEnvoy({ binary, bootstrapYaml, args: ['-l', 'error', '--file-flush-interval-msec', '50'] });
    while ((await envoy.admin('/listeners')) === '') await sleep(20);
    port = Number((await envoy.admin('/listeners?format=text')).trim().split(':').pop());
  });

  after(async () => {
    await envoy?.stop();
    echo?.close();
    if (folder) await rm(folder, { recursive: true });
  });

  const cases: [string, string, Record<string, string>?][] = [
    ['GET', '/nothing'],
    ['GET', '/', { host: 'other.example' }],
    ['GET', '/', { host: 'TLS.example' }],
    ['GET', '/a?b', { host: 'www.tls.example:80' }],
    ['GET', '/a', { host: 'example.com:81' }],
    ['GET', '/unknown'],
    ['POST', '/unknown', { 'content-type': 'application/grpc' }],
    ['GET', '/direct/a?b=c'],
    ['HEAD', '/direct/a'],
    ['GET', '/https?x=1'],
    ['GET', '/https', { host: 'example.com:80' }],
    ['GET', '/https', { host: 'example.com:443' }],
    ['GET', '/r2/a?b=c'],
    ['GET', '/r3?x=1', { host: 'example.com:80' }],
    ['GET', '/r4?x=1'],
    ['GET', '/r4'],
    ['GET', '/r5/r5?r5'],
    ['GET', '/h', { 'x-h': 'a,b' }],
    ['GET', '/h', { 'x-h': '3' }],
    ['GET', '/h', { 'x-h': '5' }],
    ['GET', '/h', { 'x-h': 'x' }],
    ['GET', '/h'],
    ['GET', '/q?q=12'],
    ['GET', '/q?p=1&q=2&q=1'],
    ['GET', '/SEP?x'],
    ['GET', '/sep/a/b'],
    ['GET', '/separate'],
    ['GET', '/re/12?3'],
    ['GET', '/re/12x'],
    ['GET', '/echo', { 'x-a': '0', 'x-b': '0', 'x-gone': '1' }],
    ['GET', '/echo'],
    ['GET', '/direct/ws', { connection: 'Upgrade', upgrade: 'websocket' }],
    ['GET', '/nothing/ws', { connection: 'Upgrade', upgrade: 'websocket' }],
  ];

  for (const [index, [method, path, headers = {}]] of cases.entries()) {
    it(`${method} ${path} ${JSON.stringify(headers)}`, async () => {
      seen = undefined;
      const given = { host: 'example.com', 'x-case': `case-${index}`, ...headers };
      const theirs = await ask(port, method, path, given);
      const bed = routerBed(model);
      const { host, ...others } = given;
      const ours = bed.handle({ ':method': method, ':path': path, ':authority': host, ...others });
      const exchange = bed.exchanges[0];
      expect(exchange !== undefined, 'forwarded').to.equal(seen !== undefined);
      if (exchange && seen) compareForwarded(exchange.options.requestHeaders, seen);
      else compareReply(ours, theirs);
      if (!exchange) expect(ourLine(ours)).to.equal(await theirLine(`case-${index}`));
    });
  }

  function compareForwarded(ours: HeaderMap, theirs: { path: string | undefined; headers: IncomingHttpHeaders }): void {
    expect(ours.get(':path')).to.equal(theirs.path);
    expect(ours.get(':authority')).to.equal(theirs.headers.host);
    const joined = Object.fromEntries(
      forwardedHeaders.filter((n) => ours.has(n)).map((n) => [n, ours.values(n).join(', ')]),
    );
    expect(joined).to.deep.equal(pick(theirs.headers, forwardedHeaders));
  }

  function compareReply(ours: RecordingStream, theirs: Answer): void {
    expect({ status: ours.status, body: ours.body }).to.deep.equal({ status: theirs.status, body: theirs.body });
    expect(pick(plainHeaders(ours.headers), replyHeaders)).to.deep.equal(pick(theirs.headers, replyHeaders));
    // The codec adds `content-length: 0` where there is none.
    expect(ours.headers?.get('content-length') ?? '0').to.equal(theirs.headers['content-length']);
  }

  function ourLine({ info, requestHeaders, headers }: RecordingStream): string {
    const compiled = compileFormat({ kind: 'text', text: format });
    if (!compiled.ok) throw new Error('the format is bad');
    return compiled.formatter({ info, requestHeaders, responseHeaders: headers, now: 0, wallNow: 0 });
  }

  async function theirLine(name: string): Promise<string> {
    for (;;) {
      const lines = (await readFile(join(folder, 'access.log'), 'latin1')).split('\n');
      const line = lines.slice(0, -1).find((text) => text.startsWith(`${name} `));
      if (line !== undefined) return line.slice(name.length + 1);
      await sleep(20);
    }
  }
});
