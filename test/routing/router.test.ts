import { expect } from 'chai';
import { responseFlags } from '../../src/access-log/response-flags.js';
import type { ExchangeFailure } from '../../src/bridge/exchange.js';
import { HeaderMap } from '../../src/bridge/header-map.js';
import type { HeaderMutations, RedirectAction, Route } from '../../src/model/route.js';
import { sendLocalReply } from '../../src/routing/local-reply.js';
import {
  direct,
  forward,
  plainHeaders,
  prefix,
  type RecordingStream,
  redirect,
  route,
  routeConfig,
  routeMatch,
  routerBed,
  routes,
  type ScriptedExchange,
  testHost,
  virtualHost,
} from './support.js';

const ok = (): HeaderMap => new HeaderMap([':status', '200']);
const text = Buffer.from('hello');

/** A request that has reached an exchange. */
function started(action = forward(), requestEndStream = true, fields: Partial<Route> = {}) {
  const bed = routerBed(routes(route({ action, ...fields })));
  const stream = bed.handle({}, requestEndStream);
  const exchange = bed.exchanges[0] as ScriptedExchange;
  exchange.host = testHost();
  return { ...bed, stream, exchange, callbacks: exchange.options.callbacks };
}

function expectReply(stream: RecordingStream, status: number, body: string, flags: number, details: string): void {
  expect(stream.status).to.equal(status);
  expect(stream.body).to.equal(body);
  expect(stream.ended).to.equal(true);
  expect(stream.headers?.get('content-length')).to.equal(body === '' ? undefined : String(body.length));
  expect(stream.headers?.get('content-type')).to.equal(body === '' ? undefined : 'text/plain');
  expect(stream.info.responseCode).to.equal(status);
  expect(stream.info.responseFlags).to.equal(flags);
  expect(stream.info.responseCodeDetails).to.equal(details);
}

describe('router: local replies', () => {
  it('404 where no route matches, or none is known yet', () => {
    for (const config of [undefined, routes(route({ match: prefix('/x') }))]) {
      const bed = routerBed(config);
      expectReply(bed.handle(), 404, '', responseFlags.NR, 'route_not_found');
      expect(bed.counter('http.ingress.no_route')).to.equal(1);
      expect(bed.counter('http.ingress.rq_total')).to.equal(1);
    }
  });

  it('an unknown cluster has the configured status', () => {
    for (const status of [503, 404, 500] as const) {
      const action = forward({ cluster: { kind: 'cluster', name: 'nobody' }, clusterNotFoundStatus: status });
      const bed = routerBed(routes(route({ action })));
      const stream = bed.handle();
      expectReply(stream, status, '', responseFlags.NC, 'cluster_not_found');
      expect(stream.info.upstreamCluster).to.equal(undefined);
      expect(bed.counter('http.ingress.no_cluster')).to.equal(1);
    }
  });

  it('parked and warming clusters say so', () => {
    for (const [name, body] of [
      ['parked', 'upstream cluster is parked: this proxy does not run it'],
      ['warming', 'upstream cluster is warming'],
    ] as const) {
      const stream = routerBed(routes(route({ action: forward({ cluster: { kind: 'cluster', name } }) }))).handle();
      expectReply(stream, 503, body, responseFlags.NC, `cluster_${name}`);
      expect(stream.info.upstreamCluster).to.equal(name);
    }
  });

  it('HEAD gets the headers of the body that is left out', () => {
    const stream = routerBed(routes(route({ action: direct(200, 'hello') }))).handle({ ':method': 'HEAD' });
    expect(stream.body).to.equal('');
    expect(stream.ended).to.equal(true);
    expect(plainHeaders(stream.headers)).to.deep.equal({ 'content-length': '5', 'content-type': 'text/plain' });
  });

  it('a gRPC request gets a gRPC status', () => {
    const action = forward({ cluster: { kind: 'cluster', name: 'warming' } });
    const stream = routerBed(routes(route({ action }))).handle({ 'content-type': 'application/grpc+proto' });
    expect(stream.status).to.equal(200);
    expect(plainHeaders(stream.headers)).to.deep.equal({
      'content-type': 'application/grpc',
      'grpc-status': '14',
      'grpc-message': 'upstream cluster is warming',
    });
    expect(stream.body).to.equal('');
  });

  it('CONNECT and upgrades need a route that allows them', () => {
    const upgrade = { connection: 'keep-alive, Upgrade', upgrade: 'websocket' };
    const connect = forward({ connect: { proxyProtocol: undefined } });
    const connectMatch = routeMatch({ path: { kind: 'connect' } });
    const cases: [string, Partial<Route>, Record<string, string>, number][] = [
      ['websocket', {}, upgrade, 403],
      ['websocket on connect_config', { action: connect }, upgrade, 403],
      ['upgrade without connection: upgrade', { action: direct(200) }, { upgrade: 'websocket' }, 200],
      ['CONNECT', { match: connectMatch }, { ':method': 'CONNECT' }, 403],
      ['extended CONNECT', { action: connect }, { ':method': 'CONNECT', ':protocol': 'websocket' }, 403],
      ['CONNECT, no route', { match: prefix('/x') }, { ':method': 'CONNECT' }, 404],
    ];
    for (const [name, fields, headers, status] of cases) {
      expect(routerBed(routes(route(fields))).handle(headers).status, name).to.equal(status);
    }
    const bed = routerBed(routes(route({ match: connectMatch, action: connect })));
    bed.handle({ ':method': 'CONNECT' }, false);
    expect(bed.exchanges).to.have.length(1);
  });
});

