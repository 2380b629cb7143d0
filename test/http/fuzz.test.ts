import { expect } from 'chai';
import fc from 'fast-check';
import { type Http1CodecName, http1CodecNames } from '../../src/http/http1-codec.js';
import type { SocketsName } from '../../src/sockets/open-sockets.js';
import { cases } from '../conformance/http1/cases.js';
import { testedSockets } from '../support/tested-sockets.js';
import { echo, hcm, startServer, type TestServer } from './harness.js';

/** Cases whose body is so long that what follows is a part of it. */
const endless: ReadonlySet<string> = new Set(['huge chunk size', 'content-length of nearly 64 bits']);

const last = 'GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';

/** What the client sees, without what differs from run to run. */
const stable = (text: string): string =>
  text
    .replaceAll(/date: [^\r]*/g, 'date')
    .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f-]{21}/g, 'uuid')
    .replaceAll(/content-length: [0-9]+/g, 'length');

const behaviour = (codec: Http1CodecName, sockets: SocketsName) => () => {
  let server: TestServer;

  beforeEach(async () => {
    server = await startServer({ codec, sockets, handle: echo, config: hcm({ delayedCloseTimeoutMs: 200 }) });
  });

  afterEach(async () => {
    await server.close();
    expect(server.gauge('downstream_rq_active')).to.equal(0);
    expect(server.gauge('downstream_cx_active')).to.equal(0);
  });

  const exchange = async (pieces: readonly string[]): Promise<string> => {
    const client = server.connect();
    for (const piece of pieces) {
      client.write(piece);
      if (pieces.length > 1) await new Promise((resolve) => setImmediate(resolve));
    }
    const received = await client.receiveAll();
    client.socket.destroy();
    return stable(received);
  };

  it('mean the same wherever they are split', async () => {
    // Those that end by the last request, if not before.
    const raws = cases
      .filter(({ profile, raw }) => profile === undefined && raw.length < 2_000 && raw.includes('\r\n\r\n'))
      .filter(({ name, raw }) => !endless.has(name) && !raw.startsWith('CONNECT'))
      .map(({ raw }) => raw + last);
    const whole = new Map<string, string>();
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...raws),
        fc.array(fc.nat(2_000), { minLength: 1, maxLength: 12 }),
        async (raw, cuts) => {
          const expected = whole.get(raw) ?? (await exchange([raw]));
          whole.set(raw, expected);
          const places = [...new Set(cuts.map((cut) => cut % raw.length))].sort((a, b) => a - b);
          const pieces = [...places, raw.length].map((place, i) => raw.slice(i === 0 ? 0 : places[i - 1], place));
          expect(await exchange(pieces.filter((piece) => piece !== ''))).to.equal(expected);
        },
      ),
      { numRuns: 150 },
    );
  });

  it('byte by byte', async () => {
    const raw = `POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx: y\r\n\r\n${last}`;
    expect(await exchange([...raw])).to.equal(await exchange([raw]));
  });

  it('never bring it down: noise, and requests with noise in them', async () => {
    const noise = fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes).toString('latin1'));
    const raws = cases.filter(({ raw }) => raw.length < 1_000).map(({ raw }) => raw);
    const spoilt = fc
      .tuple(fc.constantFrom(...raws), fc.nat(1_000), fc.nat(4), fc.string({ unit: 'binary-ascii', maxLength: 4 }))
      .map(([raw, at, cut, text]) => raw.slice(0, at % raw.length) + text + raw.slice((at % raw.length) + cut));
    await fc.assert(
      fc.asyncProperty(fc.oneof(noise, spoilt), fc.boolean(), async (raw, reset) => {
        const client = server.connect().write(raw);
        await new Promise((resolve) => setImmediate(resolve));
        if (reset) client.socket.resetAndDestroy();
        else client.socket.end();
        await client.until(() => client.closed || client.ended, 'closed');
        client.socket.destroy();
        for (const status of client.received.match(/^HTTP\/1\.1 [0-9]+/gm) ?? []) {
          expect(status).to.match(/ (100|200|307|400|403|404|426|431|501)$/);
        }
      }),
      { numRuns: 400 },
    );
    expect(await exchange([last])).to.match(/^HTTP\/1\.1 200 OK/);
  });
};

for (const codec of http1CodecNames) {
  for (const sockets of testedSockets) {
    describe(`bytes that no one foresaw, codec ${codec}, sockets ${sockets}`, behaviour(codec, sockets)).timeout(
      60_000,
    );
  }
}
