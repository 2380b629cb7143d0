import type { Host } from './host.js';

/**
 * A pooled TCP connection while one exchange has it. Writes of one turn of the event loop go out together.
 * After `release`, or after `onClose`, every call is a no-op and no event follows.
 */
export interface UpstreamConnection {
  readonly host: Host;
  /** It served an exchange before: a failure before any byte came may be a stale connection, not a failure of the server. */
  readonly reused: boolean;
  /** `host:port` of our side; '' for a Unix socket. */
  readonly localAddress: string;
  /** What this exchange wrote, in bytes, sent or still buffered. */
  readonly bytesWritten: number;
  /** Who gets the events; set once, right when the connection is handed out. */
  setHandler(handler: UpstreamConnectionHandler): void;
  /** False: above the high watermark, `onWritable` will come. The connection keeps `data`, which must not change any more. */
  write(data: Buffer): boolean;
  /** FIN after all that was written; reading goes on. The connection can't be reused. */
  halfClose(): void;
  /** No `onData` and no `onEnd` until `resumeReading`; an error is told after the data that came before it. */
  pauseReading(): void;
  resumeReading(): void;
  /** Gives the connection back: to the pool when `reusable` (and nothing unread, half-closed or paused), else it is closed. No event follows. Idempotent. */
  release(reusable: boolean): void;
}

export interface UpstreamConnectionHandler {
  onData(data: Buffer): void;
  /** The server's FIN. Writing may go on. */
  onEnd(): void;
  onWritable(): void;
  /** The connection is gone: reset, error or timeout. `reason` is for people, as in `ECONNRESET`. Comes at most once, last. */
  onClose(reason: string): void;
}

/** Why no connection could be had. */
export type PoolFailure =
  | { readonly kind: 'no_healthy_upstream' }
  /** Circuit breaker: max_connections, max_pending_requests or max_requests. */
  | { readonly kind: 'overflow' }
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
