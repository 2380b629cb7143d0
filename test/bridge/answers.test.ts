import { expect } from 'chai';
import type { HttpTcpBridge, HttpTcpBridgeStatus } from '../../src/bridge/api.js';
import { startTcpServer, type TcpServer, type TcpServerHandler } from '../support/tcp-server.js';
import { createHarness, eventually, type Harness, type Sent, type TestRequest, turns } from './harness.js';
import { type BridgeOf, recordingPlugin } from './recording-plugin.js';

interface Case {
  readonly name: string;
  readonly bridge: BridgeOf;
  readonly request?: TestRequest;
  /** What the server answers to its first bytes, or does. */
  readonly server?: string | TcpServerHandler;
  readonly summary: string;
  readonly calls?: readonly string[];
  /** What the server got in the end. */
  readonly received?: string;
  /** Whether the connection goes back to the pool; undefined: not looked at. */
  readonly reused?: boolean;
  readonly maxResponseBuffer?: number;
  /** What the client or the server does once the connection is there. */
  readonly act?: (sent: Sent, server: TcpServer) => void;
}

const get: TestRequest = { method: 'GET' };
const post: TestRequest = { body: ['one', 'two'] };
const end: HttpTcpBridge['onUpstreamData'] = () => 2;
const whole: HttpTcpBridge = { encodeHeaders: () => 1, onUpstreamData: end };
const invalid = (status: unknown): HttpTcpBridgeStatus => status as HttpTcpBridgeStatus;
const fin: TcpServerHandler = { onData: ({ socket }) => void socket.end() };
const answerThenFin: TcpServerHandler = { onData: ({ socket }) => void socket.end('bye') };
const reset: TcpServerHandler = { onData: ({ socket }) => void socket.resetAndDestroy() };

const encodeHeaders: Case[] = [
  {
    name: 'Continue: dataForSet goes to the server at once, the body streams',
    bridge: {
      encodeHeaders: (_h, data) => {
        data.set('head:');
        return 0;
      },
      encodeData: () => 0,
      onUpstreamData: (_h, buffer) => (buffer.toString() === 'ok' ? 2 : 1),
    },
    request: post,
    server: { onData: (c) => void (c.received().toString() === 'head:onetwo' && c.socket.write('ok')) },
    summary: '200 ok',
    received: 'head:onetwo',
    reused: true,
  },
  {
    name: 'no answer at all is Continue',
    bridge: { encodeHeaders: () => undefined, encodeData: () => undefined, onUpstreamData: end },
    request: { body: ['x'] },
    server: 'ok',
    summary: '200 ok',
    calls: ['encodeHeaders', 'encodeData x end', 'onUpstreamData ok', 'onDestroy'],
    reused: true,
  },
  {
    name: 'endOfStream: there is no body, and encodeData is not called',
    bridge: {
      encodeHeaders: (_h, data) => {
        data.set('ping');
        return 0;
      },
      encodeData: () => 0,
      onUpstreamData: end,
    },
    request: get,
    server: 'pong',
    summary: '200 pong',
    calls: ['encodeHeaders end', 'onUpstreamData pong', 'onDestroy'],
    received: 'ping',
    reused: true,
  },
  {
    name: 'StopAndBuffer with endOfStream is Continue',
    bridge: {
      encodeHeaders: (_h, data) => {
        data.set('ping');
        return 1;
      },
      encodeData: () => 0,
      onUpstreamData: end,
    },
    request: get,
    server: 'pong',
    summary: '200 pong',
    calls: ['encodeHeaders end', 'onUpstreamData pong', 'onDestroy'],
    reused: true,
  },
  {
    name: 'StopAndBuffer: dataForSet goes at once, encodeData gets the whole body once',
    bridge: {
      encodeHeaders: (_h, data) => {
        data.set('head:');
        return 1;
      },
      encodeData: (buffer) => {
        buffer.prepend('<');
        buffer.append('>');
        return 0;
      },
      onUpstreamData: (_h, buffer) => (buffer.toString() === 'ok' ? 2 : 1),
    },
    request: post,
    server: { onData: (c) => void (c.received().toString().endsWith('>') && c.socket.write('ok')) },
    summary: '200 ok',
    calls: ['encodeHeaders', 'encodeData onetwo end', 'onUpstreamData ok', 'onDestroy'],
    received: 'head:<onetwo>',
    reused: true,
  },
  {
    name: 'EndStream: a local reply with dataForSet as body; nothing goes to the server',
    bridge: {
      encodeHeaders: (_h, data) => {
        data.set('no');
        return 2;
      },
      encodeData: () => 0,
    },
    request: { ...post, preface: Buffer.from('PROXY') },
    summary: 'local 200 no',
    calls: ['encodeHeaders', 'onDestroy'],
    received: '',
    reused: true,
  },
];

