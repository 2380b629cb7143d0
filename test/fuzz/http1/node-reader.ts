import { createRequire } from 'node:module';
import type { Observed, ObservedRequest } from './observed.js';

/** The binding to llhttp that Node's own HTTP server uses; not documented, so typed here as far as it is needed. */
interface NodeHttpParser {
  initialize(type: number, resource: object, maxHeaderSize: number, lenientFlags: number): void;
  execute(data: Buffer): number | (Error & { readonly code: string; readonly reason: string });
  [callback: number]: (...args: never[]) => unknown;
}
interface NodeHttpParserClass {
  new (): NodeHttpParser;
  readonly REQUEST: number;
  readonly kLenientNone: number;
  readonly kOnHeaders: number;
  readonly kOnHeadersComplete: number;
  readonly kOnBody: number;
  readonly kOnMessageComplete: number;
}

const { HTTPParser, methods } = createRequire(import.meta.url)('_http_common') as {
  readonly HTTPParser: NodeHttpParserClass;
  readonly methods: readonly string[];
};

/** One for all: making one costs more than reading a request. */
const parser = new HTTPParser();

/** Reads `data` with Node's own parser in its strict mode, as Node's HTTP server would. */
export function readByNode(data: Buffer, maxHeadBytes: number): Observed {
  const requests: ObservedRequest[] = [];
  let fields: string[] = [];
  let url = '';
  let upgrade = false;
  let current: ObservedRequest | undefined;
  parser.initialize(HTTPParser.REQUEST, {}, maxHeadBytes, HTTPParser.kLenientNone);
  parser[HTTPParser.kOnHeaders] = (more: string[], target: string) => {
    fields.push(...more);
    url += target;
  };
  parser[HTTPParser.kOnHeadersComplete] = (
    major: number,
    minor: number,
    headers: string[] | undefined,
    method: number,
    target: string | undefined,
    _status: unknown,
    _message: unknown,
    asksForUpgrade: boolean,
  ) => {
    current = {
      method: methods[method] ?? '',
      target: target ?? url,
      protocol: major === 1 && minor >= 1 ? 'HTTP/1.1' : 'HTTP/1.0',
      headers: lowerNames(headers ?? fields),
      body: '',
      trailers: [],
      complete: false,
    };
    requests.push(current);
    fields = [];
    url = '';
    upgrade = asksForUpgrade;
    return asksForUpgrade && current.method === 'CONNECT' ? 2 : 0;
  };
  parser[HTTPParser.kOnBody] = (piece: Buffer) => {
    if (current) current.body += piece.toString('latin1');
  };
  parser[HTTPParser.kOnMessageComplete] = () => {
    if (!current) return;
    current.trailers = lowerNames(fields);
    current.complete = true;
    fields = [];
    url = '';
  };
  const taken = parser.execute(data);
  if (typeof taken !== 'number') {
    return { requests, end: 'refused', tunnel: '', reason: `${taken.code}: ${taken.reason}` };
  }
  if (!upgrade || taken === data.length) return { requests, end: 'input', tunnel: '', reason: '' };
  return { requests, end: 'tunnel', tunnel: data.toString('latin1', taken), reason: '' };
}

function lowerNames(pairs: readonly string[]): string[] {
  return pairs.map((text, i) => (i % 2 === 0 ? text.toLowerCase() : text));
}
