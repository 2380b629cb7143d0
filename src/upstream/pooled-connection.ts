import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Clock, Timer } from '../clock.js';
import type { Logger } from '../log.js';
import { formatAddress } from '../model/endpoint.js';
import { NodeSocket } from '../sockets/node-socket.js';
import type { AdoptSocket, SocketHandler, StreamSocket } from '../sockets/stream-socket.js';
import { TurnWriter } from '../sockets/turn-writer.js';
import type { ClientSession, ClientTls } from '../tls/client-tls.js';
import type { TlsInfo } from '../tls/tls-info.js';
import type { ClusterStats } from './cluster-stats.js';
import { connectSocket } from './connect-socket.js';
import type { UpstreamConnectionHandler } from './connection.js';
import type { Host } from './host.js';
import { Lease } from './lease.js';

/** How a connection ended. `local`: we closed it. */
export interface Closing {
  readonly from: 'connecting' | 'idle' | 'leased';
  readonly local: boolean;
  readonly timedOut: boolean;
  readonly reason: string;
}

/** The pool that a connection belongs to. */
export interface ConnectionOwner {
  onConnected(connection: PooledConnection): void;
  /** An exchange gave it back and it can serve another. */
  onReusable(connection: PooledConnection): void;
  /** The exchange that had it has it no more, however that ended. Comes before `onReusable` or `onClosed`. */
  onLeaseEnd(connection: PooledConnection): void;
  onClosed(connection: PooledConnection, closing: Closing): void;
}

export interface ConnectionContext {
  readonly stats: ClusterStats;
  readonly clock: Clock;
  readonly log: Logger;
  readonly connectTimeoutMs: number;
  readonly bufferLimitBytes: number;
  /** For connections that are not encrypted. */
  readonly adoptSocket: AdoptSocket;
  /** How connections to a host are encrypted; undefined: they are not. */
  tlsOf(host: Host): ClientTls | undefined;
}

type State =
  | { readonly kind: 'connecting'; readonly timer: Timer; readonly socket: Socket }
  | { readonly kind: 'idle' }
  | { readonly kind: 'leased'; readonly lease: Lease }
  /** The socket failed while the exchange did not read: it gets what came before the failure first. */
  | {
      readonly kind: 'failed_unread';
      readonly lease: Lease;
      readonly unread: Buffer[];
      readonly reason: string;
    }
  | { readonly kind: 'closed' };

const idle: State = { kind: 'idle' };
const closed: State = { kind: 'closed' };

/** A connection to one host, TCP or TLS over it, and its life: connecting → idle ⇄ leased → closed. */
export class PooledConnection implements SocketHandler {
  readonly host: Host;
  /** Clock.monotonic() when it was last given back. */
  idleSince = 0;
  localAddress = '';
  tlsInfo: TlsInfo | undefined;
  readonly #owner: ConnectionOwner;
  readonly #context: ConnectionContext;
  /** undefined: not connected yet. */
  #socket: StreamSocket | undefined;
  #writer: TurnWriter | undefined;
  readonly #tls: ClientSession | undefined;
  readonly #startedAt: number;
  #state: State;
  #leases = 0;
  #finReceived = false;
  #halfClosed = false;
  #paused = false;
  /** The exchange was told to wait until all is written. */
  #backedUp = false;
  #txBuffered = 0;
  #rxBuffered = 0;

