import { createServer } from 'node:net';
import { expect } from 'chai';
import { responseFlags } from '../../src/access-log/response-flags.js';
import type { RetryPolicy } from '../../src/model/route.js';
import { eventually, type TestPlugin } from '../bridge/harness.js';
import { type ServerConnection, startTcpServer, type TcpServer } from '../support/tcp-server.js';
import { realBed, type ServerOfBed } from './real-bed.js';
import { forward, type RecordingStream, retryPolicy, route, routeConfig, virtualHost } from './support.js';

/** What a server does with one connection. */
type Act = (connection: ServerConnection, request?: Buffer) => void;
const acts = {
  'resets when it accepts': ({ socket }) => socket.resetAndDestroy(),
  'closes when it accepts': ({ socket }) => socket.destroy(),
  'resets after the request': ({ socket }, data) => data && socket.resetAndDestroy(),
  'closes after the request': ({ socket }, data) => data && socket.end(),
  'resets in the middle of its answer': ({ socket }, data) =>
    data && socket.write('par', () => setTimeout(() => socket.resetAndDestroy(), 5)),
  'closes in the middle of its answer': ({ socket }, data) => data && socket.end('par'),
  'answers 503 at first': (connection, data) =>
    data && connection.socket.write(connection.received().toString().split('.').length > 2 ? '200.' : '503.'),
  'never answers': () => undefined,
  answers: ({ socket }, data) => data && socket.write('200.'),
} satisfies Record<string, Act>;
type ActName = keyof typeof acts;

/** A request is its method and its body up to a full stop; so is an answer, with its status. */
const plugin = (made: { count: number; destroyed: number }): TestPlugin => ({
  createBridge(_config, callbacks) {
    made.count++;
    let shift = 0;
    return {
      encodeHeaders(headers, data, end) {
        const idempotent = headers.get('x-idempotent');
        shift = Number(headers.get('x-shift') ?? 0);
        if (idempotent !== undefined) callbacks.setIdempotent(idempotent === 'true');
        data.set(`${headers.method} ${end ? '.' : ''}`);
        return 0;
      },
      encodeData(buffer, end) {
        const bytes = buffer.bytes();
        for (let i = 0; i < bytes.length; i++) bytes[i] = (bytes[i] as number) + shift;
        if (end) buffer.append('.');
        return 0;
      },
      onUpstreamData(headers, buffer) {
        const answer = buffer.toString();
        if (!answer.endsWith('.')) return 1;
        headers.status = Number(answer.slice(0, 3));
        buffer.reset();
        return 2;
      },
      onDestroy() {
        made.destroyed++;
      },
    };
  },
});

