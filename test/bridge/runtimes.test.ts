import { expect } from 'chai';
import { loadNativeHost } from '../../src/bridge/go/native-host.js';
import type { PreparedBridge } from '../../src/bridge/prepared-bridge.js';
import { buildPeer } from '../support/go-libraries.js';
import { startTcpServer, type TcpServer } from '../support/tcp-server.js';
import { columns } from './columns.js';
import { createGoTest } from './go/harness.js';
import { createHarness, eventually, type Harness, type TestRequest } from './harness.js';
import { scripted } from './scripted.js';

/** The same for one of many tests, each of which lets go of it. */
function unreleased(prepared: PreparedBridge): PreparedBridge {
  return { ...prepared, createBridge: (callbacks) => prepared.createBridge(callbacks), release: () => undefined };
}

interface Case {
  readonly name: string;
  readonly headers?: Record<string, string>;
  readonly request: TestRequest;
  /** The body, sent when the connection is there. */
  readonly later?: readonly string[];
  /** What the server gets before it answers. */
  readonly received?: string;
  /** Pieces that the server sends; each waits until the one before has reached the plugin. */
  readonly sends?: readonly string[];
  readonly fin?: boolean;
  /** The last piece of the body, sent after what the server sends. */
  readonly last?: string;
  /** What the client gets; one for each runtime where they differ. */
  readonly summary: string | { readonly script: string; readonly go: string };
  /** The connection is used again. */
  readonly reused?: boolean;
}

const panicText = 'error happened in golang http-tcp bridge\r\n';
const panicked = { script: 'failure plugin_error', go: `local 200 ${panicText}` };

const cases: readonly Case[] = [
  {
    name: 'a request of headers only, and an answer that the plugin ends',
    request: {},
    headers: { 'x-upstream': 'end' },
    received: '[headers 0 true]',
    sends: ['answer'],
    summary: '200 answer[upstream 6 false]',
    reused: true,
  },
  {
    name: 'FIN without data',
    request: {},
    received: '[headers 0 true]',
    fin: true,
    summary: '200 [upstream 0 true]',
    reused: false,
  },
  {
    name: 'FIN after data',
    request: {},
    received: '[headers 0 true]',
    sends: ['answer'],
    fin: true,
    summary: '200 answer[upstream 6 false][upstream 0 true]',
    reused: false,
  },
  {
    name: 'FIN while the plugin waits for more',
    request: {},
    headers: { 'x-upstream': 'keep' },
    received: '[headers 0 true]',
    sends: ['answer'],
    fin: true,
    summary: { script: 'failure upstream_closed', go: `local 200 ${panicText}` },
  },
  {
    name: 'FIN with the data that the plugin has waited for',
    request: {},
    headers: { 'x-upstream': 'keep,continue' },
    received: '[headers 0 true]',
    sends: ['answer'],
    fin: true,
    summary: '200 answer[upstream 6 false][upstream 24 true]',
    reused: false,
  },
  {
    name: 'FIN that the plugin answers with EndStream',
    request: {},
    headers: { 'x-upstream': 'continue,end' },
    received: '[headers 0 true]',
    sends: ['answer'],
    fin: true,
    summary: '200 answer[upstream 6 false][upstream 0 true]',
    reused: false,
  },
  {
    name: 'StopAndBuffer in the middle of the body',
    request: { more: true },
    later: ['one', 'two', 'three'],
    headers: { 'x-data': 'keep,continue', 'x-upstream': 'end' },
    received: '[headers 0 false]one[data 3 false]twothree[data 25 true]',
    sends: ['x'],
    summary: '200 x[upstream 1 false]',
    reused: true,
  },
  {
    name: 'an empty last piece, as after trailers',
    request: { body: ['one', ''] },
    headers: { 'x-headers': 'keep', 'x-upstream': 'end' },
    received: '[headers 0 false]one[data 3 true]',
    sends: ['x'],
    summary: '200 x[upstream 1 false]',
    reused: true,
  },
  {
    name: 'StopAndBuffer at the end of the body',
    request: { body: ['one'] },
    headers: { 'x-data': 'keep' },
    summary: panicked,
    reused: false,
  },
  {
    name: 'an empty last piece of a body that streams',
    request: { more: true },
    later: ['one', ''],
    headers: { 'x-upstream': 'end' },
    received: '[headers 0 false]one[data 3 false][data 0 true]',
    sends: ['x'],
    summary: '200 x[upstream 1 false]',
    reused: true,
  },
  {
    name: 'an empty body',
    request: { body: [''] },
    headers: { 'x-headers': 'keep', 'x-upstream': 'end' },
    received: '[headers 0 false][data 0 true]',
    sends: ['x'],
    summary: '200 x[upstream 1 false]',
    reused: true,
  },
  {
    name: 'the PROXY header before all else',
    request: { preface: Buffer.from('PROXY UNKNOWN\r\n') },
    headers: { 'x-upstream': 'end' },
    received: 'PROXY UNKNOWN\r\n[headers 0 true]',
    sends: ['x'],
    summary: '200 x[upstream 1 false]',
    reused: false,
  },
  {
    name: 'an answer to the headers',
    request: {},
    headers: { 'x-headers': 'end' },
    summary: 'local 200 [headers 0 true]',
    reused: true,
  },
  {
    name: 'EndStream for the body after the response has begun',
    request: { body: ['one'], more: true },
    headers: { 'x-data': 'continue,end' },
    received: '[headers 0 false]one[data 3 false]',
    sends: ['answer'],
    last: 'two',
    summary: '200 answer[upstream 6 false]two[data 3 true]',
    reused: false,
  },
  {
    name: 'a panic in encodeData after the response has begun',
    request: { body: ['one'], more: true },
    headers: { 'x-data': 'continue,panic' },
    received: '[headers 0 false]one[data 3 false]',
    sends: ['answer'],
    last: 'two',
    summary: 'reset after 200 answer[upstream 6 false] (plugin_error)',
    reused: false,
  },
  {
    name: 'an answer to the body',
    request: { body: ['body'] },
    headers: { 'x-headers': 'keep', 'x-data': 'end' },
    summary: 'local 200 body[data 4 true]',
    reused: false,
  },
  {
    name: 'a panic in encodeHeaders',
    request: {},
    headers: { 'x-headers': 'panic' },
    summary: panicked,
    reused: false,
  },
  {
    name: 'a panic in encodeData',
    request: { body: ['x'] },
    headers: { 'x-data': 'panic' },
    summary: panicked,
    reused: false,
  },
  {
    name: 'a panic in onUpstreamData',
    request: {},
    headers: { 'x-upstream': 'panic' },
    received: '[headers 0 true]',
    sends: ['x'],
    summary: panicked,
    reused: false,
  },
  {
    name: 'a panic after the headers were sent',
    request: {},
    headers: { 'x-upstream': 'continue,panic' },
    received: '[headers 0 true]',
    sends: ['one', 'two'],
    summary: 'reset after 200 one[upstream 3 false] (plugin_error)',
    reused: false,
  },
  {
    name: 'half-close with the write that ends the request',
    request: { body: ['body'] },
    headers: { 'x-half-close': '1', 'x-upstream': 'end' },
    received: '[headers 0 false]body[data 4 true]',
    sends: ['x'],
    summary: '200 x[upstream 1 false]',
    reused: false,
  },
];

