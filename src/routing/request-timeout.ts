import type { HeaderMap } from '../bridge/header-map.js';

/** How long the whole response may take once the request is complete. */
export interface RequestTimeout {
  /** 0 means for ever. */
  readonly ms: number;
  /** The client wants an empty 204 instead of the 504. */
  readonly alternative: boolean;
}

/** A whole decimal number, as Envoy reads it; else undefined. */
function parseMilliseconds(value: string | undefined): number | undefined {
  return value !== undefined && /^\s*\+?\d{1,20}\s*$/.test(value) ? Number(value) : undefined;
}

/** Requests about retries and the like, which the router takes for itself: they go no further. */
const consumedHeaders = [
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
];

/**
 * The request's timeout: its header's (the connection manager lets only trusted clients send it), else the route's. Takes the router's own
 * headers out of the request and tells the server what to expect in `x-envoy-expected-rq-timeout-ms`, unless `suppressEnvoyHeaders`.
 * https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/router_filter#http-headers-consumed
 */
export function takeRequestTimeout(
  headers: HeaderMap,
  routeTimeoutMs: number,
  suppressEnvoyHeaders: boolean,
): RequestTimeout {
  const ms = parseMilliseconds(headers.get('x-envoy-upstream-rq-timeout-ms')) ?? routeTimeoutMs;
  const alternative = headers.has('x-envoy-upstream-rq-timeout-alt-response');
  for (const name of consumedHeaders) if (headers.has(name)) headers.delete(name);
  if (ms > 0 && !suppressEnvoyHeaders) headers.set('x-envoy-expected-rq-timeout-ms', String(ms));
  return { ms, alternative };
}
