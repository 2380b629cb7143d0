import type { Exchange, ExchangeCallbacks, ExchangeFailure, ExchangeOptions } from '../bridge/exchange.js';
import { HeaderMap } from '../bridge/header-map.js';
import type { PreparedBridge } from '../bridge/prepared-bridge.js';
import type { DownstreamHandler, DownstreamStream } from '../bridge/stream.js';
import type { Clock, Timer } from '../clock.js';
import type { ActiveCluster } from '../upstream/cluster-manager.js';
import type { Host } from '../upstream/host.js';
import { failureOutcome, type RoutingFailure, sendLocalReply } from './local-reply.js';
import { type RequestTimeouts, tellTimeout } from './request-timeout.js';
import { RequestTimers, type TimeoutHandler } from './request-timers.js';
import type { RetryRules } from './retry-policy.js';
import { type Attempt, attemptedHost, RetryState } from './retry-state.js';
import type { CompiledRoute } from './route-table.js';
import type { ClusterResponseStats, RouterStats } from './router-stats.js';

type Cluster = ActiveCluster<PreparedBridge>;

/** What all requests of a router need. */
export interface ForwardContext {
  readonly clock: Clock;
  /** Evenly distributed in [0, 1). */
  readonly random: () => number;
  readonly clusterStatsOf: (cluster: Cluster) => ClusterResponseStats;
  /** What a retry goes to: the cluster's version that serves by then; undefined: there is none any more. */
  readonly findCluster: (name: string) => Cluster | undefined;
  readonly startExchange: (options: ExchangeOptions) => Exchange;
}

/** What is known of one request; `routeName` and what follows is for its exchanges. */
export interface ForwardOptions {
  readonly stream: DownstreamStream;
  readonly clusterName: string;
  readonly route: CompiledRoute;
  readonly timeouts: RequestTimeouts;
  /** undefined: it is never retried. */
  readonly retryRules: RetryRules | undefined;
  readonly suppressEnvoyHeaders: boolean;
  readonly routerStats: RouterStats;
  readonly routeName: ExchangeOptions['routeName'];
  readonly priority: ExchangeOptions['priority'];
  readonly requestBufferLimit: ExchangeOptions['requestBufferLimit'];
  readonly preface: ExchangeOptions['preface'];
}

/**
 * A request on its way. Exactly one of the outcomes ends it:
 * starting → waiting (⇄ backing_off) → responding → ended, or straight to ended from anywhere.
 */
type State =
  | { readonly kind: 'starting' }
  /** No response headers yet: a failure becomes another attempt or a local reply. */
  | { readonly kind: 'waiting'; readonly exchange: Exchange }
  /** An attempt failed, and the next one begins when `timer` is over. */
  | { readonly kind: 'backing_off'; readonly exchange: undefined; readonly timer: Timer }
  /** Response headers are out: a failure resets the stream. */
  | { readonly kind: 'responding'; readonly exchange: Exchange }
  | { readonly kind: 'ended'; readonly outcome: Outcome };

type Outcome = 'completed' | 'local_reply' | 'reset' | 'downstream_reset';

/** Begun and not ended. */
type Running = Extract<State, { readonly exchange: Exchange | undefined }>;

const starting: State = { kind: 'starting' };
const endings: Readonly<Record<Outcome, State>> = {
  completed: { kind: 'ended', outcome: 'completed' },
  local_reply: { kind: 'ended', outcome: 'local_reply' },
  reset: { kind: 'ended', outcome: 'reset' },
  downstream_reset: { kind: 'ended', outcome: 'downstream_reset' },
};
const nothing = Buffer.alloc(0);

/** One request between its client and its exchanges, one per attempt: the second half of Envoy's router filter. */
export class ForwardedRequest implements ExchangeCallbacks, TimeoutHandler {
  readonly #context: ForwardContext;
  readonly #options: ForwardOptions;
  readonly #internal: boolean;
  readonly #timers: RequestTimers;
  #state: State = starting;
  /** Of the latest attempt. */
  #cluster: Cluster;
  #clusterStats: ClusterResponseStats;
  /** undefined: there is no retry (any more). */
  #retry: RetryState | undefined;

  constructor(context: ForwardContext, options: ForwardOptions, cluster: Cluster) {
    const { stream, timeouts, retryRules, requestBufferLimit } = options;
    this.#context = context;
    this.#options = options;
    this.#internal = stream.requestHeaders.get('x-envoy-internal') === 'true';
    this.#timers = new RequestTimers(context.clock, timeouts, this);
    this.#cluster = cluster;
    this.#clusterStats = context.clusterStatsOf(cluster);
    if (retryRules === undefined) return;
    const bodyLimitBytes = stream.requestEndStream ? undefined : requestBufferLimit;
    const { random } = context;
    this.#retry = new RetryState({ rules: retryRules, random, info: stream.info, bodyLimitBytes });
  }

