import type { KeptBytes } from '../kept-bytes.js';
import type { TlsInfo } from '../tls/tls-info.js';
import type { Host } from './host.js';

/**
 * What one exchange has of a pooled TCP connection: all of it, or a share. After `release`, or after `onClose`, every call is a no-op and no event follows.
 */
export type UpstreamConnection = ExclusiveConnection | ConnectionShare;

interface Held {
  readonly host: Host;
  /** It served an exchange before: a failure before any byte came may be a stale connection, not a failure of the server. */
  readonly reused: boolean;
  /** `host:port` of our side; '' for a Unix socket. */
  readonly localAddress: string;
  /** undefined: it is not encrypted. */
  readonly tlsInfo?: TlsInfo | undefined;
  /** A byte of this exchange was written. */
  readonly wrote: boolean;
  /** Who gets the events; set once, right when the connection is handed out. */
  setHandler(handler: UpstreamConnectionHandler): void;
  /** No `onData` and no `onEnd` until `resumeReading`; an error is told after the data that came before it. */
  pauseReading(): void;
  resumeReading(): void;
  /**
   * Gives the connection back: to the pool when `reusable` (and nothing unread, half-closed or paused), else it is closed. No event follows. Idempotent.
   * A share of a connection closes nothing: the rest of its answer is dropped when it comes.
   */
  release(reusable: boolean): void;
}

/** A connection that nobody else has meanwhile. */
export interface ExclusiveConnection extends Held {
  readonly shared: false;
  /** What this exchange wrote, in bytes, sent or still buffered. */
  readonly bytesWritten: number;
  /**
   * False: above the high watermark, `onWritable` will come. The connection keeps `data`, which must not change any more.
   * With `more` it waits for others of this turn of the event loop; without, it goes out at once, and those with it.
   */
  write(data: Buffer, more: boolean): boolean;
  /** Calls when all that was written is with the kernel; never when the connection fails before. */
  afterWrites(then: () => void): void;
  /** FIN after all that was written; reading goes on. The connection can't be reused. */
  halfClose(): void;
}

/**
 * - none: the request is sent when it is whole
 * - reserved: the connection has no other exchange, so the request may be streamed
 * - begun: it is streamed; the connection has no other exchange until it is whole
 */
export type StreamState = 'none' | 'reserved' | 'begun';

/** One exchange's share of a connection: one frame goes out, and the bytes of one come back, with `onEnd` behind its last. */
export interface ConnectionShare extends Held {
  readonly shared: true;
  readonly stream: StreamState;
  /** The request is going to be sent when it is whole: others may have the connection, too. */
  unreserve(): void;
  /**
   * Writes the next bytes of a request that is streamed, `last` with its end. False: above the high watermark, `onWritable` will come. The connection keeps the bytes,
   * which must not change any more; it is closed when the exchange ends before they are whole. Throws an Error, fit to be shown, when they are not exactly one frame.
   */
  writeNext(pieces: Buffer[], last: boolean): boolean;
  /**
   * Sends the whole request, once. The connection takes over the bytes, which must not change any more. With `whenWritten` no answer is awaited: it is called when
   * the request is with the kernel. Throws an Error, fit to be shown, when the bytes are not exactly one frame.
   */
  send(request: Buffer[] | KeptBytes, whenWritten?: () => void): void;
}

export interface UpstreamConnectionHandler {
  onData(data: Buffer): void;
  /** The server's FIN. Writing may go on. */
  onEnd(): void;
  onWritable(): void;
  /**
   * The connection is gone: reset, error or timeout; `protocolError`: it was closed because the server sent what is not the protocol's.
   * `reason` is for people, as in `ECONNRESET`. Comes at most once, last.
   */
  onClose(reason: string, protocolError: boolean): void;
}

/** Why no connection could be had. */
export type PoolFailure =
  | { readonly kind: 'no_healthy_upstream' }
  /** Circuit breaker: max_connections, max_pending_requests or max_requests. */
  | { readonly kind: 'overflow'; readonly host: Host }
  | {
      readonly kind: 'connect_failure';
      readonly host: Host;
      readonly reason: string;
    }
  | { readonly kind: 'connect_timeout'; readonly host: Host }
  /** The cluster's version is gone: removed or replaced, and its drain time over. */
  | { readonly kind: 'cluster_removed' };

export interface PoolCallbacks {
  /** The connection is the caller's until `release`. Never called from within `acquire`. */
  onReady(connection: UpstreamConnection): void;
  onFailure(failure: PoolFailure): void;
}
