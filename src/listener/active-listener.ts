import type { Socket } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import type { Clock, Timer } from '../clock.js';
import type { ConnectionManager } from '../http/connection-manager.js';
import { type ConnectionHost, type Encryption, Http1Connection } from '../http/http1-connection.js';
import { plainAddress } from '../http/remote-address.js';
import type { FilterChain, Listener } from '../model/listener.js';
import { NodeSocket } from '../sockets/node-socket.js';
import type { AdoptSocket, StreamSocket } from '../sockets/stream-socket.js';
import type { ServerTls } from '../tls/server-tls.js';
import type { BoundSocket } from './bound-socket.js';
import type { ConnectionFacts } from './choose-filter-chain.js';
import type { ClientHello } from './client-hello.js';
import type { ListenerStats } from './listener-stats.js';
import { inspectTls } from './tls-inspector.js';

/** What serves the connections of one filter chain. */
export interface ServingChain {
  readonly config: FilterChain;
  readonly manager: ConnectionManager;
  /** undefined: plain text. */
  readonly tls: ServerTls | undefined;
}

/** One accepted version of a listener: what it serves with. */
export interface ListenerVersion {
  readonly config: Listener;
  readonly stats: ListenerStats;
  readonly chains: readonly ServingChain[];
  /** undefined: no chain is for such a connection. */
  choose(facts: ConnectionFacts): ServingChain | undefined;
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

/** A connection that is served. */
interface Served {
  /** What it came through. */
  readonly bound: BoundSocket;
  readonly facts: ConnectionFacts;
  chain: ServingChain;
}

/** `per_connection_buffer_limit_bytes: 0` means no limit in Envoy; here a slow client can't make us keep more than this, in bytes. */
const largestBuffer = 16 * 1024 * 1024;

/** A listener that serves: its sockets, its connections, and the version that new requests go to. */
export class ActiveListener {
  readonly #options: ActiveListenerOptions;
  readonly #connections = new Map<Http1Connection, Served>();
  /** Connections that are not encrypted yet, and those (undefined) whose chain is not known yet. */
  readonly #handshakes = new Map<Socket, ServingChain | undefined>();
  /** Chains of old versions that connections are still on: no chain of this version is for them. */
  readonly #oldChains = new Set<ServingChain>();
  /** Connections that this version would not have accepted, or not on the same terms: they are to leave. */
  readonly #misfits = new Set<Http1Connection>();
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

  /**
   * From now on requests go to `version`, also those of connections that are here already. Those that no filter chain of it is for, or one that asks
   * other things of clients, stay until `setSockets`, which follows.
   */
  setVersion(version: ListenerVersion): void {
    const old = this.#version;
    if (old === version) return;
    this.#version = version;
    const fits = compareTerms();
    for (const [connection, served] of this.#connections) {
      const next = version.choose(served.facts);
      if (next === undefined || !fits(served.chain, next)) this.#misfits.add(connection);
      if (next) served.chain = next;
    }
    for (const chain of old.chains) this.#oldChains.add(chain);
    this.#retireOldChains();
  }

