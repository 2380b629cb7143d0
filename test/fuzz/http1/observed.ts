/** One request as a parser read it. Strings are bytes as latin1. */
export interface ObservedRequest {
  readonly method: string;
  readonly target: string;
  readonly protocol: 'HTTP/1.0' | 'HTTP/1.1';
  /** name, value, name, value … in order, names lower-case. */
  readonly headers: readonly string[];
  body: string;
  trailers: readonly string[];
  /** All of it came. A CONNECT is complete with its head: what follows is none of HTTP. */
  complete: boolean;
}

/** What a parser made of the bytes of one connection. */
export interface Observed {
  readonly requests: readonly ObservedRequest[];
  /**
   * Why it stopped reading: it refused the bytes; a request was the last of its connection; what follows is a tunnel's; or it went on to
   * the end.
   */
  readonly end: 'refused' | 'last_request' | 'tunnel' | 'input';
  /** Bytes behind the head of a CONNECT. */
  readonly tunnel: string;
  /** For people: what was wrong. */
  readonly reason: string;
}