describe('router: direct responses and redirects', () => {
  it('sends the body, and a location with 201', () => {
    const bed = routerBed(routes(route({ action: direct(201, 'hello') })));
    const stream = bed.handle({ ':path': '/p?q=1' });
    expectReply(stream, 201, 'hello', 0, 'direct_response');
    expect(stream.headers?.get('location')).to.equal('http://example.com/p?q=1');
    expect(bed.counter('http.ingress.rq_direct_response')).to.equal(1);
  });

  const path = (value: string): RedirectAction['path'] => ({ kind: 'path', value });
  const cases: [string, Partial<RedirectAction>, Record<string, string>, string][] = [
    ['https', { scheme: { kind: 'https' } }, {}, 'https://example.com/a?q=1'],
    ['https drops port 80', { scheme: { kind: 'https' } }, { ':authority': 'e.com:80' }, 'https://e.com/a?q=1'],
    [
      'https keeps port 8080',
      { scheme: { kind: 'https' } },
      { ':authority': 'e.com:8080' },
      'https://e.com:8080/a?q=1',
    ],
    ['an IPv6 address and port 80', { scheme: { kind: 'https' } }, { ':authority': '[::1]:80' }, 'https://[::1]/a?q=1'],
    ['an IPv6 address', { scheme: { kind: 'https' } }, { ':authority': '[::1]' }, 'https://[::1]/a?q=1'],
    ['scheme', { scheme: { kind: 'scheme', value: 'ftp' } }, {}, 'ftp://example.com/a?q=1'],
    ['host', { host: 'h.com' }, { ':authority': 'e.com:80' }, 'http://h.com/a?q=1'],
    ['port', { port: 81 }, { ':authority': 'e.com:80' }, 'http://e.com:81/a?q=1'],
    ['host and port', { host: 'h.com', port: 81 }, {}, 'http://h.com:81/a?q=1'],
    ['path', { path: path('/new') }, {}, 'http://example.com/new?q=1'],
    ['path with its own query', { path: path('/new?x'), stripQuery: true }, {}, 'http://example.com/new?x'],
    ['path, query stripped', { path: path('/new'), stripQuery: true }, {}, 'http://example.com/new'],
    ['path without slash', { path: path('new') }, {}, 'http://example.com/new?q=1'],
    ['prefix', { path: { kind: 'prefix_rewrite', value: '/b/' } }, {}, 'http://example.com/b/a?q=1'],
    [
      'regex',
      { path: { kind: 'regex_rewrite', pattern: '^/(.)', substitution: '/x/\\1' } },
      {},
      'http://example.com/x/a?q=1',
    ],
    ['strip_query', { stripQuery: true }, {}, 'http://example.com/a'],
  ];
  for (const [name, fields, headers, location] of cases) {
    it(name, () => {
      const bed = routerBed(routes(route({ action: redirect({ status: 302, ...fields }) })));
      const stream = bed.handle({ ':path': '/a?q=1', ...headers });
      expectReply(stream, 302, '', 0, 'direct_response');
      expect(stream.headers?.get('location')).to.equal(location);
    });
  }

  it('require_tls is a 301 to the same URL', () => {
    const stream = routerBed(routeConfig({ virtualHosts: [virtualHost({ requireTls: 'ALL' })] })).handle({
      ':path': '/a?b',
    });
    expectReply(stream, 301, '', 0, 'direct_response');
    expect(stream.headers?.get('location')).to.equal('https://example.com/a?b');
  });
});

