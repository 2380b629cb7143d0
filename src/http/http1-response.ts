import type { HeaderMap } from '../bridge/header-map.js';
import { colon } from './http1-bytes.js';
import type { WrittenHeads } from './written-heads.js';

/** How the end of a response body shows (RFC 9112 section 6.3). `tunnel`: after CONNECT, bytes until the connection closes. */
export type ResponseFraming = 'none' | 'length' | 'chunked' | 'close' | 'tunnel';

/** RFC 9110 section 15 and the IANA registry; Envoy's words where they differ. */
const reasonPhrases: Readonly<Record<number, string>> = {
  100: 'Continue',
  101: 'Switching Protocols',
  200: 'OK',
  201: 'Created',
  202: 'Accepted',
  203: 'Non-Authoritative Information',
  204: 'No Content',
  205: 'Reset Content',
  206: 'Partial Content',
  207: 'Multi-Status',
  208: 'Already Reported',
  226: 'IM Used',
  300: 'Multiple Choices',
  301: 'Moved Permanently',
  302: 'Found',
  303: 'See Other',
  304: 'Not Modified',
  305: 'Use Proxy',
  307: 'Temporary Redirect',
  308: 'Permanent Redirect',
  400: 'Bad Request',
  401: 'Unauthorized',
  402: 'Payment Required',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  406: 'Not Acceptable',
  407: 'Proxy Authentication Required',
  408: 'Request Timeout',
  409: 'Conflict',
  410: 'Gone',
  411: 'Length Required',
  412: 'Precondition Failed',
  413: 'Payload Too Large',
  414: 'URI Too Long',
  415: 'Unsupported Media Type',
  416: 'Range Not Satisfiable',
  417: 'Expectation Failed',
  421: 'Misdirected Request',
  422: 'Unprocessable Entity',
  423: 'Locked',
  424: 'Failed Dependency',
  425: 'Too Early',
  426: 'Upgrade Required',
  428: 'Precondition Required',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
  505: 'HTTP Version Not Supported',
  506: 'Variant Also Negotiates',
  507: 'Insufficient Storage',
  508: 'Loop Detected',
  510: 'Not Extended',
  511: 'Network Authentication Required',
};

export const reasonPhrase = (status: number): string => reasonPhrases[status] ?? 'Unknown';

const statusLines = new Map<number, string>();

/** Without the end of the line. Few statuses exist, and each joining of strings is an object. */
function statusLine(protocol: 'HTTP/1.0' | 'HTTP/1.1', status: number): string {
  if (protocol === 'HTTP/1.0') return `HTTP/1.0 ${status} ${reasonPhrase(status)}`;
  let line = statusLines.get(status);
  if (line === undefined) {
    line = Buffer.from(`HTTP/1.1 ${status} ${reasonPhrase(status)}`).toString('latin1');
    statusLines.set(status, line);
  }
  return line;
}

/** Of the headers that most responses have: the end of the line before and the name. */
const lineBegins = new Map(
  ['content-length', 'content-type', 'date', 'server', 'transfer-encoding', 'x-envoy-upstream-service-time'].map(
    (name) => [name, `\r\n${name}: `],
  ),
);

const isPseudoHeader = (name: string): boolean => name.charCodeAt(0) === colon;

/** What is known when the head of a response is written. */
export interface ResponseContext {
  readonly protocol: 'HTTP/1.0' | 'HTTP/1.1';
  readonly method: string;
  readonly endStream: boolean;
}

interface TextSink {
  write(text: string): void;
}

/** Takes the bytes of responses; a string is bytes as latin1. */
export interface ResponseSink {
  write(data: Buffer | string): void;
}