  /** Begins the first attempt and the delivery of the request's body. Called once. */
  start(): void {
    const { stream } = this.#options;
    this.#startAttempt();
    if (stream.requestEndStream) this.#timers.requestComplete();
    stream.start(new RequestBody(this));
  }

  // From the client

  onRequestData(data: Buffer, endStream: boolean): void {
    const state = this.#running;
    if (!state) return;
    if (endStream) this.#timers.requestComplete();
    if (this.#retry?.keepBody(data) === false) {
      this.#clusterStats.retryAbandoned.value++;
      this.#forgetRetries();
      if (state.kind === 'backing_off') this.#fail({ kind: 'retry_buffer_exceeded' });
    }
    state.exchange?.onRequestData(data, endStream);
  }

  onDownstreamWritable(): void {
    if (this.#state.kind === 'responding') this.#state.exchange.onDownstreamWritable();
  }

  /** The stream has ended, and said why in its `info`. */
  onDownstreamReset(): void {
    this.#end('downstream_reset')?.exchange?.cancel();
  }

  // From the exchange

  onConnected(): void {
    this.#timers.connected();
  }

  onHeaders(headers: HeaderMap, endStream: boolean): void {
    if (this.#state.kind !== 'waiting') return;
    const { exchange } = this.#state;
    const delayMs = this.#retry?.afterResponse(headers, this.#attempt(exchange));
    if (delayMs === undefined) {
      this.#respond(exchange, headers, endStream);
      return;
    }
    this.#backOff(delayMs, false);
    exchange.cancel();
  }

  onData(data: Buffer, endStream: boolean): boolean {
    if (this.#state.kind !== 'responding') return true;
    if (endStream) this.#complete();
    return this.#options.stream.sendData(data, endStream);
  }

  /** The plugin's answer is the upstream's, as in Envoy; only that its length is known, and that it is never retried. */
  onLocalReply(status: number, body: Buffer, headers: HeaderMap): void {
    if (this.#state.kind !== 'waiting') return;
    const all = new HeaderMap([':status', String(status)]);
    headers.forEach((name, value) => {
      all.add(name, value);
    });
    // RFC 9110 section 8.6: 204 must have none, and 304 would tell another response's.
    if (status !== 204 && status !== 304) all.set('content-length', String(body.length));
    const bodiless = body.length === 0 || this.#options.stream.requestHeaders.get(':method') === 'HEAD';
    this.#respond(this.#state.exchange, all, bodiless);
    if (!bodiless) this.onData(body, true);
  }

  onFailure(failure: ExchangeFailure): void {
    if (!this.#retryAfter(failure)) this.#fail(failure);
  }

  pauseRequest(): void {
    this.#options.stream.pauseReading();
  }

  resumeRequest(): void {
    this.#options.stream.resumeReading();
  }

  // From the clock

  onTimeout(): void {
    const state = this.#running;
    if (!state) return;
    this.#clusterStats.timeout.value++;
    if (state.exchange?.host) state.exchange.host.stats.rqTimeout++;
    this.#fail({ kind: 'timeout', alternative: this.#options.timeouts.alternative });
    state.exchange?.cancel();
  }

  onPerTryTimeout(): void {
    if (this.#state.kind !== 'waiting') return;
    const { exchange } = this.#state;
    this.#clusterStats.perTryTimeout.value++;
    if (exchange.host) exchange.host.stats.rqTimeout++;
    const failure = { kind: 'per_try_timeout', alternative: this.#options.timeouts.alternative } as const;
    if (!this.#retryAfter(failure)) this.#fail(failure);
    exchange.cancel();
  }

  // Attempts

  #startAttempt(): void {
    const { stream, route, timeouts, suppressEnvoyHeaders, priority, routeName, requestBufferLimit, preface } =
      this.#options;
    const { info, requestHeaders, requestEndStream } = stream;
    info.upstreamAttempts++;
    if (route.virtualHost.includeRequestAttemptCount)
      requestHeaders.set('x-envoy-attempt-count', String(info.upstreamAttempts));
    if (!suppressEnvoyHeaders) tellTimeout(requestHeaders, timeouts, this.#timers.elapsedMs ?? 0);
    const exchange = this.#context.startExchange({
      priority,
      routeName,
      requestHeaders,
      requestEndStream,
      requestBufferLimit,
      preface,
      info,
      cluster: this.#cluster,
      avoidHosts: this.#retry?.avoidHosts,
      callbacks: this,
    });
    this.#state = { kind: 'waiting', exchange };
  }

  #attempt(exchange: Exchange): Attempt {
    const limit = this.#cluster.retries(this.#options.priority);
    return { exchange, limit, stats: this.#clusterStats };
  }

  /** Whether a failure is followed by another attempt. */
  #retryAfter(failure: RoutingFailure): boolean {
    if (this.#state.kind !== 'waiting' || !this.#retry) return false;
    const delayMs = this.#retry.afterFailure(failure, this.#attempt(this.#state.exchange));
    if (delayMs === undefined) return false;
    this.#backOff(delayMs, failure.kind === 'per_try_timeout');
    return true;
  }

  #backOff(delayMs: number, afterTimeout: boolean): void {
    this.#timers.attemptOver();
    const timer = this.#context.clock.setTimeout(() => this.#startRetry(afterTimeout), delayMs);
    this.#state = { kind: 'backing_off', exchange: undefined, timer };
  }

  #startRetry(afterTimeout: boolean): void {
    const { stream, route, clusterName } = this.#options;
    const { findCluster, clusterStatsOf } = this.#context;
    const cluster = findCluster(clusterName);
    if (!cluster) {
      stream.info.upstreamAttempts++;
      this.#fail({ kind: 'pool', failure: { kind: 'no_healthy_upstream' } });
      return;
    }
    this.#cluster = cluster;
    this.#clusterStats = clusterStatsOf(cluster);
    if (route.virtualHost.includeIsTimeoutRetryHeader)
      stream.requestHeaders.set('x-envoy-is-timeout-retry', String(afterTimeout));
    this.#startAttempt();
    this.#replayBody();
  }

  #replayBody(): void {
    if (this.#state.kind !== 'waiting' || this.#options.stream.requestEndStream) return;
    const { exchange } = this.#state;
    for (const piece of this.#retry?.replayBody() ?? []) exchange.onRequestData(piece, false);
    if (this.#timers.elapsedMs !== undefined) exchange.onRequestData(nothing, true);
  }

  #forgetRetries(): void {
    this.#retry?.release();
    this.#retry = undefined;
  }

  // Transitions

  get #running(): Running | undefined {
    return 'exchange' in this.#state ? this.#state : undefined;
  }

  #respond(exchange: Exchange, headers: HeaderMap, endStream: boolean): void {
    const { stream, route, suppressEnvoyHeaders } = this.#options;
    const status = Number(headers.get(':status'));
    this.#state = { kind: 'responding', exchange };
    this.#timers.attemptOver();
    this.#forgetRetries();
    const serviceTime = this.#timers.elapsedMs;
    if (serviceTime !== undefined && !suppressEnvoyHeaders)
      headers.set('x-envoy-upstream-service-time', String(serviceTime));
    this.#charge(status, exchange.host);
    stream.info.responseCode = status;
    stream.info.responseCodeDetails = 'via_upstream';
    route.mutateResponse?.(headers);
    this.#tellAttempts(headers);
    if (endStream) this.#complete();
    stream.sendHeaders(headers, endStream);
  }

  /** The one way to the last state; returns the one before, undefined when the last was reached already. */
  #end(outcome: Outcome): Running | undefined {
    const state = this.#running;
    if (!state) return undefined;
    if (state.kind === 'backing_off') state.timer.cancel();
    this.#state = endings[outcome];
    this.#timers.stop();
    this.#forgetRetries();
    return state;
  }

  #complete(): void {
    const elapsed = this.#timers.elapsedMs;
    if (this.#end('completed') && elapsed !== undefined) this.#clusterStats.recordTime(elapsed, this.#internal);
  }

  #fail(failure: RoutingFailure): void {
    const { stream, routerStats, suppressEnvoyHeaders } = this.#options;
    const { info } = stream;
    const early = this.#state.kind !== 'responding';
    const state = this.#end(early ? 'local_reply' : 'reset');
    if (!state) return;
    const { reply, lateDetails, lateFlags, transportFailure } = failureOutcome(failure, info.upstreamAttempts > 1);
    if (transportFailure !== undefined) info.upstreamTransportFailureReason = transportFailure;
    if (!early) {
      info.responseFlags |= lateFlags;
      info.responseCodeDetails = lateDetails;
      stream.reset(failure.kind === 'drain_timeout' ? 'draining' : 'local_reset');
      return;
    }
    if (failure.kind === 'request_too_large') routerStats.rqTooLarge.value++;
    // The others are the client's fault, not the cluster's.
    else if (failure.kind !== 'retry_buffer_exceeded')
      this.#charge(reply.status, attemptedHost(state.exchange, failure), true);
    const headers = new HeaderMap();
    const overflow = failure.kind === 'pool' && failure.failure.kind === 'overflow';
    if (overflow && !suppressEnvoyHeaders) headers.set('x-envoy-overloaded', 'true');
    this.#tellAttempts(headers);
    sendLocalReply(stream, { ...reply, headers });
  }

  #charge(status: number, host: Host | undefined, failed = false): void {
    this.#clusterStats.charge(status, this.#internal);
    if (!host) return;
    if (status >= 500 || failed) host.stats.rqError++;
    else host.stats.rqSuccess++;
  }

  #tellAttempts(headers: HeaderMap): void {
    const { stream, route } = this.#options;
    if (route.virtualHost.includeAttemptCountInResponse)
      headers.set('x-envoy-attempt-count', String(stream.info.upstreamAttempts));
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
