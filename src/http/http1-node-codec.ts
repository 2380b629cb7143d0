import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Duplex } from 'node:stream';
import { kept } from '../turn-memory.js';
import { allAre, isTarget, isValue } from './http1-bytes.js';
import type {
  BodyFraming,
  Http1Codec,
  ParseError,
  RequestHead,
  RequestParser,
  RequestParserEvents,
} from './request-parser.js';
import { bodyFraming } from './request-parser.js';

/**
 * The HTTP/1 parser of Node's `http` module, used for reading alone: the server never listens, and the connection that it is given is a
 * `ParserInput` that bytes are pushed into. What is written, and when, is `Http1Connection`'s affair.
 *
 * @param maxHeadBytes bytes of request line and headers above which a head is refused with 431
 */
export function createNodeHttp1Codec(maxHeadBytes: number): Http1Codec {
  const server = createServer({
    maxHeaderSize: maxHeadBytes,
    insecureHTTPParser: false,
    requireHostHeader: false,
    // The timeouts are the connection manager's.
    headersTimeout: 0,
    requestTimeout: 0,
    keepAliveTimeout: 0,
    connectionsCheckingInterval: 2 ** 31 - 1,
  });
  // Node drops headers above its limit without a word; ours is counted in `request-head.ts`.
  server.maxHeadersCount = 0;
  server.timeout = 0;
  const onRequest = (request: IncomingMessage, response: ServerResponse): void =>
    parserOf(request.socket)?.onRequest(request, response);
  server.on('request', onRequest);
  // 100-continue and other expectations are the connection manager's, too.
  server.on('checkContinue', onRequest);
  server.on('checkExpectation', onRequest);
  server.on('connect', (request, input, head: Buffer) => parserOf(input)?.onConnect(request, head));
  server.on('clientError', (error, input) => parserOf(input)?.onClientError(error as NodeParserError));
  return { createParser: (events) => new NodeRequestParser(server, events) };
}

const parserOf = (input: unknown): NodeRequestParser | undefined =>
  input instanceof ParserInput ? input.owner : undefined;

/** Bytes for Node's parser. What Node would write is nothing: responses never go through it. */
class ParserInput extends Duplex {
  readonly owner: NodeRequestParser;

  constructor(owner: NodeRequestParser) {
    super({ allowHalfOpen: true });
    this.owner = owner;
    this.on('error', () => {});
  }

  override _read(): void {
    this.owner.onHungry();
  }

  override _write(_chunk: unknown, _encoding: unknown, done: () => void): void {
    done();
  }
}

/** A request that Node parsed, or the error that stands in its place. */
type Parsed =
  | {
      readonly kind: 'request';
      readonly request: IncomingMessage;
      readonly response: ServerResponse | undefined;
      readonly head: RequestHead;
      readonly framing: BodyFraming;
    }
  | { readonly kind: 'error'; readonly error: ParseError };

class NodeRequestParser implements RequestParser {
  readonly #events: RequestParserEvents;
  readonly #input: ParserInput;
  /** What Node parsed ahead; at most what one `write` held, because the connection stops feeding meanwhile. */
  readonly #ahead: Parsed[] = [];
  #current: (Parsed & { kind: 'request' }) | undefined;
  /** Bytes of the current body that were delivered. */
  #delivered = 0;
  #ended = false;
  #full = false;
  #destroyed = false;
  /** CONNECT: bytes no longer go through Node. */
  #tunnel: { flowing: boolean; held: Buffer[] } | undefined;

