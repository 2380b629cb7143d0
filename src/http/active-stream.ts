import { type ResponseFlag, responseFlags } from '../access-log/response-flags.js';
import { HeaderMap } from '../bridge/header-map.js';
import type { DownstreamHandler, DownstreamStream, StreamResetReason } from '../bridge/stream.js';
import { type LocalReply, sendLocalReply } from '../routing/local-reply.js';
import type { ConnectionManager } from './connection-manager.js';
import { chargeResponse } from './http-stats.js';
import { ResponseEncoder, reasonPhrase } from './http1-response.js';
import { type MutableStreamInfo, newStreamInfo } from './new-stream-info.js';
import { type AcceptedHead, acceptHead } from './request-head.js';
import type { KnownHead, ParseError, RequestHead } from './request-parser.js';
import { prepareAgain, prepareRequest } from './request-preparation.js';
import { findInvalidResponseHeader, mutateResponseHeaders } from './response-headers.js';
import type { StreamConnection, StreamTimeout } from './stream-connection.js';

type RequestState = 'head' | 'body' | 'complete';
type ResponseState = 'waiting' | 'body' | 'complete';

/** Of a request whose head has not come. */
const noHeaders = new HeaderMap();

/** One request and its response on an HTTP/1 connection, from the first byte of the request: the ActiveStream of Envoy's connection manager. */
export class ActiveStream implements DownstreamStream {
  requestHeaders = noHeaders;
  requestEndStream = false;
  readonly info: MutableStreamInfo;
  mutateReply: DownstreamStream['mutateReply'];
  readonly #manager: ConnectionManager;
  readonly #connection: StreamConnection;
  #request: RequestState = 'head';
  #response: ResponseState = 'waiting';
  #encoder: ResponseEncoder | undefined;
  #responseHeaders: HeaderMap | undefined;
  #headAccepted = false;
  #handler: DownstreamHandler | undefined;
  /** Why a handler that starts too late gets `onReset`. */
  #endedBy: StreamResetReason | 'done' | undefined;
  #pauses = 0;
  #blocked = false;

  constructor(manager: ConnectionManager, connection: StreamConnection) {
    this.#manager = manager;
    this.#connection = connection;
    manager.retain();
    const { clock, config, stats } = manager;
    const now = clock.turnTime();
    this.info = newStreamInfo(now, clock.turnNow(), connection, manager.filterChainName);
    stats.downstream_rq_total.value++;
    stats.downstream_rq_http1_total.value++;
    stats.downstream_rq_active.value++;
    connection.startTimeout('request', config.requestTimeoutMs, now);
    connection.startTimeout('headers', config.requestHeadersTimeoutMs, now);
    connection.startTimeout('idle', config.streamIdleTimeoutMs, now);
  }

  /** Bytes pass both ways until both sides have closed (CONNECT). */
  get tunnelling(): boolean {
    return this.#response === 'body' && this.#encoder?.framing === 'tunnel';
  }

