import { expect } from 'chai';
import { responseFlags } from '../../src/access-log/response-flags.js';
import { HeaderMap } from '../../src/bridge/header-map.js';
import type { DownstreamStream } from '../../src/bridge/stream.js';
import { type Http1CodecName, http1CodecNames } from '../../src/http/http1-codec.js';
import { sendLocalReply } from '../../src/routing/local-reply.js';
import type { SocketsName } from '../../src/sockets/open-sockets.js';
import { FakeClock } from '../support/fake-clock.js';
import { testedSockets } from '../support/tested-sockets.js';
import {
  echo,
  hcm,
  RecordingHandler,
  respond,
  startServer,
  type TestServer,
  type TestServerOptions,
  waitUntil,
} from './harness.js';

const get = (headers = '', target = '/'): string => `GET ${target} HTTP/1.1\r\nHost: a\r\n${headers}\r\n`;
const post = (length: number, body = ''): string =>
  `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n${body}`;

const behaviour = (codec: Http1CodecName, sockets: SocketsName) => () => {
  const servers: TestServer[] = [];
  const start = async (options: TestServerOptions): Promise<TestServer> => {
    const server = await startServer({ codec, sockets, ...options });
    servers.push(server);
    return server;
  };

  afterEach(async () => {
    for (const server of servers.splice(0)) {
      await server.close();
      expect(server.connections.size, 'connections left').to.equal(0);
      expect(server.gauge('downstream_cx_active')).to.equal(0);
      expect(server.gauge('downstream_rq_active')).to.equal(0);
      expect(server.counter('downstream_cx_total')).to.equal(server.counter('downstream_cx_destroy'));
      expect(server.logged.length, 'one access log line per request').to.equal(server.counter('downstream_rq_total'));
    }
  });

  describe('responses', () => {
    const cases: { name: string; request?: string; answer: (stream: DownstreamStream) => void; expected: RegExp }[] = [
      {
        name: 'content-length as given, names as they are, date and server added',
        answer: (s) => respond(s, 200, 'hello', ['x-a', 'b']),
        expected:
          /^HTTP\/1\.1 200 OK\r\ncontent-length: 5\r\nx-a: b\r\ndate: [A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT\r\nserver: envoy\r\n\r\nhello$/,
      },
      {
        name: 'content-length: 0 for an empty one',
        answer: (s) => respond(s, 200),
        expected: /content-length: 0\r\n\r\n$/,
      },
      {
        name: 'chunked without a length',
        answer: (s) => {
          s.sendHeaders(new HeaderMap([':status', '200']), false);
          s.sendData(Buffer.from('0123456789abcdef'), false);
          s.sendData(Buffer.alloc(0), false);
          s.sendData(Buffer.from('x'), true);
        },
        expected: /transfer-encoding: chunked\r\n\r\n10\r\n0123456789abcdef\r\n1\r\nx\r\n0\r\n\r\n$/,
      },
      {
        name: 'no body for 204, nor a length',
        answer: (s) => respond(s, 204, 'body'),
        expected: /^HTTP\/1\.1 204 No Content\r\ndate: .*\r\nserver: envoy\r\n\r\n$/,
      },
      {
        name: 'no body for 304, but its length',
        answer: (s) => respond(s, 304, 'body'),
        expected: /^HTTP\/1\.1 304 Not Modified\r\ncontent-length: 4\r\n.*\r\n.*\r\n\r\n$/,
      },
      {
        name: 'no body for HEAD, but its length',
        request: 'HEAD / HTTP/1.1\r\nHost: a\r\n\r\n',
        answer: (s) => respond(s, 200, 'body'),
        expected: /content-length: 4\r\n.*\r\n.*\r\n\r\n$/,
      },
      {
        name: 'a status without a name',
        answer: (s) => respond(s, 299),
        expected: /^HTTP\/1\.1 299 Unknown\r\n/,
      },
      {
        name: 'hop-by-hop headers are ours',
        answer: (s) =>
          respond(s, 200, 'x', ['connection', 'foo', 'keep-alive', 'a', 'transfer-encoding', 'gzip', 'upgrade', 'h2c']),
        expected: /^HTTP\/1\.1 200 OK\r\ncontent-length: 1\r\ndate: .*\r\nserver: envoy\r\n\r\nx$/,
      },
      {
        name: '502 instead of a header with CR LF',
        answer: (s) => respond(s, 200, 'x', ['x-a', 'b\r\nx-c: d']),
        expected: /^HTTP\/1\.1 502 Bad Gateway\r\n(?!.*x-c)/s,
      },
      {
        name: '502 instead of a header name with a space',
        answer: (s) => respond(s, 200, 'x', ['x a', 'b']),
        expected: /^HTTP\/1\.1 502 /,
      },
      { name: '502 instead of a status that is none', answer: (s) => respond(s, 1000), expected: /^HTTP\/1\.1 502 / },
      { name: '502 instead of status 100', answer: (s) => respond(s, 100), expected: /^HTTP\/1\.1 502 / },
      {
        name: '502 instead of two lengths',
        answer: (s) => respond(s, 200, 'x', ['content-length', '2']),
        expected: /^HTTP\/1\.1 502 /,
      },
      {
        name: '502 with no changes to headers that are not valid themselves',
        answer: (s) => {
          s.mutateReply = (headers) => headers.set('x-a', 'b\r\nx-c: d');
          sendLocalReply(s, { status: 404, body: '', flags: 0, details: 'test' });
        },
        expected: /^HTTP\/1\.1 502 Bad Gateway\r\n(?!.*x-c)/s,
      },
      {
        name: '500 when the handler throws, with the route’s headers',
        answer: (s) => {
          s.mutateReply = (headers) => headers.set('x-a', 'b');
          throw new Error('handler');
        },
        expected: /^HTTP\/1\.1 500 Internal Server Error\r\nx-a: b\r\n/,
      },
      {
        name: '500 when the handler throws',
        answer: () => {
          throw new Error('handler');
        },
        expected: /^HTTP\/1\.1 500 Internal Server Error\r\n/,
      },
    ];
    for (const { name, request = get(), answer, expected } of cases) {
      it(name, async () => {
        const server = await start({ handle: answer });
        const client = server.connect().write(request);
        await client.receive(/\r\n\r\n/);
        await client.until(() => expected.test(client.received), `expected ${expected}`);
      });
    }

    it('is cut when the body is longer than its length', async () => {
      const handler = new RecordingHandler();
      const server = await start({
        handle: (s) => {
          s.start(handler);
          s.sendHeaders(new HeaderMap([':status', '200', 'content-length', '3']), false);
          s.sendData(Buffer.from('abcd'), false);
        },
      });
      const client = server.connect().write(get());
      expect(await client.receiveAll()).to.match(/\r\n\r\n$/);
      await waitUntil(
        () => handler.resets.length > 0,
        () => 'no reset',
      );
      expect(handler.resets).to.deep.equal(['local_reset']);
    });

    it('is cut when the body is shorter than its length', async () => {
      const server = await start({
        handle: (s) => {
          s.sendHeaders(new HeaderMap([':status', '200', 'content-length', '3']), false);
          s.sendData(Buffer.from('ab'), true);
        },
      });
      const client = server.connect().write(get());
      expect(await client.receiveAll()).to.match(/\r\n\r\nab$/);
      expect(server.counter('downstream_rq_tx_reset')).to.equal(1);
    });

    it('is reset by the handler before headers: the connection closes without a byte', async () => {
      const server = await start({ handle: (s) => s.reset('local_reset') });
      expect(await server.connect().write(get()).receiveAll()).to.equal('');
    });

    it('is reset by the handler in the middle: no last chunk', async () => {
      const server = await start({
        handle: (s) => {
          s.sendHeaders(new HeaderMap([':status', '200']), false);
          s.sendData(Buffer.from('abc'), false);
          s.reset('local_reset');
        },
      });
      expect(await server.connect().write(get()).receiveAll()).to.match(/3\r\nabc\r\n$/);
    });

    it('is ended by a reset where HTTP/1.0 would take FIN for the end of the body', async () => {
      const config = hcm({
        http1: { acceptHttp10: true, defaultHostForHttp10: '', allowAbsoluteUrl: true, allowChunkedLength: false },
      });
      const streams: DownstreamStream[] = [];
      const server = await start({
        config,
        handle: (s) => {
          streams.push(s);
          s.sendHeaders(new HeaderMap([':status', '200']), false);
          s.sendData(Buffer.from('abc'), false);
        },
      });
      const client = server.connect().write('GET / HTTP/1.0\r\nHost: a\r\n\r\n');
      await client.receive(/abc$/);
      expect(client.received)
        .to.match(/^HTTP\/1\.0 200 OK\r\n/)
        .and.to.match(/connection: close/);
      streams[0]?.reset('local_reset');
      await client.until(() => client.closed, 'closed');
      expect(client.error?.code).to.equal('ECONNRESET');
    });
  });

  describe('the request body', () => {
    const bodies: { name: string; head: string; pieces: string[]; expected: string }[] = [
      { name: 'content-length', head: post(6), pieces: ['ab', 'cdef'], expected: 'abcdef' },
      {
        name: 'chunked',
        head: 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n',
        pieces: ['3\r\nab', 'c\r\n0', '\r\n\r\n'],
        expected: 'abc',
      },
      {
        name: 'chunked with trailers',
        head: 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n',
        pieces: ['3\r\nabc\r\n0\r\nx: y\r\n\r\n'],
        expected: 'abc',
      },
    ];
    for (const { name, head, pieces, expected } of bodies) {
      it(`comes in pieces, with one end: ${name}`, async () => {
        let ends = 0;
        const handler = new RecordingHandler();
        const server = await start({
          handle: (s) => {
            expect(s.requestEndStream).to.equal(false);
            handler.onEnd = () => {
              ends++;
              respond(s, 200, handler.body.toString());
            };
            s.start(handler);
          },
        });
        const client = server.connect().write(head);
        for (const piece of pieces) {
          client.write(piece);
          await new Promise((resolve) => setImmediate(resolve));
        }
        await client.receive(new RegExp(`\r\n\r\n${expected}$`));
        expect(ends).to.equal(1);
        client.write(get());
        await client.until(() => client.received.split('HTTP/1.1').length === 3 || ends > 1, 'a second response');
      });
    }

    it('is not read before the handler starts, nor while it is paused, and not lost then', async () => {
      const streams: DownstreamStream[] = [];
      const handler = new RecordingHandler();
      const server = await start({ handle: (s) => void streams.push(s) });
      // More than the kernel's buffers hold.
      const size = 64 * 1024 * 1024;
      const client = server.connect().write(post(size));
      const piece = Buffer.alloc(64 * 1024, 'x');
      for (let written = 0; written < size; written += piece.length) client.socket.write(piece);
      await waitUntil(
        () => streams.length === 1,
        () => 'no request',
      );
      const stream = streams[0] as DownstreamStream;
      await settle(() => client.socket.writableLength);
      const waiting = client.socket.writableLength;
      expect(waiting, 'bytes that wait at the client').to.be.greaterThan(size / 4);
      let received = 0;
      let peak = 0;
      stream.start({
        onData(data, endStream) {
          received += data.length;
          peak = Math.max(peak, data.length);
          if (endStream) return respond(stream, 200, String(received));
          stream.pauseReading();
          setImmediate(() => stream.resumeReading());
        },
        onWritable() {},
        onReset: (reason) => handler.onReset(reason),
      });
      await client.receive(new RegExp(`\r\n\r\n${size}$`));
      expect(handler.resets).to.deep.equal([]);
      expect(peak).to.be.at.most(256 * 1024);
    });

    it('pauses are counted', async () => {
      const handler = new RecordingHandler();
      const streams: DownstreamStream[] = [];
      const server = await start({
        handle: (s) => {
          streams.push(s);
          handler.onEnd = () => respond(s, 200, 'done');
          s.pauseReading();
          s.pauseReading();
          s.start(handler);
          s.pauseReading();
        },
      });
      const client = server.connect().write(post(3, 'abc'));
      await waitUntil(
        () => streams.length === 1,
        () => 'no request',
      );
      const stream = streams[0] as DownstreamStream;
      stream.resumeReading();
      stream.resumeReading();
      await new Promise((resolve) => setTimeout(resolve, 30));
      expect(handler.body.length).to.equal(0);
      stream.resumeReading();
      await client.receive(/done$/);
    });
  });

  it('tells the handler when a slow client can take more, and keeps no more than the limit', async () => {
    const bufferLimit = 256 * 1024;
    const piece = Buffer.alloc(64 * 1024, 'x');
    const pieces = 1_600;
    let sent = 0;
    let stops = 0;
    const server = await start({
      bufferLimit,
      handle: (s) => {
        s.sendHeaders(new HeaderMap([':status', '200', 'content-length', String(piece.length * pieces)]), false);
        const push = (): void => {
          while (sent < pieces) if (!s.sendData(piece, ++sent === pieces)) return void stops++;
        };
        s.start({ onData() {}, onWritable: push, onReset() {} });
        push();
      },
    });
    const client = server.connect();
    client.socket.pause();
    client.write(get());
    await waitUntil(
      () => stops > 0,
      () => 'never stopped',
    );
    await settle(() => sent);
    expect(sent, 'pieces that were taken while the client read nothing').to.be.lessThan(pieces / 2);
    let received = 0;
    client.socket.removeAllListeners('data');
    client.socket.on('data', (data) => {
      received += data.length;
    });
    client.socket.resume();
    await waitUntil(
      () => received > piece.length * pieces,
      () => `${received} bytes`,
    );
    expect(sent).to.equal(pieces);
  });

  for (const bufferLimit of [1, 1024, 20_000]) {
    it(`goes on after each stop, whatever the limit: ${bufferLimit} bytes`, async () => {
      const server = await start({
        bufferLimit,
        handle: (s) => {
          let left = 20;
          const push = (): void => {
            while (left > 0) if (!s.sendData(Buffer.alloc(3000, 'x'), --left === 0)) return;
          };
          s.start({ onData() {}, onWritable: push, onReset() {} });
          s.sendHeaders(new HeaderMap([':status', '200']), false);
          push();
        },
      });
      const client = server.connect().write(get().repeat(2));
      await client.receive(/\r\n0\r\n\r\n.*\r\n0\r\n\r\n$/s);
    });
  }

  describe('pipelining', () => {
    it('answers one at a time, in order', async () => {
      const streams: DownstreamStream[] = [];
      const server = await start({ handle: (s) => void streams.push(s) });
      const client = server.connect().write(get('', '/1') + get('', '/2') + post(3, 'abc') + get('', '/4'));
      for (let i = 0; i < 4; i++) {
        await waitUntil(
          () => streams.length === i + 1,
          () => `request ${i + 1}`,
        );
        await new Promise((resolve) => setTimeout(resolve, 10));
        expect(streams.length, 'requests at the handler').to.equal(i + 1);
        const stream = streams[i] as DownstreamStream;
        if (stream.requestEndStream) respond(stream, 200, `answer ${i + 1};`);
        else {
          const handler = new RecordingHandler();
          handler.onEnd = () => respond(stream, 200, `answer ${i + 1} ${handler.body};`);
          stream.start(handler);
        }
        await client.receive(new RegExp(`answer ${i + 1}[ abc]*;$`));
      }
      expect(client.received.match(/answer [^;]*/g)).to.deep.equal([
        'answer 1',
        'answer 2',
        'answer 3 abc',
        'answer 4',
      ]);
    });

    it('holds ten thousand requests back at the client', async () => {
      const streams: DownstreamStream[] = [];
      let answered = 0;
      const server = await start({ handle: (s) => void streams.push(s) });
      const count = 10_000;
      const padding = `x: ${'y'.repeat(400)}\r\n`;
      const client = server.connect().write(get(padding).repeat(count));
      await waitUntil(
        () => streams.length === 1,
        () => 'no request',
      );
      await settle(() => client.socket.writableLength);
      respond(streams.shift() as DownstreamStream, 200, String(answered++));
      expect(server.counter('downstream_cx_rx_bytes_total'), 'bytes that were read meanwhile').to.be.lessThan(500_000);
      while (answered < count) {
        const stream = streams.shift();
        if (stream) respond(stream, 200, String(answered++));
        else await new Promise((resolve) => setImmediate(resolve));
      }
      await client.receive(new RegExp(`\r\n\r\n${count - 1}$`));
    });

    it('does not begin the next request while the client has not read the responses', async () => {
      const body = 'x'.repeat(1024 * 1024);
      let requests = 0;
      const server = await start({
        bufferLimit: 64 * 1024,
        handle: (s) => {
          requests++;
          respond(s, 200, body);
        },
      });
      const client = server.connect();
      client.socket.pause();
      client.write(get().repeat(100));
      await waitUntil(
        () => requests > 0,
        () => 'no request',
      );
      await settle(() => requests);
      expect(requests).to.be.lessThan(50);
      let received = 0;
      client.socket.removeAllListeners('data');
      client.socket.on('data', (data) => {
        received += data.length;
      });
      client.socket.resume();
      await waitUntil(
        () => received > 100 * body.length,
        () => `${received} bytes`,
        15_000,
      );
      expect(requests).to.equal(100);
    });

    it('refuses a request whose body broke while it waited for its turn', async () => {
      const streams: DownstreamStream[] = [];
      const handler = new RecordingHandler();
      const server = await start({
        handle: (s) => {
          streams.push(s);
          s.start(handler);
        },
      });
      const client = server.connect();
      client.write(`${get()}POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nz\r\n`);
      await waitUntil(
        () => streams.length === 1,
        () => 'no request',
      );
      respond(streams[0] as DownstreamStream, 200, 'first');
      expect(await client.receiveAll()).to.match(/first.*HTTP\/1\.1 400 Bad Request\r\n/s);
      expect(handler.resets).to.deep.equal(['protocol_error']);
    });

    it('answers what came before an error, then refuses', async () => {
      const streams: DownstreamStream[] = [];
      const server = await start({ handle: (s) => void streams.push(s) });
      const client = server.connect().write(`${get()}nonsense\r\n\r\n`);
      await waitUntil(
        () => streams.length === 1,
        () => 'no request',
      );
      expect(client.received).to.equal('');
      respond(streams[0] as DownstreamStream, 200, 'fine');
      expect(await client.receiveAll()).to.match(
        /^HTTP\/1\.1 200 OK\r\n.*fineHTTP\/1\.1 400 Bad Request\r\n.*Bad Request$/s,
      );
      expect(server.counter('downstream_cx_protocol_error')).to.equal(1);
      expect(server.logged.map(({ info }) => info.responseFlags)).to.deep.equal([0, responseFlags.DPE]);
      expect(server.logged[1]?.requestHeaders).to.equal(undefined);
    });
  });

  describe('keep-alive', () => {
    it('goes on after a response', async () => {
      const server = await start({ handle: echo });
      const client = server.connect();
      for (let i = 1; i <= 5; i++) {
        client.write(i % 2 ? get() : post(3, 'abc'));
        await client.until(() => client.received.split('HTTP/1.1 200').length === i + 1, `response ${i}`);
      }
      expect(client.received).not.to.contain('connection:');
      expect(server.counter('downstream_cx_total')).to.equal(1);
      expect(server.counter('downstream_rq_2xx')).to.equal(5);
    });

    it('ends after max_requests_per_connection, with an announcement', async () => {
      const server = await start({ config: hcm({ maxRequestsPerConnection: 2 }), handle: echo });
      const all = await server
        .connect()
        .write(get() + get() + get())
        .receiveAll();
      expect(all.match(/HTTP\/1\.1 200/g)).to.have.length(2);
      expect(all.match(/connection: close/g)).to.have.length(1);
      expect(server.counter('downstream_cx_max_requests_reached')).to.equal(1);
    });

    it('ends with the next response when the listener drains', async () => {
      const server = await start({ handle: echo });
      const client = server.connect().write(get());
      await client.receive(/200 OK/);
      server.draining = true;
      expect(await client.write(get()).receiveAll()).to.match(/connection: close/);
      expect(server.counter('downstream_cx_drain_close')).to.equal(1);
    });

    it('ends when the response came before the end of the request; the rest is read and dropped', async () => {
      const handler = new RecordingHandler();
      const server = await start({
        handle: (s) => {
          s.start(handler);
          respond(s, 403, 'no');
        },
      });
      const client = server.connect().write(post(10_000_000, 'abc'));
      expect(await client.receiveAll()).to.match(/^HTTP\/1\.1 403 .*connection: close\r\n.*no$/s);
      client.socket.write(Buffer.alloc(1_000_000));
      client.socket.end();
      await client.until(() => client.closed, 'closed');
      expect(client.error, 'no reset while the client sends').to.equal(undefined);
      expect(handler.body.length).to.equal(0);
      expect(handler.resets).to.deep.equal([]);
      expect(server.counter('downstream_rq_response_before_rq_complete')).to.equal(1);
    });
  });

  describe('the client goes away', () => {
    const stages: { name: string; send: string; before?: (stream: DownstreamStream) => void }[] = [
      { name: 'while the handler thinks', send: get() },
      { name: 'in the middle of its body', send: post(10, 'abc') },
      {
        name: 'in the middle of the response',
        send: get(),
        before: (s) => {
          s.sendHeaders(new HeaderMap([':status', '200']), false);
          s.sendData(Buffer.from('abc'), false);
        },
      },
    ];
    for (const { name, send, before } of stages) {
      for (const how of ['FIN', 'RST'] as const) {
        it(`${name}, with ${how}`, async () => {
          const handler = new RecordingHandler();
          const streams: DownstreamStream[] = [];
          const server = await start({
            handle: (s) => {
              streams.push(s);
              s.start(handler);
              before?.(s);
            },
          });
          const client = server.connect().write(send);
          await waitUntil(
            () => streams.length === 1,
            () => 'no request',
          );
          if (before) await client.receive(/abc/);
          if (how === 'FIN') client.socket.end();
          else client.socket.resetAndDestroy();
          await waitUntil(
            () => handler.resets.length > 0,
            () => 'no reset',
          );
          expect(handler.resets).to.deep.equal(['downstream_closed']);
          const stream = streams[0] as DownstreamStream;
          // The handler may not know yet: nothing of this may do harm.
          if (!before) stream.sendHeaders(new HeaderMap([':status', '200']), false);
          expect(stream.sendData(Buffer.from('x'), true)).to.equal(true);
          stream.reset('local_reset');
          const late = new RecordingHandler();
          stream.start(late);
          await waitUntil(
            () => late.resets.length > 0,
            () => 'a late handler is told',
          );
          expect(server.logged[0]?.info.responseFlags).to.equal(responseFlags.DC);
          expect(server.logged[0]?.info.responseCodeDetails).to.equal('downstream_remote_disconnect');
          expect(server.counter('downstream_rq_rx_reset')).to.equal(1);
          expect(server.counter('downstream_cx_destroy_remote_active_rq')).to.equal(1);
        });
      }
    }

    it('between requests', async () => {
      const server = await start({ handle: echo });
      const client = server.connect().write(get());
      await client.receive(/200 OK/);
      client.socket.end();
      await client.until(() => client.closed, 'closed');
      await waitUntil(
        () => server.connections.size === 0,
        () => 'still there',
      );
      expect(server.counter('downstream_cx_destroy_remote')).to.equal(1);
      expect(server.counter('downstream_cx_destroy_active_rq')).to.equal(0);
    });

    it('in the middle of a head', async () => {
      const server = await start({ handle: echo });
      const client = server.connect().write('GET / HTTP/1.1\r\nHost');
      await waitUntil(
        () => server.gauge('downstream_rq_active') === 1,
        () => 'no request began',
      );
      client.socket.end();
      await waitUntil(
        () => server.connections.size === 0,
        () => 'still there',
      );
      expect(server.logged).to.have.length(1);
    });
  });

  it('tells the handler when the body breaks the protocol, and answers 400', async () => {
    const handler = new RecordingHandler();
    const server = await start({ handle: (s) => s.start(handler) });
    const client = server
      .connect()
      .write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n');
    await waitUntil(
      () => handler.body.length === 3,
      () => 'no body',
    );
    expect(await client.write('zz\r\n').receiveAll()).to.match(/^HTTP\/1\.1 400 Bad Request\r\n.*Bad Request$/s);
    expect(handler.resets).to.deep.equal(['protocol_error']);
  });

  it('contains what a handler throws later', async () => {
    let errors = 0;
    const server = await start({
      log: { trace() {}, debug() {}, info() {}, warn() {}, error: () => void errors++, fatal() {} } as never,
      handle: (s) =>
        s.start({
          onData() {
            throw new Error('onData');
          },
          onWritable() {},
          onReset() {
            throw new Error('onReset');
          },
        }),
    });
    expect(
      await server
        .connect()
        .write(post(3, 'abc'))
        .receive(/internal error$/),
    ).to.match(/^HTTP\/1\.1 500 /);
    expect(errors).to.equal(2);
  });

  describe('CONNECT', () => {
    it('becomes a tunnel, both ways, when the handler answers 200', async () => {
      const handler = new RecordingHandler();
      const streams: DownstreamStream[] = [];
      const server = await start({
        handle: (s) => {
          streams.push(s);
          expect(s.requestEndStream).to.equal(false);
          s.start(handler);
          s.sendHeaders(new HeaderMap([':status', '200']), false);
        },
      });
      const client = server.connect().write('CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\nearly ');
      await client.receive(/^HTTP\/1\.1 200 OK\r\n(?!.*(transfer-encoding|connection: close))/s);
      client.write('GET / HTTP/1.1\r\n\r\n');
      await waitUntil(
        () => handler.body.toString().endsWith('\r\n\r\n'),
        () => handler.body.toString(),
      );
      expect(handler.body.toString()).to.equal('early GET / HTTP/1.1\r\n\r\n');
      const stream = streams[0] as DownstreamStream;
      expect(stream.requestHeaders.get(':authority')).to.equal('b:443');
      expect(stream.requestHeaders.get(':path')).to.equal(undefined);
      stream.sendData(Buffer.from('raw'), false);
      await client.receive(/\r\n\r\nraw$/);
      client.socket.end();
      await waitUntil(
        () => handler.ended,
        () => 'no end',
      );
      stream.sendData(Buffer.from(' last'), true);
      expect(await client.receiveAll()).to.match(/raw last$/);
    });

    it('is an ordinary response otherwise, after which the connection closes', async () => {
      const server = await start({ handle: (s) => respond(s, 404) });
      const all = await server.connect().write(`CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n${get()}`).receiveAll();
      expect(all.match(/HTTP\/1\.1/g)).to.have.length(1);
      expect(all).to.match(/^HTTP\/1\.1 404 .*connection: close/s);
    });
  });

  describe('timeouts', () => {
    type Timeouts = Parameters<typeof hcm>[0];
    const cases: { name: string; config: Timeouts; send: string; ms: number; expected: RegExp; stat: string }[] = [
      {
        name: 'stream_idle_timeout, the request is here: 504',
        config: { streamIdleTimeoutMs: 1_000 },
        send: get(),
        ms: 1_000,
        expected: /^HTTP\/1\.1 504 Gateway Timeout\r\n.*stream timeout$/s,
        stat: 'downstream_rq_idle_timeout',
      },
      {
        name: 'stream_idle_timeout, half a body: 408',
        config: { streamIdleTimeoutMs: 1_000 },
        send: post(10, 'abc'),
        ms: 1_000,
        expected: /^HTTP\/1\.1 408 Request Timeout\r\n.*connection: close.*stream timeout$/s,
        stat: 'downstream_rq_idle_timeout',
      },
      {
        name: 'stream_idle_timeout, half a head: 408',
        config: { streamIdleTimeoutMs: 1_000 },
        send: 'GET / HTTP/1.1\r\nHo',
        ms: 1_000,
        expected: /^HTTP\/1\.1 408 Request Timeout\r\n.*stream timeout$/s,
        stat: 'downstream_rq_idle_timeout',
      },
      {
        name: 'request_timeout: 408',
        config: { requestTimeoutMs: 2_000 },
        send: post(10, 'abc'),
        ms: 2_000,
        expected: /^HTTP\/1\.1 408 .*request timeout$/s,
        stat: 'downstream_rq_timeout',
      },
      {
        name: 'request_headers_timeout: 408',
        config: { requestHeadersTimeoutMs: 2_000 },
        send: 'GET / HTTP/1.1\r\nHo',
        ms: 2_000,
        expected: /^HTTP\/1\.1 408 .*request header timeout$/s,
        stat: 'downstream_rq_header_timeout',
      },
    ];
    for (const { name, config, send, ms, expected, stat } of cases) {
      it(name, async () => {
        const clock = new FakeClock();
        const handler = new RecordingHandler();
        const server = await start({ clock, config: hcm(config), handle: (s) => s.start(handler) });
        const client = server.connect().write(send);
        await waitUntil(
          () => server.gauge('downstream_rq_active') === 1 && (!send.includes('abc') || handler.body.length === 3),
          () => 'no request',
        );
        await new Promise((resolve) => setTimeout(resolve, 10));
        clock.advance(ms - 1);
        await new Promise((resolve) => setTimeout(resolve, 10));
        expect(client.received).to.equal('');
        clock.advance(1);
        await client.receive(expected);
        expect(server.counter(stat)).to.equal(1);
        if (handler.resets.length > 0) expect(handler.resets).to.deep.equal(['local_reset']);
      });
    }

    it('request_timeout and request_headers_timeout end with the request', async () => {
      const clock = new FakeClock();
      const streams: DownstreamStream[] = [];
      const config = hcm({ requestTimeoutMs: 1_000, requestHeadersTimeoutMs: 1_000 });
      const server = await start({ clock, config, handle: (s) => void streams.push(s) });
      const client = server.connect().write(get());
      await waitUntil(
        () => streams.length === 1,
        () => 'no request',
      );
      clock.advance(60_000);
      respond(streams[0] as DownstreamStream, 200, 'fine');
      await client.receive(/fine$/);
    });

    it('a byte either way restarts the idle timeout; a route may have its own', async () => {
      const clock = new FakeClock();
      const streams: DownstreamStream[] = [];
      const server = await start({
        clock,
        config: hcm({ streamIdleTimeoutMs: 1_000 }),
        handle: (s) => {
          streams.push(s);
          s.setIdleTimeout(5_000);
          s.sendHeaders(new HeaderMap([':status', '200']), false);
        },
      });
      const client = server.connect().write(get());
      await client.receive(/200 OK/);
      for (let i = 0; i < 5; i++) {
        clock.advance(4_000);
        streams[0]?.sendData(Buffer.from('x'), false);
      }
      expect(server.counter('downstream_rq_idle_timeout')).to.equal(0);
      clock.advance(5_000);
      expect(server.counter('downstream_rq_idle_timeout')).to.equal(1);
      expect(await client.receiveAll(), 'no last chunk').to.match(/1\r\nx\r\n$/);
      expect(server.logged[0]?.info.responseFlags).to.equal(responseFlags.SI);
    });

    for (const [name, config, stat] of [
      ['idle_timeout', { idleTimeoutMs: 10_000 }, 'downstream_cx_idle_timeout'],
      ['max_connection_duration', { maxConnectionDurationMs: 10_000 }, 'downstream_cx_max_duration_reached'],
    ] as const) {
      it(`${name} closes an idle connection, after the drain timeout`, async () => {
        const clock = new FakeClock();
        const server = await start({ clock, config: hcm({ ...config, drainTimeoutMs: 5_000 }), handle: echo });
        const client = server.connect().write(get());
        await client.receive(/200 OK/);
        clock.advance(10_000);
        expect(server.counter(stat)).to.equal(1);
        clock.advance(4_999);
        await new Promise((resolve) => setTimeout(resolve, 10));
        expect(client.ended).to.equal(false);
        clock.advance(1);
        await client.receiveAll();
      });

      it(`${name}: a request that comes before that is answered, and told`, async () => {
        const clock = new FakeClock();
        const server = await start({ clock, config: hcm({ ...config, drainTimeoutMs: 5_000 }), handle: echo });
        const client = server.connect().write(get());
        await client.receive(/200 OK/);
        clock.advance(11_000);
        expect(await client.write(get()).receiveAll()).to.match(/connection: close/);
      });
    }

    it('delayed_close_timeout ends the wait for the client', async () => {
      const clock = new FakeClock();
      const server = await start({ clock, handle: echo });
      const client = server.connect().write(get('Connection: close\r\n'));
      await client.receiveAll();
      expect(server.connections.size).to.equal(1);
      await waitUntil(
        () => {
          clock.advance(1_000);
          return server.connections.size === 0;
        },
        () => 'still there',
      );
      expect(server.counter('downstream_cx_delayed_close_timeout')).to.equal(1);
    });

    it('leaves no timer behind', async () => {
      const clock = new FakeClock();
      const config = hcm({ requestTimeoutMs: 1_000, requestHeadersTimeoutMs: 1_000, maxConnectionDurationMs: 100_000 });
      const server = await start({ clock, config, handle: echo });
      const client = server.connect().write(get() + post(3, 'abc') + get());
      await client.until(() => client.received.split('200 OK').length === 4, 'three responses');
      client.socket.end();
      await waitUntil(
        () => server.connections.size === 0,
        () => 'still there',
      );
      expect(clock.pending).to.equal(0);
    });
  });

  it('knows the address that x-forwarded-for tells from the connection’s own', async () => {
    const server = await start({ handle: echo });
    const client = server.connect().write(get('x-forwarded-for: 192.0.2.7\r\n'));
    await client.receive(/"body"/);
    const info = server.logged[0]?.info;
    expect(info?.downstreamRemoteAddress).to.equal('192.0.2.7:0');
    expect(info?.downstreamDirectRemoteAddress).to.equal(`127.0.0.1:${client.socket.localPort}`);
  });

  it('counts and logs', async () => {
    const server = await start({ handle: echo });
    const client = server.connect().write(post(3, 'abc'));
    await client.receive(/"body":"abc"/);
    client.socket.end();
    await waitUntil(
      () => server.connections.size === 0,
      () => 'still there',
    );
    const [line] = server.logged;
    expect(line?.info).to.include({ requestBytes: 3, responseCode: 200, protocol: 'HTTP/1.1', responseFlags: 0 });
    expect(line?.info.downstreamRemoteAddress).to.match(/^127\.0\.0\.1:[0-9]+$/);
    expect(line?.info.downstreamLocalAddress).to.equal(`127.0.0.1:${server.port}`);
    expect(line?.info.responseBytes).to.equal(client.received.length - client.received.indexOf('\r\n\r\n') - 4);
    expect(line?.info.lastDownstreamTxByte).to.be.at.least(line?.info.startTime ?? Number.NaN);
    expect(line?.requestHeaders?.get(':method')).to.equal('POST');
    expect(line?.responseHeaders?.get('server')).to.equal('envoy');
    expect(server.counter('downstream_cx_rx_bytes_total')).to.equal(post(3, 'abc').length);
    expect(server.counter('downstream_cx_tx_bytes_total')).to.equal(client.received.length);
    expect(server.stats.counter('listener.test.http.test.downstream_rq_2xx').value).to.equal(1);
  });
};

for (const sockets of testedSockets) {
  for (const codec of http1CodecNames)
    describe(`an HTTP/1 connection, codec ${codec}, sockets ${sockets}`, behaviour(codec, sockets));
}

/** Waits until a number has stopped changing. */
async function settle(value: () => number): Promise<void> {
  let last = value();
  for (let same = 0; same < 5; ) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    if (value() === last) same++;
    else same = 0;
    last = value();
  }
}
