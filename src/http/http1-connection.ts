import type { Timer } from '../clock.js';
import type { SocketHandler, StreamSocket } from '../sockets/stream-socket.js';
import { TurnWriter } from '../sockets/turn-writer.js';
import type { TlsInfo } from '../tls/tls-info.js';
import { ActiveStream } from './active-stream.js';
import type { ConnectionManager } from './connection-manager.js';
import { InactivityTimer } from './inactivity-timer.js';
import { formatAddress, plainAddress } from './remote-address.js';
import type { RequestParser } from './request-parser.js';
import type { StreamConnection, StreamTimeout } from './stream-connection.js';

/** What a connection needs of its listener. */
export interface ConnectionHost {
  /** The version that new requests go to. */
  current(): ConnectionManager;
  /** The listener or the process is on its way out: responses say `connection: close`. */
  isDraining(): boolean;
  /** Bytes that may wait for a slow client before the handler is told; at least 1. */
  readonly bufferLimit: number;
  onClosed(connection: Http1Connection): void;
}

/** Of a connection that is encrypted. */
export interface Encryption {
  readonly info: TlsInfo;
  /** Resets the connection under it. */
  reset(): void;
}

/**
 * - open: serves.
 * - draining: serves, and closes with its next response; without a request, when the time is over.
 * - closing: closes after the current response.
 * - lingering: everything is written, FIN sent; what the client still sends is read and dropped (RFC 9112 section 9.6).
 * - closed: over.
 */
type ConnectionState = 'open' | 'draining' | 'closing' | 'lingering' | 'closed';