describe('router: what the server sees', () => {
  const seen = (
    action: Parameters<typeof forward>[0],
    headers: Record<string, string> = {},
    fields: Partial<Route> = {},
  ) => {
    const bed = routerBed(routes(route({ action: forward(action), ...fields })));
    bed.handle(headers);
    const given = bed.exchanges[0]?.options.requestHeaders as HeaderMap;
    return { path: given.get(':path'), host: given.get(':authority'), ...plainHeaders(given) };
  };

  it('prefix_rewrite keeps the query and the original path', () => {
    const headers = seen({ prefixRewrite: '/new' }, { ':path': '/old/x?q' }, { match: prefix('/old') });
    expect(headers).to.include({ path: '/new/x?q', 'x-envoy-original-path': '/old/x?q' });
  });

  it('a prefix route of any case is rewritten by its length', () => {
    const match = routeMatch({ path: { kind: 'path_separated_prefix', value: '/old', caseSensitive: false } });
    expect(seen({ prefixRewrite: '/new' }, { ':path': '/OLD/x' }, { match }).path).to.equal('/new/x');
  });

  it('prefix_rewrite of a regex route replaces the whole path', () => {
    const match = routeMatch({ path: { kind: 'safe_regex', pattern: '/.*' } });
    expect(seen({ prefixRewrite: '/new' }, { ':path': '/old/x?q' }, { match }).path).to.equal('/new?q');
  });

  it('regex_rewrite leaves the query alone', () => {
    const regexRewrite = { pattern: 'o(.)', substitution: '[\\1\\\\\\0]' };
    expect(seen({ regexRewrite }, { ':path': '/old/of?od' }).path).to.equal('/[l\\ol]d/[f\\of]?od');
  });

  it('host_rewrite keeps the original host', () => {
    expect(seen({ hostRewrite: 'inner' })).to.include({ host: 'inner', 'x-envoy-original-host': 'example.com' });
  });

  it('suppress_envoy_headers leaves all of Envoy’s own out', () => {
    const action = forward({ prefixRewrite: '/new/', hostRewrite: 'inner' });
    const bed = routerBed(routes(route({ action })), { suppressEnvoyHeaders: true });
    const stream = bed.handle();
    const exchange = bed.exchanges[0] as ScriptedExchange;
    exchange.options.callbacks.onHeaders(ok(), true);
    const names = [
      ...Object.keys(plainHeaders(exchange.options.requestHeaders)),
      ...Object.keys(plainHeaders(stream.headers)),
    ];
    expect(names.filter((name) => name.startsWith('x-envoy'))).to.deep.equal([]);
  });

  it('tells the timeout, and takes the router’s headers out', () => {
    expect(seen({ timeoutMs: 700 })).to.include({ 'x-envoy-expected-rq-timeout-ms': '700' });
    expect(seen({ timeoutMs: 0 })).not.to.have.property('x-envoy-expected-rq-timeout-ms');
    const headers = seen(
      {},
      { 'x-envoy-upstream-rq-timeout-ms': '30', 'x-envoy-retry-on': '5xx', 'x-envoy-max-retries': '9' },
    );
    expect(headers).to.include({ 'x-envoy-expected-rq-timeout-ms': '30' });
    expect(headers).not.to.have.any.keys('x-envoy-upstream-rq-timeout-ms', 'x-envoy-retry-on', 'x-envoy-max-retries');
    expect(seen({}, { 'x-envoy-upstream-rq-timeout-ms': 'soon' })).to.include({
      'x-envoy-expected-rq-timeout-ms': '15000',
    });
  });

  it('changes headers at route, then virtual host, then configuration level', () => {
    const add = (value: string, action: HeaderMutations['add'][number]['action'], name = 'x-a'): HeaderMutations => ({
      add: [{ name, value, action }],
      remove: [],
    });
    const levels = (r: HeaderMutations, v: HeaderMutations, c: HeaderMutations): string[] => {
      const config = routeConfig({
        requestHeaders: c,
        virtualHosts: [virtualHost({ requestHeaders: v, routes: [route({ requestHeaders: r })] })],
      });
      const bed = routerBed(config);
      bed.handle({ 'x-a': '0' });
      return bed.exchanges[0]?.options.requestHeaders.values('x-a') ?? [];
    };
    const append = (value: string) => add(value, 'append');
    expect(levels(append('r'), append('v'), append('c'))).to.deep.equal(['0', 'r', 'v', 'c']);
    expect(levels(append('r'), add('v', 'overwrite'), add('c', 'add_if_absent'))).to.deep.equal(['v']);
    const remove: HeaderMutations = { add: [], remove: ['X-A'] };
    expect(levels(remove, add('v', 'overwrite_if_exists'), add('c', 'add_if_absent'))).to.deep.equal(['c']);
    expect(levels({ ...append('r'), remove: ['x-a'] }, add('v', 'overwrite_if_exists'), remove)).to.deep.equal([]);
    expect(levels(add('h', 'overwrite', 'Host'), append('v'), append('c'))).to.deep.equal(['0', 'v', 'c']);
  });

  it('chooses weighted clusters by their share, and a cluster by header', () => {
    const clusters = ['echo', 'other'].map((name, i) => ({ name, weight: i === 0 ? 1 : 3 }));
    for (const [random, wanted] of [
      [0, 'echo'],
      [0.249, 'echo'],
      [0.25, 'other'],
      [0.999, 'other'],
    ] as const) {
      const bed = routerBed(routes(route({ action: forward({ cluster: { kind: 'weighted', clusters } }) })), {
        random: () => random,
      });
      expect(bed.handle().info.upstreamCluster).to.equal(wanted);
    }
    const bed = routerBed(routes(route({ action: forward({ cluster: { kind: 'cluster_header', header: 'X-To' } }) })));
    expect(bed.handle({ 'x-to': 'other' }).info.upstreamCluster).to.equal('other');
    expect(bed.handle().info.responseCodeDetails).to.equal('cluster_not_found');
  });

  it('bounds buffering by route, virtual host, listener, or 16 MiB', () => {
    const limit = (r: number | undefined, v: number | undefined, listener: number): number | undefined => {
      const vhost = virtualHost({ requestBufferLimitBytes: v, routes: [route({ requestBufferLimitBytes: r })] });
      const bed = routerBed(routeConfig({ virtualHosts: [vhost] }), { listenerBufferLimitBytes: listener });
      bed.handle();
      return bed.exchanges[0]?.options.requestBufferLimit;
    };
    expect([
      limit(0, 2, 3),
      limit(undefined, 2, 3),
      limit(undefined, undefined, 3),
      limit(undefined, undefined, 0),
    ]).to.deep.equal([0, 2, 3, 16 * 1024 * 1024]);
  });

  it('passes on what the exchange needs, and the PROXY protocol header on any method', () => {
    const { exchange, stream } = started(
      forward({ priority: 'high', idleTimeoutMs: 5, connect: { proxyProtocol: 'V1' } }),
      false,
      { name: 'named' },
    );
    const { options } = exchange;
    expect(options).to.include({ priority: 'high', routeName: 'routes', requestEndStream: false, info: stream.info });
    expect(String(options.preface)).to.equal('PROXY TCP4 192.0.2.7 192.0.2.1 40000 10000\r\n');
    expect(stream.idleTimeoutMs).to.equal(5);
    expect(stream.info).to.include({
      routeName: 'named',
      virtualHost: 'vhost',
      upstreamCluster: 'echo',
      upstreamAttempts: 1,
    });
  });
});

