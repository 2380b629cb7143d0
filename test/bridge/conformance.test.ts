import { expect } from 'chai';
import type { BridgeCallbacks, HttpTcpBridge } from '../../src/bridge/api.js';
import type { PreparedBridge } from '../../src/bridge/prepared-bridge.js';
import { buildPeer } from '../support/go-libraries.js';
import { startTcpServer, type TcpServer } from '../support/tcp-server.js';
import { columns } from './columns.js';
import { createGoTest, type GoTest } from './go/harness.js';
import { createHarness, eventually, type Harness, type Sent, type TestRequest } from './harness.js';

/** The eight plugins that Envoy tests its bridge with (contrib/golang/upstreams/http/tcp/test), as scripts; in Go they are in test/peers/go-bridges/conformance. */
const plugins: Record<string, (callbacks: BridgeCallbacks) => HttpTcpBridge> = {
  streaming: () => {
    let first = true;
    return {
      encodeHeaders: () => 0,
      encodeData(buffer) {
        buffer.prepend('streaming-http-to-tcp:');
        return 0;
      },
      onUpstreamData(_headers, buffer) {
        if (first) buffer.prepend('streaming-tcp-to-http:');
        first = false;
        return 0;
      },
    };
  },
  buffered: () => ({
    encodeHeaders: () => 1,
    encodeData(buffer) {
      buffer.prepend('buffered-http-to-tcp:');
      return 0;
    },
    onUpstreamData(_headers, buffer) {
      if (!buffer.toString().endsWith('end')) return 1;
      buffer.prepend('buffered-tcp-to-http:');
      return 2;
    },
  }),
  add_data: () => ({
    encodeHeaders(headers, data) {
      data.set(headers.get('data-to-upstream') ?? '');
      return 0;
    },
  }),
  local_reply: () => ({
    encodeHeaders(_headers, data, endOfStream) {
      if (!endOfStream) return 0;
      data.set('local_reply-http-to-tcp-encode_headers');
      return 2;
    },
    encodeData(buffer) {
      buffer.set('local_reply-http-to-tcp-encode_data');
      return 2;
    },
  }),
  header_op: () => ({
    encodeHeaders(headers, data) {
      data.set(`header_op-http-to-tcp-encode_headers-${headers.host}`);
      return 0;
    },
    onUpstreamData(headers) {
      headers.set(':status', '202');
      headers.set('from-tcp', 'a');
      headers.add('from-tcp', 'b');
      headers.set('gone', 'x');
      headers.del('gone');
      return 0;
    },
  }),
  property: (callbacks) => ({
    encodeHeaders(_headers, data) {
      data.set(`property-http-to-tcp-encode_headers-${callbacks.getRouteName()}-${callbacks.getVirtualClusterName()}`);
      return 2;
    },
  }),
  panic: () => ({
    encodeHeaders(_headers, _data, endOfStream) {
      if (endOfStream) throw new Error('panic');
      return 0;
    },
    encodeData(_buffer, endOfStream) {
      if (endOfStream) throw new Error('panic');
      return 0;
    },
    onUpstreamData() {
      throw new Error('panic');
    },
  }),
  self_half_close: (callbacks) => ({
    encodeHeaders() {
      callbacks.setSelfHalfCloseForUpstreamConn(true);
      return 0;
    },
  }),

  // Beyond Envoy's.
  echo: () => ({
    encodeHeaders: () => 1,
    encodeData(buffer) {
      buffer.set(Buffer.from(buffer.bytes()));
      return 0;
    },
    onUpstreamData(_headers, buffer, endOfStream) {
      if (!endOfStream) return 1;
      buffer.set(Buffer.from(buffer.bytes()));
      return 2;
    },
  }),
};

/** What the client gets after a panic: Envoy's SDK recovers it in Go, and answers with a text and the status that was set before. */
const afterPanic = {
  script: 'failure plugin_error',
  go: 'local 200 error happened in golang http-tcp bridge\r\n',
};

