import type { HeaderMap } from '../bridge/header-map.js';

/** How long a response may take once the request is complete; 0 means for ever. */
export interface RequestTimeouts {
  /** The whole response, with all attempts. */
  readonly ms: number;
  /** The headers of one attempt's response, once it also has a connection; less than `ms`. */
  readonly perTryMs: number;
  /** The client wants an empty 204 instead of the 504. */
  readonly alternative: boolean;
}

/** A whole decimal number, as Envoy reads it; else undefined. */
function parseMilliseconds(value: string | undefined): number | undefined {
  return value !== undefined && /^\s*\+?\d{1,20}\s*$/.test(value) ? Number(value) : undefined;
}

/** Requests about retries and the like, which the router takes for itself: they go no further. */
const consumedHeaders: ReadonlySet<string> = new Set([
  'x-envoy-upstream-rq-timeout-ms',
  'x-envoy-upstream-rq-per-try-timeout-ms',
  'x-envoy-upstream-rq-timeout-alt-response',
  'x-envoy-upstream-stream-duration-ms',
  'x-envoy-upstream-alt-stat-name',
  'x-envoy-retry-on',
  'x-envoy-retry-grpc-on',
  'x-envoy-max-retries',
  'x-envoy-retriable-header-names',
  'x-envoy-retriable-status-codes',
  'x-envoy-hedge-on-per-try-timeout',
]);

/**
 * The request's timeouts: its headers' (the connection manager lets only trusted clients send them), else the configured ones. Takes the router's own
 * headers out of the request, those about retries too: read them before.
 * https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/router_filter#http-headers-consumed
 */
export function takeRequestTimeouts(
  headers: HeaderMap,
  routeTimeoutMs: number,
  routePerTryTimeoutMs: number,
): RequestTimeouts {
  if (!mayHaveConsumedHeaders(headers)) return timeouts(routeTimeoutMs, routePerTryTimeoutMs, false);
  const ms = parseMilliseconds(headers.get('x-envoy-upstream-rq-timeout-ms')) ?? routeTimeoutMs;
  const perTryMs = parseMilliseconds(headers.get('x-envoy-upstream-rq-per-try-timeout-ms')) ?? routePerTryTimeoutMs;
  const alternative = headers.has('x-envoy-upstream-rq-timeout-alt-response');
  headers.deleteAll(consumedHeaders);
  return timeouts(ms, perTryMs, alternative);
}

function timeouts(ms: number, perTryMs: number, alternative: boolean): RequestTimeouts {
  return { ms, perTryMs: ms > 0 && perTryMs >= ms ? 0 : perTryMs, alternative };
}

/** The usual request has none that begins as they all do, and one look at its headers tells. */
function mayHaveConsumedHeaders(headers: HeaderMap): boolean {
  for (let i = 0; i < headers.size; i++) if (headers.nameAt(i).startsWith('x-envoy-')) return true;
  return false;
}

/** Tells the server how long this attempt may take, `elapsedMs` after the request was complete: `x-envoy-expected-rq-timeout-ms`. */
export function tellTimeout(headers: HeaderMap, { ms, perTryMs }: RequestTimeouts, elapsedMs: number): void {
  const expected = perTryMs > 0 ? perTryMs : ms;
  if (expected === 0) return;
  // Never 0, which would mean for ever.
  const left = ms > 0 ? Math.max(1, Math.min(expected, ms - elapsedMs)) : expected;
  headers.set('x-envoy-expected-rq-timeout-ms', String(left));
}