  constructor(server: Server, events: RequestParserEvents) {
    this.#events = events;
    this.#input = new ParserInput(this);
    server.emit('connection', this.#input);
  }

  write(data: Buffer): boolean {
    if (this.#destroyed) return true;
    // Node hands on slices of it, some of them later.
    const own = kept(data);
    if (this.#tunnel) return this.#writeTunnel(own);
    const taken = this.#input.push(own);
    this.#full = !taken || this.#ahead.length > 0;
    return !this.#full;
  }

  onHungry(): void {
    if (!this.#full || this.#ahead.length > 0 || this.#destroyed) return;
    this.#full = false;
    // `_read` may be called from within our own calls.
    process.nextTick(() => {
      if (!this.#destroyed && !this.#full) this.#events.onDrain();
    });
  }

  onRequest(request: IncomingMessage, response: ServerResponse): void {
    request.on('error', () => {});
    const head = toHead(request);
    this.#parsed({ kind: 'request', request, response, head, framing: bodyFraming(head.headers) });
  }

  onConnect(request: IncomingMessage, head: Buffer): void {
    this.#tunnel = { flowing: false, held: head.length > 0 ? [head] : [] };
    // Node took its own listeners off and left the stream to us: what it may still hold comes after `head`.
    this.#input.on('data', (data: Buffer) => this.#writeTunnel(data));
    this.#parsed({
      kind: 'request',
      request,
      response: undefined,
      head: toHead(request),
      framing: { kind: 'chunked' },
    });
  }

  onClientError(error: NodeParserError): void {
    if (this.#destroyed) return;
    const parsed: Parsed = { kind: 'error', error: toParseError(error) };
    // An error in a body concerns the request that it belongs to, also when pieces of it still wait in Node's buffers.
    const last = this.#ahead.at(-1) ?? this.#current;
    if (last !== undefined && last === this.#current && last.kind === 'request' && !last.request.complete) {
      this.#events.onError(parsed.error);
      return;
    }
    this.#parsed(parsed);
  }

  startBody(): void {
    const current = this.#current;
    if (current === undefined || current.framing.kind === 'none') return;
    if (this.#tunnel) {
      this.resumeBody();
      return;
    }
    const { request, framing } = current;
    request.on('data', (data: Buffer) => {
      this.#delivered += data.length;
      const last = framing.kind === 'length' && this.#delivered === framing.length;
      this.#deliver(current, data, last);
    });
    request.on('end', () => {
      if (!this.#ended) this.#deliver(current, emptyBuffer, true);
    });
  }

  pauseBody(): void {
    if (this.#tunnel) this.#tunnel.flowing = false;
    else this.#current?.request.pause();
  }

  resumeBody(): void {
    const tunnel = this.#tunnel;
    if (!tunnel) {
      this.#current?.request.resume();
      return;
    }
    tunnel.flowing = true;
    process.nextTick(() => this.#flushTunnel());
  }

  nextRequest(): void {
    const current = this.#current;
    if (this.#destroyed || current === undefined) return;
    this.#current = undefined;
    this.#ended = false;
    this.#delivered = 0;
    // Node frees what it keeps of a request when the response has been written; ours was, though not through `response`.
    current.response?.emit('finish');
    process.nextTick(() => this.#takeNext());
  }

  end(): void {
    const tunnel = this.#tunnel;
    if (!tunnel || this.#destroyed || this.#current === undefined) return;
    this.#ended = true;
    if (tunnel.flowing && tunnel.held.length === 0) this.#events.onBody(emptyBuffer, true);
  }

  destroy(): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    this.#ahead.length = 0;
    this.#current = undefined;
    this.#input.destroy();
  }

  #parsed(parsed: Parsed): void {
    if (this.#destroyed) return;
    const error = parsed.kind === 'request' ? findInvalid(parsed.head) : undefined;
    this.#ahead.push(error === undefined ? parsed : { kind: 'error', error });
    if (this.#current === undefined && this.#ahead.length === 1) this.#takeNext();
  }

  #takeNext(): void {
    if (this.#destroyed || this.#current !== undefined) return;
    const next = this.#ahead.shift();
    // The queue is what held the connection back, and the rest of this request may still be on its way.
    if (this.#ahead.length === 0) this.onHungry();
    if (next === undefined) return;
    if (next.kind === 'error') {
      this.#events.onError(next.error);
      return;
    }
    this.#current = next;
    this.#events.onRequest(next.head);
    // Its body broke off while it waited for its turn.
    const [after] = this.#ahead;
    if (after?.kind !== 'error' || next.request.complete || this.#destroyed || this.#current !== next) return;
    this.#ahead.shift();
    this.#events.onError(after.error);
  }

  #deliver(current: Parsed, data: Buffer, endStream: boolean): void {
    if (this.#destroyed || this.#current !== current) return;
    this.#ended = endStream;
    this.#events.onBody(data, endStream);
  }

  #writeTunnel(data: Buffer): boolean {
    const tunnel = this.#tunnel;
    if (!tunnel || this.#destroyed) return true;
    if (tunnel.flowing && tunnel.held.length === 0) {
      this.#events.onBody(data, false);
      return true;
    }
    tunnel.held.push(data);
    this.#full = true;
    return false;
  }

  #flushTunnel(): void {
    const tunnel = this.#tunnel;
    if (!tunnel) return;
    while (tunnel.flowing && !this.#destroyed) {
      const data = tunnel.held.shift();
      if (data === undefined) break;
      this.#events.onBody(data, this.#ended && tunnel.held.length === 0);
    }
    if (tunnel.flowing && !this.#ended) this.onHungry();
  }
}

const emptyBuffer = Buffer.alloc(0);

function toHead(request: IncomingMessage): RequestHead {
  const raw = request.rawHeaders;
  const headers: string[] = new Array(raw.length);
  const method = request.method ?? '';
  const target = request.url ?? '';
  // ' ' twice, 'HTTP/1.1', CR LF twice.
  let size = method.length + target.length + 14;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string;
    const value = raw[i + 1] as string;
    headers[i] = name.toLowerCase();
    headers[i + 1] = value;
    // ': ' and CR LF.
    size += name.length + value.length + 4;
  }
  const protocol = request.httpVersionMajor === 1 && request.httpVersionMinor >= 1 ? 'HTTP/1.1' : 'HTTP/1.0';
  return { method, target, protocol, headers, size };
}

interface NodeParserError extends Error {
  readonly code?: string;
  readonly reason?: string;
}

/** Envoy's status and details for what Node's parser found. */
function toParseError({ code, reason = '' }: NodeParserError): ParseError {
  if (code === 'HPE_HEADER_OVERFLOW') return { status: 431, details: 'http1.headers_too_large' };
  if (/content-length.*transfer-encoding|transfer-encoding.*content-length/i.test(reason)) {
    return { status: 400, details: 'http1.content_length_and_chunked_not_allowed' };
  }
  if (code === 'HPE_INVALID_TRANSFER_ENCODING') return { status: 501, details: 'http1.invalid_transfer_encoding' };
  return { status: 400, details: 'http1.codec_error' };
}

/** What Node lets pass, and we don't. */
function findInvalid({ target, headers }: RequestHead): ParseError | undefined {
  if (target === '' || !allAre(target, isTarget)) return { status: 400, details: 'http1.codec_error' };
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] === '' || !allAre(headers[i + 1] as string, isValue))
      return { status: 400, details: 'http1.invalid_characters' };
  }
  return undefined;
}
