import { expect } from 'chai';
import type { BridgeCallbacks, BufferInstance, RequestHeaderMap, ResponseHeaderMap } from '../../src/bridge/api.js';
import { startTcpServer, type TcpServer, type TcpServerHandler } from '../support/tcp-server.js';
import { createHarness, eventually, type Harness, Recorder, turns } from './harness.js';
import { type BridgeOf, recordingPlugin } from './recording-plugin.js';

const echo: TcpServerHandler = { onData: ({ socket }, data) => void socket.write(data) };
const answer: TcpServerHandler = { onData: ({ socket }) => void socket.write('ok') };

describe('exchange', () => {
  let server: TcpServer;
  let harness: Harness;
  let calls: string[];

  async function setUp(handler: TcpServerHandler, bridge: BridgeOf, overrides = {}): Promise<void> {
    server = await startTcpServer(handler);
    calls = [];
    harness = createHarness(recordingPlugin(bridge, calls), server.port, overrides);
  }

  afterEach(async () => {
    await harness.close();
    await server.close();
  });

  const destroyed = (): number => calls.filter((call) => call === 'onDestroy').length;

  describe('late calls of a plugin', () => {
    it('do nothing, and say so, after the exchange has ended', async () => {
      let callbacks: BridgeCallbacks | undefined;
      let buffer: BufferInstance | undefined;
      let response: ResponseHeaderMap | undefined;
      let request: RequestHeaderMap | undefined;
      await setUp(answer, (given) => {
        callbacks = given;
        return {
          encodeHeaders(headers) {
            request = headers;
            return 1;
          },
          onUpstreamData(headers, data) {
            buffer = data;
            response = headers;
            return 2;
          },
        };
      });
      const sent = harness.send({ body: ['x'] });
      await sent.ended();
      expect(() => callbacks?.sendLocalReply(200, 'late')).to.throw('already');
      expect(() => buffer?.append('late')).to.throw('after the call');
      expect(() => response?.set('late', 'x')).to.throw('already');
      callbacks?.setSelfHalfCloseForUpstreamConn(true);
      callbacks?.log('info', 'late');
      expect(callbacks?.getRouteName()).to.equal('route_config_0');
      expect(callbacks?.getVirtualClusterName()).to.equal('cluster_0');
      expect(request?.path).to.equal('/path');
      expect(sent.result.summary).to.equal('200 ok');
      expect(sent.result.violations).to.deep.equal([]);
      expect(harness.log.lines.filter(({ text }) => text === 'late')).to.have.length(1);
    });

    it('do nothing between two calls', async () => {
      let callbacks: BridgeCallbacks | undefined;
      let buffer: BufferInstance | undefined;
      let response: ResponseHeaderMap | undefined;
      await setUp(answer, (given) => {
        callbacks = given;
        return {
          encodeHeaders: () => 1,
          onUpstreamData(headers, data) {
            buffer = data;
            response = headers;
            return 1;
          },
        };
      });
      const sent = harness.send({ body: ['x'] });
      await eventually(() => buffer !== undefined);
      expect(() => callbacks?.sendLocalReply(200, 'late')).to.throw('during a call');
      expect(() => buffer?.len()).to.throw('after the call');
      expect(() => response?.get('x')).to.throw('during a call');
      sent.cancel();
      expect(sent.result.violations).to.deep.equal([]);
    });
  });

  describe('cancel', () => {
    it('while it waits for a connection: no bridge is made', async () => {
      await setUp(answer, {});
      const sent = harness.send({ body: ['x'] });
      sent.cancel();
      await turns();
      expect(calls).to.deep.equal([]);
      expect(sent.result.summary).to.equal('open ');
      expect(harness.stat('cancelled')).to.equal(1);
      expect(harness.stat('exchanges_active')).to.equal(0);
    });

    it('while the server works: the connection is closed, the bridge destroyed', async () => {
      await setUp({}, { encodeData: () => 0 });
      const sent = harness.send({ body: ['x'] });
      await eventually(() => server.connections[0]?.received().toString() === 'x');
      sent.cancel();
      sent.exchange.onRequestData(Buffer.from('late'), true);
      sent.exchange.onDownstreamWritable();
      sent.exchange.cancel();
      expect(calls).to.deep.equal(['encodeData x end', 'onDestroy']);
      await eventually(() => server.connections[0]?.ended === true);
      expect(sent.result.violations).to.deep.equal([]);
      expect(harness.leased()).to.equal(0);
    });

    for (const event of ['headers', 'data']) {
      it(`from within the callback for ${event}: nothing follows`, async () => {
        const recorder = new Recorder();
        await setUp(answer, { encodeHeaders: () => 1, onUpstreamData: () => 2 });
        const sent = harness.send({ body: ['x'], recorder });
        recorder.onEvent = (what) => {
          if (what === event) sent.cancel();
        };
        await eventually(() => destroyed() === 1);
        await turns();
        expect(recorder.violations).to.deep.equal([]);
        expect(harness.stat('exchanges_active')).to.equal(0);
      });
    }

    it('from within the callback of a streamed response: after the call has returned', async () => {
      const recorder = new Recorder();
      let inCall = false;
      await setUp(answer, {
        onUpstreamData() {
          inCall = true;
          queueMicrotask(() => {
            inCall = false;
          });
          return 0;
        },
        onDestroy() {
          expect(calls.at(-2)).to.equal('onUpstreamData ok');
        },
      });
      const sent = harness.send({ body: ['x'], recorder });
      recorder.onEvent = () => sent.cancel();
      await eventually(() => destroyed() === 1);
      expect(inCall).to.equal(false);
      expect(recorder.violations).to.deep.equal([]);
      await eventually(() => server.connections[0]?.ended === true);
    });
  });

  describe('the end', () => {
    it('of a replaced version comes after the drain time: the exchange is reset', async () => {
      await setUp({}, { encodeData: () => 0 });
      const sent = harness.send({ body: ['x'] });
      await eventually(() => server.connections[0]?.received().length === 1);
      await harness.close();
      const result = await sent.ended();
      expect(result.summary).to.equal('failure drain_timeout');
      expect(harness.bridge.released).to.equal(true);
      expect(destroyed()).to.equal(1);
      expect(harness.stat('drain_timeouts')).to.equal(1);
    });

    it('lets the drained version go when its last exchange has ended', async () => {
      await setUp({}, { encodeData: () => 0, onUpstreamData: () => 2 });
      const sent = harness.send({ body: ['x'] });
      await eventually(() => server.connections[0]?.received().length === 1);
      const closing = harness.close();
      expect(harness.bridge.released).to.equal(false);
      server.connections[0]?.socket.write('ok');
      expect((await sent.ended()).summary).to.equal('200 ok');
      await closing;
      expect(harness.bridge.released).to.equal(true);
    });

    it('without a connection: the pool tells why', async () => {
      await setUp({}, {});
      await server.close();
      const sent = harness.send({ body: ['x'] });
      const { failure } = await sent.ended();
      expect(failure).to.have.nested.property('failure.kind', 'connect_failure');
      expect(sent.info.upstreamHost).to.equal(server.address);
      expect(calls).to.deep.equal([]);
    });

    it('is told when bridge, connection and pin are gone already', async () => {
      const recorder = new Recorder();
      await setUp(answer, { encodeHeaders: () => 1, onUpstreamData: () => 2 });
      const atTheEnd: unknown[] = [];
      recorder.onEvent = () => atTheEnd.push(destroyed(), harness.leased(), harness.stat('exchanges_active'));
      await harness.send({ body: ['x'], recorder }).ended();
      expect(atTheEnd.slice(-3)).to.deep.equal([1, 0, 0]);
    });

    it('comes also when a callback throws: nothing is held any more', async () => {
      const recorder = new Recorder();
      await setUp(answer, { encodeHeaders: () => 1, onUpstreamData: () => 0 });
      const sent = harness.send({ body: ['x'], recorder });
      recorder.onEvent = () => {
        throw new Error('a fault of the router');
      };
      await eventually(() => destroyed() === 1);
      sent.exchange.onRequestData(Buffer.from('late'), true);
      expect(harness.stat('exchanges_active')).to.equal(0);
      expect(harness.leased()).to.equal(0);
    });

    it('of a plugin with an error is logged with its name, its cluster and the call', async () => {
      await setUp(answer, {
        encodeHeaders() {
          throw new Error('on purpose');
        },
      });
      const { failure } = await harness.send().ended();
      expect(failure).to.include({ kind: 'plugin_error', plugin: 'test' });
      const line = harness.log.lines.find(({ level }) => level === 'error');
      expect(line?.fields).to.include({ plugin: 'test', cluster: 'cluster_0' });
      expect(line?.text).to.include('encodeHeaders: on purpose');
    });

    it('whatever a plugin throws', async () => {
      const hostile = new Proxy(new Error('x'), {
        get() {
          throw new Error('no');
        },
      });
      for (const thrown of [undefined, null, 'text', 1n, Symbol('s'), Object.create(null), hostile]) {
        await setUp(answer, {
          encodeHeaders() {
            throw thrown;
          },
        });
        expect((await harness.send().ended()).summary).to.equal('failure plugin_error');
        await harness.close();
        await server.close();
      }
    });
  });

  it('tells the stream info about the server and when bytes went and came', async () => {
    await setUp(answer, { onUpstreamData: () => 2 });
    const { ended, info, exchange } = harness.send({ body: ['x'] });
    await ended();
    expect(info.upstreamHost).to.equal(server.address);
    expect(exchange.host?.address).to.equal(server.address);
    expect(info.upstreamLocalAddress).to.match(/^127\.0\.0\.1:\d+$/);
    expect(info.firstUpstreamTxByte).to.be.at.most(info.lastUpstreamTxByte as number);
    expect(info.lastUpstreamTxByte).to.be.at.most(info.firstUpstreamRxByte as number);
    expect(info.firstUpstreamRxByte).to.be.at.most(info.lastUpstreamRxByte as number);
  });

  it('gives the pieces that came before there was a connection', async () => {
    await setUp(answer, { encodeHeaders: () => 0, encodeData: () => 0, onUpstreamData: () => 2 });
    await harness.send({ body: ['one', 'two', ''] }).ended();
    expect(calls).to.deep.equal(['encodeHeaders', 'encodeData onetwo end', 'onUpstreamData ok', 'onDestroy']);
  });

  it('ends a body whose last piece is empty with one empty call', async () => {
    await setUp(answer, { encodeHeaders: () => 0, encodeData: () => 0, onUpstreamData: () => 1 });
    const sent = harness.send({ more: true });
    await eventually(() => calls.length === 1);
    sent.exchange.onRequestData(Buffer.from('one'), false);
    sent.exchange.onRequestData(Buffer.alloc(0), true);
    sent.exchange.onRequestData(Buffer.from('more than all'), true);
    expect(calls).to.deep.equal(['encodeHeaders', 'encodeData one', 'encodeData  end']);
    sent.cancel();
  });

  describe('a pooled connection that turns out to be stale', () => {
    /** Answers the first request on each connection, then does what `second` says. */
    function second(act: TcpServerHandler['onData']): TcpServerHandler {
      const served = new Set<unknown>();
      return {
        onData(connection, data) {
          if (served.has(connection)) act?.(connection, data);
          else {
            served.add(connection);
            connection.socket.write(`ok ${data.toString()}`);
          }
        },
      };
    }
    const close: TcpServerHandler['onData'] = ({ socket }) => void socket.end();
    const reset: TcpServerHandler['onData'] = ({ socket }) => void socket.resetAndDestroy();
    const frame: BridgeOf = {
      encodeHeaders(headers, data) {
        data.set(`${headers.method} `);
        return 0;
      },
      encodeData: () => 0,
      onUpstreamData: () => 2,
    };

    for (const [how, act] of [
      ['FIN', close],
      ['reset', reset],
    ] as const) {
      it(`${how}: a request without a body is sent again, on a fresh connection and a fresh bridge`, async () => {
        await setUp(second(act), frame);
        expect((await harness.send({ method: 'GET' }).ended()).summary).to.equal('200 ok GET ');
        calls.length = 0;
        const result = await harness.send({ method: 'GET' }).ended();
        expect(result.summary).to.equal('200 ok GET ');
        expect(result.violations).to.deep.equal([]);
        expect(calls).to.deep.equal([
          'encodeHeaders end',
          'onDestroy',
          'encodeHeaders end',
          'onUpstreamData ok GET ',
          'onDestroy',
        ]);
        expect(harness.stat('connections_replaced')).to.equal(1);
        expect(harness.stat('exchanges_total')).to.equal(2);
        expect(server.connections).to.have.length(2);
      });
    }

    it('an idempotent request with a small body is sent again, unchanged', async () => {
      await setUp(second(close), {
        encodeData(buffer) {
          buffer.bytes().fill('z');
          return 0;
        },
        onUpstreamData: (_h, buffer) => (buffer.len() === 'ok zzzzzz'.length ? 2 : 1),
      });
      await harness.send({ method: 'PUT', body: ['abc', 'def'] }).ended();
      calls.length = 0;
      const result = await harness.send({ method: 'PUT', body: ['abc', 'def'] }).ended();
      expect(result.summary).to.equal('200 ok zzzzzz');
      expect(calls.filter((call) => call.startsWith('encodeData'))).to.deep.equal([
        'encodeData abcdef end',
        'encodeData abcdef end',
      ]);
    });

    it('a body that is still being gathered goes on', async () => {
      await setUp(
        {
          onData: (connection) =>
            void (connection.received().toString().endsWith('.') && connection.socket.write('ok')),
        },
        {
          encodeHeaders(_headers, data) {
            data.set('begin ');
            return 1;
          },
          onUpstreamData: () => 2,
        },
      );
      await harness.send({ method: 'PUT', body: ['x.'] }).ended();
      const sent = harness.send({ method: 'PUT', body: ['abc'], more: true });
      await eventually(() => server.connections[0]?.received().toString() === 'begin x.begin ');
      server.connections[0]?.socket.end();
      await eventually(() => server.connections[1]?.received().toString() === 'begin ');
      sent.exchange.onRequestData(Buffer.from('def.'), true);
      expect((await sent.ended()).summary).to.equal('200 ok');
      expect(server.connections[1]?.received().toString()).to.equal('begin abcdef.');
    });

    it('any request that nothing was written of gets a fresh one', async () => {
      await setUp(second(undefined), { encodeHeaders: () => 1, onUpstreamData: () => 2 });
      await harness.send({ body: ['x'] }).ended();
      const sent = harness.send({ body: ['a'], more: true });
      await eventually(() => calls.length === 4);
      server.connections[0]?.socket.end();
      await eventually(() => server.connections.length === 2);
      sent.exchange.onRequestData(Buffer.from('b'), true);
      expect((await sent.ended()).summary).to.equal('200 ok ab');
    });

    it('a request that is not idempotent and was written is not sent again', async () => {
      await setUp(second(close), { encodeHeaders: () => 1, onUpstreamData: (_h, _b, end) => (end ? 1 : 2) });
      await harness.send({ body: ['x'] }).ended();
      const result = await harness.send({ body: ['x'] }).ended();
      expect(result.summary).to.equal('failure upstream_closed');
      expect(server.connections).to.have.length(1);
    });

    it('unless it carries an Idempotency-Key', async () => {
      await setUp(second(close), { onUpstreamData: () => 2 });
      const request = { body: ['x'], headers: { 'idempotency-key': '1' } };
      await harness.send(request).ended();
      expect((await harness.send(request).ended()).summary).to.equal('200 ok x');
    });

    it('the plugin’s word is more than the method’s', async () => {
      const says =
        (idempotent: boolean): BridgeOf =>
        (callbacks) => {
          callbacks.setIdempotent(idempotent);
          return { onUpstreamData: (_h, buffer, end) => (end && buffer.len() === 0 ? 1 : 2) };
        };
      await setUp(second(close), says(true));
      await harness.send({ method: 'POST', body: ['x'] }).ended();
      const again = harness.send({ method: 'POST', body: ['a', 'b'] });
      expect((await again.ended()).summary).to.equal('200 ok ab');
      expect(again.result.connected).to.equal(2);
      expect(again.exchange.idempotent).to.equal(true);
      await harness.close();
      await server.close();

      await setUp(second(reset), says(false));
      await harness.send({ method: 'PUT', body: ['x'] }).ended();
      const once = harness.send({ method: 'PUT', body: ['x'] });
      expect((await once.ended()).summary).to.equal('failure upstream_closed');
      expect(once.exchange.idempotent).to.equal(false);
      expect(server.connections).to.have.length(1);
    });

    it('nothing is sent again once a byte of the response came', async () => {
      await setUp(
        second(({ socket }) => {
          socket.write('part');
          setTimeout(() => socket.resetAndDestroy(), 5);
        }),
        { ...frame, onUpstreamData: (_h, buffer) => (buffer.toString() === 'part' ? 1 : 2) },
      );
      await harness.send({ method: 'GET' }).ended();
      expect((await harness.send({ method: 'GET' }).ended()).summary).to.equal('failure upstream_closed');
      expect(server.connections).to.have.length(1);
    });

    it('no connection is shared where the PROXY header names its client', async () => {
      await setUp(answer, { onUpstreamData: () => 2 });
      await harness.send({ method: 'GET', body: ['x'] }).ended();
      for (const client of ['PROXY a ', 'PROXY b ']) {
        const result = await harness.send({ method: 'GET', body: ['x'], preface: Buffer.from(client) }).ended();
        expect(result.summary).to.equal('200 ok');
      }
      await harness.send({ method: 'GET', body: ['x'] }).ended();
      const received = server.connections.map((connection) => connection.received().toString());
      expect(received).to.deep.equal(['xx', 'PROXY a x', 'PROXY b x']);
    });

    it('a fresh connection that fails is a failure', async () => {
      await setUp({ onData: close }, { ...frame, onUpstreamData: (_h, _b, end) => (end ? 1 : 2) });
      expect((await harness.send({ method: 'GET' }).ended()).summary).to.equal('failure upstream_closed');
      expect(server.connections).to.have.length(1);
    });
  });

  describe('flow control', () => {
    it('a slow server stops the client', async () => {
      const recorder = new Recorder();
      let slow = true;
      await setUp(
        {
          onConnection: ({ socket }) => {
            if (slow) socket.pause();
          },
        },
        { encodeData: () => 0 },
        { perConnectionBufferLimitBytes: 65_536 },
      );
      const sent = harness.send({ more: true, recorder });
      await eventually(() => server.connections.length === 1);
      server.connections[0]?.socket.pause();
      let written = 0;
      const piece = Buffer.alloc(65_536);
      while (!recorder.paused) {
        sent.exchange.onRequestData(piece, false);
        written += piece.length;
        expect(written).to.be.below(64 << 20);
        await turns(1);
      }
      slow = false;
      server.connections[0]?.socket.resume();
      await eventually(() => !recorder.paused);
      await eventually(() => server.connections[0]?.received().length === written);
      sent.cancel();
      expect(recorder.violations).to.deep.equal([]);
    });

    it('a client that is faster than the connect is stopped', async () => {
      const recorder = new Recorder();
      await setUp({}, { encodeData: () => 0 }, { perConnectionBufferLimitBytes: 1000 });
      const sent = harness.send({ body: [Buffer.alloc(1001)], more: true, recorder });
      expect(recorder.paused).to.equal(true);
      await eventually(() => server.connections[0]?.received().length === 1001);
      await eventually(() => !recorder.paused);
      sent.cancel();
    });

    it('cancel resumes what was paused', async () => {
      const recorder = new Recorder();
      await setUp({}, {}, { perConnectionBufferLimitBytes: 1000 });
      const sent = harness.send({ body: [Buffer.alloc(1001)], more: true, recorder });
      expect(recorder.paused).to.equal(true);
      sent.cancel();
      expect(recorder.paused).to.equal(false);
      expect(recorder.violations).to.deep.equal([]);
    });

    it('a slow client stops the server', async () => {
      const recorder = new Recorder();
      recorder.writable = false;
      const total = 64 << 20;
      let accepted = 0;
      await setUp(
        {
          onData: ({ socket }) => {
            const piece = Buffer.alloc(65_536);
            const write = (): void => {
              while (accepted < total) {
                accepted += piece.length;
                if (!socket.write(piece)) break;
              }
            };
            socket.on('drain', write);
            write();
          },
        },
        { onUpstreamData: () => 0 },
      );
      const sent = harness.send({ body: ['x'], recorder });
      const got = (): number => recorder.pieces.reduce((sum, { length }) => sum + length, 0);
      await eventually(() => got() > 0);
      await new Promise((resolve) => setTimeout(resolve, 50));
      expect(recorder.pieces).to.have.length(1);
      expect(accepted).to.be.below(total);
      recorder.writable = true;
      sent.exchange.onDownstreamWritable();
      await eventually(() => got() === total);
      sent.cancel();
    });
  });

  it('streams both ways at once', async () => {
    const recorder = new Recorder();
    await setUp(echo, { encodeData: () => 0, onUpstreamData: () => 0 });
    const sent = harness.send({ more: true, recorder });
    for (const piece of ['one', 'two', 'three']) {
      const before = recorder.body;
      sent.exchange.onRequestData(Buffer.from(piece), false);
      await eventually(() => recorder.body === before + piece);
    }
    sent.cancel();
    expect(recorder.status).to.equal('200');
    expect(recorder.violations).to.deep.equal([]);
  });
});