  constructor(host: Host, owner: ConnectionOwner, context: ConnectionContext) {
    this.host = host;
    this.#owner = owner;
    this.#context = context;
    this.#startedAt = context.clock.monotonic();
    const { socket, tls } = connectSocket(host, context);
    this.#tls = tls;
    const timer = context.clock.setTimeout(() => this.#onConnectTimeout(), context.connectTimeoutMs);
    this.#state = { kind: 'connecting', timer, socket };
    socket.once(tls ? 'secureConnect' : 'connect', () => this.#onConnect(socket));
    socket.on('error', (error: NodeJS.ErrnoException) => this.#onConnectFailure(this.#explain(error)));
    socket.on('close', () => this.#onConnectFailure('closed'));
  }

  /** An exchange has it. */
  get leased(): boolean {
    return this.#state.kind === 'leased' || this.#state.kind === 'failed_unread';
  }

  /** An exchange had it before. */
  get used(): boolean {
    return this.#leases > 0;
  }

  /** For an idle connection: gives it to an exchange. */
  lease(): Lease {
    const lease = new Lease(this, this.#leases++ > 0);
    this.#state = { kind: 'leased', lease };
    return lease;
  }

  write(data: Buffer, more: boolean): boolean {
    const writer = this.#writer;
    if (this.#state.kind !== 'leased' || this.#halfClosed || data.length === 0 || !writer) return !this.#backedUp;
    this.#context.stats.cxTxBytesTotal.value += data.length;
    writer.write(data);
    if (!more) writer.flush();
    this.#countBuffered();
    if (!this.#backedUp && writer.isAbove(this.#context.bufferLimitBytes)) this.#backUp();
    return !this.#backedUp;
  }

  /** Whether something waits that was written. Then the exchange is told when all is with the system. */
  awaitWritten(): boolean {
    if (!this.#backedUp && this.#state.kind === 'leased' && (this.#writer?.waiting ?? 0) > 0) this.#backUp();
    return this.#backedUp;
  }

  #backUp(): void {
    this.#backedUp = true;
    this.#context.stats.flowControlBackedUp.value++;
  }

  afterWrites(then: () => void): void {
    if (this.#state.kind !== 'leased') return;
    this.#writer?.flush();
    this.#socket?.afterWrites(() => this.#notify(then));
  }

  halfClose(): void {
    if (this.#state.kind !== 'leased' || this.#halfClosed) return;
    this.#halfClosed = true;
    this.#writer?.flush();
    this.#socket?.end();
  }

  pauseReading(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#context.stats.flowControlPausedReading.value++;
    this.#socket?.pause();
  }

  resumeReading(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#context.stats.flowControlResumedReading.value++;
    if (this.#state.kind === 'failed_unread') this.#deliverUnread(this.#state);
    else this.#socket?.resume();
    this.#countBuffered();
  }

  /** Called by the lease, once. */
  release(reusable: boolean): void {
    if (this.#state.kind === 'failed_unread') {
      this.#finish('leased', this.#state.reason, false);
    } else if (!reusable || !this.#reusable()) {
      this.close();
    } else {
      this.#countBuffered();
      this.#state = idle;
      this.#owner.onLeaseEnd(this);
      this.#owner.onReusable(this);
    }
  }

  #reusable(): boolean {
    // Paused may mean that bytes wait unread in the kernel: they would be the next exchange's.
    if (this.#finReceived || this.#halfClosed || this.#paused) return false;
    return this.#socket?.writable === true && this.#socket.unread === 0;
  }

  /** Closes it now, whatever it does. An exchange that has it is told by `onClose`, unless it gave it back. */
  close(reason = 'closed'): void {
    const { kind } = this.#state;
    if (kind !== 'closed') this.#finish(kind === 'failed_unread' ? 'leased' : kind, reason, true);
  }

  #onConnect(socket: Socket): void {
    if (this.#state.kind !== 'connecting') return;
    const checked = this.#tls?.check(socket as TLSSocket);
    if (checked && 'problem' in checked) {
      this.#finish('connecting', checked.problem, false);
      return;
    }
    this.tlsInfo = checked?.info;
    this.#state.timer.cancel();
    socket.setNoDelay(true);
    const stream = this.#tls ? new NodeSocket(socket) : this.#context.adoptSocket(socket);
    this.#socket = stream;
    this.#writer = new TurnWriter(stream, () => this.#onWritten());
    const { localAddress: address, localPort: port } = stream;
    if (address !== undefined && port !== undefined) this.localAddress = formatAddress({ kind: 'tcp', address, port });
    this.#context.stats.cxConnectMs.record(this.#context.clock.monotonic() - this.#startedAt);
    this.#state = idle;
    stream.setHandler(this);
    this.#owner.onConnected(this);
  }

  #onConnectFailure(reason: string): void {
    if (this.#state.kind === 'connecting') this.#finish('connecting', reason, false);
  }

  /** Errors of TLS need words; others have a code that everybody knows. */
  #explain(error: NodeJS.ErrnoException): string {
    if (this.#tls && this.#state.kind !== 'closed') return this.#tls.explain(error);
    return error.code ?? error.message;
  }

  #onConnectTimeout(): void {
    this.#context.stats.cxConnectTimeout.value++;
    this.#finish('connecting', 'connect timeout', true, true);
  }

  // What the socket tells.

  onData(data: Buffer): void {
    this.#context.stats.cxRxBytesTotal.value += data.length;
    this.#countBuffered();
    const state = this.#state;
    if (state.kind === 'leased' && state.lease.handler) this.#deliver(state.lease.handler, data);
    else this.#onUnexpectedData();
  }

  onEnd(): void {
    this.#finReceived = true;
    const state = this.#state;
    if (state.kind === 'leased' && state.lease.handler) this.#notify(() => state.lease.handler?.onEnd());
    else this.close('server closed the idle connection');
  }

  #onUnexpectedData(): void {
    if (this.#state.kind === 'closed') return;
    this.#context.stats.cxProtocolError.value++;
    this.#context.log.debug(
      { host: this.host.address },
      'closing a connection: the server sent bytes without a request',
    );
    this.close('unexpected bytes');
  }

  onProgress(): void {
    if (this.#writer?.waiting === 0) this.#onWritten();
  }

  onClose(error: NodeJS.ErrnoException | undefined): void {
    const state = this.#state;
    if (state.kind === 'closed' || state.kind === 'failed_unread') return;
    const reason = error ? this.#explain(error) : 'closed';
    const unread = state.kind === 'leased' && this.#paused ? (this.#socket?.takeUnread() ?? []) : [];
    if (state.kind === 'leased' && unread.length > 0)
      this.#state = { kind: 'failed_unread', lease: state.lease, unread, reason };
    else this.#finish(state.kind, reason, false);
  }

  #onWritten(): void {
    this.#countBuffered();
    if (!this.#backedUp) return;
    this.#backedUp = false;
    const state = this.#state;
    if (state.kind !== 'leased') return;
    this.#context.stats.flowControlDrained.value++;
    // Not from within a write.
    process.nextTick(() => this.#notify(() => state.lease.handler?.onWritable()));
  }

  #deliverUnread(state: State & { kind: 'failed_unread' }): void {
    while (this.#state === state && !this.#paused) {
      const data = state.unread.shift();
      if (data === undefined) {
        this.#finish('leased', state.reason, false);
        return;
      }
      this.#context.stats.cxRxBytesTotal.value += data.length;
      if (state.lease.handler) this.#deliver(state.lease.handler, data);
    }
  }

  #finish(from: Closing['from'], reason: string, local: boolean, timedOut = false): void {
    const state = this.#state;
    if (state.kind === 'closed') return;
    this.#state = closed;
    if (state.kind === 'connecting') {
      state.timer.cancel();
      state.socket.destroy();
    }
    this.#socket?.destroy();
    this.#countBuffered();
    const { stats, clock } = this.#context;
    stats.cxDestroy.value++;
    (local ? stats.cxDestroyLocal : stats.cxDestroyRemote).value++;
    stats.cxLengthMs.record(clock.monotonic() - this.#startedAt);
    if (from === 'leased') {
      const exchanges = state.kind === 'leased' || state.kind === 'failed_unread' ? state.lease.exchanges : 0;
      if (exchanges > 0) {
        stats.cxDestroyWithActiveRq.value++;
        (local ? stats.cxDestroyLocalWithActiveRq : stats.cxDestroyRemoteWithActiveRq).value++;
      }
      this.#owner.onLeaseEnd(this);
    }
    this.#owner.onClosed(this, { from, local, timedOut, reason });
    if (state.kind === 'leased' || state.kind === 'failed_unread') {
      const { handler } = state.lease;
      state.lease.end(reason);
      if (handler) this.#notify(() => handler.onClose(reason, false));
    }
  }

  /** A fault in an exchange must not end the process, nor go on half done: it costs the connection. */
  #deliver(handler: UpstreamConnectionHandler, data: Buffer): void {
    try {
      handler.onData(data);
    } catch (error) {
      this.#onFault(error);
    }
  }

  #notify(tell: () => void): void {
    try {
      tell();
    } catch (error) {
      this.#onFault(error);
    }
  }

  #onFault(error: unknown): void {
    this.#context.log.error({ err: error, host: this.host.address }, 'closing a connection: its exchange failed');
    this.close('internal error');
  }

  /** Brings the gauges up to date; a closed connection has nothing. Cheap enough for every event, and exact when all is quiet. */
  #countBuffered(): void {
    const gone = this.#state.kind === 'closed';
    const tx = gone ? 0 : (this.#writer?.waiting ?? 0);
    const rx = gone ? 0 : (this.#socket?.unread ?? 0);
    if (tx === this.#txBuffered && rx === this.#rxBuffered) return;
    this.#context.stats.cxTxBytesBuffered.value += tx - this.#txBuffered;
    this.#context.stats.cxRxBytesBuffered.value += rx - this.#rxBuffered;
    this.#txBuffered = tx;
    this.#rxBuffered = rx;
  }
}
