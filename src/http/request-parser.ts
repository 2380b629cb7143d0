import type { PreparedRequest } from './request-preparation.js';

/** The head of one HTTP/1 request as it stood on the wire. Immutable: it may be told again. */
export interface RequestHead {
  readonly method: string;
  /** Of visible ASCII. */
  readonly target: string;
  readonly protocol: 'HTTP/1.0' | 'HTTP/1.1';
  /**
   * name, value, name, value …; names lower-case and never empty, values without white space around them and of the characters that RFC 9110
   * section 5.5 allows, bytes as latin1.
   */
  readonly headers: readonly string[];
  /** The request line and the header lines, in bytes. */
  readonly size: number;
}

/** Of a head that the parser knows: the same object whenever the same head comes again. */
export interface KnownHead {
  /** For whoever takes the requests: what it has made of the head. */
  prepared: PreparedRequest | undefined;
}

/** What is wrong with the bytes; the connection can't go on. `details` is Envoy's %RESPONSE_CODE_DETAILS%. */
export interface ParseError {
  readonly status: 400 | 426 | 431 | 501;
  readonly details: string;
}

/** Called in the order of the bytes, about one request at a time. Never from within `startBody`, `resumeBody` or `nextRequest`. */
export interface RequestParserEvents {
  /** @param known undefined: the parser won't know this head again */
  onRequest(head: RequestHead, known?: KnownHead): void;
  /** A piece of the body, after `startBody`. The last one has `endStream` and may be empty; there is none for a request without a body. */
  onBody(data: Buffer, endStream: boolean): void;
  /** Nothing follows. In the middle of a body it concerns that request, else the one that would have come next. */
  onError(error: ParseError): void;
  /** Takes bytes again after `write` returned false. */
  onDrain(): void;
}

/** Turns the bytes of one connection into requests: the part of the HTTP/1 codec that reads. */
export interface RequestParser {
  /** Feeds bytes. False: no more, please, until `onDrain` (what is in `data` was taken). */
  write(data: Buffer): boolean;
  /** Begins the delivery of the body; nothing of it is delivered before. */
  startBody(): void;
  pauseBody(): void;
  resumeBody(): void;
  /** The current request is over, both ways: goes on with the next one. Only after the whole request was delivered. */
  nextRequest(): void;
  /** The client sends no more. Ends the body of a tunnel (CONNECT); of anything else it means nothing. */
  end(): void;
  /** No event follows. */
  destroy(): void;
}

/** The reading half of an HTTP/1 codec; responses are written the same way whoever reads. */
export interface Http1Codec {
  createParser(events: RequestParserEvents): RequestParser;
}

/** How the body of a request is delimited (RFC 9112 section 6.3), from headers that the parser found consistent. */
export type BodyFraming =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly length: number }
  | { readonly kind: 'chunked' };

/** Whether a body is announced; the parser found the headers consistent. */
export function announcesBody(headers: readonly string[]): boolean {
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i];
    if (name === 'transfer-encoding') return true;
    if (name === 'content-length') return Number(headers[i + 1]) > 0;
  }
  return false;
}

/** The framing that the headers announce. */
export function bodyFraming(headers: readonly string[]): BodyFraming {
  let length = 0;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i];
    if (name === 'transfer-encoding') return { kind: 'chunked' };
    if (name === 'content-length') length = Number(headers[i + 1]);
  }
  return length > 0 ? { kind: 'length', length } : { kind: 'none' };
}