  /**
   * Serves these sockets and no others. Connections of a socket that is dropped, and those that the version does not fit, are asked to leave, and cut
   * after `drainTimeMs`.
   */
  setSockets(sockets: readonly BoundSocket[], drainTimeMs: number): void {
    const dropped = new Set(this.#sockets.filter((socket) => !sockets.includes(socket)));
    this.#sockets = sockets;
    for (const bound of sockets) bound.onConnection = (socket) => this.#accept(socket, bound);
    if (dropped.size + this.#misfits.size === 0) return;
    this.#drainConnections(({ bound }, connection) => dropped.has(bound) || this.#misfits.has(connection), drainTimeMs);
    this.#misfits.clear();
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
    const { config, stats } = this.#version;
    const { tlsInspection } = config;
    if (tlsInspection === undefined) {
      this.#choose(socket, bound, factsOf(socket, undefined));
      return;
    }
    stats.preCxActive.value++;
    this.#handshakes.set(socket, undefined);
    const leave = (): void => {
      stats.preCxActive.value--;
      this.#handshakes.delete(socket);
    };
    inspectTls(socket, tlsInspection, stats.tlsInspector, this.#options.clock, {
      onInspected: (hello) => {
        leave();
        this.#choose(socket, bound, factsOf(socket, hello));
      },
      onGone: (timedOut) => {
        leave();
        if (timedOut) stats.preCxTimeout.value++;
        this.#checkEmpty();
      },
    });
  }

  /** The connection goes to its filter chain. */
  #choose(socket: Socket, bound: BoundSocket, facts: ConnectionFacts): void {
    const { stats } = this.#version;
    const chain = this.#version.choose(facts);
    if (chain === undefined) {
      stats.noFilterChainMatch.value++;
      socket.destroy();
      this.#checkEmpty();
      return;
    }
    stats.cxTotal.value++;
    stats.cxActive.value++;
    const start = this.#options.clock.monotonic();
    const onClosed = (): void => {
      stats.cxActive.value--;
      stats.cxDestroy.value++;
      stats.cxLength.record(this.#options.clock.monotonic() - start);
    };
    if (chain.tls === undefined) {
      socket.setNoDelay(true);
      this.#serve(this.#options.adoptSocket(socket), { bound, facts, chain }, undefined, onClosed);
      // It is, after it was looked at. What is encrypted is read by its own reader.
      if (socket.isPaused()) socket.resume();
      return;
    }
    this.#handshakes.set(socket, chain);
    chain.tls.accept(socket, {
      onSecure: (secure, info) => {
        this.#handshakes.delete(socket);
        secure.setNoDelay(true);
        const encryption = { info, reset: () => socket.resetAndDestroy() };
        this.#serve(new NodeSocket(secure), { bound, facts, chain }, encryption, onClosed);
      },
      onFailure: (_reason, timedOut) => {
        this.#handshakes.delete(socket);
        if (timedOut) stats.cxTransportSocketConnectTimeout.value++;
        onClosed();
        this.#retireOldChains();
        this.#checkEmpty();
      },
    });
  }

  #serve(socket: StreamSocket, served: Served, tls: Encryption | undefined, onClosed: () => void): void {
    const host: ConnectionHost = {
      current: () => served.chain.manager,
      isDraining: () => this.#drainTimeMs !== undefined || this.#options.isDraining(),
      bufferLimit: this.#version.config.perConnectionBufferLimitBytes || largestBuffer,
      onClosed: (connection) => {
        onClosed();
        this.#onConnectionClosed(connection);
      },
    };
    // The version may have changed since the handshake began.
    const shaken = served.chain;
    const current = this.#version.choose(served.facts);
    served.chain = current ?? shaken;
    const connection = new Http1Connection(this.#options.nextConnectionId(), socket, host, tls);
    this.#connections.set(connection, served);
    this.#retireOldChains();
    if (current === undefined || !compareTerms()(shaken, current)) connection.drain();
    // The socket was not handed on yet, or the connection was encrypted meanwhile.
    if (this.#drainTimeMs !== undefined) this.#askToLeave(new Set([connection]), this.#drainTimeMs);
  }

  /** Chains of old versions end with their last connection. */
  #retireOldChains(): void {
    if (this.#oldChains.size === 0) return;
    const used = new Set<ServingChain | undefined>(this.#handshakes.values());
    for (const { chain } of this.#connections.values()) used.add(chain);
    for (const chain of this.#oldChains) {
      if (used.has(chain)) continue;
      this.#oldChains.delete(chain);
      chain.manager.retire();
    }
  }

  #drainConnections(which: (served: Served, connection: Http1Connection) => boolean, drainTimeMs: number): void {
    const connections = new Set(
      [...this.#connections]
        .filter(([connection, served]) => which(served, connection))
        .map(([connection]) => connection),
    );
    if (connections.size > 0) this.#askToLeave(connections, drainTimeMs);
  }

  #cutHandshakes(ms: number): void {
    this.#options.clock.setTimeout(() => {
      for (const socket of this.#handshakes.keys()) socket.destroy();
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
    this.#misfits.delete(connection);
    this.#retireOldChains();
    for (const group of this.#leaving) {
      if (!group.connections.delete(connection) || group.connections.size > 0) continue;
      group.deadline.cancel();
      this.#leaving.delete(group);
    }
    this.#checkEmpty();
  }

  #checkEmpty(): void {
    if (this.#drainTimeMs === undefined || this.connections > 0) return;
    for (const { manager } of this.#version.chains) manager.retire();
    this.#onEmpty?.();
  }
}

/** What there is to know before the connection is gone, when its addresses are no more. */
function factsOf(socket: Socket, hello: ClientHello | undefined): ConnectionFacts {
  return {
    localAddress: plainAddress(socket.localAddress ?? ''),
    localPort: socket.localPort ?? 0,
    remoteAddress: plainAddress(socket.remoteAddress ?? ''),
    remotePort: socket.remotePort ?? 0,
    transportProtocol: hello === undefined ? 'raw_buffer' : 'tls',
    serverName: hello?.serverName ?? '',
    applicationProtocols: hello?.applicationProtocols ?? [],
  };
}

/** Whether two chains ask the same of clients. Another certificate of our own is no reason to let go of a connection. */
function compareTerms(): (one: ServingChain, other: ServingChain) => boolean {
  const known = new Map<ServingChain, Map<ServingChain, boolean>>();
  const termsOf = ({ config: { tls } }: ServingChain) => tls && { ...tls, certificates: undefined };
  return (one, other) => {
    if (one === other) return true;
    const results = known.get(one) ?? new Map<ServingChain, boolean>();
    known.set(one, results);
    const result = results.get(other) ?? isDeepStrictEqual(termsOf(one), termsOf(other));
    results.set(other, result);
    return result;
  };
}
