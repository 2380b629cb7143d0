import type { Exchange, ExchangeCallbacks, ExchangeFailure, ExchangeOptions } from '../bridge/exchange.js';
import { HeaderMap } from '../bridge/header-map.js';
import type { DownstreamHandler, DownstreamStream } from '../bridge/stream.js';
import type { Clock, Timer } from '../clock.js';
import { failureOutcome, type RoutingFailure, sendLocalReply } from './local-reply.js';
import type { RequestTimeout } from './request-timeout.js';
import type { CompiledRoute } from './route-table.js';
import type { ClusterResponseStats, RouterStats } from './router-stats.js';

/** What a request needs besides its exchange's options. */
export interface ForwardOptions {
  readonly stream: DownstreamStream;
  readonly route: CompiledRoute;
  readonly timeout: RequestTimeout;
  readonly suppressEnvoyHeaders: boolean;
  readonly clock: Clock;
  readonly routerStats: RouterStats;
  readonly clusterStats: ClusterResponseStats;
}

/**
 * A request on its way. Exactly one of the outcomes ends it:
 * starting → waiting → responding → ended, or straight to ended from anywhere.
 */
type State =
  | { readonly kind: 'starting' }
  /** No response headers yet: a failure becomes a local reply. */
  | { readonly kind: 'waiting'; readonly exchange: Exchange }
  /** Response headers are out: a failure resets the stream. */
  | { readonly kind: 'responding'; readonly exchange: Exchange }
  | { readonly kind: 'ended'; readonly outcome: 'completed' | 'local_reply' | 'reset' | 'downstream_reset' };

const starting: State = { kind: 'starting' };

/** One request between its client and its exchange: the second half of Envoy's router filter. */
export class ForwardedRequest implements ExchangeCallbacks {
  readonly #options: ForwardOptions;
  readonly #internal: boolean;
  #state: State = starting;
  #requestCompleteAt: number | undefined;
  #timer: Timer | undefined;

  constructor(options: ForwardOptions) {
    this.#options = options;
    this.#internal = options.stream.requestHeaders.get('x-envoy-internal') === 'true';
  }

  /** Begins the exchange and the delivery of the request's body. Called once. */
  start(startExchange: (options: ExchangeOptions) => Exchange, options: ExchangeOptions): void {
    const { stream, clock } = this.#options;
    if (stream.requestEndStream) this.#requestCompleteAt = clock.monotonic();
    const exchange = startExchange(options);
    this.#state = { kind: 'waiting', exchange };
    if (stream.requestEndStream) this.#startTimer();
    stream.start(new RequestBody(this));
  }

  // From the client

  onRequestData(data: Buffer, endStream: boolean): void {
    const state = this.#state;
    if (state.kind !== 'waiting' && state.kind !== 'responding') return;
    if (endStream) this.#requestCompleteAt = this.#options.clock.monotonic();
    state.exchange.onRequestData(data, endStream);
    if (endStream) this.#startTimer();
  }