for (const { name: column, runtime, sdk } of columns) {
  describe(`Envoy's own bridges, ${column}`, () => {
    let go: GoTest;
    let server: TcpServer;
    let harness: Harness<PreparedBridge>;

    before(async function () {
      if (sdk !== undefined) go = createGoTest(await buildPeer(this, 'conformance', sdk));
    });

    async function createFor(name: string, port: number): Promise<Harness<PreparedBridge>> {
      if (runtime === 'go') return createHarness(await go.prepare(name), port);
      const createBridge = plugins[name] as (callbacks: BridgeCallbacks) => HttpTcpBridge;
      return createHarness({ createBridge: (_config, callbacks) => createBridge(callbacks) }, port);
    }

    async function start(name: string, request: TestRequest): Promise<Sent> {
      server = await startTcpServer();
      harness = await createFor(name, server.port);
      const sent = harness.send({ headers: { 'data-to-upstream': 'data-to-upstream-value' }, ...request });
      await eventually(() => server.connections.length === 1);
      return sent;
    }

    const received = (text: string): Promise<void> =>
      eventually(() => server.connections[0]?.received().toString() === text, `the server received ${text}`);
    const write = (text: string): unknown => server.connections[0]?.socket.write(text);
    const open: TestRequest = { more: true };

    afterEach(async () => {
      await harness.close();
      await server.close();
    });

    it('streaming', async () => {
      const { exchange, result, cancel } = await start('streaming', open);
      exchange.onRequestData(Buffer.from('http_data-1'), false);
      await received('streaming-http-to-tcp:http_data-1');
      write('tcp_resp-1');
      await eventually(() => result.body === 'streaming-tcp-to-http:tcp_resp-1');
      exchange.onRequestData(Buffer.from('http_data-2'), false);
      await received('streaming-http-to-tcp:http_data-1streaming-http-to-tcp:http_data-2');
      write('tcp_resp-2-end');
      await eventually(() => result.body === 'streaming-tcp-to-http:tcp_resp-1tcp_resp-2-end');
      cancel();
    });

    it('buffered', async () => {
      const { exchange, ended } = await start('buffered', open);
      exchange.onRequestData(Buffer.from('http_data-1'), false);
      exchange.onRequestData(Buffer.from('http_data-2'), true);
      await received('buffered-http-to-tcp:http_data-1http_data-2');
      write('tcp_resp-1');
      write('tcp_resp-2-end');
      expect((await ended()).summary).to.equal('200 buffered-tcp-to-http:tcp_resp-1tcp_resp-2-end');
    });

    it('add_data', async () => {
      const { cancel } = await start('add_data', {});
      await received('data-to-upstream-value');
      cancel();
    });

    it('local_reply, encodeHeaders', async () => {
      const { ended } = await start('local_reply', {});
      expect((await ended()).summary).to.equal('local 200 local_reply-http-to-tcp-encode_headers');
    });

    it('local_reply, encodeData', async () => {
      const { exchange, ended } = await start('local_reply', open);
      exchange.onRequestData(Buffer.from('please-local-reply'), false);
      expect((await ended()).summary).to.equal('local 200 local_reply-http-to-tcp-encode_data');
    });

    it('header_op', async () => {
      const { result, cancel } = await start('header_op', {});
      await received('header_op-http-to-tcp-encode_headers-golang.bridge.com:80');
      write('tcp_resp-1');
      await eventually(() => result.headers !== undefined);
      expect(result.status).to.equal('202');
      expect(result.headers?.values('from-tcp')).to.deep.equal(['a', 'b']);
      expect(result.headers?.has('gone')).to.equal(false);
      cancel();
    });

    it('property', async () => {
      const { ended } = await start('property', {});
      expect((await ended()).summary).to.equal(
        'local 200 property-http-to-tcp-encode_headers-route_config_0-cluster_0',
      );
    });

    it('panic, encodeHeaders', async () => {
      expect((await (await start('panic', {})).ended()).summary).to.equal(afterPanic[runtime]);
    });

    it('panic, encodeData', async () => {
      expect((await (await start('panic', { body: ['http_data-1'] })).ended()).summary).to.equal(afterPanic[runtime]);
    });

    it('panic, onUpstreamData', async () => {
      const { ended } = await start('panic', { body: ['http_data-1'], more: true });
      write('tcp_resp-1');
      expect((await ended()).summary).to.equal(afterPanic[runtime]);
    });

    it('self_half_close', async () => {
      const { ended } = await start('self_half_close', { body: [''] });
      await eventually(() => server.connections[0]?.ended === true);
      server.connections[0]?.socket.end();
      expect((await ended()).summary).to.equal('200 ');
    });

    it('bodies of 16 MiB, both ways', async () => {
      const data = Buffer.alloc(16 << 20, 'pontoon ');
      const pieces: Buffer[] = [];
      for (let at = 0; at < data.length; at += 65_536) pieces.push(Buffer.from(data.subarray(at, at + 65_536)));
      const { ended } = await start('echo', { body: pieces });
      await eventually(() => server.connections[0]?.received().length === data.length);
      expect(server.connections[0]?.received().equals(data)).to.equal(true);
      server.connections[0]?.socket.end(data);
      const { pieces: answer } = await ended();
      expect(Buffer.concat(answer).equals(data)).to.equal(true);
    });
  });
}
