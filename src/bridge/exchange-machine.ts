import type { Clock } from '../clock.js';
import { KeptBytes } from '../kept-bytes.js';
import type { Logger } from '../log.js';
import type { AcquireOptions, Pin } from '../upstream/cluster-manager.js';
import type {
  ConnectionShare,
  ExclusiveConnection,
  PoolCallbacks,
  PoolFailure,
  UpstreamConnection,
  UpstreamConnectionHandler,
} from '../upstream/connection.js';
import type { Host } from '../upstream/host.js';
import type { BridgeStats } from './bridge-stats.js';
import { ByteQueue, PluginBuffer } from './buffer.js';
import { type Exchange, type ExchangeFailure, type ExchangeOptions, pluginErrorBody } from './exchange.js';
import {
  afterEncodeData,
  afterEncodeHeaders,
  afterUpstreamData,
  type ExchangeEvent,
  type ExchangeState,
  type RequestPhase,
  type RequestStep,
} from './exchange-state.js';
import { isIdempotent } from './idempotent.js';
import { canReplace, isReusable, keepForReplay, type OpenState, openState, takeResponsePart } from './open-state.js';
import { PluginNotFound, pluginError, RecoveredPanic } from './plugin-error.js';
import { RequestHeadersView } from './plugin-headers.js';
import { type LocalReply, PluginSession } from './plugin-session.js';
import { localReplyHeaders } from './response-headers.js';

const nothing = Buffer.alloc(0);
const ended: ExchangeState = { name: 'ended' };

const acquirePooled: AcquireOptions = { freshOnly: false, exclusive: false };
/** Instead of a connection that turned out to be stale. */
const acquireFresh: AcquireOptions = { freshOnly: true, exclusive: false };
/** The same two for a large request. */
const acquirePooledStreamed: AcquireOptions = { ...acquirePooled, streamed: true };
const acquireFreshStreamed: AcquireOptions = { ...acquireFresh, streamed: true };
/** For an exchange that is going to close its side. */
const acquireAlone: AcquireOptions = { freshOnly: false, exclusive: true };
/** For the PROXY header, which names one client for the whole connection. */
const acquireFreshAlone: AcquireOptions = { freshOnly: true, exclusive: true };

/**
 * The state machine between one request, one bridge and one connection.
 *
 * Whatever happens comes in as an event and is handled to its end before the next one: an event that is caused by the handling of another (a callback that
 * cancels, a write that fails at once) waits in `#deferred`. So no plugin's call is ever on the stack when the exchange ends or when another one is made.
 */
export class ExchangeMachine implements Exchange, Pin, PoolCallbacks, UpstreamConnectionHandler {
  /** Of the cluster's pins. */
  listIndex = -1;
  readonly #options: ExchangeOptions;
  readonly #stats: BridgeStats;
  readonly #log: Logger;
  readonly #clock: Clock;

  #state: ExchangeState;
  #busy = false;
  /** Made when it is needed, which is seldom. */
  #deferred: ExchangeEvent[] | undefined;
  /** After `cancel`: nobody listens any more. */
  #silenced = false;
  #host: Host | undefined;
  /** The latest. */
  #session: PluginSession | undefined;
  #requestPaused = false;
  /** The request's body, as far as it has come and has not been written. */
  readonly #body = new ByteQueue();
  /** All of it has come. */
  #bodyEnded: boolean;
  /** The one replacement of a stale connection was used. */
  #replaced = false;

  constructor(options: ExchangeOptions, stats: BridgeStats, log: Logger, clock: Clock) {
    this.#options = options;
    this.#stats = stats;
    this.#log = log;
    this.#clock = clock;
    this.#bodyEnded = options.requestEndStream;
    stats.exchangesTotal.value += 1;
    stats.exchangesActive.value += 1;
    options.cluster.pin(this);
    this.#state = this.#acquire(this.#isLarge() ? acquirePooledStreamed : acquirePooled, undefined);
  }

  get host(): Host | undefined {
    return this.#host;
  }

  get idempotent(): boolean | undefined {
    return this.#session?.idempotent;
  }

