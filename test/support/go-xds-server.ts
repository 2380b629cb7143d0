import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { status } from '@grpc/grpc-js';
import { binaryPath, requireProgram } from './go-control-plane.js';
import { Inbox } from './inbox.js';
import { servicePart, type XdsRequest, type XdsServer, type XdsStream } from './scripted-xds-server.js';

interface Event {
  readonly server?: number;
  readonly stream?: number;
  readonly port?: number;
  readonly opened?: string;
  readonly request?: XdsRequest;
  readonly sent?: true;
  readonly closed?: true;
}

interface Bytes {
  readonly type_url: string;
  readonly value: Uint8Array;
}

/** The fields of a response of either variant that a test may set. */
interface Response {
  readonly version_info?: string;
  readonly system_version_info?: string;
  readonly type_url?: string;
  readonly nonce?: string;
  readonly resources?: readonly (Bytes & {
    readonly name?: string;
    readonly version?: string;
    readonly resource?: Bytes | null;
    readonly ttl?: object;
  })[];
  readonly removed_resources?: readonly string[];
}

class GoStream implements XdsStream {
  readonly variant: 'SOTW' | 'DELTA';
  readonly closed: Promise<void>;
  readonly requests = new Inbox<XdsRequest>('request');
  unsent = 0;
  onClosed: () => void = () => undefined;

  constructor(
    readonly method: string,
    readonly tell: (command: object) => void,
  ) {
    this.variant = method.includes('/Delta') ? 'DELTA' : 'SOTW';
    this.closed = new Promise((resolve) => {
      this.onClosed = resolve;
    });
  }

  get unread(): number {
    return this.requests.length;
  }

  next(): Promise<XdsRequest> {
    return this.requests.next();
  }

  send(response: object | Buffer): void {
    this.unsent++;
    if (Buffer.isBuffer(response)) {
      this.tell({ op: 'send', raw: response.toString('base64') });
      return;
    }
    const {
      version_info,
      system_version_info,
      type_url,
      nonce,
      resources = [],
      removed_resources,
    } = response as Response;
    const any = ({ type_url, value }: Bytes) => ({ type_url, value: Buffer.from(value).toString('base64') });
    this.tell({
      op: 'send',
      version: version_info ?? system_version_info,
      type_url,
      nonce,
      ...(this.variant === 'SOTW'
        ? { anys: resources.map(any) }
        : {
            resources: resources.map((each) => ({ ...each, resource: each.resource ? any(each.resource) : undefined })),
          }),
      removed: removed_resources,
    });
  }

  end(): void {
    this.tell({ op: 'end' });
  }

  fail(code: status, details: string): void {
    this.tell({ op: 'end', code, details });
  }
}

/** Servers of one Go process. */
class GoProcess {
  readonly #child: ChildProcess;
  readonly #servers = new Map<number, { onPort(port: number): void; onStream(stream: GoStream): void }>();
  readonly #streams = new Map<number, GoStream>();
  #last = 0;

  constructor() {
    this.#child = spawn(binaryPath('scripted-xds'), { stdio: ['pipe', 'pipe', 'inherit'] });
    createInterface({ input: this.#child.stdout as NodeJS.ReadableStream }).on('line', (line) =>
      this.#take(JSON.parse(line) as Event),
    );
  }

  add(server: { onPort(port: number): void; onStream(stream: GoStream): void }): number {
    this.#servers.set(++this.#last, server);
    return this.#last;
  }

  tell(command: object): void {
    this.#child.stdin?.write(`${JSON.stringify(command)}\n`);
  }

  /** It ends with its stdin. */
  end(): void {
    this.#child.stdin?.end();
  }

  #take({ server, stream, port, opened, request, sent, closed }: Event): void {
    const known = stream === undefined ? undefined : this.#streams.get(stream);
    if (server !== undefined && port !== undefined) this.#servers.get(server)?.onPort(port);
    else if (server !== undefined && stream !== undefined && opened !== undefined) {
      const made = new GoStream(opened, (command) => this.tell({ ...command, stream }));
      this.#streams.set(stream, made);
      this.#servers.get(server)?.onStream(made);
    } else if (known && request) known.requests.push(request);
    else if (known && sent) known.unsent--;
    else if (known && closed) known.onClosed();
  }
}

/**
 * A gRPC server in Go, which encodes in Go what a test says: the stand-in for control planes that no real one can be brought to be.
 *
 * ```ts
 * before(function () {
 *   GoXdsServer.require(this);
 * });
 * after(() => GoXdsServer.end());
 * ```
 */
export class GoXdsServer implements XdsServer {
  static #shared: GoProcess | undefined;

  /** Builds it if its sources changed; see `GoControlPlane.require`. */
  static require(context: Mocha.Context): void {
    requireProgram(context, 'scripted-xds', './scripted');
  }

  static async start(): Promise<GoXdsServer> {
    GoXdsServer.#shared ??= new GoProcess();
    const server = new GoXdsServer(GoXdsServer.#shared);
    await server.start();
    return server;
  }

  /** Ends the process of all servers. */
  static end(): void {
    GoXdsServer.#shared?.end();
    GoXdsServer.#shared = undefined;
  }

  readonly #process: GoProcess;
  readonly #id: number;
  readonly #streams = new Inbox<GoStream>('stream');
  #port = 0;
  #bound: () => void = () => undefined;

  private constructor(process: GoProcess) {
    this.#process = process;
    this.#id = process.add({
      onPort: (port) => {
        this.#port = port;
        this.#bound();
      },
      onStream: (stream) => this.#streams.push(stream),
    });
  }

  get port(): number {
    return this.#port;
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  get unclaimed(): number {
    return this.#streams.length;
  }

  async start(): Promise<void> {
    const bound = new Promise<void>((resolve) => {
      this.#bound = resolve;
    });
    this.#process.tell({ op: 'listen', server: this.#id, port: this.#port });
    await bound;
  }

  stop(): void {
    this.#process.tell({ op: 'close', server: this.#id });
  }

  nextStream(): Promise<XdsStream> {
    return this.#streams.next();
  }

  streamOf(kind: Parameters<XdsServer['streamOf']>[0]): Promise<XdsStream> {
    return this.#streams.find(({ method }) => method.includes(servicePart(kind)));
  }
}
