import { KeptBytes } from '../kept-bytes.js';
import type { TlsInfo } from '../tls/tls-info.js';
import type { ConnectionShare, StreamState, UpstreamConnectionHandler } from './connection.js';
import type { FrameId } from './frame-protocol.js';
import type { Host } from './host.js';
import type { SharedConnection } from './shared-connection.js';
import type { Listed } from './swap-list.js';
import type { QueuedFrame } from './write-queue.js';

/**
 * Where an exchange is on its shared connection.
 * - preparing: its request isn't whole yet; queued: it waits to be written; sent: the answer is awaited, or comes
 * - answered: nothing more is to come for it; what the exchange has not read yet waits
 * - abandoned: the exchange let go, and the answer is dropped when it comes
 * - closed: the exchange or the connection has ended
 */
export type ShareState = 'preparing' | 'queued' | 'sent' | 'answered' | 'abandoned' | 'closed';

/** What `onClose` says. */
export interface Loss {
  readonly reason: string;
  readonly protocolError: boolean;
}

const noBytes = new KeptBytes();

/** One exchange's share of a connection, and its frame in the queue. `SharedConnection` makes all its transitions. */
export class Share implements ConnectionShare, QueuedFrame, Listed {
  readonly shared = true;
  /** Of the connection's. */
  listIndex = -1;
  state: ShareState = 'preparing';
  stream: StreamState = 'none';
  wrote = false;
  handler: UpstreamConnectionHandler | undefined;
  /** Of its request; of one that is streamed, those of its beginning. */
  bytes = noBytes;
  /** Of its frame; of one that is streamed, what is still to come. */
  size = 0;
  place = 0;
  /** No answer comes: who is told instead, when the request is written. */
  whenWritten: (() => void) | undefined;
  /** The id that its own frame had, which its answer gets back. */
  originalId: FrameId = 0;
  /** The id on the connection. */
  id = 0;
  /** In order: whose answer is next after this one's. */
  next: Share | undefined;
  /** The exchange reads nothing at the moment; `held` is what came meanwhile. */
  paused = false;
  held: KeptBytes | undefined;
  /** How it was lost. */
  loss: Loss | undefined;
  readonly #connection: SharedConnection;

  constructor(connection: SharedConnection) {
    this.#connection = connection;
  }

  get host(): Host {
    return this.#connection.host;
  }

  get reused(): boolean {
    return this.#connection.answers > 0;
  }

  get localAddress(): string {
    return this.#connection.localAddress;
  }

  get tlsInfo(): TlsInfo | undefined {
    return this.#connection.tlsInfo;
  }

  setHandler(handler: UpstreamConnectionHandler): void {
    this.handler = handler;
    // The connection failed between being handed out and now.
    const { loss } = this;
    if (loss !== undefined) process.nextTick(() => handler.onClose(loss.reason, loss.protocolError));
  }

  send(request: Buffer[] | KeptBytes, whenWritten?: () => void): void {
    if (this.state !== 'preparing') return;
    if (whenWritten !== undefined) this.whenWritten = () => this.#connection.onWritten(this, whenWritten);
    this.#connection.send(this, request instanceof KeptBytes ? request : new KeptBytes(request));
  }

  unreserve(): void {
    this.#connection.onUnreserve(this);
  }

  writeNext(pieces: Buffer[], last: boolean): boolean {
    const over = this.state === 'closed' || this.state === 'abandoned';
    return over || this.#connection.writeNext(this, pieces, last);
  }

  onWrite(): boolean {
    return this.#connection.onWrite(this);
  }

  pauseReading(): void {
    this.paused = true;
    this.#connection.onPause();
  }

  resumeReading(): void {
    if (!this.paused) return;
    this.paused = false;
    this.#connection.onResume(this);
  }

  release(): void {
    this.#connection.onRelease(this);
  }
}
