import type { Socket } from 'node:net';

/** Who gets the events of a socket. None comes from within one of its calls, and none but `onClose` after `destroy` or `reset`. */
export interface SocketHandler {
  /** @param data may be there until the end of the turn only: who keeps it longer asks for `kept` of turn-memory.ts */
  onData(data: Buffer): void;
  /** The peer's FIN. Writing may go on. */
  onEnd(): void;
  /** The system took some of what was `waiting`. */
  onProgress(): void;
  /** It's over, by `error` if there is one; once, and last. While reading is paused `takeUnread` has what came before. */
  onClose(error: NodeJS.ErrnoException | undefined): void;
}

/** A connected stream socket: its two streams of bytes, plain or encrypted. Half-open until both sides have ended, closed then. */
export interface StreamSocket {
  /** Of TCP; a Unix domain socket has none. */
  readonly remoteAddress: string | undefined;
  readonly remotePort: number | undefined;
  readonly localAddress: string | undefined;
  readonly localPort: number | undefined;
  /** False: it is over, or `end` was called, and what is written goes nowhere. */
  readonly writable: boolean;
  readonly destroyed: boolean;
  /** Bytes that were written and that the system has not taken. */
  readonly waiting: number;
  /** Bytes that came and were not handed on; what is still with the system doesn't count. */
  readonly unread: number;
  /** Called once, before anything is expected of it. What the handler throws is an uncaught exception of the process; the socket goes on. */
  setHandler(handler: SocketHandler): void;
  /**
   * Where `waiting` is 0 afterwards, `data` is the caller's again; else it must not change any more.
   * @param start of the bytes to write; 0 unless given, and `end` the end of `data`: a slice would be an object more
   */
  write(data: Buffer, start?: number, end?: number): void;
  /** Calls when all that was written is with the system; never when it fails before. */
  afterWrites(then: () => void): void;
  /** FIN behind all that was written. Calls when it is on its way; never when it fails before. */
  end(then?: () => void): void;
  /** No data until `resume`, nor the end behind it. That the connection failed is told, if it is noticed. */
  pause(): void;
  resume(): void;
  /** For `onClose`: what came and was not handed on. */
  takeUnread(): Buffer[];
  /** Closes at once; what waits is lost. `onClose` comes. */
  destroy(): void;
  /** As `destroy`, and the peer sees a reset where it is plain TCP. */
  reset(): void;
}

/** Makes a connected TCP or Unix domain socket of Node's ours. From then on `socket` is only for whoever reads and writes through the result. */
export type AdoptSocket = (socket: Socket) => StreamSocket;
