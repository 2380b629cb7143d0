import type { AddressInfo, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import type { AccessLogger } from '../../src/access-log/access-logger.js';
import type { StreamInfo } from '../../src/access-log/stream-info.js';
import { HeaderMap } from '../../src/bridge/header-map.js';
import type { DownstreamStream, StreamResetReason } from '../../src/bridge/stream.js';
import type { Clock } from '../../src/clock.js';
import { systemClock } from '../../src/clock.js';
import {
  type ConnectionManager,
  createConnectionManager,
  type StreamHandler,
} from '../../src/http/connection-manager.js';
import type { Http1CodecName } from '../../src/http/http1-codec.js';
import { Http1Connection } from '../../src/http/http1-connection.js';
import type { Logger } from '../../src/log.js';
import type { HttpConnectionManager } from '../../src/model/listener.js';
import { openSockets, type SocketsName } from '../../src/sockets/open-sockets.js';
import type { AdoptSocket } from '../../src/sockets/stream-socket.js';
import { createStatsStore } from '../../src/stats/create-store.js';
import type { StatsStore } from '../../src/stats/store.js';

/** Envoy's defaults. */
export function hcm(changes: Partial<HttpConnectionManager> = {}): HttpConnectionManager {
  return {
    statPrefix: 'test',
    codecType: 'AUTO',
    routes: {
      kind: 'inline',
      config: {
        name: 'routes',
        virtualHosts: [],
        ignorePortInHostMatching: false,
        maxDirectResponseBodySizeBytes: 4096,
        requestHeaders: { add: [], remove: [] },
        responseHeaders: { add: [], remove: [] },
      },
    },
    serverName: 'envoy',
    serverHeader: 'OVERWRITE',
    via: '',
    useRemoteAddress: false,
    xffNumTrustedHops: 0,
    skipXffAppend: false,
    generateRequestId: true,
    preserveExternalRequestId: false,
    alwaysSetRequestIdInResponse: false,
    normalizePath: false,
    mergeSlashes: false,
    pathWithEscapedSlashes: 'KEEP_UNCHANGED',
    stripAnyHostPort: false,
    stripMatchingHostPort: false,
    stripTrailingHostDot: false,
    maxRequestHeadersBytes: 60 * 1024,
    maxHeadersCount: 100,
    headersWithUnderscores: 'ALLOW',
    streamIdleTimeoutMs: 300_000,
    requestTimeoutMs: 0,
    requestHeadersTimeoutMs: 0,
    idleTimeoutMs: 3_600_000,
    maxConnectionDurationMs: 0,
    maxRequestsPerConnection: 0,
    drainTimeoutMs: 5_000,
    forwardClientCert: { mode: 'SANITIZE', details: [] },
    delayedCloseTimeoutMs: 1_000,
    http1: { acceptHttp10: false, defaultHostForHttp10: '', allowAbsoluteUrl: true, allowChunkedLength: false },
    proxy100Continue: false,
    accessLogs: [],
    suppressEnvoyHeaders: false,
    ...changes,
  };
}

export const silentLog: Logger = {
  trace() {},
  debug() {},
  info() {},
  warn() {},
  error() {},
  fatal() {},
} as unknown as Logger;

export interface LoggedRequest {
  readonly info: StreamInfo;
  readonly requestHeaders: HeaderMap | undefined;
  readonly responseHeaders: HeaderMap | undefined;
}

export interface TestServer {
  readonly port: number;
  readonly stats: StatsStore;
  readonly logged: readonly LoggedRequest[];
  readonly connections: ReadonlySet<Http1Connection>;
  /** Whether responses announce that the connection closes. */
  draining: boolean;
  counter(name: string): number;
  gauge(name: string): number;
  connect(): Client;
  close(): Promise<void>;
}

export interface TestServerOptions {
  readonly config?: HttpConnectionManager;
  readonly handle: StreamHandler;
  readonly clock?: Clock;
  readonly bufferLimit?: number;
  readonly log?: Logger;
  readonly localAddress?: string;
  readonly codec?: Http1CodecName;
  readonly sockets?: SocketsName;
  /** Instead of keeping what would be logged. */
  readonly accessLogger?: AccessLogger;
  /** In place of what `sockets` names. */
  readonly adoptSocket?: AdoptSocket;
}

/** HTTP/1 connections without a listener manager. */
export async function startServer(options: TestServerOptions): Promise<TestServer> {
  const {
    config = hcm(),
    handle,
    clock = systemClock,
    bufferLimit = 1024 * 1024,
    log = silentLog,
    localAddress = '192.0.2.2',
    codec = 'own',
    sockets = 'checked',
  } = options;
  const { adoptSocket = openSockets(sockets, silentLog) } = options;
  const stats = createStatsStore();
  const logged: LoggedRequest[] = [];
  const connections = new Set<Http1Connection>();
  const manager: ConnectionManager = createConnectionManager({
    config,
    stats,
    listenerStats: stats.scope('listener.test'),
    log,
    clock,
    accessLogger: options.accessLogger ?? {
      log: (info, requestHeaders, responseHeaders) => logged.push({ info, requestHeaders, responseHeaders }),
      close() {},
    },
    handle,
    localAddress,
    http1Codec: codec,
  });
  const state = { draining: false };
  const host = {
    current: () => manager,
    isDraining: () => state.draining,
    bufferLimit,
    onClosed: (connection: Http1Connection) => void connections.delete(connection),
  };
  let id = 0;
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    connections.add(new Http1Connection(++id, adoptSocket(socket), host));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const clients: Client[] = [];
  return {
    port,
    stats,
    logged,
    connections,
    get draining() {
      return state.draining;
    },
    set draining(value) {
      state.draining = value;
    },
    counter: (name) => stats.counter(`http.${config.statPrefix}.${name}`).value,
    gauge: (name) => stats.gauge(`http.${config.statPrefix}.${name}`).value,
    connect: () => {
      const client = new Client(port);
      clients.push(client);
      return client;
    },
    close: async () => {
      for (const client of clients) client.socket.destroy();
      for (const connection of connections) connection.destroy();
      await new Promise((resolve) => server.close(resolve));
      await waitUntil(
        () => connections.size === 0,
        () => 'connections are left',
      );
    },
  };
}

/** A client that writes raw bytes and waits for what comes back. */
export class Client {
  readonly socket: Socket;
  received = '';
  ended = false;
  closed = false;
  error: NodeJS.ErrnoException | undefined;
  readonly #waiting = new Set<() => void>();

  constructor(port: number) {
    this.socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    this.socket.on('data', (data: Buffer) => {
      this.received += data.toString('latin1');
      this.#wake();
    });
    this.socket.on('end', () => {
      this.ended = true;
      this.#wake();
    });
    this.socket.on('error', (error) => {
      this.error = error;
    });
    this.socket.on('close', () => {
      this.closed = true;
      this.#wake();
    });
  }

  write(text: string): this {
    this.socket.write(text, 'latin1');
    return this;
  }

  /** Waits until `condition` holds; fails with what was received. */
  async until(condition: () => boolean, what: string, timeoutMs = 5_000): Promise<void> {
    await waitUntil(
      condition,
      () => `${what}; received ${JSON.stringify(this.received.slice(0, 500))}`,
      timeoutMs,
      this.#waiting,
    );
  }

  /** Waits for bytes that match, and returns all that was received. */
  async receive(pattern: RegExp): Promise<string> {
    await this.until(() => pattern.test(this.received), `waiting for ${pattern}`);
    return this.received;
  }

  /** Waits for the FIN (or the reset) of the other side. */
  async receiveAll(): Promise<string> {
    await this.until(() => this.ended || this.closed, 'waiting for the end');
    return this.received;
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
  }
}

/** Polls, and looks at once when woken. */
export async function waitUntil(
  condition: () => boolean,
  what: () => string,
  timeoutMs = 5_000,
  wakers?: Set<() => void>,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`timed out: ${what()}`);
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        wakers?.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, 5);
      wakers?.add(wake);
    });
  }
}

