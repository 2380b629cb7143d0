import type { Socket } from 'node:net';
import type { BoundSocket } from '../../listener/bound-socket.js';
import { createListenerStats } from '../../listener/listener-stats.js';
import type { RouteProvider } from '../../listener/route-provider.js';
import type { ListenerServing, ServingListener } from '../../listener/serving.js';
import type { Listener } from '../../model/listener.js';
import type { StatsStore } from '../../stats/store.js';
import type { Replayed, WorkerLine } from './cluster-relay.js';
import type { ConnectionTarget, SocketName, WorkerMessage } from './messages.js';

export interface ListenerRelayOptions extends WorkerLine {
  readonly stats: StatsStore;
  dispatch(socket: Socket, target: ConnectionTarget): void;
}

/** Serves listeners in workers: this process accepts, and gives every connection away. */
export interface ListenerRelay extends ListenerServing, Replayed {
  /** From when on a worker is waited for. */
  workerStarted(worker: number): void;
  workerEnded(worker: number): void;
  listenerDrained(worker: number, id: number): void;
  /** How many connections a worker has. */
  setConnections(worker: number, connections: readonly (readonly [id: number, connections: number])[]): void;
}

interface Drain {
  readonly waitingFor: Set<number>;
  readonly done: () => void;
}

export function createListenerRelay(options: ListenerRelayOptions): ListenerRelay {
  const { send, settled, dispatch, stats } = options;
  const workers = new Set<number>();
  const open = new Map<number, { config: Listener; sockets: readonly SocketName[] }>();
  const drains = new Map<number, Drain>();
  const socketIds = new WeakMap<BoundSocket, number>();
  const connections = new Map<number, ReadonlyMap<number, number>>();
  let listenerCount = 0;
  let socketCount = 0;
  let draining = false;

  function nameOf(bound: BoundSocket): SocketName {
    const id = socketIds.get(bound) ?? ++socketCount;
    socketIds.set(bound, id);
    return { id, address: bound.address, localAddress: bound.localAddress };
  }

  function drained(worker: number, id: number): void {
    const drain = drains.get(id);
    if (!drain?.waitingFor.delete(worker) || drain.waitingFor.size > 0) return;
    drains.delete(id);
    drain.done();
  }

  function drain(id: number, drainTimeMs: number): Promise<void> {
    open.delete(id);
    send({ kind: 'listener_drain', id, drainTimeMs });
    if (workers.size === 0) return Promise.resolve();
    return new Promise((done) => drains.set(id, { waitingFor: new Set(workers), done }));
  }

  function openListener(first: Listener, firstRoutes: RouteProvider): ServingListener {
    const id = ++listenerCount;
    const listener = { config: first, sockets: [] as readonly SocketName[] };
    open.set(id, listener);
    let routes = firstRoutes;
    let bound: readonly BoundSocket[] = [];
    // So that what workers count of it is kept when they end.
    createListenerStats(stats, first);
    send({ kind: 'listener', id, config: first });
    return {
      get config() {
        return listener.config;
      },
      get sockets() {
        return bound;
      },
      get connections() {
        let sum = 0;
        for (const each of connections.values()) sum += each.get(id) ?? 0;
        return sum;
      },
      update(config, nextRoutes) {
        createListenerStats(stats, config);
        const old = routes;
        routes = nextRoutes;
        listener.config = config;
        send({ kind: 'listener', id, config });
        void settled().then(() => old.close());
      },
      setSockets(sockets, drainTimeMs) {
        bound = sockets;
        listener.sockets = sockets.map(nameOf);
        send({ kind: 'listener_sockets', id, sockets: listener.sockets, drainTimeMs });
        for (const [index, each] of sockets.entries()) {
          const target: ConnectionTarget = { socket: (listener.sockets[index] as SocketName).id };
          each.onConnection = (socket) => dispatch(socket, target);
        }
      },
      async drain(drainTimeMs) {
        bound = [];
        await drain(id, drainTimeMs);
        routes.close();
      },
    };
  }

  return {
    handsOver: true,
    open: openListener,
    setDraining(value) {
      draining = value;
      send({ kind: 'draining', draining });
    },
    settled: options.settledOrLate,
    replay(sendOne: (message: WorkerMessage) => void) {
      for (const [id, { config, sockets }] of open) {
        sendOne({ kind: 'listener', id, config });
        sendOne({ kind: 'listener_sockets', id, sockets, drainTimeMs: 0 });
      }
      if (draining) sendOne({ kind: 'draining', draining });
    },
    workerStarted: (worker) => void workers.add(worker),
    workerEnded(worker) {
      workers.delete(worker);
      connections.delete(worker);
      for (const id of [...drains.keys()]) drained(worker, id);
    },
    listenerDrained: drained,
    setConnections: (worker, counts) => void connections.set(worker, new Map(counts)),
  };
}
