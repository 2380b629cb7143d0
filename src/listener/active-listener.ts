import type { Socket } from 'node:net';
import type { Clock, Timer } from '../clock.js';
import type { ConnectionManager } from '../http/connection-manager.js';
import { type ConnectionHost, type Encryption, Http1Connection } from '../http/http1-connection.js';
import type { Listener } from '../model/listener.js';
import { NodeSocket } from '../sockets/node-socket.js';
import type { AdoptSocket, StreamSocket } from '../sockets/stream-socket.js';
import type { ServerTls } from '../tls/server-tls.js';
import type { BoundSocket } from './bound-socket.js';
import type { ListenerStats } from './listener-stats.js';

/** One accepted version of a listener: what it serves with. */
export interface ListenerVersion {
  readonly config: Listener;
  readonly manager: ConnectionManager;
  readonly stats: ListenerStats;
  /** undefined: plain text. */
  readonly tls: ServerTls | undefined;
}

export interface ActiveListenerOptions {
  readonly clock: Clock;
  readonly version: ListenerVersion;
  /** For connections that are not encrypted. */
  readonly adoptSocket: AdoptSocket;
  /** The whole process drains. */
  isDraining(): boolean;
  nextConnectionId(): number;
}

/** `per_connection_buffer_limit_bytes: 0` means no limit in Envoy; here a slow client can't make us keep more than this, in bytes. */
const largestBuffer = 16 * 1024 * 1024;

/** A listener that serves: its sockets, its connections, and the version that new requests go to. */
export class ActiveListener {
  readonly #options: ActiveListenerOptions;
  /** Connections and the socket that they came through. */
  readonly #connections = new Map<Http1Connection, BoundSocket>();
  /** Connections that are not encrypted yet. */
  readonly #handshakes = new Set<Socket>();
  #version: ListenerVersion;
  #sockets: readonly BoundSocket[] = [];
  /** Milliseconds; undefined: it serves. */
  #drainTimeMs: number | undefined;
  /** Connections that were asked to leave, and when they are cut. */
  readonly #leaving = new Set<{ readonly connections: Set<Http1Connection>; readonly deadline: Timer }>();
  #onEmpty: (() => void) | undefined;

  constructor(options: ActiveListenerOptions) {
    this.#options = options;
    this.#version = options.version;
  }

  get version(): ListenerVersion {
    return this.#version;
  }

  get sockets(): readonly BoundSocket[] {
    return this.#sockets;
  }

  get connections(): number {
    return this.#connections.size + this.#handshakes.size;
  }

  /** From now on requests go to `version`, also those of connections that are here already. */
  setVersion(version: ListenerVersion): void {
    const old = this.#version;
    this.#version = version;
    if (old !== version) old.manager.retire();
  }

  /** Serves these sockets and no others. Connections of a socket that is dropped are asked to leave, and cut after `drainTimeMs`. */
  setSockets(sockets: readonly BoundSocket[], drainTimeMs: number): void {
    const dropped = new Set(this.#sockets.filter((socket) => !sockets.includes(socket)));
    this.#sockets = sockets;
    for (const bound of sockets) bound.onConnection = (socket) => this.#accept(socket, bound);
    if (dropped.size === 0) return;
    this.#drainConnections((socket) => dropped.has(socket), drainTimeMs);
  }

  /**
   * Takes no more connections and lets go of those that are here: `connection: close` with their next response, at the latest cut after
   * `drainTimeMs`. The sockets are the caller's now. Resolves when no connection is left.
   */
  drain(drainTimeMs: number): Promise<void> {
    this.#drainTimeMs = drainTimeMs;
    this.#sockets = [];
    const empty = new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
    });
    this.#drainConnections(() => true, drainTimeMs);
    if (this.#handshakes.size > 0) this.#cutHandshakes(drainTimeMs);
    this.#checkEmpty();
    return empty;
  }

  #accept(socket: Socket, bound: BoundSocket): void {
    // It may be over before it began.
    if (socket.destroyed) return;
    const { stats, tls } = this.#version;
    stats.cxTotal.value++;
    stats.cxActive.value++;
    const start = this.#options.clock.monotonic();
    const onClosed = (): void => {
      stats.cxActive.value--;
      stats.cxDestroy.value++;
      stats.cxLength.record(this.#options.clock.monotonic() - start);
    };
    if (tls === undefined) {
      socket.setNoDelay(true);
      this.#serve(this.#options.adoptSocket(socket), bound, undefined, onClosed);
      return;
    }
    this.#handshakes.add(socket);
    tls.accept(socket, {
      onSecure: (secure, info) => {
        this.#handshakes.delete(socket);
        secure.setNoDelay(true);
        this.#serve(new NodeSocket(secure), bound, { info, reset: () => socket.resetAndDestroy() }, onClosed);
      },
      onFailure: (_reason, timedOut) => {
        this.#handshakes.delete(socket);
        if (timedOut) stats.cxTransportSocketConnectTimeout.value++;
        onClosed();
        this.#checkEmpty();
      },
    });
  }

  #serve(socket: StreamSocket, bound: BoundSocket, tls: Encryption | undefined, onClosed: () => void): void {
    const host: ConnectionHost = {
      current: () => this.#version.manager,
      isDraining: () => this.#drainTimeMs !== undefined || this.#options.isDraining(),
      bufferLimit: this.#version.config.perConnectionBufferLimitBytes || largestBuffer,
      onClosed: (connection) => {
        onClosed();
        this.#onConnectionClosed(connection);
      },
    };
    const connection = new Http1Connection(this.#options.nextConnectionId(), socket, host, tls);
    this.#connections.set(connection, bound);
    // The socket was not handed on yet, or the connection was encrypted meanwhile.
    if (this.#drainTimeMs !== undefined) this.#askToLeave(new Set([connection]), this.#drainTimeMs);
  }

  #drainConnections(which: (socket: BoundSocket) => boolean, drainTimeMs: number): void {
    const connections = new Set(
      [...this.#connections].filter(([, socket]) => which(socket)).map(([connection]) => connection),
    );
    if (connections.size > 0) this.#askToLeave(connections, drainTimeMs);
  }

  #cutHandshakes(ms: number): void {
    this.#options.clock.setTimeout(() => {
      for (const socket of this.#handshakes) socket.destroy();
    }, ms);
  }

  #askToLeave(connections: Set<Http1Connection>, drainTimeMs: number): void {
    const deadline = this.#options.clock.setTimeout(() => {
      for (const connection of connections) connection.destroy();
    }, drainTimeMs);
    this.#leaving.add({ connections, deadline });
    for (const connection of connections) connection.drain(drainTimeMs);
  }

  #onConnectionClosed(connection: Http1Connection): void {
    this.#connections.delete(connection);
    for (const group of this.#leaving) {
      if (!group.connections.delete(connection) || group.connections.size > 0) continue;
      group.deadline.cancel();
      this.#leaving.delete(group);
    }
    this.#checkEmpty();
  }

  #checkEmpty(): void {
    if (this.#drainTimeMs === undefined || this.connections > 0) return;
    this.#version.manager.retire();
    this.#onEmpty?.();
  }
}
