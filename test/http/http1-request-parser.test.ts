import { expect } from 'chai';
import fc from 'fast-check';
import { Http1RequestParser } from '../../src/http/http1-request-parser.js';
import { KnownHeads } from '../../src/http/known-heads.js';
import type { ParseError, RequestHead } from '../../src/http/request-parser.js';

const maxHeadBytes = 1024;
const get = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const chunked = (body: string): string => `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${body}`;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Takes everything as it comes, unless told otherwise. */
class Reader {
  readonly heads: RequestHead[] = [];
  readonly errors: ParseError[] = [];
  bodies: string[] = [];
  drains = 0;
  /** Requests are answered, and bodies taken, at once. */
  willing = true;
  readonly parser = new Http1RequestParser(maxHeadBytes, new KnownHeads(), {
    onRequest: (head) => {
      this.heads.push(head);
      this.bodies.push('');
      if (!this.willing) return;
      this.parser.startBody();
      this.parser.nextRequest();
    },
    onBody: (data, endStream) => {
      this.bodies[this.bodies.length - 1] += data.toString('latin1') + (endStream ? '|' : '');
      if (endStream && this.willing) this.parser.nextRequest();
    },
    onError: (error) => void this.errors.push(error),
    onDrain: () => void this.drains++,
  });

  write(text: string): boolean {
    return this.parser.write(Buffer.from(text, 'latin1'));
  }
}

