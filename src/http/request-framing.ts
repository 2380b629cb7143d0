import { allAre, isDigit } from './http1-bytes.js';
import type { ParseError, RequestHead } from './request-parser.js';

/** How the body of a request is delimited (RFC 9112 section 6.3). `tunnel`: after CONNECT, bytes until the client closes. */
export type RequestFraming =
  | { readonly kind: 'none' | 'chunked' | 'tunnel' }
  | { readonly kind: 'length'; readonly length: number };

const none: RequestFraming = { kind: 'none' };
const chunked: RequestFraming = { kind: 'chunked' };
const tunnel: RequestFraming = { kind: 'tunnel' };

const badLength: ParseError = { status: 400, details: 'http1.codec_error' };
const both: ParseError = { status: 400, details: 'http1.content_length_and_chunked_not_allowed' };
const badEncoding: ParseError = { status: 501, details: 'http1.invalid_transfer_encoding' };

/** The framing that a head announces, if it announces exactly one. RFC 9112 section 6.1 lets a server refuse the others, and so it is safe. */
export function readFraming(head: RequestHead): RequestFraming | ParseError {
  const { headers } = head;
  let length: string | undefined;
  let encoding: string | undefined;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i];
    if (name === 'content-length') {
      if (length !== undefined) return badLength;
      length = headers[i + 1] as string;
    } else if (name === 'transfer-encoding') {
      if (encoding !== undefined) return badEncoding;
      encoding = headers[i + 1] as string;
    }
  }
  // What else a CONNECT may not have is the same for all parsers.
  if (head.method === 'CONNECT') return tunnel;
  if (encoding !== undefined) {
    if (length !== undefined) return both;
    return encoding.toLowerCase() === 'chunked' ? chunked : badEncoding;
  }
  if (length === undefined) return none;
  const bytes = parseLength(length);
  if (bytes === undefined) return badLength;
  return bytes === 0 ? none : { kind: 'length', length: bytes };
}

/** 1*DIGIT of at most 64 bits (RFC 9110 section 8.6). Above 2^53 the number is not exact, and need not be: nobody will send so much. */
function parseLength(text: string): number | undefined {
  if (text === '' || !allAre(text, isDigit)) return undefined;
  const length = Number(text);
  return length < 2 ** 64 ? length : undefined;
}