  onDownstreamWritable(): void {
    if (this.#state.kind === 'responding') this.#state.exchange.onDownstreamWritable();
  }

  /** The stream has ended, and said why in its `info`. */
  onDownstreamReset(): void {
    this.#end('downstream_reset')?.cancel();
  }

  // From the exchange

  onHeaders(headers: HeaderMap, endStream: boolean): void {
    const state = this.#state;
    if (state.kind !== 'waiting') return;
    const { stream, route, clock, suppressEnvoyHeaders } = this.#options;
    const status = Number(headers.get(':status'));
    this.#state = { kind: 'responding', exchange: state.exchange };
    if (this.#requestCompleteAt !== undefined && !suppressEnvoyHeaders) {
      const serviceTime = Math.floor(clock.monotonic() - this.#requestCompleteAt);
      headers.set('x-envoy-upstream-service-time', String(serviceTime));
    }
    this.#charge(status, state.exchange);
    stream.info.responseCode = status;
    stream.info.responseCodeDetails = 'via_upstream';
    route.mutateResponse?.(headers);
    if (endStream) this.#complete();
    stream.sendHeaders(headers, endStream);
  }

  onData(data: Buffer, endStream: boolean): boolean {
    if (this.#state.kind !== 'responding') return true;
    if (endStream) this.#complete();
    return this.#options.stream.sendData(data, endStream);
  }

  /** The plugin's answer is the upstream's, as in Envoy; only that its length is known. */
  onLocalReply(status: number, body: Buffer, headers: HeaderMap): void {
    const all = new HeaderMap([':status', String(status)]);
    headers.forEach((name, value) => {
      all.add(name, value);
    });
    // RFC 9110 section 8.6: 204 must have none, and 304 would tell another response's.
    if (status !== 204 && status !== 304) all.set('content-length', String(body.length));
    const bodiless = body.length === 0 || this.#options.stream.requestHeaders.get(':method') === 'HEAD';
    this.onHeaders(all, bodiless);
    if (!bodiless) this.onData(body, true);
  }

  onFailure(failure: ExchangeFailure): void {
    this.#fail(failure);
  }

  pauseRequest(): void {
    this.#options.stream.pauseReading();
  }

  resumeRequest(): void {
    this.#options.stream.resumeReading();
  }

  // Transitions

  /** The one way to the last state: undefined when it was reached before. */
  #end(outcome: (State & { kind: 'ended' })['outcome']): Exchange | undefined {
    const state = this.#state;
    if (state.kind === 'ended' || state.kind === 'starting') return undefined;
    this.#state = { kind: 'ended', outcome };
    this.#timer?.cancel();
    this.#timer = undefined;
    return state.exchange;
  }

  #complete(): void {
    if (!this.#end('completed') || this.#requestCompleteAt === undefined) return;
    const elapsed = Math.floor(this.#options.clock.monotonic() - this.#requestCompleteAt);
    this.#options.clusterStats.recordTime(elapsed, this.#internal);
  }

  /** The response's time begins when the request is complete: https://www.envoyproxy.io/docs/envoy/latest/faq/configuration/timeouts#route-timeouts */
  #startTimer(): void {
    const { timeout, clock } = this.#options;
    if (this.#state.kind === 'ended' || timeout.ms === 0) return;
    this.#timer = clock.setTimeout(() => this.#onTimeout(), timeout.ms);
  }

  #onTimeout(): void {
    const state = this.#state;
    if (state.kind !== 'waiting' && state.kind !== 'responding') return;
    this.#options.clusterStats.timeout.value++;
    if (state.exchange.host) state.exchange.host.stats.rqTimeout++;
    this.#fail({ kind: 'timeout', alternative: this.#options.timeout.alternative });
    state.exchange.cancel();
  }

  #fail(failure: RoutingFailure): void {
    const { stream, routerStats, suppressEnvoyHeaders } = this.#options;
    const { info } = stream;
    const early = this.#state.kind === 'waiting';
    const exchange = this.#end(early ? 'local_reply' : 'reset');
    if (!exchange) return;
    const { reply, lateDetails, lateFlags, transportFailure } = failureOutcome(failure);
    if (transportFailure !== undefined) info.upstreamTransportFailureReason = transportFailure;
    if (!early) {
      info.responseFlags |= lateFlags;
      info.responseCodeDetails = lateDetails;
      stream.reset(failure.kind === 'drain_timeout' ? 'draining' : 'local_reset');
      return;
    }
    if (failure.kind === 'request_too_large') routerStats.rqTooLarge.value++;
    // The client's fault, not the cluster's.
    else this.#charge(reply.status, exchange, failure);
    const overflow = failure.kind === 'pool' && failure.failure.kind === 'overflow';
    const headers = overflow && !suppressEnvoyHeaders ? new HeaderMap(['x-envoy-overloaded', 'true']) : new HeaderMap();
    sendLocalReply(stream, { ...reply, headers });
  }

  #charge(status: number, exchange: Exchange, failure?: RoutingFailure): void {
    this.#options.clusterStats.charge(status, this.#internal);
    const failedHost = failure?.kind === 'pool' && 'host' in failure.failure ? failure.failure.host : undefined;
    const host = exchange.host ?? failedHost;
    if (!host) return;
    if (status >= 500 || failure) host.stats.rqError++;
    else host.stats.rqSuccess++;
  }
}

/** The client's side of a request. A class of its own, since both sides call theirs `onData`. */
class RequestBody implements DownstreamHandler {
  readonly #request: ForwardedRequest;

  constructor(request: ForwardedRequest) {
    this.#request = request;
  }

  onData(data: Buffer, endStream: boolean): void {
    this.#request.onRequestData(data, endStream);
  }

  onWritable(): void {
    this.#request.onDownstreamWritable();
  }

  onReset(): void {
    this.#request.onDownstreamReset();
  }
}