describe('the HTTP/1 request parser', () => {
  it('tells names in lower case, values without the white space around them, and how large the head was', () => {
    const reader = new Reader();
    const raw = 'PUT /a?b HTTP/1.0\r\nHOST:a\r\nX-Some: \t b c\t \r\nempty:\r\n\r\n';
    expect(reader.write(raw)).to.equal(true);
    expect(reader.heads).to.deep.equal([
      {
        method: 'PUT',
        target: '/a?b',
        protocol: 'HTTP/1.0',
        headers: ['host', 'a', 'x-some', 'b c', 'empty', ''],
        size: raw.length,
      },
    ]);
  });

  it('gives pieces of a body as views of what was read', () => {
    const pieces: Buffer[] = [];
    const parser = new Http1RequestParser(maxHeadBytes, new KnownHeads(), {
      onRequest: () => parser.startBody(),
      onBody: (data) => void pieces.push(data),
      onError() {},
      onDrain() {},
    });
    const data = Buffer.from('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc');
    parser.write(data);
    expect(pieces.map(String)).to.deep.equal(['abc']);
    expect(pieces[0]?.buffer).to.equal(data.buffer);
  });

  it('takes no more while a request is under way, and says when it does again', async () => {
    const reader = new Reader();
    reader.willing = false;
    expect(reader.write(get)).to.equal(true);
    expect(reader.write(get), 'the second one waits').to.equal(false);
    await turn();
    expect([reader.heads.length, reader.drains]).to.deep.equal([1, 0]);
    reader.parser.nextRequest();
    expect(reader.heads.length, 'not from within nextRequest').to.equal(1);
    await turn();
    expect([reader.heads.length, reader.drains]).to.deep.equal([2, 1]);
  });

  it('keeps a body until it is wanted, and while it is not', async () => {
    const reader = new Reader();
    reader.willing = false;
    const { parser } = reader;
    expect(reader.write(chunked('3\r\nabc\r\n'))).to.equal(false);
    parser.pauseBody();
    parser.startBody();
    await turn();
    expect(reader.bodies).to.deep.equal(['']);
    parser.resumeBody();
    expect(reader.bodies, 'not from within resumeBody').to.deep.equal(['']);
    await turn();
    expect([reader.bodies, reader.drains]).to.deep.equal([['abc'], 1]);
    parser.pauseBody();
    expect(reader.write('0\r\n\r\n')).to.equal(false);
    parser.resumeBody();
    await turn();
    expect(reader.bodies).to.deep.equal(['abc|']);
  });

  it('tells nothing after destroy', async () => {
    const reader = new Reader();
    reader.willing = false;
    reader.write(get + get);
    reader.parser.nextRequest();
    reader.parser.destroy();
    await turn();
    expect(reader.write(get)).to.equal(true);
    expect([reader.heads.length, reader.drains]).to.deep.equal([1, 0]);
  });

  it('tells an error once, after what came before it', () => {
    const reader = new Reader();
    reader.write(`${get}POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc\x00`);
    reader.write(get);
    expect([reader.heads.length, reader.bodies, reader.errors]).to.deep.equal([
      2,
      ['', 'abc|'],
      [{ status: 400, details: 'http1.codec_error' }],
    ]);
  });

  describe('limits', () => {
    const line = 'GET / HTTP/1.1\r\nx: ';
    const filled = (size: number): string => `${line}${'a'.repeat(size - line.length - 4)}\r\n\r\n`;
    const cases: { name: string; raw: string; status: number | undefined }[] = [
      { name: 'a head of exactly the limit', raw: filled(maxHeadBytes), status: undefined },
      { name: 'a head of one byte more', raw: filled(maxHeadBytes + 1), status: 431 },
      { name: 'a target without an end', raw: `GET /${'a'.repeat(maxHeadBytes)}`, status: 431 },
      { name: 'trailers over the limit', raw: chunked(`0\r\nx: ${'a'.repeat(maxHeadBytes)}\r\n\r\n`), status: 431 },
      {
        name: 'a chunk extension that fits',
        raw: chunked(`1;${'a'.repeat(16_000)}\r\na\r\n0\r\n\r\n`),
        status: undefined,
      },
      { name: 'a chunk extension without an end', raw: chunked(`1;${'a'.repeat(17_000)}`), status: 400 },
      { name: 'a chunk size without an end', raw: chunked('0'.repeat(17_000)), status: 400 },
      { name: 'a method without an end', raw: 'G'.repeat(2_000), status: 431 },
      {
        name: 'a length over 64 bits',
        raw: 'POST / HTTP/1.1\r\nContent-Length: 18446744073709551616\r\n\r\n',
        status: 400,
      },
      { name: 'a chunk over 64 bits', raw: chunked('10000000000000000\r\n'), status: 400 },
      { name: 'a chunk of nearly 64 bits', raw: chunked('fffffffffffffff0\r\na'), status: undefined },
    ];
    for (const { name, raw, status } of cases) {
      for (const size of [raw.length, 7, 1]) {
        it(`${name}, in pieces of ${size} bytes`, () => {
          const reader = new Reader();
          for (let at = 0; at < raw.length; at += size) reader.write(raw.slice(at, at + size));
          expect(reader.errors[0]?.status).to.equal(status);
        });
      }
    }

    it('hold whatever comes a byte at a time: the time is linear in the bytes', () => {
      const parser = new Http1RequestParser(1024 * 1024, new KnownHeads(), {
        onRequest() {},
        onBody() {},
        onError() {},
        onDrain() {},
      });
      const start = process.cpuUsage().user;
      const byte = Buffer.from('a');
      parser.write(Buffer.from('GET /'));
      for (let i = 0; i < 500_000; i++) parser.write(byte);
      expect((process.cpuUsage().user - start) / 1_000, 'milliseconds').to.be.lessThan(5_000);
    });
  });

  it('reads the same whatever is paused when', async () => {
    const raw = get + chunked('3;a=b\r\nabc\r\n1\r\nd\r\n0\r\nx: y\r\n\r\n') + get + chunked('0\r\n\r\n') + get;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(raw.length), { maxLength: 10 }),
        fc.infiniteStream(fc.nat(3)),
        async (cuts, choices) => {
          const choose = (): number => choices.next().value as number;
          const reader = new Reader();
          reader.willing = false;
          const { parser } = reader;
          const places = [...new Set(cuts)].sort((a, b) => a - b);
          const pieces = [0, ...places].map((place, i) => raw.slice(place, places[i] ?? raw.length));
          let next: Promise<void> | undefined;
          for (let turns = 0; pieces.length > 0 || reader.heads.length < 5; turns++) {
            if (turns > 2_000) throw new Error(`stuck after ${JSON.stringify(reader.bodies)}`);
            const drains = reader.drains;
            const piece = pieces.shift();
            const taken = piece === undefined || reader.write(piece);
            for (let waited = 0; waited < 1_000; waited++) {
              if (choose() === 0) parser.pauseBody();
              if (choose() === 0) parser.startBody();
              if (choose() === 0) parser.resumeBody();
              if (choose() === 0) parser.nextRequest();
              next = turn();
              await next;
              if (taken || reader.drains > drains) break;
            }
          }
          expect(reader.errors).to.deep.equal([]);
          expect(reader.bodies).to.deep.equal(['', 'abcd|', '', '|', '']);
        },
      ),
      { numRuns: 60 },
    );
  });
});