const encodeData: Case[] = [
  {
    name: 'Continue: the buffer as the plugin left it goes to the server',
    bridge: {
      encodeData: (buffer) => {
        buffer.set(buffer.toString().toUpperCase());
        return 0;
      },
      onUpstreamData: (_h, buffer) => (buffer.len() > 0 ? 2 : 1),
    },
    request: { body: ['one', 'two', ''] },
    server: { onData: (c) => void (c.received().toString() === 'ONETWO' && c.socket.write('ok')) },
    summary: '200 ok',
    received: 'ONETWO',
    reused: true,
  },
  {
    name: 'StopAndBuffer in the middle: the piece is kept as the plugin left it, and comes again with all since',
    bridge: {
      encodeHeaders: () => 0,
      encodeData: (buffer, endOfStream) => {
        if (endOfStream) return 0;
        buffer.append('!');
        return 1;
      },
      onUpstreamData: end,
    },
    request: { more: true },
    act({ exchange }) {
      exchange.onRequestData(Buffer.from('one'), false);
      exchange.onRequestData(Buffer.from('two'), false);
      exchange.onRequestData(Buffer.from('three'), true);
    },
    server: 'ok',
    summary: '200 ok',
    calls: ['encodeHeaders', 'encodeData one', 'encodeData one!twothree end', 'onUpstreamData ok', 'onDestroy'],
    received: 'one!twothree',
    reused: true,
  },
  {
    name: 'StopAndBuffer at the end is a plugin error',
    bridge: { encodeData: () => 1 },
    request: { body: ['x'] },
    summary: 'failure plugin_error',
    reused: false,
  },
  {
    name: 'EndStream: a local reply with the buffer as body, and what is set for the response',
    bridge: {
      encodeData: (buffer) => {
        buffer.set('no');
        return 2;
      },
    },
    request: { body: ['x'] },
    summary: 'local 200 no',
    received: '',
    reused: true,
  },
  {
    name: 'EndStream with something written but not all: the connection is closed',
    bridge: {
      encodeHeaders: (_h, data) => {
        data.set('begin');
        return 0;
      },
      encodeData: () => 2,
    },
    request: { body: ['x'] },
    summary: 'local 200 x',
    reused: false,
  },
];

