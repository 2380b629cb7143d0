import { expect } from 'chai';
import { findDifference } from './compare.js';
import { fuzzHttp1 } from './fuzz-http1.js';
import { readByNode } from './node-reader.js';
import { maxHeadBytes, readByUs } from './own-reader.js';

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

describe('requests that our HTTP/1 parser accepts', () => {
  it('Node accepts, too, and reads the same, wherever they are split (20,000 cases; more with `npm run fuzz`)', function () {
    this.timeout(60_000);
    const { cases, accepted, findings } = fuzzHttp1({ cases: 20_000, seed: 1 });
    expect(findings).to.deep.equal([]);
    expect(cases).to.equal(20_000);
    expect(accepted, 'requests that were compared').to.be.greaterThan(8_000);
  });

  it('are read in full by both', () => {
    const data = bytes(
      'POST /a HTTP/1.1\r\nHost: a\r\nX-B: c \r\nTransfer-Encoding: chunked\r\n\r\n3;a="b"\r\nabc\r\n0\r\nx-t: y\r\n\r\n' +
        'CONNECT b:443 HTTP/1.1\r\nHost: b\r\n\r\nraw',
    );
    const ours = readByUs([data]);
    expect(ours).to.deep.equal(readByNode(data, maxHeadBytes));
    expect(ours.requests).to.have.length(2);
    expect(ours.requests[0]).to.include({ body: 'abc', complete: true });
    expect(ours.requests[0]?.trailers).to.deep.equal(['x-t', 'y']);
    expect(ours.tunnel).to.equal('raw');
  });

  describe('what fuzzing found', () => {
    const found: { name: string; raw: string; accepted: number }[] = [
      {
        name: 'an absolute URL with a fragment and no path is refused',
        raw: 'GET http://a#b HTTP/1.1\r\n\r\n',
        accepted: 0,
      },
      {
        name: 'a request without a body has no trailers, whatever the one before had',
        raw: 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nx: y\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n',
        accepted: 2,
      },
      {
        name: 'Connection: close may not come as a trailer, where Node heeds it',
        raw: 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n',
        accepted: 1,
      },
      {
        name: 'an HTTP/1.0 connection persists by no option with a tab behind, which Node takes for another one',
        raw: 'GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\t\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n',
        accepted: 0,
      },
      {
        name: 'nothing is read behind an upgrade in Proxy-Connection, which Node takes for one',
        raw: 'GET / HTTP/1.1\r\nHost: a\r\nProxy-Connection: Upgrade\r\nUpgrade: x\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n',
        accepted: 1,
      },
    ];
    for (const { name, raw, accepted } of found) {
      it(name, () => {
        const ours = readByUs([bytes(raw)]);
        expect(ours.requests).to.have.length(accepted);
        expect(findDifference(ours, readByNode(bytes(raw), maxHeadBytes))).to.equal(undefined);
      });
    }

    it('a head that is both too large and wrong is refused for the same reason wherever it is split', () => {
      const data = bytes(`GET / HTTP/1.1\r\nx: ${'a'.repeat(maxHeadBytes)}\r\nx y: b\r\n\r\n`);
      for (const cut of [10, 1_000, maxHeadBytes, maxHeadBytes + 20]) {
        const { end, reason } = readByUs([data.subarray(0, cut), data.subarray(cut)]);
        expect({ end, reason }).to.deep.equal({ end: 'refused', reason: '431 http1.headers_too_large' });
      }
    });
  });
});
