import type { AccessLogManager } from '../access-log/access-logger.js';
import type { Clock } from '../clock.js';
import { createConnectionManager } from '../http/connection-manager.js';
import type { Http1CodecName } from '../http/http1-codec.js';
import { localAddress } from '../http/remote-address.js';
import type { Logger } from '../log.js';
import type { Listener } from '../model/listener.js';
import { adoptNodeSocket } from '../sockets/node-socket.js';
import type { AdoptSocket } from '../sockets/stream-socket.js';
import type { StatsStore } from '../stats/store.js';
import { ActiveListener, type ListenerVersion, type ServingChain } from './active-listener.js';
import type { BoundSocket } from './bound-socket.js';
import { compileFilterChains } from './choose-filter-chain.js';
import { createListenerStats } from './listener-stats.js';
import type { ChainRoutes, RouteProvider } from './route-provider.js';

/** Who serves the connections of listeners: this process, or its workers. The listener manager decides what is served, and where. */
export interface ListenerServing {
  /** It gives accepted connections to other processes, so nothing may be read from them. */
  readonly handsOver: boolean;
  /** A listener begins to serve. It has no sockets yet. */
  open(config: Listener, routes: RouteProvider): ServingListener;
  /** While true every response says `connection: close`. */
  setDraining(draining: boolean): void;
  /** Resolves when all that was asked of it before is in effect. undefined: it is always so at once. */
  settled?(): Promise<void>;
}

/** A listener that serves. */
export interface ServingListener {
  readonly config: Listener;
  readonly sockets: readonly BoundSocket[];
  /** Open ones. */
  readonly connections: number;
  /** From now on requests go to this version, also those of connections that are here already. */
  update(config: Listener, routes: RouteProvider): void;
  /** Serves these sockets and no others. Connections of a socket that is dropped are asked to leave, and cut after `drainTimeMs`. */
  setSockets(sockets: readonly BoundSocket[], drainTimeMs: number): void;
  /** Takes no more connections and lets go of those that are here, at the latest after `drainTimeMs`. Resolves when none is left. */
  drain(drainTimeMs: number): Promise<void>;
}

export interface LocalServingOptions {
  readonly stats: StatsStore;
  readonly log: Logger;
  readonly clock: Clock;
  readonly accessLogs: AccessLogManager;
  readonly http1Codec: Http1CodecName;
  /** Reads and writes connections that are not encrypted; Node's own sockets unless told otherwise. */
  readonly adoptSocket?: AdoptSocket;
}

/** Serves in this process. */
export function createLocalServing(options: LocalServingOptions): ListenerServing {
  const { log, clock, adoptSocket = adoptNodeSocket } = options;
  const ownAddress = localAddress();
  let connectionIds = 0;
  let draining = false;

  function createVersion(config: Listener, routes: RouteProvider): ListenerVersion {
    const stats = createListenerStats(options.stats, config);
    let used = config.filterChains.length;
    const chains = config.filterChains.map((chain, index): ServingChain => {
      const { handle, tls } = routes.chains[index] as ChainRoutes;
      const accessLogger = options.accessLogs.createLogger(chain.httpConnectionManager.accessLogs);
      const manager = createConnectionManager({
        config: chain.httpConnectionManager,
        filterChainName: chain.name,
        stats: options.stats,
        listenerStats: stats.store,
        log,
        clock,
        accessLogger,
        handle: (stream) => handle(stream),
        localAddress: ownAddress,
        http1Codec: options.http1Codec,
        onUnused: () => {
          accessLogger.close();
          used--;
          if (used === 0) routes.close();
        },
      });
      return { config: chain, manager, tls };
    });
    return { config, stats, chains, choose: chooserOf(chains) };
  }

  return {
    handsOver: false,
    open(config, routes) {
      const listener = new ActiveListener({
        clock,
        version: createVersion(config, routes),
        adoptSocket,
        isDraining: () => draining,
        nextConnectionId: () => ++connectionIds,
      });
      return {
        get config() {
          return listener.version.config;
        },
        get sockets() {
          return listener.sockets;
        },
        get connections() {
          return listener.connections;
        },
        update: (next, nextRoutes) => listener.setVersion(createVersion(next, nextRoutes)),
        setSockets: (sockets, drainTimeMs) => listener.setSockets(sockets, drainTimeMs),
        drain: (drainTimeMs) => listener.drain(drainTimeMs),
      };
    },
    setDraining(value) {
      draining = value;
    },
  };
}

/** A chain without a match, the last one if there is one, is for what no other fits. */
function chooserOf(chains: readonly ServingChain[]): ListenerVersion['choose'] {
  const matched = chains.flatMap(({ config: { match } }) => (match ? [match] : []));
  const fallback = chains[matched.length];
  if (matched.length === 0) return () => fallback;
  const find = compileFilterChains(matched);
  return (facts) => {
    const found = find(facts);
    return found === undefined ? fallback : chains[found];
  };
}