/** One HTTP/1 connection: reads requests one at a time, writes their responses, and knows when to close. */
export class Http1Connection implements StreamConnection, SocketHandler {
  readonly id: number;
  readonly addresses: StreamConnection['addresses'];
  readonly tls: TlsInfo | undefined;
  readonly #encryption: Encryption | undefined;
  readonly #socket: StreamSocket;
  readonly #host: ConnectionHost;
  /** The version at the time of accept: its statistics count the connection, its timeouts apply to it. */
  readonly #manager: ConnectionManager;
  readonly #parser: RequestParser;
  readonly #idleTimer: InactivityTimer;
  readonly #streamTimers: Record<StreamTimeout, InactivityTimer | undefined> = {
    request: undefined,
    headers: undefined,
    idle: undefined,
  };
  readonly #writer: TurnWriter;
  readonly #startTime: number;
  #durationTimer: Timer | undefined;
  #closeTimer: Timer | undefined;
  #state: ConnectionState = 'open';
  #stream: ActiveStream | undefined;
  #requests = 0;
  /** The next request waits until the client has read enough of the last response. */
  #waitsForDrain = false;
  #localClose = false;
  /** How long a draining connection may wait for a request. */
  #idleGraceMs = 0;

  constructor(id: number, socket: StreamSocket, host: ConnectionHost, encryption?: Encryption) {
    this.id = id;
    this.#socket = socket;
    this.#host = host;
    this.#manager = host.current();
    this.addresses = addressesOf(socket);
    this.tls = encryption?.info;
    this.#encryption = encryption;
    const { clock, config, stats } = this.#manager;
    this.#startTime = clock.monotonic();
    stats.downstream_cx_total.value++;
    stats.downstream_cx_active.value++;
    stats.downstream_cx_http1_total.value++;
    stats.downstream_cx_http1_active.value++;
    if (encryption) {
      stats.downstream_cx_ssl_total.value++;
      stats.downstream_cx_ssl_active.value++;
    }
    this.#idleTimer = new InactivityTimer(clock, () => this.#onIdleTimeout());
    this.#idleTimer.start(config.idleTimeoutMs);
    if (config.maxConnectionDurationMs > 0) {
      this.#durationTimer = clock.setTimeout(() => this.#onDurationReached(), config.maxConnectionDurationMs);
    }
    this.#parser = this.#manager.codec.createParser({
      onRequest: (head, known) => this.#streamForBytes().onHead(head, known),
      onBody: (data, endStream) => this.#stream?.onBody(data, endStream),
      onError: (error) => this.#streamForBytes().onParseError(error),
      onDrain: () => this.#socket.resume(),
    });
    this.#writer = new TurnWriter(socket, () => this.onProgress());
    socket.setHandler(this);
  }

  /**
   * Asks the client to go: with the next response, or without one after the connection manager's drain timeout.
   * @param withinMs bounds that timeout
   */
  drain(withinMs = Number.POSITIVE_INFINITY): void {
    if (this.#state !== 'open') return;
    this.#state = 'draining';
    this.#idleGraceMs = Math.min(this.#manager.config.drainTimeoutMs, withinMs);
    if (this.#stream === undefined) this.#closeWhenIdle();
  }

  /** The drain time is over: cuts what still runs. */
  destroy(): void {
    if (this.#state === 'closed') return;
    this.#localClose = true;
    this.#countAbortedRequest();
    this.#stream?.onConnectionClosed('draining');
    this.#stream = undefined;
    this.#reset();
  }

  // What the stream asks for.

  get closing(): boolean {
    return this.#state === 'closing';
  }

  announceClose(): boolean {
    if (this.#state === 'draining' || (this.#state === 'open' && this.#host.isDraining())) {
      this.#manager.stats.downstream_cx_drain_close.value++;
      this.closeAfterResponse();
    }
    return this.closing;
  }

  closeAfterResponse(): void {
    if (this.#state !== 'open' && this.#state !== 'draining') return;
    this.#closeTimer?.cancel();
    this.#state = 'closing';
  }

  write(data: Buffer | string): void {
    if (!this.#socket.writable) return;
    this.#manager.stats.downstream_cx_tx_bytes_total.value += data.length;
    this.#writer.write(data);
  }

  isAboveWatermark(): boolean {
    return this.#writer.isAbove(this.#host.bufferLimit);
  }

  startBody(): void {
    this.#parser.startBody();
  }

  pauseBody(): void {
    this.#parser.pauseBody();
  }

  resumeBody(): void {
    this.#parser.resumeBody();
  }

  touch(now?: number): void {
    this.#streamTimers.idle?.touch(now);
  }

  startTimeout(which: StreamTimeout, ms: number, now?: number): void {
    const timer = this.#streamTimer(which);
    if (timer !== undefined) timer.start(ms, now);
    else if (ms > 0) this.#makeStreamTimer(which).start(ms, now);
  }

  /** A look by a name that varies costs several times as much. */
  #streamTimer(which: StreamTimeout): InactivityTimer | undefined {
    if (which === 'idle') return this.#streamTimers.idle;
    return which === 'request' ? this.#streamTimers.request : this.#streamTimers.headers;
  }

  #makeStreamTimer(which: StreamTimeout): InactivityTimer {
    const timer = new InactivityTimer(this.#manager.clock, () => this.#stream?.onTimeout(which));
    this.#streamTimers[which] = timer;
    return timer;
  }

  onStreamEnded(next: 'keep' | 'close' | 'reset', now?: number): void {
    this.#stream = undefined;
    this.#streamTimers.idle?.stop();
    this.#streamTimers.request?.stop();
    this.#streamTimers.headers?.stop();
    if (next === 'keep') {
      this.#idleTimer.start(this.#manager.config.idleTimeoutMs, now);
      if (this.#state === 'draining') this.#closeWhenIdle();
      this.#nextRequest();
      return;
    }
    this.#localClose = true;
    if (next === 'close') this.#close();
    else this.#reset();
  }

  // What the socket tells.

  onData(data: Buffer): void {
    this.#manager.stats.downstream_cx_rx_bytes_total.value += data.length;
    if (this.#state === 'lingering' || this.#state === 'closed') return;
    if (this.#stream !== undefined) this.touch();
    // Empty lines before a request are no request (RFC 9112 section 2.2).
    else if (!isEmptyLines(data)) this.#streamForBytes();
    if (!this.#parser.write(data)) this.#socket.pause();
  }

  onEnd(): void {
    if (this.#state === 'closed') return;
    if (this.#stream?.tunnelling) {
      this.#parser.end();
      return;
    }
    // As Envoy, which takes a half-close for the end: the client is not there to read.
    if (this.#state !== 'lingering') this.#countAbortedRequest();
    this.#stream?.onConnectionClosed('downstream_closed');
    this.#stream = undefined;
    this.#close();
  }

  onProgress(): void {
    if (this.#socket.destroyed || this.isAboveWatermark()) return;
    this.#stream?.onWritable();
    if (!this.#waitsForDrain) return;
    this.#waitsForDrain = false;
    this.#nextRequest();
  }

  onClose(): void {
    if (this.#state === 'closed') return;
    const { stats, clock } = this.#manager;
    const stream = this.#stream;
    if (stream) this.#countAbortedRequest();
    this.#state = 'closed';
    this.#stream = undefined;
    stream?.onConnectionClosed('downstream_closed');
    this.#parser.destroy();
    this.#idleTimer.dispose();
    for (const timer of Object.values(this.#streamTimers)) timer?.dispose();
    this.#durationTimer?.cancel();
    this.#closeTimer?.cancel();
    stats.downstream_cx_active.value--;
    stats.downstream_cx_http1_active.value--;
    if (this.tls) stats.downstream_cx_ssl_active.value--;
    stats.downstream_cx_destroy.value++;
    stats[this.#localClose ? 'downstream_cx_destroy_local' : 'downstream_cx_destroy_remote'].value++;
    stats.downstream_cx_length_ms.record(clock.monotonic() - this.#startTime);
    this.#host.onClosed(this);
  }

  // Requests.

  /** The stream that bytes of a request belong to: the current one, or a new one. */
  #streamForBytes(): ActiveStream {
    if (this.#stream) return this.#stream;
    const manager = this.#host.current();
    this.#idleTimer.stop();
    this.#requests++;
    const max = manager.config.maxRequestsPerConnection;
    if (max > 0 && this.#requests >= max) {
      manager.stats.downstream_cx_max_requests_reached.value++;
      this.closeAfterResponse();
    }
    this.#stream = new ActiveStream(manager, this);
    return this.#stream;
  }

  #nextRequest(): void {
    if (this.isAboveWatermark()) {
      this.#waitsForDrain = true;
      return;
    }
    this.#parser.nextRequest();
  }

  #onIdleTimeout(): void {
    this.#manager.stats.downstream_cx_idle_timeout.value++;
    this.drain();
  }

  #onDurationReached(): void {
    this.#manager.stats.downstream_cx_max_duration_reached.value++;
    this.drain();
  }

  // The end.

  /** Without a request for a while, a draining connection goes: a client that is about to send one has had its chance to be told. */
  #closeWhenIdle(): void {
    this.#closeTimer?.cancel();
    this.#closeTimer = this.#manager.clock.setTimeout(() => {
      if (this.#state !== 'draining' || this.#stream !== undefined) return;
      this.#localClose = true;
      this.#close();
    }, this.#idleGraceMs);
  }

  /** FIN after what was written, and then patience, so that the client reads the response before it sees a reset. */
  #close(): void {
    if (this.#state === 'lingering' || this.#state === 'closed') return;
    this.#state = 'lingering';
    this.#parser.destroy();
    this.#idleTimer.stop();
    const { delayedCloseTimeoutMs, streamIdleTimeoutMs } = this.#manager.config;
    // A client that doesn't read can't hold the connection for ever.
    this.#closeAfter(streamIdleTimeoutMs > 0 ? streamIdleTimeoutMs : longestFlushMs);
    this.#socket.resume();
    this.#writer.flush();
    this.#socket.end(() => {
      if (this.#state === 'closed') return;
      if (delayedCloseTimeoutMs === 0) this.#socket.destroy();
      else this.#closeAfter(delayedCloseTimeoutMs);
    });
  }

  /** A Unix domain socket knows no reset. */
  #reset(): void {
    this.#parser.destroy();
    if (this.addresses.localPort === 0) this.#socket.destroy();
    else if (this.#encryption) this.#encryption.reset();
    else this.#socket.reset();
  }

  #closeAfter(ms: number): void {
    const { clock, stats } = this.#manager;
    this.#closeTimer?.cancel();
    this.#closeTimer = clock.setTimeout(() => {
      stats.downstream_cx_delayed_close_timeout.value++;
      this.#socket.destroy();
    }, ms);
  }

  #countAbortedRequest(): void {
    if (this.#stream === undefined) return;
    const { stats } = this.#manager;
    stats.downstream_cx_destroy_active_rq.value++;
    stats[this.#localClose ? 'downstream_cx_destroy_local_active_rq' : 'downstream_cx_destroy_remote_active_rq']
      .value++;
  }
}

/** How long written bytes may wait for a client where no stream idle timeout says so: Envoy's default of that. */
const longestFlushMs = 300_000;

function isEmptyLines(data: Buffer): boolean {
  for (let i = 0; i < data.length; i++) if (data[i] !== 0x0d && data[i] !== 0x0a) return false;
  return true;
}

function addressesOf(socket: StreamSocket): StreamConnection['addresses'] {
  const { remoteAddress, remotePort, localAddress, localPort } = socket;
  // A Unix domain socket has neither.
  if (remoteAddress === undefined || localAddress === undefined)
    return { remoteAddress: '', remote: '', local: '', localPort: 0 };
  const remote = plainAddress(remoteAddress);
  return {
    remoteAddress: remote,
    remote: formatAddress(remote, remotePort ?? 0),
    local: formatAddress(plainAddress(localAddress), localPort ?? 0),
    localPort: localPort ?? 0,
  };
}
