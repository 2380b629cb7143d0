import { type Server, Socket } from 'node:net';
import { descriptorOf } from './descriptor.js';
import type { SocketsAddon } from './socket-loop.js';

/**
 * A connection that waits at a listening socket, as Node would have given it to the server's listener; undefined: none does.
 * Node itself accepts one per turn of its event loop (libuv since 1.45, https://github.com/libuv/libuv/pull/3696). While connections that are open already make
 * the turns long, many new ones would wait for seconds.
 */
export type AcceptNext = (server: Server, options: AcceptOptions) => Socket | undefined;

/** Of the server: Node does not say what it was made with. */
export interface AcceptOptions {
  readonly allowHalfOpen: boolean;
  readonly noDelay: boolean;
  readonly pauseOnConnect: boolean;
}

/** Those that wait are Node's, one per turn. */
export const leaveToNode: AcceptNext = () => undefined;

export function createAcceptNext(addon: Pick<SocketsAddon, 'accept' | 'close'>): AcceptNext {
  return (server, { allowHalfOpen, noDelay, pauseOnConnect }) => {
    const listening = descriptorOf(server);
    const fd = listening === undefined ? -1 : addon.accept(listening);
    // What went wrong (out of file descriptors) Node finds out in the next turn.
    if (fd < 0) return undefined;
    try {
      const options = { fd, allowHalfOpen, readable: true, writable: true, pauseOnCreate: pauseOnConnect };
      return new Socket(options).setNoDelay(noDelay);
    } catch {
      addon.close(fd, true);
      return undefined;
    }
  };
}