for (const { name, runtime, sdk } of columns) {
  describe(`an exchange, ${name}`, () => {
    let prepared: PreparedBridge | undefined;
    let live: number;
    let server: TcpServer;
    let harness: Harness<PreparedBridge>;

    before(async function () {
      if (sdk !== undefined)
        prepared = await createGoTest(await buildPeer(this, 'conformance', sdk)).prepare('scripted');
    });

    beforeEach(async () => {
      live = liveRequests();
      server = await startTcpServer();
      harness =
        prepared === undefined
          ? createHarness({ createBridge: (_config, callbacks) => scripted(callbacks) }, server.port)
          : createHarness(unreleased(prepared), server.port);
    });

    afterEach(async () => {
      await harness.close();
      await server.close();
      if (runtime === 'go') expect(liveRequests()).to.equal(live);
    });

    for (const test of cases) {
      it(test.name, async () => {
        const { exchange, result, ended } = harness.send({ ...test.request, headers: test.headers ?? {} });
        if (test.later !== undefined) {
          await eventually(() => (server.connections[0]?.received().length ?? 0) > 0);
          for (const [i, piece] of test.later.entries())
            exchange.onRequestData(Buffer.from(piece), i === test.later.length - 1);
        }
        if (test.received !== undefined)
          await eventually(() => server.connections[0]?.received().toString() === test.received);
        const socket = server.connections[0]?.socket;
        for (const piece of test.sends ?? []) {
          const before = result.body.length;
          socket?.write(piece);
          if (test.headers?.['x-upstream']?.startsWith('keep')) continue;
          await eventually(() => result.body.length > before || result.outcome !== undefined);
        }
        if (test.fin) socket?.end();
        if (test.last !== undefined) exchange.onRequestData(Buffer.from(test.last), true);
        const { summary } = await ended();
        expect(summary).to.equal(typeof test.summary === 'string' ? test.summary : test.summary[runtime]);
        expect(result.violations).to.deep.equal([]);
        if (test.reused === undefined) return;
        await harness.send({ headers: { 'x-headers': 'end' } }).ended();
        expect(server.connections.length === 1).to.equal(test.reused);
      });
    }

    for (const [state, request] of [
      ['connecting', { more: true }],
      ['streaming the body', { body: ['x'], more: true }],
      ['gathering the body', { body: ['x'], more: true, headers: { 'x-headers': 'keep' } }],
      ['waiting for the answer', {}],
      ['buffering the answer', { headers: { 'x-upstream': 'keep' } }],
      ['streaming the answer', {}],
      ['streaming both ways', { body: ['x'], more: true }],
      ['reading behind a half-close', { body: ['x'], headers: { 'x-half-close': '1' } }],
    ] as const) {
      it(`the client goes away while ${state}`, async () => {
        const { cancel, result } = harness.send(request as TestRequest);
        if (state !== 'connecting') await eventually(() => (server.connections[0]?.received().length ?? 0) > 0);
        if (/buffering|streaming the answer|both ways|behind/.test(state)) server.connections[0]?.socket.write('x');
        if (/streaming the answer|both ways|behind/.test(state)) await eventually(() => result.body !== '');
        cancel();
        await eventually(() => harness.stat('exchanges_active') === 0);
        expect(harness.stat('plugin_errors')).to.equal(0);
      });
    }
  });
}

/** How many exchanges Go knows of. */
function liveRequests(): number {
  const native = loadNativeHost();
  return native.available ? native.host.addon.liveRequests() : Number.NaN;
}