/** Chooses the framing as Envoy's encoder does, and the header that announces it. Takes a content-length out where none may be. */
function frameResponse(
  headers: HeaderMap,
  context: ResponseContext,
): { framing: ResponseFraming; announcement?: readonly [string, string] } {
  const status = Number(headers.get(':status'));
  if (context.method === 'CONNECT' && status >= 200 && status < 300) {
    // RFC 9110 section 9.3.6.
    headers.delete('content-length');
    return { framing: 'tunnel' };
  }
  if (status === 204) {
    headers.delete('content-length');
    return { framing: 'none' };
  }
  if (status === 304) return { framing: 'none' };
  const head = context.method === 'HEAD';
  if (headers.has('content-length')) return { framing: head ? 'none' : 'length' };
  if (context.endStream && !head) return { framing: 'none', announcement: ['content-length', '0'] };
  if (context.protocol === 'HTTP/1.0') return { framing: head ? 'none' : 'close' };
  if (context.endStream) return { framing: 'none' };
  return { framing: head ? 'none' : 'chunked', announcement: ['transfer-encoding', 'chunked'] };
}

/** Piece by piece: strings that are joined are objects, and joined again to be written. */
function writeHeadTo(sink: TextSink, protocol: 'HTTP/1.0' | 'HTTP/1.1', headers: HeaderMap): void {
  sink.write(statusLine(protocol, Number(headers.get(':status'))));
  for (let i = 0; i < headers.size; i++) {
    const name = headers.nameAt(i);
    if (isPseudoHeader(name)) continue;
    sink.write(lineBegins.get(name) ?? `\r\n${name}: `);
    sink.write(headers.valueAt(i));
  }
  sink.write('\r\n\r\n');
}

/** Writes one response (RFC 9112). */
export class ResponseEncoder {
  readonly #sink: ResponseSink;
  readonly #announcement: readonly [string, string] | undefined;
  readonly framing: ResponseFraming;
  /** Body bytes that content-length still announces. */
  #left: number;

  /** Chooses the framing; `headers` are written by `writeHead`, and may change until then. */
  constructor(headers: HeaderMap, context: ResponseContext, sink: ResponseSink) {
    const { framing, announcement } = frameResponse(headers, context);
    this.#sink = sink;
    this.#announcement = announcement;
    this.framing = framing;
    this.#left = framing === 'length' ? Number(headers.get('content-length')) : 0;
  }

  /** Status line and headers; pseudo headers are left out. */
  writeHead(protocol: 'HTTP/1.0' | 'HTTP/1.1', headers: HeaderMap, written: WrittenHeads): void {
    if (this.#announcement) headers.set(...this.#announcement);
    const sink = this.#sink;
    const bytes = written.find(protocol, headers);
    if (bytes !== undefined) sink.write(bytes);
    else if (written.isWanted()) {
      const pieces: string[] = [];
      writeHeadTo({ write: (piece) => pieces.push(piece) }, protocol, headers);
      sink.write(written.keep(protocol, headers, pieces.join('')));
    } else writeHeadTo(sink, protocol, headers);
  }

  /** Returns how many bytes of the body were written, or undefined: more than content-length announced, and nothing was written. */
  writeBody(data: Buffer): number | undefined {
    // RFC 9110 section 6.4.1: HEAD, 204 and 304 have no body, whatever the handler sends.
    if (this.framing === 'none' || data.length === 0) return 0;
    if (this.framing === 'length') {
      if (data.length > this.#left) return undefined;
      this.#left -= data.length;
    }
    // RFC 9112 section 7.1.
    if (this.framing === 'chunked') this.#sink.write(`${data.length.toString(16)}\r\n`);
    this.#sink.write(data);
    if (this.framing === 'chunked') this.#sink.write('\r\n');
    return data.length;
  }

  /** False: less than content-length announced was written. */
  finish(): boolean {
    if (this.#left > 0) return false;
    if (this.framing === 'chunked') this.#sink.write('0\r\n\r\n');
    return true;
  }
}

export const continueResponse = `HTTP/1.1 100 ${reasonPhrase(100)}\r\n\r\n`;
