import { expect } from 'chai';
import fc from 'fast-check';
import { HeaderMap } from '../../src/bridge/header-map.js';
import { Http1RequestParser } from '../../src/http/http1-request-parser.js';
import { KnownHeads } from '../../src/http/known-heads.js';
import type { KnownHead, RequestHead } from '../../src/http/request-parser.js';
import { type Client, hcm, startServer } from './harness.js';

interface Told {
  readonly head: RequestHead;
  readonly known: KnownHead | undefined;
  body: string;
}

/** Takes everything as it comes. */
function reader(known = new KnownHeads()): {
  readonly told: Told[];
  readonly errors: number[];
  parser: Http1RequestParser;
} {
  const told: Told[] = [];
  const errors: number[] = [];
  const parser = new Http1RequestParser(2048, known, {
    onRequest(head, knownHead) {
      told.push({ head, known: knownHead, body: '' });
      parser.startBody();
      parser.nextRequest();
    },
    onBody(data, endStream) {
      const last = told[told.length - 1] as Told;
      last.body += data.toString('latin1') + (endStream ? '|' : '');
      if (endStream) parser.nextRequest();
    },
    onError: ({ status }) => void errors.push(status),
    onDrain() {},
  });
  return { told, errors, parser };
}

const get = (more = ''): string => `GET / HTTP/1.1\r\nHost: a\r\n${more}\r\n`;
const read = ({ parser }: { parser: Http1RequestParser }, ...pieces: string[]): void => {
  for (const piece of pieces) parser.write(Buffer.from(piece, 'latin1'));
};

describe('heads that come again on a connection', () => {
  it('are known from their second time on', () => {
    const { told, parser } = reader();
    read({ parser }, get(), get(), get(), get('X: 1\r\n'), get());
    expect(told.map(({ known }) => known !== undefined)).to.deep.equal([false, true, true, false, true]);
    expect(told[2]?.head).to.equal(told[1]?.head);
    expect(told[4]?.known).to.equal(told[1]?.known);
  });

  it('are known by bytes of their own', () => {
    const { told, parser } = reader();
    const memory = Buffer.alloc(256);
    for (const text of [get(), get(), get('Y: 2\r\n'), get()])
      parser.write(memory.subarray(0, memory.write(text, 'latin1')));
    expect(told.map(({ head }) => head.headers.length)).to.deep.equal([2, 2, 4, 2]);
  });

  it('are not known when they are long, or came in pieces', () => {
    const { told, parser } = reader();
    read({ parser }, ...Array<string>(4).fill(get(`X: ${'a'.repeat(1000)}\r\n`)));
    const text = get();
    for (let i = 0; i < 4; i++) read({ parser }, text.slice(0, 9), text.slice(9));
    expect(told.map(({ known }) => known)).to.deep.equal(Array(8).fill(undefined));
  });

  it('are kept more rarely of a client whose heads all differ', () => {
    const { told, parser } = reader();
    for (let i = 0; i < 100; i++) read({ parser }, get(`X: ${i}\r\n`));
    expect(told.filter(({ known }) => known !== undefined)).to.have.lengthOf(6);
  });

  it('are known to so many connections at most', () => {
    const all = new KnownHeads();
    const readers = Array.from({ length: 1025 }, () => reader(all));
    for (const one of readers) read(one, get(), get());
    for (const one of readers) read(one, get());
    const known = readers.filter(({ told }) => told[2]?.known !== undefined);
    expect(known).to.have.lengthOf(1024);
    expect(readers[0]?.told[2]?.known).to.equal(undefined);
    // Whoever is gone takes nobody's place.
    readers[1]?.parser.destroy();
    for (let i = 0; i < 3; i++) read(readers[2] as (typeof readers)[0], get());
    expect(readers[2]?.told[5]?.known).to.not.equal(undefined);
  });

  it('are read as by a parser that knows none', () => {
    const requests = [
      get(),
      get('X: 1\r\n'),
      'POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc',
      'POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
      `\r\n${get()}`,
      'GET / HTTP/1.1\r\nHost: a\r\n\rX',
    ];
    const index = fc.nat(requests.length - 1);
    fc.assert(
      fc.property(fc.array(fc.array(index, { maxLength: 4 })), fc.array(fc.nat(300)), (groups, cuts) => {
        const raw = groups
          .flatMap((group) => [...group, ...group, ...group])
          .map((i) => requests[i])
          .join('');
        const places = [...new Set(cuts)].sort((a, b) => a - b);
        const one = reader();
        read(one, ...[0, ...places].map((place, i) => raw.slice(place, places[i] ?? raw.length)));
        // In single bytes, nothing is ever known.
        const other = reader();
        read(other, ...raw);
        const plain = ({ told, errors }: typeof one): unknown => [
          told.map(({ head, body }) => ({ head, body })),
          errors,
        ];
        expect(plain(one)).to.deep.equal(plain(other));
      }),
    );
  });
});

describe('requests with a head that came before', () => {
  const ask = async (client: Client, head: string): Promise<void> => {
    client.received = '';
    client.write(head);
    await client.receive(/x-end: 1\r\n/);
  };
  const ok = (): HeaderMap => new HeaderMap([':status', '200', 'x-end', '1']);

  for (const codec of ['own', 'node'] as const) {
    it(`get the same headers, each its own, and a request id of their own: ${codec}`, async () => {
      const seen: string[][] = [];
      const server = await startServer({
        codec,
        config: hcm({ useRemoteAddress: true }),
        handle(stream) {
          seen.push([...stream.requestHeaders.pairs]);
          stream.requestHeaders.set('x-mine', '1');
          stream.requestHeaders.delete(':path');
          stream.info.routeName = 'one';
          stream.sendHeaders(ok(), true);
        },
      });
      const client = server.connect();
      for (let i = 0; i < 4; i++) await ask(client, get('X-Forwarded-For: 192.0.2.7\r\nTE: trailers\r\n'));
      const ids = seen.map((pairs) => pairs[pairs.indexOf('x-request-id') + 1] as string);
      expect(new Set(ids)).to.have.lengthOf(4);
      const rest = seen.map((pairs, i) => pairs.map((text) => (text === ids[i] ? '' : text)));
      for (const pairs of rest) expect(pairs).to.deep.equal(rest[0]);
      await server.close();
    });
  }

  it('are answered with 100 each time they ask for it', async () => {
    const server = await startServer({ handle: (stream) => stream.sendHeaders(ok(), true) });
    const client = server.connect();
    for (let i = 0; i < 4; i++) {
      await ask(client, get('Expect: 100-continue\r\n'));
      expect(client.received).to.match(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK\r\n/);
    }
    await server.close();
  });

  it('are refused each time', async () => {
    const server = await startServer({ handle: (stream) => stream.sendHeaders(ok(), true) });
    const client = server.connect();
    for (let i = 0; i < 4; i++) {
      client.received = '';
      client.write('OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n');
      await client.receive(/404 Not Found\r\n.*\r\n\r\n/s);
    }
    expect(server.counter('downstream_rq_non_relative_path')).to.equal(4);
    await server.close();
  });
});
