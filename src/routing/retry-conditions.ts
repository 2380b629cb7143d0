import type { HeaderMap } from '../bridge/header-map.js';
import type { RetryOn } from '../model/route.js';
import type { RoutingFailure } from './local-reply.js';
import type { RetryRules } from './retry-policy.js';

/** https://grpc.github.io/grpc/core/md_doc_statuscodes.html */
const grpcConditions: Readonly<Record<string, RetryOn>> = {
  1: 'cancelled',
  4: 'deadline-exceeded',
  8: 'resource-exhausted',
  13: 'internal',
  14: 'unavailable',
};

/** Whether a response is one to retry, by its headers; Envoy's `wouldRetryFromHeaders`. */
export function retriesResponse({ on, statusCodes, responseHeaders }: RetryRules, headers: HeaderMap): boolean {
  // From another Envoy that limits rates: whatever else the response is.
  if (headers.has('x-envoy-ratelimited')) return on.has('envoy-ratelimited');
  const status = Number(headers.get(':status'));
  if (on.has('5xx') && status >= 500) return true;
  if (on.has('gateway-error') && status >= 502 && status <= 504) return true;
  if (on.has('retriable-4xx') && status === 409) return true;
  if (on.has('retriable-status-codes') && statusCodes.has(status)) return true;
  if (on.has('retriable-headers') && responseHeaders.some((test) => test(headers))) return true;
  const grpc = grpcConditions[headers.get('grpc-status') ?? ''];
  return grpc !== undefined && on.has(grpc);
}

/**
 * Whether a failure is one to retry; Envoy's `wouldRetryFromReset`. `requestStarted`: a byte of the request was written, in this attempt or one before.
 * What another attempt would only come to again (limits, what the plugin did, no host) is never retried.
 */
export function retriesFailure({ on }: RetryRules, failure: RoutingFailure, requestStarted: boolean): boolean {
  switch (failure.kind) {
    case 'pool': {
      const { kind } = failure.failure;
      if (kind !== 'connect_failure' && kind !== 'connect_timeout') return false;
      return on.has('connect-failure') || retriesReset(on, requestStarted);
    }
    case 'upstream_closed':
    case 'protocol_error':
    case 'per_try_timeout':
      return retriesReset(on, requestStarted);
    default:
      return false;
  }
}

function retriesReset(on: ReadonlySet<RetryOn>, requestStarted: boolean): boolean {
  if (on.has('reset-before-request') && !requestStarted) return true;
  return on.has('reset') || on.has('5xx') || on.has('gateway-error');
}
