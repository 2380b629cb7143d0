import type { UpstreamConnection, UpstreamConnectionHandler } from './connection.js';
import type { Host } from './host.js';
import type { PooledConnection } from './pooled-connection.js';

/** One exchange's hold of a pooled connection. What comes late from an exchange that gave it back can't reach the next one. */
export class Lease implements UpstreamConnection {
  readonly reused: boolean;
  bytesWritten = 0;
  handler: UpstreamConnectionHandler | undefined;
  readonly #connection: PooledConnection;
  #ended = false;

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

  setHandler(handler: UpstreamConnectionHandler): void {
    this.handler = handler;
  }

  write(data: Buffer): boolean {
    if (this.#ended) return false;
    this.bytesWritten += data.length;
    return this.#connection.write(data);
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

  /** Nothing passes any more, in either direction. */
  end(): void {
    this.#ended = true;
    this.handler = undefined;
  }
}