/** What a handler got, for assertions. */
export class RecordingHandler {
  body = Buffer.alloc(0);
  ended = false;
  writable = 0;
  resets: StreamResetReason[] = [];
  onEnd: (() => void) | undefined;

  onData(data: Buffer, endStream: boolean): void {
    this.body = Buffer.concat([this.body, data]);
    if (!endStream) return;
    this.ended = true;
    this.onEnd?.();
  }

  onWritable(): void {
    this.writable++;
  }

  onReset(reason: StreamResetReason): void {
    this.resets.push(reason);
  }
}

export function respond(stream: DownstreamStream, status: number, body = '', headers: string[] = []): void {
  const data = Buffer.from(body);
  stream.sendHeaders(
    new HeaderMap([
      ':status',
      String(status),
      ...(body === '' ? [] : ['content-length', String(data.length)]),
      ...headers,
    ]),
    data.length === 0,
  );
  if (data.length > 0) stream.sendData(data, true);
}

/** Answers every request, once it is whole, with its method, path, headers and body as JSON. */
export function echo(stream: DownstreamStream): void {
  const handler = new RecordingHandler();
  const answer = (): void => {
    const headers: [string, string][] = [];
    stream.requestHeaders.forEach((name, value) => {
      headers.push([name, value]);
    });
    const seen = {
      method: stream.requestHeaders.get(':method') ?? '',
      path: stream.requestHeaders.get(':path') ?? '',
      headers,
      body: handler.body.toString('latin1'),
    };
    respond(stream, 200, JSON.stringify(seen), ['content-type', 'application/json']);
  };
  handler.onEnd = answer;
  stream.start(handler);
  if (stream.requestEndStream) answer();
}