const onUpstreamData: Case[] = [
  {
    name: 'Continue: headers once, the buffer as body; FIN ends the response',
    bridge: { ...whole, onUpstreamData: () => 0 },
    request: get,
    act: (_sent, { connections }) => void connections[0]?.socket.end('bye'),
    summary: '200 bye',
    reused: false,
  },
  {
    name: 'StopAndBuffer: the next call gets everything since, as one buffer',
    bridge: { ...whole, onUpstreamData: (_h, buffer) => (buffer.toString() === 'abc' ? 2 : 1) },
    request: post,
    server: {
      onData: ({ socket }) => {
        socket.write('a');
        setTimeout(() => socket.write('b'), 5);
        setTimeout(() => socket.write('c'), 10);
      },
    },
    summary: '200 abc',
    reused: true,
  },
  {
    name: 'StopAndBuffer keeps the buffer as the plugin left it',
    bridge: {
      ...whole,
      onUpstreamData: (_h, buffer) => {
        if (buffer.toString() === 'a') {
          buffer.set('A');
          return 1;
        }
        return 2;
      },
    },
    request: post,
    server: {
      onData: ({ socket }) => {
        socket.write('a');
        setTimeout(() => socket.write('b'), 5);
      },
    },
    summary: '200 Ab',
    reused: true,
  },
  {
    name: 'EndStream: headers, last body bytes, end',
    bridge: {
      ...whole,
      onUpstreamData: (headers, buffer) => {
        headers.status = 404;
        headers.set('X-Kind', ' test ');
        buffer.drain(1);
        return 2;
      },
    },
    request: post,
    server: 'gone',
    summary: '404 one',
    calls: ['encodeHeaders', 'onUpstreamData gone', 'onDestroy'],
    reused: true,
  },
  {
    name: 'EndStream with an empty buffer: no body',
    bridge: {
      ...whole,
      onUpstreamData: (_h, buffer) => {
        buffer.reset();
        return 2;
      },
    },
    request: post,
    server: 'gone',
    summary: '200 ',
    reused: true,
  },
  {
    name: 'FIN with StopAndBuffer: the server cut the frame short',
    bridge: { ...whole, onUpstreamData: () => 1 },
    request: post,
    server: answerThenFin,
    summary: 'failure upstream_closed',
    reused: false,
  },
  {
    name: 'FIN with EndStream ends the response; the connection is not used again',
    bridge: { ...whole, onUpstreamData: (_h, _b, endOfStream) => (endOfStream ? 2 : 1) },
    request: post,
    server: answerThenFin,
    summary: '200 bye',
    reused: false,
  },
  {
    name: 'FIN without a byte and Continue: an empty response',
    bridge: { ...whole, onUpstreamData: () => 0 },
    request: post,
    server: fin,
    summary: '200 ',
    calls: ['encodeHeaders', 'onUpstreamData  end', 'onDestroy'],
    reused: false,
  },
  {
    name: 'a missing call passes through',
    bridge: {},
    request: post,
    server: answerThenFin,
    summary: '200 bye',
    received: 'onetwo',
    reused: false,
  },
  {
    name: 'the response is over before the request: the rest is not delivered, the connection is closed',
    bridge: { encodeData: () => 0, onUpstreamData: end },
    request: { body: ['begin'], more: true },
    server: 'enough',
    summary: '200 enough',
    reused: false,
  },
  {
    name: 'StopAndBuffer over the bound',
    bridge: { ...whole, onUpstreamData: () => 1 },
    request: post,
    server: 'longer than ten bytes',
    maxResponseBuffer: 10,
    summary: 'failure response_too_large',
    reused: false,
  },
  {
    name: 'StopAndBuffer over the bound when headers are out: a reset',
    bridge: { ...whole, onUpstreamData: (_h, buffer) => (buffer.len() === 1 ? 0 : 1) },
    request: post,
    server: {
      onData: ({ socket }) => {
        socket.write('a');
        setTimeout(() => socket.write('longer than ten bytes'), 5);
      },
    },
    maxResponseBuffer: 10,
    summary: 'reset after 200 a (response_too_large)',
    reused: false,
  },
  {
    name: 'the connection is reset: a failure',
    bridge: whole,
    request: post,
    server: reset,
    summary: 'failure upstream_closed',
    calls: ['encodeHeaders', 'onDestroy'],
    reused: false,
  },
];

const pluginErrors: Case[] = [
  ...['encodeHeaders', 'encodeData', 'onUpstreamData'].map(
    (call): Case => ({
      name: `${call} throws`,
      bridge: {
        ...whole,
        [call]: () => {
          throw new Error('on purpose');
        },
      },
      request: post,
      server: 'ok',
      summary: 'failure plugin_error',
      reused: false,
    }),
  ),
  ...[3, -1, 0.5, Number.NaN, '1', null, true, {}, 1n].map(
    (status): Case => ({
      name: `a status that is none: ${typeof status} ${String(status)}`,
      bridge: { ...whole, encodeData: () => invalid(status) },
      request: post,
      summary: 'failure plugin_error',
      received: '',
      reused: false,
    }),
  ),
  {
    name: 'an async function',
    bridge: { encodeHeaders: (async () => Promise.reject(new Error('unheard'))) as never },
    request: get,
    summary: 'failure plugin_error',
    reused: false,
  },
  {
    name: 'a thenable whose getter throws',
    bridge: {
      encodeHeaders: () =>
        invalid(
          Object.defineProperty({}, 'then', {
            get() {
              throw new Error('hostile');
            },
          }),
        ),
    },
    request: get,
    summary: 'failure plugin_error',
    reused: false,
  },
  {
    name: 'createBridge throws',
    bridge: () => {
      throw new Error('on purpose');
    },
    request: get,
    summary: 'failure plugin_error',
    calls: [],
    reused: false,
  },
  {
    name: 'an error when headers are out: a reset',
    bridge: {
      ...whole,
      onUpstreamData: (headers, buffer) => {
        if (buffer.toString() === 'a') return 0;
        headers.set('too', 'late');
        return 0;
      },
    },
    request: post,
    server: {
      onData: ({ socket }) => {
        socket.write('a');
        setTimeout(() => socket.write('b'), 5);
      },
    },
    summary: 'reset after 200 a (plugin_error)',
    reused: false,
  },
  {
    name: 'onDestroy throws: counted, and nothing else',
    bridge: {
      ...whole,
      onDestroy: () => {
        throw new Error('on purpose');
      },
    },
    request: post,
    server: 'ok',
    summary: '200 ok',
    reused: true,
  },
];

