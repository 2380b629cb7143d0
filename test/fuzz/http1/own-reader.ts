import { Http1RequestParser } from '../../../src/http/http1-request-parser.js';
import { KnownHeads } from '../../../src/http/known-heads.js';
import { acceptHead } from '../../../src/http/request-head.js';
import { hcm } from '../../http/harness.js';
import type { Observed, ObservedRequest } from './observed.js';

/** A head may be as large as here, so that cases come near the limit without being large. */
export const maxHeadBytes = 2048;

/** Everything that may be allowed is. */
const config = hcm({
  maxRequestHeadersBytes: maxHeadBytes,
  http1: { acceptHttp10: true, defaultHostForHttp10: 'a', allowAbsoluteUrl: true, allowChunkedLength: true },
});

/** Reads the pieces with our parser and the checks of heads that come behind it, as a connection does whose responses are there at once. */
export function readByUs(pieces: readonly Buffer[]): Observed {
  const requests: ObservedRequest[] = [];
  let tunnel = '';
  let end: Observed['end'] = 'input';
  let reason = '';
  let last = false;
  let current: ObservedRequest | undefined;
  const stop = (why: Observed['end'], details: string): void => {
    end = why;
    reason = details;
    parser.destroy();
  };
  const complete = (request: ObservedRequest): void => {
    request.complete = true;
    request.trailers = parser.trailers;
    if (last) stop('last_request', '');
    else parser.nextRequest();
  };
  const parser = new Http1RequestParser(maxHeadBytes, new KnownHeads(), {
    onRequest(head) {
      const accepted = acceptHead(head, config);
      if ('status' in accepted) return stop('refused', `${accepted.status} ${accepted.details}`);
      const { method, target, protocol, headers } = head;
      current = { method, target, protocol, headers, body: '', trailers: [], complete: false };
      requests.push(current);
      last = accepted.close;
      // Answered with 403: nothing behind the head is read.
      if (accepted.upgrade) return stop('last_request', '');
      if (method === 'CONNECT') {
        current.complete = true;
        end = 'tunnel';
      }
      if (accepted.endStream) complete(current);
      else parser.startBody();
    },
    onBody(data, endStream) {
      if (!current) throw new Error('a body without a request');
      if (current.method === 'CONNECT') {
        tunnel += data.toString('latin1');
        return;
      }
      current.body += data.toString('latin1');
      if (endStream) complete(current);
    },
    onError: (error) => stop('refused', `${error.status} ${error.details}`),
    onDrain() {},
  });
  for (const piece of pieces) if (!parser.write(piece)) throw new Error('the parser stopped without a reason');
  return { requests, end, tunnel, reason };
}