describe('router: an exchange', () => {
  it('streams both ways, counts, and measures', () => {
    const { stream, exchange, callbacks, clock, counter } = started(forward(), false);
    stream.handler?.onData(Buffer.from('ab'), false);
    clock.advance(100);
    stream.handler?.onData(Buffer.from('c'), true);
    expect(exchange.received).to.equal('abc');
    expect(exchange.requestEnded).to.equal(true);
    clock.advance(7);
    callbacks.onHeaders(new HeaderMap([':status', '201', 'x-a', '1']), false);
    expect(plainHeaders(stream.headers)).to.deep.equal({ 'x-a': '1', 'x-envoy-upstream-service-time': '7' });
    stream.writable = false;
    expect(callbacks.onData(text, false)).to.equal(false);
    stream.handler?.onWritable();
    expect(exchange.writable).to.equal(1);
    callbacks.onData(text, true);
    expect(stream.body).to.equal('hellohello');
    expect(stream.info).to.include({ responseCode: 201, responseCodeDetails: 'via_upstream', responseFlags: 0 });
    for (const name of ['upstream_rq_completed', 'upstream_rq_2xx', 'upstream_rq_201', 'external.upstream_rq_201']) {
      expect(counter(`cluster.echo.${name}`), name).to.equal(1);
    }
    expect(exchange.host?.stats).to.include({ rqSuccess: 1, rqError: 0 });
    expect(clock.pending).to.equal(0);
    expect(exchange.cancelled).to.equal(0);
  });

  it('a response before the whole request has no service time, and the rest goes nowhere', () => {
    const { stream, exchange, callbacks } = started(forward(), false);
    callbacks.onHeaders(ok(), true);
    expect(stream.headers?.has('x-envoy-upstream-service-time')).to.equal(false);
    stream.handler?.onData(text, true);
    expect(exchange.received).to.equal('');
  });

  it('puts the route’s response headers on responses and on its own replies', () => {
    const responseHeaders: HeaderMutations = {
      add: [{ name: 'x-r', value: '1', action: 'append' }],
      remove: ['x-gone'],
    };
    const answered = started(forward(), true, { responseHeaders });
    answered.callbacks.onHeaders(new HeaderMap([':status', '200', 'x-gone', '1']), true);
    expect(plainHeaders(answered.stream.headers)).to.include({ 'x-r': '1' }).and.not.have.property('x-gone');
    const failed = started(forward(), true, { responseHeaders });
    failed.callbacks.onFailure({ kind: 'upstream_closed', reason: 'ECONNRESET' });
    expect(plainHeaders(failed.stream.headers)).to.include({ 'x-r': '1' });
    // The stream's own replies: timeouts, a broken body.
    const idle = started(forward(), true, { responseHeaders });
    sendLocalReply(idle.stream, { status: 504, body: '', flags: 0, details: 'stream_idle_timeout' });
    expect(plainHeaders(idle.stream.headers)).to.include({ 'x-r': '1' });
  });

  it('passes backpressure on to the client', () => {
    const { stream, callbacks } = started(forward(), false);
    callbacks.pauseRequest();
    expect(stream.pauses).to.equal(1);
    callbacks.resumeRequest();
    expect(stream.pauses).to.equal(0);
  });

  it('a plugin’s own reply is the upstream’s, with its length', () => {
    for (const [method, status, headers, body] of [
      ['GET', 418, { 'content-length': '5' }, 'hello'],
      ['HEAD', 200, { 'content-length': '5' }, 'hello'],
      ['GET', 204, {}, ''],
    ] as const) {
      const bed = routerBed(routes(route()), { suppressEnvoyHeaders: true });
      const stream = bed.handle({ ':method': method });
      bed.exchanges[0]?.options.callbacks.onLocalReply(status, Buffer.from(body), new HeaderMap(['x-p', '1']));
      expect(stream.status).to.equal(status);
      expect(stream.body).to.equal(method === 'HEAD' ? '' : body);
      expect(stream.ended).to.equal(true);
      expect(plainHeaders(stream.headers)).to.deep.equal({ 'x-p': '1', ...headers });
      expect(bed.counter(`cluster.echo.upstream_rq_${status}`)).to.equal(1);
    }
  });

  it('the timeout begins with the end of the request', () => {
    const { stream, exchange, clock, counter } = started(forward({ timeoutMs: 50 }), false);
    clock.advance(1000);
    expect(stream.headers).to.equal(undefined);
    stream.handler?.onData(text, true);
    clock.advance(49);
    expect(stream.headers).to.equal(undefined);
    clock.advance(1);
    expectReply(stream, 504, 'upstream request timeout', responseFlags.UT, 'response_timeout');
    expect(exchange.cancelled).to.equal(1);
    expect(counter('cluster.echo.upstream_rq_timeout')).to.equal(1);
    expect(counter('cluster.echo.upstream_rq_504')).to.equal(1);
    expect(exchange.host?.stats).to.include({ rqTimeout: 1, rqError: 1 });
  });

  it('a timeout in the middle of the response resets the stream', () => {
    const { stream, exchange, callbacks, clock } = started(forward({ timeoutMs: 50 }));
    callbacks.onHeaders(ok(), false);
    clock.advance(50);
    expect(stream.resetReason).to.equal('local_reset');
    expect(stream.info).to.include({
      responseCode: 200,
      responseFlags: responseFlags.UT,
      responseCodeDetails: 'response_timeout',
    });
    expect(exchange.cancelled).to.equal(1);
  });

  it('a client may ask for 204 at a timeout; no timeout means none', () => {
    const bed = routerBed(routes(route({ action: forward({ timeoutMs: 5 }) })));
    const stream = bed.handle({ 'x-envoy-upstream-rq-timeout-alt-response': '1' });
    bed.clock.advance(5);
    expectReply(stream, 204, '', responseFlags.UT, 'response_timeout');
    expect(started(forward({ timeoutMs: 0 })).clock.pending).to.equal(0);
  });

  it('a client that goes away cancels the exchange, before and after headers', () => {
    for (const early of [true, false]) {
      const { stream, exchange, callbacks, clock } = started();
      if (!early) callbacks.onHeaders(ok(), false);
      stream.handler?.onReset('downstream_closed');
      expect(exchange.cancelled).to.equal(1);
      expect(clock.pending).to.equal(0);
    }
  });

  it('ends once, whatever comes later', () => {
    const { stream, exchange, callbacks, clock } = started();
    callbacks.onHeaders(ok(), true);
    callbacks.onHeaders(ok(), true);
    callbacks.onData(text, true);
    callbacks.onFailure({ kind: 'request_too_large' });
    stream.handler?.onReset('downstream_closed');
    clock.advance(1_000_000);
    expect(exchange.cancelled).to.equal(0);
    expect(stream.info.responseFlags).to.equal(0);
  });
});

