import { connect, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';

export interface ClientResponse {
  readonly status: number;
  /** Lower-case names; the last of each. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
}

interface Waiting {
  readonly resolve: (response: ClientResponse) => void;
  readonly reject: (error: Error) => void;
}

/**
 * One keep-alive HTTP/1.1 connection of a client that never retries: whatever ends it without a `connection: close` before is a failure.
 * Every byte is accounted for: what comes unasked is a failure, too.
 */
export class ClientConnection {
  readonly socket: Socket;
  /** The last response said so: the connection is not used again. */
  closing = false;
  readonly #onFailure: (error: Error) => void;
  #received: Buffer = Buffer.alloc(0);
  /** In the order of their requests. */
  readonly #waiting: Waiting[] = [];
  #over = false;
  /** We closed our side: the proxy may close its own at any time. */
  #leaving = false;

  /** `onFailure`: the connection ended, or spoke, while no request ran. */
  constructor(
    address: { readonly host: string; readonly port: number; readonly tls?: ConnectionOptions | undefined },
    onFailure: (error: Error) => void,
  ) {
    this.#onFailure = onFailure;
    const { host, port, tls } = address;
    this.socket = tls ? connectTls({ ...tls, host, port }) : connect({ host, port, noDelay: true });
    this.socket.on('data', (data) => this.#onData(data));
    this.socket.on('end', () => this.#ended('closed by the proxy'));
    this.socket.on('error', (error) => this.#ended(error.message));
    this.socket.on('close', () => this.#ended('closed'));
  }

  /** Sends one request in these pieces, with `pause` between them, and waits for its response. */
  async exchange(pieces: readonly (string | Buffer)[], pause?: () => Promise<void>): Promise<ClientResponse> {
    const response = this.#response();
    for (const [index, piece] of pieces.entries()) {
      if (index > 0) await pause?.();
      if (this.#over) break;
      this.socket.write(piece);
    }
    return response;
  }

  /** Sends two requests in one piece; their responses, in the same order. */
  pipeline(first: Buffer, second: Buffer): readonly [Promise<ClientResponse>, Promise<ClientResponse>] {
    const responses = [this.#response(), this.#response()] as const;
    this.socket.write(Buffer.concat([first, second]));
    return responses;
  }

  /** Ends our side; a response may still come. */
  halfClose(): void {
    this.#leaving = true;
    this.socket.end();
  }

  close(): void {
    this.#over = true;
    this.socket.destroy();
  }

  #response(): Promise<ClientResponse> {
    const response = new Promise<ClientResponse>((resolve, reject) => {
      if (this.#over) reject(new Error('the connection is over'));
      else this.#waiting.push({ resolve, reject });
    });
    // It may fail before anybody waits for it.
    response.catch(() => undefined);
    return response;
  }

  #onData(data: Buffer): void {
    this.#received = this.#received.length === 0 ? data : Buffer.concat([this.#received, data]);
    try {
      while (this.#received.length > 0 && !this.#over) {
        if (this.#waiting.length === 0) throw new Error(`unasked: ${this.#received.toString('latin1', 0, 200)}`);
        const parsed = parseResponse(this.#received);
        if (parsed === undefined) return;
        this.#received = this.#received.subarray(parsed.size);
        this.closing = parsed.response.headers.get('connection') === 'close';
        this.#waiting.shift()?.resolve(parsed.response);
      }
    } catch (error) {
      this.closing = false;
      this.#ended(error instanceof Error ? error.message : String(error));
    }
  }

  #ended(why: string): void {
    if (this.#over) return;
    this.#over = true;
    this.socket.destroy();
    const waiting = this.#waiting.splice(0);
    for (const { reject } of waiting) reject(new Error(`${why}, with ${this.#received.length} bytes of the response`));
    if (waiting.length === 0 && !this.closing && !this.#leaving) this.#onFailure(new Error(why));
  }
}

/** The first response in `bytes`, once it is whole. Throws on what is none. */
function parseResponse(bytes: Buffer): { readonly response: ClientResponse; readonly size: number } | undefined {
  const end = bytes.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const [statusLine = '', ...lines] = bytes.toString('latin1', 0, end).split('\r\n');
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(statusLine)?.[1]);
  if (Number.isNaN(status)) throw new Error(`not a response: ${JSON.stringify(statusLine)}`);
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(':');
    headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  const start = end + 4;
  if (headers.get('transfer-encoding') === 'chunked') {
    const chunks = parseChunks(bytes, start);
    return chunks && { response: { status, headers, body: chunks.body }, size: chunks.end };
  }
  const length = Number(headers.get('content-length'));
  if (!headers.has('content-length') || !Number.isSafeInteger(length))
    throw new Error(`a body without an end: ${statusLine}`);
  if (bytes.length < start + length) return undefined;
  return { response: { status, headers, body: bytes.subarray(start, start + length) }, size: start + length };
}

function parseChunks(bytes: Buffer, start: number): { readonly body: Buffer; readonly end: number } | undefined {
  const pieces: Buffer[] = [];
  for (let at = start; ; ) {
    const lineEnd = bytes.indexOf('\r\n', at);
    if (lineEnd < 0) return undefined;
    const size = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16);
    if (Number.isNaN(size)) throw new Error('a chunk without a size');
    const next = lineEnd + 2 + size + 2;
    if (bytes.length < next) return undefined;
    if (bytes.toString('latin1', next - 2, next) !== '\r\n') throw new Error('a chunk of another size than it says');
    if (size === 0) return { body: Buffer.concat(pieces), end: next };
    pieces.push(bytes.subarray(lineEnd + 2, next - 2));
    at = next;
  }
}
