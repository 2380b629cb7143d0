import { responseFlags } from '../access-log/response-flags.js';
import type { StreamInfo } from '../access-log/stream-info.js';
import type { Exchange } from '../bridge/exchange.js';
import type { HeaderMap } from '../bridge/header-map.js';
import type { ResourceLimit } from '../upstream/circuit-breakers.js';
import type { AvoidedHosts } from '../upstream/cluster-manager.js';
import type { Host } from '../upstream/host.js';
import type { RoutingFailure } from './local-reply.js';
import { createRetryBackOff } from './retry-back-off.js';
import { retriesFailure, retriesResponse } from './retry-conditions.js';
import type { RetryRules } from './retry-policy.js';
import type { ClusterResponseStats } from './router-stats.js';

/** An attempt, and what its cluster counts of retries. */
export interface Attempt {
  readonly exchange: Exchange;
  readonly limit: ResourceLimit;
  readonly stats: ClusterResponseStats;
}

export interface RetryOptions {
  readonly rules: RetryRules;
  readonly random: () => number;
  readonly info: StreamInfo;
  /** How much of a body is kept to be sent again; undefined: there is none. */
  readonly bodyLimitBytes: number | undefined;
}

/**
 * The retries of one request: whether there is another one and when, its place in the circuit breaker, and the body as it came. Envoy's RetryStateImpl.
 * https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/router_filter#x-envoy-retry-on
 */
export class RetryState {
  readonly #rules: RetryRules;
  readonly #info: StreamInfo;
  readonly #nextDelayMs: () => number;
  readonly #bodyLimitBytes: number;
  readonly #attemptedHosts = new Set<string>();
  #remaining: number;
  /** The circuit breaker that the current retry counts for. */
  #held: ResourceLimit | undefined;
  /** A byte of the request was written, in this attempt or one before. */
  #requestStarted = false;
  /** As it came; undefined: it is not kept, because there is none, or no attempt can need it any more. */
  #body: Buffer[] | undefined;
  #bodyBytes = 0;

  constructor({ rules, random, info, bodyLimitBytes }: RetryOptions) {
    this.#rules = rules;
    this.#info = info;
    this.#nextDelayMs = createRetryBackOff(rules.backOff, random);
    this.#remaining = rules.maxRetries;
    this.#bodyLimitBytes = bodyLimitBytes ?? 0;
    if (rules.maxRetries > 0 && bodyLimitBytes !== undefined) this.#body = [];
  }

  /** For the next attempt. */
  get avoidHosts(): AvoidedHosts | undefined {
    const { avoidPreviousHosts, hostSelectionMaxAttempts } = this.#rules;
    if (!avoidPreviousHosts || this.#attemptedHosts.size === 0) return undefined;
    return { keys: this.#attemptedHosts, attempts: hostSelectionMaxAttempts };
  }

  /** Keeps a piece of the body for attempts to come. False: it is too large for that. */
  keepBody(data: Buffer): boolean {
    if (this.#body === undefined || data.length === 0) return true;
    this.#bodyBytes += data.length;
    if (this.#bodyBytes > this.#bodyLimitBytes) return false;
    // A copy: the plugin may change its piece in place.
    this.#body.push(Buffer.from(data));
    return true;
  }

  /** The body as far as it has come, for the attempt that now begins. */
  replayBody(): Buffer[] {
    const body = this.#body ?? [];
    if (this.#remaining > 0) return body.map((piece) => Buffer.from(piece));
    this.#body = undefined;
    return body;
  }

  /** Milliseconds until another attempt; undefined: the response is the one to send. */
  afterResponse(headers: HeaderMap, attempt: Attempt): number | undefined {
    const { exchange, stats } = attempt;
    this.#noteStart();
    if (!retriesResponse(this.#rules, headers)) {
      if (this.#held) stats.retries.success.value++;
      return undefined;
    }
    const delayMs = this.#take(attempt, exchange.host);
    if (delayMs !== undefined) stats.chargeRetried(Number(headers.get(':status')));
    return delayMs;
  }

  /** Milliseconds until another attempt; undefined: the request has failed. */
  afterFailure(failure: RoutingFailure, attempt: Attempt): number | undefined {
    this.#noteStart();
    if (!retriesFailure(this.#rules, failure, this.#requestStarted)) return undefined;
    return this.#take(attempt, attemptedHost(attempt.exchange, failure));
  }

  /** The retry that was taken is over, or no longer wanted. */
  release(): void {
    this.#held?.add(-1);
    this.#held = undefined;
  }

  /** Before the log's times of this attempt give way to those of the next. */
  #noteStart(): void {
    this.#requestStarted ||= this.#info.firstUpstreamTxByte !== undefined;
  }

  #take({ exchange, limit, stats }: Attempt, host: Host | undefined): number | undefined {
    this.release();
    // What a plugin calls not idempotent is written once.
    if (exchange.idempotent === false && this.#requestStarted) return undefined;
    if (this.#remaining === 0) {
      stats.retries.limitExceeded.value++;
      this.#info.responseFlags |= responseFlags.URX;
      return undefined;
    }
    this.#remaining--;
    if (!limit.canCreate()) {
      stats.retries.overflow.value++;
      this.#info.responseFlags |= responseFlags.UO;
      return undefined;
    }
    limit.add(1);
    this.#held = limit;
    stats.retries.retry.value++;
    stats.retries.backOffExponential.value++;
    if (host) {
      host.stats.rqError++;
      this.#attemptedHosts.add(host.key);
    }
    forgetAttempt(this.#info);
    return this.#nextDelayMs();
  }
}

/** The server that an attempt was for, if one was chosen. */
export function attemptedHost(exchange: Exchange | undefined, failure: RoutingFailure): Host | undefined {
  const failed = failure.kind === 'pool' && 'host' in failure.failure ? failure.failure.host : undefined;
  return exchange?.host ?? failed;
}

/** The access log tells of the last attempt alone. */
function forgetAttempt(info: StreamInfo): void {
  info.upstreamHost = undefined;
  info.upstreamLocalAddress = undefined;
  info.upstreamTls = undefined;
  info.upstreamTransportFailureReason = undefined;
  info.firstUpstreamTxByte = undefined;
  info.lastUpstreamTxByte = undefined;
  info.firstUpstreamRxByte = undefined;
  info.lastUpstreamRxByte = undefined;
}