const localReplies: Case[] = [
  ...(['encodeHeaders', 'encodeData', 'onUpstreamData'] as const).map(
    (call): Case => ({
      name: `sendLocalReply in ${call}; the status is ignored`,
      bridge: (callbacks) => ({
        ...whole,
        [call]: (...args: unknown[]) => {
          callbacks.sendLocalReply(418, 'teapot', { 'X-Kind': ['a', 'b'], 'content-length': '99' });
          const buffer = args.at(-2) as { reset(): void };
          buffer.reset();
          return invalid(call === 'encodeData' ? 1 : 9);
        },
      }),
      request: post,
      server: 'ok',
      summary: 'local 418 teapot',
      reused: true,
    }),
  ),
  {
    name: 'sendLocalReply in createBridge',
    bridge: (callbacks) => {
      callbacks.sendLocalReply(503, 'not now');
      return whole;
    },
    request: post,
    summary: 'local 503 not now',
    calls: ['onDestroy'],
    received: '',
    reused: true,
  },
  {
    name: 'sendLocalReply that leaves bytes unread: the connection is closed',
    bridge: (callbacks) => ({
      ...whole,
      onUpstreamData: () => {
        callbacks.sendLocalReply(502, 'bad frame');
        return 0;
      },
    }),
    request: post,
    server: 'ok',
    summary: 'local 502 bad frame',
    reused: false,
  },
  {
    name: 'sendLocalReply when headers are out is a plugin error',
    bridge: (callbacks) => ({
      ...whole,
      onUpstreamData: (_h, buffer) => {
        if (buffer.toString() === 'a') return 0;
        callbacks.sendLocalReply(500, 'too late');
        return 0;
      },
    }),
    request: post,
    server: {
      onData: ({ socket }) => {
        socket.write('a');
        setTimeout(() => socket.write('b'), 5);
      },
    },
    summary: 'reset after 200 a (plugin_error)',
    reused: false,
  },
  ...[100, 199, 600, 200.5, '200'].map(
    (status): Case => ({
      name: `sendLocalReply(${JSON.stringify(status)}) is a plugin error`,
      bridge: (callbacks) => ({
        encodeHeaders: () => {
          callbacks.sendLocalReply(status as number, '');
          return 0;
        },
      }),
      request: get,
      summary: 'failure plugin_error',
      reused: false,
    }),
  ),
];

function headerCase(name: string, set: HttpTcpBridge['onUpstreamData'], summary: string, request = post): Case {
  return {
    name,
    bridge: {
      ...whole,
      onUpstreamData(headers, buffer, endOfStream) {
        set?.(headers, buffer, endOfStream);
        return 2;
      },
    },
    request,
    server: 'body',
    summary,
    reused: !summary.includes('plugin_error'),
  };
}

