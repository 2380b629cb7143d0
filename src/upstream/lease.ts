import type { TlsInfo } from '../tls/tls-info.js';
import type { ExclusiveConnection, UpstreamConnectionHandler } from './connection.js';
import type { Host } from './host.js';
import type { PooledConnection } from './pooled-connection.js';

/** One exchange's hold of a pooled connection. What comes late from an exchange that gave it back can't reach the next one. */
export class Lease implements ExclusiveConnection {
  readonly shared = false;
  readonly reused: boolean;
  bytesWritten = 0;
  /** Exchanges that run on it now; a connection that is shared between several says how many. */
  exchanges = 1;
  handler: UpstreamConnectionHandler | undefined;
  readonly #connection: PooledConnection;
  #ended = false;
  #closeReason: string | undefined;

  constructor(connection: PooledConnection, reused: boolean) {
    this.#connection = connection;
    this.reused = reused;
  }

  get host(): Host {
    return this.#connection.host;
  }

  get localAddress(): string {
    return this.#connection.localAddress;
  }

  get tlsInfo(): TlsInfo | undefined {
    return this.#connection.tlsInfo;
  }

  get wrote(): boolean {
    return this.bytesWritten > 0;
  }

  setHandler(handler: UpstreamConnectionHandler): void {
    const reason = this.#closeReason;
    // The connection failed between being handed out and now.
    if (reason !== undefined) process.nextTick(() => handler.onClose(reason, false));
    else this.handler = handler;
  }

  write(data: Buffer, more: boolean): boolean {
    if (this.#ended) return false;
    this.bytesWritten += data.length;
    return this.#connection.write(data, more);
  }

  /** Whether something waits that was written. Then `onWritable` comes when all is with the system. */
  awaitWritten(): boolean {
    return !this.#ended && this.#connection.awaitWritten();
  }

  afterWrites(then: () => void): void {
    if (!this.#ended)
      this.#connection.afterWrites(() => {
        if (!this.#ended) then();
      });
  }

  halfClose(): void {
    if (!this.#ended) this.#connection.halfClose();
  }

  pauseReading(): void {
    if (!this.#ended) this.#connection.pauseReading();
  }

  resumeReading(): void {
    if (!this.#ended) this.#connection.resumeReading();
  }

  release(reusable: boolean): void {
    if (this.#ended) return;
    this.end();
    this.#connection.release(reusable);
  }

  /** Nothing passes any more, in either direction. `closeReason`: the connection failed. */
  end(closeReason?: string): void {
    this.#ended = true;
    this.#closeReason = closeReason;
    this.handler = undefined;
  }
}
