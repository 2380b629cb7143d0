import { createNodeHttp1Codec } from './http1-node-codec.js';
import { Http1RequestParser } from './http1-request-parser.js';
import { KnownHeads } from './known-heads.js';
import type { Http1Codec } from './request-parser.js';

/** Who reads HTTP/1 requests: this program's own parser, or that of Node's `http` module. */
export const http1CodecNames = ['own', 'node'] as const;
export type Http1CodecName = (typeof http1CodecNames)[number];

/** @param maxHeadBytes bytes of request line and headers above which a head is refused with 431 */
export function createHttp1Codec(name: Http1CodecName, maxHeadBytes: number): Http1Codec {
  if (name === 'node') return createNodeHttp1Codec(maxHeadBytes);
  const known = new KnownHeads();
  return { createParser: (events) => new Http1RequestParser(maxHeadBytes, known, events) };
}
