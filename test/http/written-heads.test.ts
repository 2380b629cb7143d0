import { expect } from 'chai';
import fc from 'fast-check';
import { HeaderMap } from '../../src/bridge/header-map.js';
import { type ResponseContext, ResponseEncoder } from '../../src/http/http1-response.js';
import { WrittenHeads } from '../../src/http/written-heads.js';

type Protocol = ResponseContext['protocol'];

/** What is written for a response without a body, and in how many pieces. */
function write(written: WrittenHeads, pairs: readonly string[], protocol: Protocol = 'HTTP/1.1') {
  const pieces: (Buffer | string)[] = [];
  const headers = new HeaderMap([...pairs]);
  const encoder = new ResponseEncoder(
    headers,
    { protocol, method: 'GET', endStream: true },
    { write: (piece) => pieces.push(piece) },
  );
  encoder.writeHead(protocol, headers, written);
  return { text: pieces.map((piece) => piece.toString('latin1')).join(''), pieces };
}

const ok = [':status', '200', 'x-a', '\u00e9'];

describe('heads of responses that were written before', () => {
  it('are the same bytes', () => {
    const written = new WrittenHeads();
    const first = write(written, ok);
    expect(first.text).to.equal('HTTP/1.1 200 OK\r\nx-a: \u00e9\r\ncontent-length: 0\r\n\r\n');
    const second = write(written, ok);
    expect(second.pieces).to.have.lengthOf(1);
    expect(second.pieces[0]).to.equal(first.pieces[0]);
  });

  it('are given back when others came, and when they are long', () => {
    const written = new WrittenHeads();
    const [first] = write(written, ok).pieces;
    const other = (i: number): string[] => [':status', '200', 'x', String(i)];
    for (let i = 0; i < 8; i++) {
      write(written, other(i));
      write(written, other(i));
    }
    expect(write(written, ok).pieces[0]).to.not.equal(first);
    const long = [':status', '200', 'x', 'a'.repeat(1024)];
    expect(write(written, long).pieces[0]).to.not.equal(write(written, long).pieces[0]);
  });

  it('are kept more rarely where all differ', () => {
    const written = new WrittenHeads();
    let kept = 0;
    for (let i = 0; i < 100; i++) if (write(written, [':status', '200', 'x', String(i)]).pieces.length === 1) kept++;
    expect(kept).to.equal(7);
  });

  it('are those that would be written without them', () => {
    const name = fc.constantFrom('x', 'y', 'content-length', 'x-');
    const value = fc.constantFrom('0', '00', '', 'y');
    const response = fc.record({
      status: fc.constantFrom('200', '404'),
      fields: fc.array(fc.tuple(name, value), { maxLength: 3 }),
      protocol: fc.constantFrom<Protocol>('HTTP/1.0', 'HTTP/1.1'),
    });
    fc.assert(
      fc.property(fc.array(response, { maxLength: 40 }), (responses) => {
        const written = new WrittenHeads();
        for (const { status, fields, protocol } of responses) {
          const pairs = [':status', status, ...fields.flat()];
          expect(write(written, pairs, protocol).text).to.equal(write(new WrittenHeads(), pairs, protocol).text);
        }
      }),
    );
  });
});