const headers: Case[] = [
  ...['a\r\nb', 'a\nb', 'a\0b', 'a\x7fb', 'Ā'].map((value) =>
    headerCase(
      `a value with forbidden bytes: ${JSON.stringify(value)}`,
      (h) => void h.set('x', value),
      'failure plugin_error',
    ),
  ),
  ...['', 'a b', 'a:b', ':path', 'a\r\nb', 'é'].map((name) =>
    headerCase(`a forbidden name: ${JSON.stringify(name)}`, (h) => void h.add(name, 'x'), 'failure plugin_error'),
  ),
  ...[199, 600, 99, 1000, Number.NaN].map((status) =>
    headerCase(
      `:status ${status}`,
      (h) => {
        h.status = status;
      },
      'failure plugin_error',
    ),
  ),
  headerCase(':status as text', (h) => void h.set(':status', '599'), '599 body'),
  headerCase(':status that is no number', (h) => void h.set(':status', '2xx'), 'failure plugin_error'),
  headerCase('content-length that is right', (h) => void h.set('content-length', '4'), '200 body'),
  headerCase('content-length that is no length', (h) => void h.set('content-length', '4x'), 'failure plugin_error'),
  headerCase(
    'two different content-lengths',
    (h) => {
      h.add('content-length', '4');
      h.add('content-length', '5');
    },
    'failure plugin_error',
  ),
  headerCase(
    'a body shorter than content-length',
    (h) => void h.set('content-length', '5'),
    'reset after 200  (plugin_error)',
  ),
  headerCase(
    'a body longer than content-length',
    (h) => void h.set('content-length', '3'),
    'reset after 200  (plugin_error)',
  ),
  headerCase('HEAD: no body, and content-length stays', (h) => void h.set('content-length', '99'), '200 ', {
    ...post,
    method: 'HEAD',
  }),
  headerCase(
    '204: no body',
    (h) => {
      h.status = 204;
    },
    '204 ',
  ),
  headerCase(
    '304: no body',
    (h) => {
      h.status = 304;
    },
    '304 ',
  ),
];

const halfClose: Case[] = [
  {
    name: 'the switch closes our side with the write that ends the request',
    bridge: (callbacks) => ({
      encodeHeaders: () => {
        callbacks.setSelfHalfCloseForUpstreamConn(true);
        return 0;
      },
      onUpstreamData: () => 0,
    }),
    request: post,
    server: { onEnd: ({ socket }) => void socket.end('answer') },
    summary: '200 answer',
    received: 'onetwo',
    reused: false,
  },
  {
    name: 'also when that write is empty',
    bridge: (callbacks) => ({
      encodeData: (_b, endOfStream) => {
        if (endOfStream) callbacks.setSelfHalfCloseForUpstreamConn(true);
        return 0;
      },
      onUpstreamData: () => 0,
    }),
    request: { body: ['one', ''] },
    server: { onEnd: ({ socket }) => void socket.end('answer') },
    summary: '200 answer',
    received: 'one',
    reused: false,
  },
  {
    name: 'also for a request without a body',
    bridge: (callbacks) => {
      callbacks.setSelfHalfCloseForUpstreamConn(true);
      return { onUpstreamData: () => 0 };
    },
    request: get,
    server: { onEnd: ({ socket }) => void socket.end('answer') },
    summary: '200 answer',
    received: '',
    reused: false,
  },
  {
    name: 'also with StopAndBuffer',
    bridge: (callbacks) => {
      callbacks.setSelfHalfCloseForUpstreamConn(true);
      return { encodeHeaders: () => 1, onUpstreamData: () => 0 };
    },
    request: post,
    server: { onEnd: ({ socket }) => void socket.end('answer') },
    summary: '200 answer',
    received: 'onetwo',
    reused: false,
  },
  {
    name: 'switched off again before that write',
    bridge: (callbacks) => {
      callbacks.setSelfHalfCloseForUpstreamConn(true);
      return {
        encodeData: () => {
          callbacks.setSelfHalfCloseForUpstreamConn(false);
          return 0;
        },
        onUpstreamData: end,
      };
    },
    request: { body: ['x'] },
    server: 'ok',
    summary: '200 ok',
    reused: true,
  },
  {
    name: 'switched on after that write: the connection is not used again',
    bridge: (callbacks) => ({
      ...whole,
      onUpstreamData: () => {
        callbacks.setSelfHalfCloseForUpstreamConn(true);
        return 2;
      },
    }),
    request: post,
    server: 'ok',
    summary: '200 ok',
    reused: false,
  },
];