describe('router: failures', () => {
  const { UH, UO, UF, UC, UPE, LR } = responseFlags;
  const before = 'upstream connect error or disconnect/reset before headers. reset reason: ';
  const early = 'upstream_reset_before_response_started';
  const host = testHost();
  const pool = (failure: Extract<ExchangeFailure, { kind: 'pool' }>['failure']): ExchangeFailure => ({
    kind: 'pool',
    failure,
  });
  const cases: [string, ExchangeFailure, number, string, number, string][] = [
    ['no host', pool({ kind: 'no_healthy_upstream' }), 503, 'no healthy upstream', UH, 'no_healthy_upstream'],
    ['cluster removed', pool({ kind: 'cluster_removed' }), 503, 'no healthy upstream', UH, 'no_healthy_upstream'],
    ['overflow', pool({ kind: 'overflow', host }), 503, `${before}overflow`, UO, `${early}{overflow}`],
    [
      'refused',
      pool({ kind: 'connect_failure', host, reason: 'connect ECONNREFUSED' }),
      503,
      `${before}remote connection failure`,
      UF,
      `${early}{remote_connection_failure|delayed_connect_error:_connect_Connection_refused}`,
    ],
    [
      'connect timeout',
      pool({ kind: 'connect_timeout', host }),
      503,
      `${before}connection timeout`,
      UF,
      `${early}{connection_timeout}`,
    ],
    [
      'closed',
      { kind: 'upstream_closed', reason: 'x' },
      503,
      `${before}connection termination`,
      UC,
      `${early}{connection_termination}`,
    ],
    [
      'protocol error',
      { kind: 'protocol_error', reason: 'protocol error: x' },
      502,
      `${before}protocol error`,
      UPE,
      `${early}{protocol_error}`,
    ],
    [
      'plugin error',
      { kind: 'plugin_error', plugin: 'p', error: new Error('secret') },
      500,
      'error happened in golang http-tcp bridge\r\n',
      0,
      'bridge_plugin_error',
    ],
    ['request too large', { kind: 'request_too_large' }, 413, 'Payload Too Large', 0, 'request_payload_too_large'],
    [
      'response too large',
      { kind: 'response_too_large' },
      502,
      `${before}protocol error`,
      UPE,
      `${early}{protocol_error|response_too_large_for_the_bridge_to_buffer}`,
    ],
    [
      'drained',
      { kind: 'drain_timeout' },
      503,
      `${before}local reset`,
      LR,
      `${early}{local_reset|drain_time_of_the_replaced_cluster_is_over}`,
    ],
  ];
  for (const [name, failure, status, body, flags, details] of cases) {
    it(`${name}: ${status} before headers, a reset after`, () => {
      const first = started();
      first.callbacks.onFailure(failure);
      expectReply(first.stream, status, body, flags, details);
      expect(first.counter(`cluster.echo.upstream_rq_${status}`)).to.equal(status === 413 ? 0 : 1);
      expect(first.stream.headers?.get('x-envoy-overloaded')).to.equal(name === 'overflow' ? 'true' : undefined);
      expect(first.clock.pending).to.equal(0);
      const late = started();
      late.callbacks.onHeaders(ok(), false);
      late.callbacks.onFailure(failure);
      expect(late.stream.resetReason).to.equal(name === 'drained' ? 'draining' : 'local_reset');
      expect(late.stream.info.responseCode).to.equal(200);
      expect(late.stream.info.responseFlags).to.equal(name === 'plugin error' ? LR : flags);
      expect(late.stream.info.responseCodeDetails).to.equal(details.replace('before', 'after'));
    });
  }

  it('413 is counted as the client’s', () => {
    const { callbacks, counter, exchange } = started();
    callbacks.onFailure({ kind: 'request_too_large' });
    expect(counter('http.ingress.downstream_rq_too_large')).to.equal(1);
    expect(exchange.host?.stats.rqError).to.equal(0);
  });
});
