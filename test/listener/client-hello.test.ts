import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { connect } from 'node:tls';
import { expect } from 'chai';
import fc from 'fast-check';
import { parseClientHello } from '../../src/listener/client-hello.js';

/** What OpenSSL sends first. */
async function helloOf(options: { servername?: string; ALPNProtocols?: string[] }): Promise<Buffer> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const client = connect({ host: '127.0.0.1', port, ...options });
  client.on('error', () => undefined);
  const [socket] = (await once(server, 'connection')) as [Socket];
  const [data] = (await once(socket, 'data')) as [Buffer];
  client.destroy();
  server.close();
  return data;
}

/** The same handshake message in records of so many bytes. */
function inRecords(hello: Buffer, size: number): Buffer {
  const message = hello.subarray(5);
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += size) {
    const fragment = message.subarray(at, at + size);
    const header = Buffer.from([22, 3, 1, 0, 0]);
    header.writeUInt16BE(fragment.length, 3);
    records.push(header, fragment);
  }
  return Buffer.concat(records);
}

describe('a ClientHello', () => {
  let full: Buffer;
  before(async () => {
    full = await helloOf({ servername: 'A.Example.com', ALPNProtocols: ['h2', 'http/1.1'] });
  });

  it('tells the server name and the protocols', async () => {
    expect(parseClientHello(full)).to.deep.equal({
      kind: 'hello',
      hello: { serverName: 'a.example.com', applicationProtocols: ['h2', 'http/1.1'] },
    });
    expect(parseClientHello(await helloOf({}))).to.deep.equal({
      kind: 'hello',
      hello: { serverName: '', applicationProtocols: [] },
    });
  });

  it('is not taken for one before all of it is there, and says how much is needed', () => {
    for (let length = 0; length < full.length; length++) {
      const result = parseClientHello(full.subarray(0, length));
      expect(result, String(length)).to.deep.equal({ kind: 'incomplete', needed: length < 5 ? 5 : full.length });
    }
  });

  it('may be in several records, but not in ever so many', () => {
    const [half, many] = [Math.ceil(full.length / 2), Math.ceil(full.length / 40)];
    expect(parseClientHello(inRecords(full, half))).to.deep.equal(parseClientHello(full));
    const cut = inRecords(full, half).subarray(0, half + 7);
    expect(parseClientHello(cut)).to.deep.equal({ kind: 'incomplete', needed: half + 10 });
    expect(parseClientHello(inRecords(full, many))).to.deep.equal({ kind: 'not_tls' });
  });

  const others: readonly (readonly [string, Buffer])[] = [
    ['a request', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['one byte of it', Buffer.from('G')],
    ['an alert', Buffer.from([21, 3, 1, 0, 2, 1, 0])],
    ['another version', Buffer.from([22, 2])],
    ['another message', Buffer.from([22, 3, 1, 0, 5, 2])],
    ['an empty record', Buffer.from([22, 3, 1, 0, 0])],
    ['a record that is too long', Buffer.from([22, 3, 1, 0x40, 1])],
    ['a hello of nothing', Buffer.from([22, 3, 1, 0, 4, 1, 0, 0, 0])],
  ];
  for (const [what, bytes] of others)
    it(`is not ${what}`, () => {
      expect(parseClientHello(bytes)).to.deep.equal({ kind: 'not_tls' });
    });

  it('is looked for in anything without harm', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat(), fc.boolean(), (noise, at, inside) => {
        const bytes = Buffer.from(inside ? full : noise);
        if (inside) bytes.set(noise.subarray(0, Math.max(0, bytes.length - (at % bytes.length))), at % bytes.length);
        const result = parseClientHello(bytes);
        expect(result.kind).to.be.oneOf(['hello', 'incomplete', 'not_tls']);
        if (result.kind === 'incomplete') expect(result.needed).to.be.greaterThan(bytes.length);
      }),
      { numRuns: 2_000 },
    );
  });
});