  get #ended(): boolean {
    return this.#endedBy !== undefined;
  }

  // What the connection tells.

  onHead(head: RequestHead, known?: KnownHead): void {
    if (this.#ended) return;
    this.#connection.startTimeout('headers', 0);
    this.info.protocol = head.protocol;
    const prepared = known?.prepared;
    if (prepared?.manager === this.#manager) {
      this.#accept(prepareAgain(prepared, this.info), prepared);
      this.#handle();
      return;
    }
    const accepted = acceptHead(head, this.#manager.config);
    if ('status' in accepted) {
      this.requestHeaders = new HeaderMap([':method', head.method]);
      this.#refuse(accepted);
      return;
    }
    this.#accept(accepted.headers, accepted);
    this.#handle(accepted, known);
  }

  #accept(headers: HeaderMap, { endStream, close }: AcceptedHead): void {
    this.#headAccepted = true;
    this.requestHeaders = headers;
    this.requestEndStream = endStream;
    this.#request = endStream ? 'complete' : 'body';
    if (endStream) this.#onRequestComplete();
    if (close) this.#connection.closeAfterResponse();
  }

  /** @param head what is still to be prepared */
  #handle(head?: AcceptedHead, known?: KnownHead): void {
    try {
      const reply = head && prepareRequest(head, this.info, this.#manager, this.#connection, known);
      if (reply) this.#localReply(reply);
      else this.#manager.handle(this);
    } catch (error) {
      this.#onHandlerError(error);
    }
  }

  onBody(data: Buffer, endStream: boolean): void {
    if (this.#ended || this.#request !== 'body') return;
    this.info.requestBytes += data.length;
    if (endStream) {
      this.#request = 'complete';
      this.#onRequestComplete();
    }
    try {
      this.#handler?.onData(data, endStream);
    } catch (error) {
      this.#onHandlerError(error);
    }
  }

  onWritable(): void {
    if (!this.#blocked || this.#ended) return;
    this.#blocked = false;
    this.#connection.touch();
    try {
      this.#handler?.onWritable();
    } catch (error) {
      this.#onHandlerError(error);
    }
  }

  /** The bytes of this request break the protocol. */
  onParseError(error: ParseError): void {
    if (this.#ended) return;
    const handler = this.#takeHandler();
    if (this.#response === 'waiting') this.#refuse(error);
    else {
      this.#manager.stats.downstream_cx_protocol_error.value++;
      this.#cut('protocol_error', responseFlags.DPE, error.details);
    }
    this.#notifyReset(handler, 'protocol_error');
  }

  onTimeout(which: StreamTimeout): void {
    const { stats } = this.#manager;
    switch (which) {
      case 'request':
        stats.downstream_rq_timeout.value++;
        this.#timeOut('request timeout', 'request_overall_timeout', 0);
        break;
      case 'headers':
        stats.downstream_rq_header_timeout.value++;
        this.#timeOut('request header timeout', 'request_header_timeout', 0);
        break;
      case 'idle':
        stats.downstream_rq_idle_timeout.value++;
        this.#timeOut('stream timeout', 'stream_idle_timeout', responseFlags.SI);
        break;
    }
  }

  /** The connection is gone, or about to be cut: nothing can be sent any more. */
  onConnectionClosed(reason: 'downstream_closed' | 'draining'): void {
    if (this.#ended) return;
    const handler = this.#takeHandler();
    const details =
      reason === 'draining' ? 'downstream_local_disconnect(drain_time_over)' : 'downstream_remote_disconnect';
    this.#manager.stats.downstream_rq_rx_reset.value++;
    this.#cut(reason, responseFlags.DC, details, false);
    this.#notifyReset(handler, reason);
  }

  // What the handler does.

  start(handler: DownstreamHandler): void {
    const endedBy = this.#endedBy;
    if (endedBy !== undefined) {
      if (endedBy !== 'done') queueMicrotask(() => this.#notifyReset(handler, endedBy));
      return;
    }
    this.#handler = handler;
    if (this.#request === 'body') this.#connection.startBody();
  }

  pauseReading(): void {
    if (this.#pauses++ > 0 || this.#ended) return;
    this.#manager.stats.downstream_flow_control_paused_reading_total.value++;
    if (this.#request === 'body') this.#connection.pauseBody();
  }

  resumeReading(): void {
    if (this.#pauses === 0 || --this.#pauses > 0 || this.#ended) return;
    this.#manager.stats.downstream_flow_control_resumed_reading_total.value++;
    this.#connection.touch();
    if (this.#request === 'body') this.#connection.resumeBody();
  }

  setIdleTimeout(ms: number): void {
    if (!this.#ended) this.#connection.startTimeout('idle', ms);
  }

  sendHeaders(headers: HeaderMap, endStream: boolean): void {
    if (this.#ended || this.#response !== 'waiting') return;
    const problem = findInvalidResponseHeader(headers);
    if (problem !== undefined) {
      this.#replaceInvalidResponse(problem);
      return;
    }
    this.#writeHead(headers, endStream);
  }

  sendData(data: Buffer, endStream: boolean): boolean {
    const encoder = this.#encoder;
    if (this.#ended || this.#response !== 'body' || encoder === undefined) return true;
    const written = encoder.writeBody(data);
    if (written === undefined) {
      this.#failResponse('the response body is longer than its content-length', 'response_body_too_long');
      return true;
    }
    this.info.responseBytes += written;
    if (endStream) this.#finishResponse(encoder);
    else this.#connection.touch();
    this.#blocked = !this.#ended && this.#connection.isAboveWatermark();
    return !this.#blocked;
  }

  reset(reason: StreamResetReason): void {
    if (this.#ended) return;
    this.#takeHandler();
    this.#manager.stats.downstream_rq_tx_reset.value++;
    this.#cut(reason, 0, undefined);
  }

  // The response.

  #writeHead(headers: HeaderMap, endStream: boolean): void {
    const { config, stats, listenerStats, clock } = this.#manager;
    const { info } = this;
    this.#responseHeaders = headers;
    mutateResponseHeaders(headers, this.requestHeaders, config, this.#manager.date());
    const protocol = info.protocol === 'HTTP/1.0' ? 'HTTP/1.0' : 'HTTP/1.1';
    const method = this.requestHeaders.get(':method') ?? 'GET';
    const encoder = new ResponseEncoder(headers, { protocol, method, endStream }, this.#connection);
    this.#encoder = encoder;
    if (this.#request !== 'complete') {
      // The rest of the request would stand before the next one: RFC 9112 section 9.6.
      stats.downstream_rq_response_before_rq_complete.value++;
      this.#connection.closeAfterResponse();
    }
    if (encoder.framing === 'close') this.#connection.closeAfterResponse();
    if (this.#connection.announceClose()) {
      if (encoder.framing !== 'tunnel') headers.set('connection', 'close');
    } else if (protocol === 'HTTP/1.0') headers.set('connection', 'keep-alive');

    info.responseCode = Number(headers.get(':status'));
    const now = clock.turnTime();
    info.firstDownstreamTxByte = now;
    chargeResponse(stats, listenerStats, info.responseCode);
    encoder.writeHead(config.http1.acceptHttp10 ? protocol : 'HTTP/1.1', headers, this.#manager.writtenHeads);
    this.#response = 'body';
    if (endStream) this.#finishResponse(encoder);
    else this.#connection.touch(now);
  }

  #finishResponse(encoder: ResponseEncoder): void {
    if (!encoder.finish()) {
      this.#failResponse('the response body is shorter than its content-length', 'response_body_too_short');
      return;
    }
    this.#response = 'complete';
    const now = this.#manager.clock.turnTime();
    this.info.lastDownstreamTxByte = now;
    this.#manager.stats.downstream_rq_time.record(now - this.info.startTime);
    const keep = this.#request === 'complete' && !this.#connection.closing && encoder.framing !== 'tunnel';
    this.#end('done', keep ? 'keep' : 'close', now);
  }

  /** A response that can't be sent as it is, before anything of it went out. */
  #replaceInvalidResponse(problem: string): void {
    const { info } = this;
    this.#manager.log.warn(
      { problem, cluster: info.upstreamCluster, route: info.routeName },
      'response replaced by 502: its headers are not valid HTTP',
    );
    const handler = this.#takeHandler();
    // The route's changes may be what is wrong.
    this.mutateReply = undefined;
    this.#localReply({
      status: 502,
      body: 'upstream connect error or disconnect/reset before headers. reset reason: protocol error',
      flags: responseFlags.UPE,
      details: 'upstream_reset_before_response_started{protocol_error}',
    });
    // Not from within `sendHeaders`.
    queueMicrotask(() => this.#notifyReset(handler, 'local_reset'));
  }

  #failResponse(problem: string, details: string): void {
    this.#manager.log.warn({ problem, cluster: this.info.upstreamCluster }, 'response cut off');
    const handler = this.#takeHandler();
    this.#manager.stats.downstream_rq_tx_reset.value++;
    this.#cut('local_reset', responseFlags.UPE, details);
    queueMicrotask(() => this.#notifyReset(handler, 'local_reset'));
  }

  #localReply(reply: LocalReply): void {
    // Envoy closes after a 400: who sends nonsense once may be out of step (`ActiveStream::onLocalReply`).
    if (reply.status === 400) this.#connection.closeAfterResponse();
    sendLocalReply(this, reply);
  }

  /** Envoy's codec answers with nothing but the reason phrase. */
  #refuse(refusal: { readonly status: number; readonly details: string }): void {
    this.#manager.stats.downstream_cx_protocol_error.value++;
    this.#connection.closeAfterResponse();
    this.#localReply({
      status: refusal.status,
      body: reasonPhrase(refusal.status),
      flags: responseFlags.DPE,
      details: refusal.details,
    });
  }

  #timeOut(body: string, details: string, flags: ResponseFlag): void {
    if (this.#ended) return;
    const handler = this.#takeHandler();
    if (this.#response === 'waiting') {
      // 408 where the client is to blame: its request is not here yet.
      this.#localReply({ status: this.#request === 'complete' ? 504 : 408, body, flags, details });
    } else {
      this.#manager.stats.downstream_rq_tx_reset.value++;
      this.#cut('local_reset', flags, details);
    }
    this.#notifyReset(handler, 'local_reset');
  }

  #onHandlerError(error: unknown): void {
    this.#manager.log.error({ err: error, details: this.info.responseCodeDetails }, 'request handler failed');
    if (this.#ended) return;
    const handler = this.#takeHandler();
    if (this.#response === 'waiting') {
      this.#localReply({ status: 500, body: 'internal error', flags: 0, details: 'internal_error' });
    } else {
      this.#manager.stats.downstream_rq_tx_reset.value++;
      this.#cut('local_reset', 0, 'internal_error');
    }
    this.#notifyReset(handler, 'local_reset');
  }

  // The end.

  #takeHandler(): DownstreamHandler | undefined {
    const handler = this.#handler;
    this.#handler = undefined;
    return handler;
  }

  #notifyReset(handler: DownstreamHandler | undefined, reason: StreamResetReason): void {
    try {
      handler?.onReset(reason);
    } catch (error) {
      this.#manager.log.error({ err: error }, 'request handler failed in onReset');
    }
  }

  #onRequestComplete(): void {
    this.info.lastDownstreamRxByte = this.#manager.clock.turnTime();
    this.#connection.startTimeout('request', 0);
  }

  /** Ends without (the rest of) a response. */
  #cut(reason: StreamResetReason, flags: ResponseFlag, details: string | undefined, connected = true): void {
    this.info.responseFlags |= flags;
    if (details !== undefined) this.info.responseCodeDetails = details;
    // Where the end of the connection is the end of the body, only a reset tells the client that something is missing.
    const framing = this.#response === 'body' ? this.#encoder?.framing : undefined;
    const reset = framing === 'close' || framing === 'tunnel';
    this.#end(reason, connected ? (reset ? 'reset' : 'close') : undefined);
  }

  #end(by: StreamResetReason | 'done', next: 'keep' | 'close' | 'reset' | undefined, now?: number): void {
    this.#endedBy = by;
    this.#handler = undefined;
    this.#manager.stats.downstream_rq_active.value--;
    this.#manager.accessLogger.log(
      this.info,
      this.#headAccepted ? this.requestHeaders : undefined,
      this.#responseHeaders,
    );
    this.#manager.release();
    if (next !== undefined) this.#connection.onStreamEnded(next, now);
  }
}