const bounds: Case[] = [
  {
    name: 'a whole body over the limit',
    bridge: whole,
    request: { body: ['12345', '67890', 'x'], requestBufferLimit: 10 },
    summary: 'failure request_too_large',
    calls: ['encodeHeaders', 'onDestroy'],
    received: '',
    reused: false,
  },
  {
    name: 'a whole body at the limit',
    bridge: whole,
    request: { body: ['12345', '67890'], requestBufferLimit: 10 },
    server: 'ok',
    summary: '200 ok',
    reused: true,
  },
  {
    name: 'a body that is kept by encodeData, over the limit',
    bridge: { encodeData: (_b, endOfStream) => (endOfStream ? 0 : 1) },
    request: { body: ['12345678901'], more: true, requestBufferLimit: 10 },
    summary: 'failure request_too_large',
    reused: false,
  },
  {
    name: 'a streamed body has no limit',
    bridge: { encodeData: () => 0, onUpstreamData: end },
    request: { body: ['12345678901'], requestBufferLimit: 10 },
    server: 'ok',
    summary: '200 ok',
    reused: true,
  },
];

const preface: Case[] = [
  {
    name: 'comes before dataForSet',
    bridge: {
      encodeHeaders: (_h, data) => {
        data.set('ping');
        return 0;
      },
      onUpstreamData: end,
    },
    request: { ...get, preface: Buffer.from('PROXY ') },
    server: { onData: (c) => void (c.received().toString() === 'PROXY ping' && c.socket.write('ok')) },
    summary: '200 ok',
    received: 'PROXY ping',
    reused: false,
  },
  {
    name: 'goes out although there is nothing else to write',
    bridge: { onUpstreamData: end },
    request: { ...get, preface: Buffer.from('PROXY ') },
    server: 'ok',
    summary: '200 ok',
    received: 'PROXY ',
  },
];

const tables: Record<string, Case[]> = {
  encodeHeaders,
  encodeData,
  onUpstreamData,
  'plugin errors': pluginErrors,
  'local replies': localReplies,
  'response headers': headers,
  'half-close': halfClose,
  'hard bounds': bounds,
  'PROXY protocol header': preface,
};

describe('what a bridge answers, and what follows', () => {
  let server: TcpServer | undefined;
  let harness: Harness | undefined;

  afterEach(async () => {
    await harness?.close();
    await server?.close();
  });

  for (const [table, cases] of Object.entries(tables)) {
    describe(table, () => {
      for (const test of cases) {
        it(test.name, async () => {
          const { server: behaviour = {} } = test;
          server = await startTcpServer(
            typeof behaviour === 'string' ? { onData: ({ socket }) => void socket.write(behaviour) } : behaviour,
          );
          const calls: string[] = [];
          harness = createHarness(recordingPlugin(test.bridge, calls, test.maxResponseBuffer), server.port);
          const sent = harness.send(test.request);
          if (test.act !== undefined) {
            await eventually(() => server?.connections.length === 1);
            await turns();
            test.act(sent, server);
          }
          const result = await sent.ended();
          expect(result.summary).to.equal(test.summary);
          expect(result.violations).to.deep.equal([]);
          if (test.calls !== undefined) expect(calls).to.deep.equal(test.calls);
          expect(calls.filter((call) => call === 'onDestroy').length).to.equal(calls.length > 0 ? 1 : 0);
          if (calls.length > 0) expect(calls.at(-1)).to.equal('onDestroy');
          expect(harness.stat('exchanges_active')).to.equal(0);
          expect(harness.stat('plugin_errors')).to.equal(
            test.summary.includes('plugin_error') || test.name.startsWith('onDestroy') ? 1 : 0,
          );
          const connection = server.connections[0];
          if (test.received !== undefined) {
            await eventually(() => (connection?.received().length ?? 0) >= (test.received?.length ?? 0));
            expect(connection?.received().toString()).to.equal(test.received);
          }
          if (test.reused === false) {
            await eventually(
              () => connection?.ended === true || connection?.closed === true,
              'the connection is closed',
            );
          }
          if (test.reused === true) {
            await turns();
            expect(connection?.ended, 'the connection is closed').to.equal(false);
            expect(harness.manager.snapshot()[0]?.hosts[0]?.stats.cxActive).to.equal(1);
          }
        });
      }
    });
  }
});
