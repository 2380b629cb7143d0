import type { Socket } from 'node:net';
import type { Clock, Timer } from '../../clock.js';
import type { BoundSocket } from '../../listener/bound-socket.js';
import type { SocketName } from './messages.js';

/** A worker's side of the main process's listening sockets. */
export interface HandedConnections {
  /** The sockets that a listener serves from now on, in place of those that it had. */
  use(listener: number, names: readonly SocketName[]): readonly BoundSocket[];
  forget(listener: number): void;
  /** A connection may come before its listener, whose configuration is still being carried out: it waits a moment then. */
  accept(socket: Socket, socketId: number): void;
}

/** How long a connection waits for its listener. Configuration takes a fraction of that, or the listener is gone. */
const longestWaitMs = 10_000;
const mostWaiting = 1_024;

interface Waiting {
  readonly socket: Socket;
  readonly socketId: number;
  readonly deadline: Timer;
}

export function createHandedConnections(clock: Clock): HandedConnections {
  const sockets = new Map<number, BoundSocket>();
  const usedBy = new Map<number, readonly number[]>();
  const waiting = new Set<Waiting>();

  function hand(socket: Socket, bound: BoundSocket): void {
    bound.onConnection(socket);
    // It came paused, so that the main process read nothing of it.
    socket.resume();
  }

  function open({ id, address, localAddress }: SocketName): BoundSocket {
    const known = sockets.get(id);
    if (known) return known;
    const bound: BoundSocket = {
      address,
      localAddress,
      onConnection: (socket) => socket.destroy(),
      // The main process closes the real one.
      close: () => undefined,
    };
    sockets.set(id, bound);
    return bound;
  }

  function closeUnused(ids: readonly number[]): void {
    const used = new Set([...usedBy.values()].flat());
    for (const id of ids) if (!used.has(id)) sockets.delete(id);
  }

  return {
    use(listener, names) {
      const before = usedBy.get(listener) ?? [];
      usedBy.set(
        listener,
        names.map(({ id }) => id),
      );
      const bound = names.map(open);
      closeUnused(before);
      // After the caller has taken the sockets over.
      queueMicrotask(() => {
        for (const each of waiting) {
          const target = sockets.get(each.socketId);
          if (!target) continue;
          waiting.delete(each);
          each.deadline.cancel();
          hand(each.socket, target);
        }
      });
      return bound;
    },
    forget(listener) {
      const before = usedBy.get(listener) ?? [];
      usedBy.delete(listener);
      closeUnused(before);
    },
    accept(socket, socketId) {
      const bound = sockets.get(socketId);
      if (bound) {
        hand(socket, bound);
      } else if (waiting.size >= mostWaiting) {
        socket.destroy();
      } else {
        const deadline = clock.setTimeout(() => {
          waiting.delete(entry);
          socket.destroy();
        }, longestWaitMs);
        const entry: Waiting = { socket, socketId, deadline };
        waiting.add(entry);
      }
    },
  };
}