describe('router: retries, with real servers', () => {
  const opened: { close(): Promise<unknown> }[] = [];
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((each) => each.close()));
  });

  /** Does the next of `script` with each connection that comes, and the last for ever. */
  async function serve(...script: ActName[]): Promise<TcpServer> {
    const plan = new Map<ServerConnection, Act>();
    const server = await startTcpServer({
      onConnection(connection) {
        const act: Act = acts[script[Math.min(plan.size, script.length - 1)] as ActName];
        plan.set(connection, act);
        act(connection);
      },
      onData: (connection, data) => {
        if (connection.received().toString().endsWith('.')) plan.get(connection)?.(connection, data);
      },
    });
    opened.push(server);
    return server;
  }

  async function closedPort(): Promise<number> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const bound = server.address();
    await new Promise((resolve) => server.close(resolve));
    return typeof bound === 'object' && bound !== null ? bound.port : 0;
  }

  function setUp(servers: readonly ServerOfBed[], policy: Partial<RetryPolicy>) {
    const action = forward({ retryPolicy: retryPolicy({ numRetries: 2, ...policy }) });
    const host = virtualHost({ routes: [route({ action })], includeRequestAttemptCount: true });
    const made = { count: 0, destroyed: 0 };
    const bed = realBed({ config: routeConfig({ virtualHosts: [host] }), plugin: plugin(made), servers });
    opened.push(bed);
    return { ...bed, made };
  }

  const settled = async (stream: RecordingStream): Promise<string> => {
    await eventually(() => stream.ended || stream.resetReason !== undefined, 'the request ends');
    return `${stream.status} after ${stream.info.upstreamAttempts}`;
  };

  const { UC, URX } = responseFlags;
  const cases: [act: ActName, retryOn: RetryPolicy['retryOn'], expected: string][] = [
    ['resets when it accepts', ['reset'], '200 after 2'],
    ['closes when it accepts', ['reset'], '200 after 2'],
    ['resets after the request', ['reset'], '200 after 2'],
    ['closes after the request', ['reset'], '200 after 2'],
    ['resets in the middle of its answer', ['reset'], '200 after 2'],
    ['closes in the middle of its answer', ['reset'], '200 after 2'],
    ['never answers', ['reset'], '200 after 2'],
    ['answers 503 at first', ['retriable-status-codes'], '200 after 2'],
    ['answers 503 at first', ['reset'], '503 after 1'],
    ['resets after the request', ['reset-before-request'], '503 after 1'],
    ['resets after the request', ['connect-failure'], '503 after 1'],
    ['closes after the request', ['5xx'], '200 after 2'],
    ['never answers', ['connect-failure'], '504 after 1'],
  ];
  for (const [act, retryOn, expected] of cases) {
    it(`a server that ${act}, retry on ${retryOn}: ${expected}`, async () => {
      const server = await serve(act, 'answers');
      const bed = setUp([server], { retryOn, retriableStatusCodes: [503], perTryTimeoutMs: 40 });
      const stream = bed.send({}, false);
      stream.handler?.onData(Buffer.from('body'), true);
      expect(await settled(stream)).to.equal(expected);
      expect(bed.made.destroyed).to.equal(bed.made.count);
      if (!expected.startsWith('200')) return;
      expect(stream.info.responseFlags).to.equal(0);
      expect(server.connections.at(-1)?.received().toString()).to.match(/POST body\.$/);
      expect(bed.counter('upstream_rq_retry_success')).to.equal(1);
      expect(bed.gauge('bridge.test.exchanges_active')).to.equal(0);
    });
  }

  it('what the plugin calls not idempotent is not written twice', async () => {
    for (const [idempotent, expected] of [
      ['true', '200 after 2'],
      ['false', '503 after 1'],
    ] as const) {
      const server = await serve('resets after the request', 'answers');
      const bed = setUp([server], { retryOn: ['reset'] });
      const stream = bed.send({ 'x-idempotent': idempotent });
      expect(await settled(stream)).to.equal(expected);
      if (idempotent === 'false') expect(stream.info.responseFlags).to.equal(UC);
    }
  });

  it('a stale pooled connection is replaced without counting as a retry', async () => {
    const server = await serve('answers');
    const bed = setUp([server], { retryOn: ['reset'] });
    expect(await settled(bed.send({ ':method': 'GET' }))).to.equal('200 after 1');
    const [first] = server.connections;
    const again = bed.send({ ':method': 'GET' });
    await new Promise((resolve) => setImmediate(resolve));
    first?.socket.resetAndDestroy();
    expect(await settled(again)).to.equal('200 after 1');
    expect(bed.counter('upstream_rq_retry')).to.equal(0);
  });

  it('another server takes over where the first refuses', async () => {
    const [down, up] = [await closedPort(), await serve('answers')];
    const bed = setUp([{ port: down }, up], { retryOn: ['connect-failure'] });
    const outcomes = [];
    for (let i = 0; i < 6; i++) outcomes.push(await settled(bed.send()));
    expect(outcomes.filter((outcome) => !outcome.startsWith('200'))).to.deep.equal([]);
    expect(outcomes).to.include('200 after 2');
    const [refusing] = bed.manager.snapshot()[0]?.hosts.filter(({ address }) => address.endsWith(`:${down}`)) ?? [];
    expect(refusing?.stats.rqError).to.equal(bed.counter('upstream_rq_retry'));
    expect(bed.counter('upstream_rq_2xx')).to.equal(6);
  });

  it('servers that were tried are avoided, however many requests they usually get', async () => {
    const [down, up] = [await closedPort(), await serve('answers')];
    const servers = [
      { port: down, weight: 50 },
      { port: up.port, weight: 1 },
    ];
    const retryOn = ['connect-failure'] as const;
    const stubborn = setUp(servers, { retryOn });
    expect(await settled(stubborn.send())).to.equal('503 after 3');
    const clever = setUp(servers, { retryOn, avoidPreviousHosts: true, hostSelectionMaxAttempts: 60 });
    expect(await settled(clever.send())).to.equal('200 after 2');
  });

  it('nothing but refusals: the limit, its flag, and nothing left', async () => {
    const bed = setUp([{ port: await closedPort() }], { retryOn: ['connect-failure'], numRetries: 3 });
    const stream = bed.send();
    expect(await settled(stream)).to.equal('503 after 4');
    expect(stream.info.responseFlags).to.equal(responseFlags.UF | URX);
    expect(bed.counter('upstream_rq_retry')).to.equal(3);
    expect(bed.made.count).to.equal(0);
  });

  it('a body that is still coming is sent again and goes on', async () => {
    const server = await serve('never answers', 'answers');
    const bed = setUp([server], { retryOn: ['reset'] });
    const stream = bed.send({}, false);
    stream.handler?.onData(Buffer.from('one '), false);
    await eventually(() => server.connections[0]?.received().toString() === 'POST one ');
    server.connections[0]?.socket.resetAndDestroy();
    await eventually(() => server.connections[1]?.received().toString() === 'POST one ');
    stream.handler?.onData(Buffer.from('two'), true);
    expect(await settled(stream)).to.equal('200 after 2');
    expect(server.connections[1]?.received().toString()).to.equal('POST one two.');
    expect(stream.pauses).to.equal(0);
  });

  it('a body that the plugin changes in place begins each attempt unchanged', async () => {
    const server = await serve('resets after the request', 'resets after the request', 'answers');
    const bed = setUp([server], { retryOn: ['reset'] });
    const stream = bed.send({ 'x-shift': '1' }, false);
    stream.handler?.onData(Buffer.from('abc'), true);
    expect(await settled(stream)).to.equal('200 after 3');
    const received = server.connections.map((connection) => connection.received().toString());
    expect(received).to.deep.equal(['POST bcd.', 'POST bcd.', 'POST bcd.']);
  });

  it('a retry goes to the version that serves by then, and the old one drains', async () => {
    const [old, next] = [await serve('resets after the request'), await serve('answers')];
    const bed = setUp([old], { retryOn: ['reset'], backOff: { baseMs: 20, maxMs: 20 } });
    const stream = bed.send();
    await eventually(() => (old.connections[0]?.received().length ?? 0) > 0);
    bed.setCluster('2', [next]);
    expect(await settled(stream)).to.equal('200 after 2');
    expect(next.connections).to.have.length(1);
    await eventually(() => bed.manager.snapshot()[0]?.draining === 0, 'the old version is closed');
  });

  it('a client that goes away between attempts leaves nothing behind', async () => {
    const server = await serve('resets after the request');
    const bed = setUp([server], { retryOn: ['reset'], numRetries: 1000 });
    const stream = bed.send();
    await eventually(() => bed.counter('upstream_rq_retry') > 2);
    stream.handler?.onReset('downstream_closed');
    await eventually(() => server.connections.every(({ closed }) => closed), 'all connections are closed');
    expect(bed.gauge('cluster.echo.circuit_breakers.default.remaining_retries')).to.equal(3);
    expect(bed.gauge('bridge.test.exchanges_active')).to.equal(0);
    expect(bed.gauge('cluster.echo.upstream_rq_active')).to.equal(0);
    expect(bed.made.destroyed).to.equal(bed.made.count);
  });
});
