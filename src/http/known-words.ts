import { asItIs, lowerCase } from './http1-bytes.js';

/** Begin with this, then `nextHash` per byte. */
export const firstHash = 0;

export const nextHash = (hash: number, byte: number): number => (Math.imul(hash, 31) + byte) & 0xffff;

/**
 * Words that are found by their bytes, so that no string is made for what comes in every message, and so that comparing two of them is
 * comparing two pointers.
 */
export class KnownWords {
  /** Open addressing; at most half full. */
  readonly #slots: (string | undefined)[];
  readonly #fold: Uint8Array;

  /** @param fold what a byte counts as: `lowerCase` for words in lower case that are found whatever the case of their bytes */
  constructor(words: readonly string[], fold: Uint8Array) {
    let size = 64;
    while (size < 2 * words.length) size *= 2;
    this.#slots = new Array<string | undefined>(size).fill(undefined);
    this.#fold = fold;
    for (const word of words) {
      let hash = firstHash;
      for (let i = 0; i < word.length; i++) hash = nextHash(hash, word.charCodeAt(i));
      let slot = hash & (size - 1);
      while (this.#slots[slot] !== undefined) slot = (slot + 1) & (size - 1);
      this.#slots[slot] = word;
    }
  }

  /** @param hash of the folded bytes from `start` to `end` */
  find(bytes: Uint8Array, start: number, end: number, hash: number): string | undefined {
    const slots = this.#slots;
    const mask = slots.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const word = slots[slot];
      if (word === undefined || this.#equals(word, bytes, start, end)) return word;
    }
  }

  #equals(word: string, bytes: Uint8Array, start: number, end: number): boolean {
    if (word.length !== end - start) return false;
    const fold = this.#fold;
    for (let i = 0; i < word.length; i++) if (word.charCodeAt(i) !== fold[bytes[start + i] as number]) return false;
    return true;
  }
}

/** Methods of Envoy's codec; custom ones need a setting that isn't offered. */
export const knownMethods: readonly string[] = (
  'ACL BIND CHECKOUT CONNECT COPY DELETE GET HEAD LINK LOCK MERGE MKACTIVITY MKCALENDAR MKCOL MOVE NOTIFY OPTIONS PATCH POST ' +
  'PROPFIND PROPPATCH PURGE PUT REBIND REPORT SEARCH SOURCE SUBSCRIBE TRACE UNBIND UNLINK UNLOCK UNSUBSCRIBE'
).split(' ');

export const methodWords = new KnownWords(knownMethods, asItIs);

/** What clients and proxies send, and what this program looks for. */
export const headerWords = new KnownWords(
  (
    'accept accept-charset accept-encoding accept-language access-control-request-headers access-control-request-method ' +
    'authorization baggage cache-control connection content-disposition content-encoding content-language content-length ' +
    'content-type cookie date dnt expect forwarded from grpc-accept-encoding grpc-encoding grpc-timeout host http2-settings ' +
    'if-match if-modified-since if-none-match if-range if-unmodified-since keep-alive max-forwards origin pragma priority ' +
    'proxy-authorization proxy-connection range referer sec-ch-ua sec-ch-ua-mobile sec-ch-ua-platform sec-fetch-dest ' +
    'sec-fetch-mode sec-fetch-site sec-fetch-user te traceparent tracestate trailer transfer-encoding upgrade ' +
    'upgrade-insecure-requests user-agent via x-api-key x-b3-flags x-b3-parentspanid x-b3-sampled x-b3-spanid x-b3-traceid ' +
    'x-client-trace-id x-correlation-id x-csrf-token x-envoy-attempt-count x-envoy-decorator-operation ' +
    'x-envoy-expected-rq-timeout-ms x-envoy-external-address x-envoy-internal x-envoy-max-retries x-envoy-original-path ' +
    'x-envoy-peer-metadata x-envoy-peer-metadata-id x-envoy-retry-on x-envoy-upstream-rq-timeout-ms x-forwarded-client-cert ' +
    'x-forwarded-for x-forwarded-host x-forwarded-port x-forwarded-proto x-real-ip x-request-id x-requested-with'
  ).split(' '),
  lowerCase,
);