  #acquire(how: AcquireOptions, moving: OpenState | undefined): ExchangeState {
    const { cluster, priority, preface, avoidHosts: avoid } = this.#options;
    const options = preface === undefined ? how : acquireFreshAlone;
    const acquisition = cluster.acquire(priority, this, avoid === undefined ? options : { ...options, avoid });
    return { name: 'connecting', acquisition, moving };
  }

  /** So that it had rather not be kept until it is whole. */
  #isLarge(): boolean {
    const { cluster, requestHeaders } = this.#options;
    const above = cluster.pipeline.frames?.streamAbove;
    return above !== undefined && !this.#bodyEnded && Number(requestHeaders.get('content-length') ?? 0) > above;
  }

  // Events.

  onRequestData(data: Buffer, endStream: boolean): void {
    this.#dispatch({ kind: 'request_data', data, endStream });
  }

  onDownstreamWritable(): void {
    this.#dispatch({ kind: 'downstream_writable' });
  }

  cancel(): void {
    if (this.#state.name !== 'ended') this.#resumeRequest();
    this.#silenced = true;
    this.#dispatch({ kind: 'cancel' });
  }

  onReady(connection: UpstreamConnection): void {
    this.#dispatch({ kind: 'connection_ready', connection });
  }

  onFailure(failure: PoolFailure): void {
    this.#dispatch({ kind: 'pool_failure', failure });
  }

  onData(data: Buffer): void {
    this.#dispatch({ kind: 'upstream_data', data });
  }

  onEnd(): void {
    this.#dispatch({ kind: 'upstream_end' });
  }

  onWritable(): void {
    this.#dispatch({ kind: 'upstream_writable' });
  }

  onClose(reason: string, protocolError: boolean): void {
    this.#dispatch({ kind: 'upstream_close', reason, protocolError });
  }

  onDrainTimeout(): void {
    this.#dispatch({ kind: 'drain_timeout' });
  }

  #onRequestWritten(): void {
    this.#dispatch({ kind: 'request_written' });
  }

  #dispatch(event: ExchangeEvent): void {
    if (this.#busy) {
      this.#deferred ??= [];
      this.#deferred.push(event);
      return;
    }
    this.#busy = true;
    try {
      this.#handle(event);
      if (this.#deferred !== undefined) this.#handleDeferred(this.#deferred);
    } catch (error) {
      // A callback threw: a fault of ours, but the bridge, the connection and the pin must not be lost with it.
      this.#silenced = true;
      this.#end(false);
      throw error;
    } finally {
      this.#busy = false;
    }
  }

  #handleDeferred(events: ExchangeEvent[]): void {
    for (let next = events.shift(); next !== undefined; next = events.shift()) this.#handle(next);
  }

  #handle(event: ExchangeEvent): void {
    const state = this.#state;
    switch (state.name) {
      case 'connecting':
        this.#whileConnecting(state, event);
        break;
      case 'open':
        this.#whileOpen(state, event);
        break;
      case 'ended':
        // A connection that came although the acquisition was cancelled.
        if (event.kind === 'connection_ready') event.connection.release(true);
        return;
    }
    // Nothing is left of it.
    if (this.#state === ended) return;
    this.#keepRest();
    this.#balanceRequest();
  }

  /** What was neither sent nor thrown away stays for more than this turn. */
  #keepRest(): void {
    const state = this.#state;
    // What becomes of it is seen in this turn.
    if (state.name === 'connecting' && state.acquisition.decided) return;
    this.#body.keep();
    if (state.name === 'open') {
      state.received.keep();
      state.frame?.keep();
    } else if (state.name === 'connecting') state.moving?.frame?.keep();
  }

  #whileConnecting({ moving }: ExchangeState & { name: 'connecting' }, event: ExchangeEvent): void {
    switch (event.kind) {
      case 'connection_ready':
        if (moving === undefined) this.#open(event.connection);
        else this.#continueOn(event.connection, moving);
        break;
      case 'pool_failure': {
        const { failure } = event;
        if ('host' in failure) this.#options.info.upstreamHost = failure.host.address;
        this.#fail({ kind: 'pool', failure });
        break;
      }
      case 'request_data':
        this.#body.append(event.data);
        this.#bodyEnded ||= event.endStream;
        break;
      case 'cancel':
      case 'drain_timeout':
        this.#giveUp(event.kind);
        break;
      // Left over from a stale connection that is being replaced, or from before.
      case 'upstream_data':
      case 'upstream_end':
      case 'upstream_close':
      case 'upstream_writable':
      case 'request_written':
      case 'downstream_writable':
        break;
    }
  }

  #whileOpen(open: OpenState, event: ExchangeEvent): void {
    switch (event.kind) {
      case 'request_data':
        if (this.#bodyEnded) return;
        this.#bodyEnded = event.endStream;
        keepForReplay(open, event.data);
        this.#body.append(event.data);
        this.#continueRequest(open);
        break;
      case 'upstream_data': {
        const { info } = this.#options;
        info.lastUpstreamRxByte = this.#clock.turnTime();
        info.firstUpstreamRxByte ??= info.lastUpstreamRxByte;
        open.answered = true;
        open.replay = undefined;
        open.received.append(event.data);
        this.#continueResponse(open, false);
        break;
      }
      case 'upstream_end':
        open.serverEnded = true;
        if (this.#canReplace(open)) this.#replace(open);
        else this.#continueResponse(open, true);
        break;
      case 'upstream_close':
        // A server that spoke was there: what it has read was not lost on a stale connection.
        if (event.protocolError && open.connection.wrote) this.#fail({ kind: 'protocol_error', reason: event.reason });
        else if (this.#canReplace(open)) this.#replace(open);
        else this.#fail({ kind: event.protocolError ? 'protocol_error' : 'upstream_closed', reason: event.reason });
        break;
      case 'upstream_writable':
        open.upstreamBlocked = false;
        break;
      case 'request_written':
        this.#continueResponse(open, true);
        break;
      case 'downstream_writable':
        if (open.readingPaused) {
          open.readingPaused = false;
          open.connection.resumeReading();
        }
        break;
      case 'cancel':
      case 'drain_timeout':
        this.#giveUp(event.kind);
        break;
      case 'connection_ready':
      case 'pool_failure':
        break;
    }
  }

  // The request: client to server.

  #open(connection: UpstreamConnection): void {
    const { cluster, requestHeaders, requestEndStream, routeName } = this.#options;
    this.#enter(connection);
    const session = new PluginSession(cluster.pipeline, {
      routeName,
      clusterName: cluster.config.name,
      log: this.#log,
    });
    this.#session = session;
    const open = openState(connection, session);
    this.#state = open;
    if (!this.#silenced) this.#options.callbacks.onConnected();

    const dataForSet = new ByteQueue();
    let answer = session.create();
    if (answer === 'continue') {
      const headers = new RequestHeadersView(requestHeaders);
      answer = session.encodeHeaders(headers, new PluginBuffer(dataForSet, session), requestEndStream);
    }
    if (connection.reused && !this.#replaced && !requestEndStream && this.#mayRepeat(open))
      open.replay = new ByteQueue();
    const step = afterEncodeHeaders(answer, requestEndStream);
    if (step.do !== 'write') {
      this.#answerRequest(open, step, dataForSet);
      return;
    }
    if (this.#options.preface !== undefined && !connection.shared)
      this.#write(open, connection, this.#options.preface, true);
    this.#writeAll(open, dataForSet, step.next);
    if (this.#state !== open) return;
    if (requestEndStream || (this.#body.length === 0 && !this.#bodyEnded)) return;
    // What came while there was no connection.
    for (const piece of this.#body.pieces) keepForReplay(open, piece);
    this.#continueRequest(open);
  }

  #enter(connection: UpstreamConnection): void {
    const { info } = this.#options;
    this.#host = connection.host;
    info.upstreamHost = connection.host.address;
    info.upstreamLocalAddress = connection.localAddress;
    info.upstreamTls = connection.tlsInfo;
    connection.setHandler(this);
  }

  /** Gives the plugin the piece of the body that came, or the whole when it wants that. */
  #continueRequest(open: OpenState): void {
    if (open.request === 'gathering') {
      if (this.#body.length > this.#options.requestBufferLimit) {
        this.#fail({ kind: 'request_too_large' });
        return;
      }
      if (!this.#bodyEnded) return;
    }
    open.sawBody = true;
    const answer = open.session.encodeData(new PluginBuffer(this.#body, open.session), this.#bodyEnded);
    const step = afterEncodeData(answer, this.#bodyEnded);
    switch (step.do) {
      case 'write':
        this.#writeAll(open, this.#body, step.next);
        break;
      case 'keep':
        open.request = 'gathering';
        if (open.connection.shared && open.connection.stream === 'reserved') open.connection.unreserve();
        if (this.#body.length > this.#options.requestBufferLimit) this.#fail({ kind: 'request_too_large' });
        break;
      default:
        this.#answerRequest(open, step, this.#body);
    }
  }

  #writeAll(open: OpenState, queue: ByteQueue | KeptBytes, next: RequestPhase): void {
    open.request = next;
    const { connection } = open;
    if (connection.shared) {
      if (connection.stream === 'none') this.#gatherFrame(open, connection, queue);
      else this.#streamFrame(open, connection, queue);
      return;
    }
    if (queue.length > 0) {
      const pieces = queue.take();
      const more = next !== 'sent' || open.session.selfHalfClose;
      const last = pieces.length - 1;
      for (let i = 0; i <= last; i++) this.#write(open, connection, pieces[i] as Buffer, more || i < last);
    }
    if (next === 'sent') this.#finishRequest(open, connection);
  }

  #write(open: OpenState, connection: ExclusiveConnection, data: Buffer, more: boolean): void {
    this.#noteWrite();
    if (!connection.write(data, more)) open.upstreamBlocked = true;
  }

  #noteWrite(): void {
    const { info } = this.#options;
    info.lastUpstreamTxByte = this.#clock.turnTime();
    info.firstUpstreamTxByte ??= info.lastUpstreamTxByte;
  }

  #finishRequest(open: OpenState, connection: ExclusiveConnection): void {
    if (open.session.oneWay) connection.afterWrites(() => this.#onRequestWritten());
    if (!open.session.selfHalfClose) return;
    open.halfClosed = true;
    connection.halfClose();
  }

  /** The connection is this exchange's alone until the request is written. */
  #streamFrame(open: OpenState, connection: ConnectionShare, queue: ByteQueue | KeptBytes): void {
    const { session, request } = open;
    const alone = session.selfHalfClose || session.oneWay;
    if (connection.stream === 'reserved' && (request !== 'streaming' || alone)) {
      connection.unreserve();
      this.#gatherFrame(open, connection, queue);
    } else if (alone) {
      this.#failPlugin(
        new Error('half-close and one-way must be set before the first bytes of a request that is streamed'),
      );
    } else if (queue.length > 0 || request === 'sent') {
      this.#noteWrite();
      try {
        if (!connection.writeNext(queue.take(), request === 'sent')) open.upstreamBlocked = true;
      } catch (thrown) {
        this.#failPlugin(pluginError('the request for a shared connection', thrown));
      }
    }
  }

  /** Nothing goes out on a shared connection before the whole request is there, unless it is streamed. */
  #gatherFrame(open: OpenState, connection: ConnectionShare, queue: ByteQueue | KeptBytes): void {
    const { frame, session } = open;
    const gathers = open.request !== 'sent' || frame !== undefined || session.selfHalfClose;
    if (gathers && (open.request === 'sent' || queue.length > 0)) {
      open.frame ??= new KeptBytes();
      for (const piece of queue.take()) open.frame.append(piece);
    }
    if (open.request !== 'sent') {
      if ((open.frame?.length ?? 0) > this.#options.requestBufferLimit) this.#fail({ kind: 'request_too_large' });
      else open.frame?.keep();
    } else if (session.selfHalfClose) {
      // Nothing was written: it can all go to a connection that may be half-closed.
      connection.release(true);
      this.#state = this.#acquire(acquireAlone, open);
    } else {
      const whole = open.frame ?? queue.take();
      open.frame = undefined;
      this.#sendFrame(open, connection, whole);
    }
  }

  #sendFrame(open: OpenState, connection: ConnectionShare, frame: Buffer[] | KeptBytes): void {
    this.#noteWrite();
    try {
      connection.send(frame, open.session.oneWay ? () => this.#onRequestWritten() : undefined);
    } catch (thrown) {
      this.#failPlugin(pluginError('the request for a shared connection', thrown));
    }
  }

  /** The exchange has left its shared connection for one of its own. */
  #continueOn(connection: UpstreamConnection, open: OpenState): void {
    this.#enter(connection);
    open.connection = connection;
    this.#state = open;
    if (open.frame !== undefined) this.#writeAll(open, open.frame, 'sent');
  }

  /** The plugin ended the exchange in one of its calls for the request. `buffer` is that call's. */
  #answerRequest(
    open: OpenState,
    step: Exclude<RequestStep, { do: 'write' } | { do: 'keep' }>,
    buffer: ByteQueue,
  ): void {
    switch (step.do) {
      case 'answer_with_buffer':
        if (open.response !== undefined) {
          this.#sendResponse(open, buffer, true);
        } else {
          const status = Number(open.responseHeaders.get(':status') ?? 200);
          this.#replyLocally(open, {
            status,
            body: buffer.takeBytes(),
            headers: open.responseHeaders,
          });
        }
        break;
      case 'local_reply':
        this.#replyLocally(open, open.session.localReply);
        break;
      case 'plugin_error':
        this.#failPlugin(step.misuse === undefined ? open.session.error : new Error(step.misuse));
        break;
    }
  }

  #mayRepeat({ session }: OpenState): boolean {
    return session.idempotent ?? isIdempotent(this.#options.requestHeaders);
  }

  #canReplace(open: OpenState): boolean {
    return !this.#replaced && canReplace(open, this.#mayRepeat(open));
  }

  #replace(open: OpenState): void {
    this.#replaced = true;
    this.#stats.connectionsReplaced.value += 1;
    this.#destroyBridge(open);
    open.connection.release(false);
    if (open.sawBody && open.replay !== undefined) {
      this.#body.clear();
      for (const piece of open.replay.take()) this.#body.append(piece);
    }
    this.#state = this.#acquire(this.#isLarge() ? acquireFreshStreamed : acquireFresh, undefined);
  }

  // The response: server to client.

  #continueResponse(open: OpenState, end: boolean): void {
    const answer = open.session.onUpstreamData(open.responseHeadersView, open.responseBuffer, end);
    const step = afterUpstreamData(answer, end);
    switch (step.do) {
      case 'send':
        this.#sendResponse(open, open.received, step.end);
        break;
      case 'keep':
        if (open.received.length > this.#options.cluster.pipeline.maxResponseBuffer)
          this.#fail({ kind: 'response_too_large' });
        break;
      case 'cut_short':
        if (open.session.oneWay && !open.answered) {
          this.#failPlugin(
            new Error('onUpstreamData answered StopAndBuffer for a one-way request, which has no answer'),
          );
          break;
        }
        this.#fail({
          kind: 'upstream_closed',
          reason: open.connection.shared
            ? "the answer's frame ended in the middle of the response"
            : 'the server closed the connection in the middle of the response',
        });
        break;
      case 'local_reply':
        this.#replyLocally(open, open.session.localReply);
        break;
      case 'plugin_error':
        this.#failPlugin(open.session.error);
        break;
    }
  }

  #sendResponse(open: OpenState, buffer: ByteQueue, last: boolean): void {
    const { callbacks, requestHeaders } = this.#options;
    const part = takeResponsePart(open, buffer, last, requestHeaders.get(':method'));
    if (part instanceof Error) {
      this.#failPlugin(part);
      return;
    }
    const { head, first, pieces } = part;
    if (part.contradiction !== undefined) {
      if (first) callbacks.onHeaders(head.headers, false);
      this.#failPlugin(new Error(part.contradiction));
      return;
    }
    if (last) this.#endAnswered(open);
    if (first && !this.#silenced) callbacks.onHeaders(head.headers, last && pieces.length === 0);
    if (last && !first && pieces.length === 0) pieces.push(nothing);
    let writable = true;
    for (let i = 0; i < pieces.length && !this.#silenced; i++) {
      writable = callbacks.onData(pieces[i] as Buffer, last && i === pieces.length - 1);
    }
    if (!writable && !last && !open.readingPaused) {
      open.readingPaused = true;
      open.connection.pauseReading();
    }
  }

  // The end.

  #replyLocally(open: OpenState, reply: LocalReply | undefined): void {
    if (reply === undefined) return;
    this.#stats.localReplies.value += 1;
    this.#endAnswered(open);
    this.#sendLocalReply(reply);
  }

  #sendLocalReply(reply: LocalReply): void {
    if (this.#silenced) return;
    const body = reply.status === 204 || reply.status === 304 ? nothing : reply.body;
    this.#options.callbacks.onLocalReply(reply.status, body, localReplyHeaders(reply.headers));
  }

  #giveUp(kind: 'cancel' | 'drain_timeout'): void {
    if (kind === 'drain_timeout') {
      const { name } = this.#options.cluster.config;
      this.#log.warn({ cluster: name }, 'resetting an exchange: its cluster was replaced and the drain time is over');
      this.#fail({ kind });
      return;
    }
    this.#stats.cancelled.value += 1;
    this.#end(false);
  }

  #failPlugin(error: Error): void {
    this.#countPluginError(error);
    const state = this.#state;
    if (error instanceof RecoveredPanic && state.name === 'open' && state.response === undefined) {
      const status = Number(state.responseHeaders.get(':status') ?? 200);
      this.#end(false);
      this.#sendLocalReply({ status, body: Buffer.from(pluginErrorBody), headers: state.responseHeaders });
      return;
    }
    this.#fail({
      kind: 'plugin_error',
      plugin: this.#options.cluster.pipeline.config.pluginName,
      error,
    });
  }

  #fail(failure: ExchangeFailure): void {
    if (failure.kind === 'upstream_closed') this.#stats.upstreamClosed.value += 1;
    else if (failure.kind === 'protocol_error') this.#stats.protocolErrors.value += 1;
    else if (failure.kind === 'request_too_large') this.#stats.requestTooLarge.value += 1;
    else if (failure.kind === 'response_too_large') this.#stats.responseTooLarge.value += 1;
    else if (failure.kind === 'drain_timeout') this.#stats.drainTimeouts.value += 1;
    this.#end(false);
    if (!this.#silenced) this.#options.callbacks.onFailure(failure);
  }

  /** A connection that begins with one client's PROXY header can't serve another. */
  #endAnswered(open: OpenState): void {
    const named = this.#options.preface !== undefined && open.connection.wrote;
    this.#end(!named && isReusable(open));
  }

  /** Lets go of everything that the exchange holds; the callback that tells how it ended comes after. */
  #end(reusable: boolean): void {
    const state = this.#state;
    if (state.name === 'ended') return;
    this.#state = ended;
    if (state.name === 'connecting') {
      state.acquisition.cancel();
      if (state.moving !== undefined) this.#destroyBridge(state.moving);
    } else {
      this.#destroyBridge(state);
      state.frame?.clear();
      state.connection.release(reusable);
    }
    this.#body.clear();
    this.#stats.exchangesActive.value -= 1;
    this.#options.cluster.unpin(this);
    this.#resumeRequest();
  }

  #destroyBridge(open: OpenState): void {
    if (!open.session.destroy()) this.#countPluginError(open.session.error);
  }

  #countPluginError(error: Error): void {
    this.#stats.pluginErrors.value += 1;
    const { cluster } = this.#options;
    const { pluginName, libraryPath } = cluster.pipeline.config;
    const where = { plugin: pluginName, library: libraryPath, cluster: cluster.config.name };
    if (error instanceof PluginNotFound) {
      this.#stats.pluginNotFound.value += 1;
      cluster.stats.counter('bridge.plugin_not_found').value += 1;
      if (!error.isFirst) return;
      this.#log.error(
        where,
        `library ${libraryPath} of cluster ${where.cluster} has no plugin ${JSON.stringify(pluginName)}: all its requests are answered 500 until its plugin_name or the library is another one`,
      );
      return;
    }
    this.#log.error(
      { ...where, err: error },
      `plugin ${pluginName} of cluster ${where.cluster} failed: ${error.message}`,
    );
  }

  // Flow control towards the client.

  #balanceRequest(): void {
    const state = this.#state;
    const blocked =
      state.name === 'connecting'
        ? this.#body.length > this.#options.cluster.config.perConnectionBufferLimitBytes
        : state.name === 'open' && state.upstreamBlocked && state.request === 'streaming';
    if (!blocked) this.#resumeRequest();
    else if (!this.#requestPaused && !this.#silenced) {
      this.#requestPaused = true;
      this.#options.callbacks.pauseRequest();
    }
  }

  #resumeRequest(): void {
    if (!this.#requestPaused) return;
    this.#requestPaused = false;
    if (!this.#silenced) this.#options.callbacks.resumeRequest();
  }
}
