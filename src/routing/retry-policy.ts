import type { HeaderMap } from '../bridge/header-map.js';
import { type RetryOn, type RetryPolicy, retryGrpcOnWords, retryOnWords } from '../model/route.js';
import { compileHeaderMatch, type HeaderTest } from './matchers.js';

/** A retry policy, ready to be asked. */
export interface CompiledRetryPolicy {
  readonly policy: RetryPolicy;
  readonly on: ReadonlySet<RetryOn>;
  readonly statusCodes: ReadonlySet<number>;
  readonly responseHeaders: readonly HeaderTest[];
  readonly requestHeaders: readonly HeaderTest[];
}

/** What applies to one request: its policy's rules and those of its own headers together. */
export interface RetryRules {
  readonly on: ReadonlySet<RetryOn>;
  readonly maxRetries: number;
  readonly statusCodes: ReadonlySet<number>;
  readonly responseHeaders: readonly HeaderTest[];
  readonly backOff: RetryPolicy['backOff'];
  readonly avoidPreviousHosts: boolean;
  readonly hostSelectionMaxAttempts: number;
}

/** Where neither the route nor its virtual host has one. */
const noPolicy = compileRetryPolicy({
  retryOn: [],
  numRetries: 1,
  perTryTimeoutMs: 0,
  backOff: { baseMs: 25, maxMs: 250 },
  retriableStatusCodes: [],
  retriableHeaders: [],
  retriableRequestHeaders: [],
  avoidPreviousHosts: false,
  hostSelectionMaxAttempts: 1,
});

/** Throws on an invalid regular expression. */
export function compileRetryPolicy(policy: RetryPolicy): CompiledRetryPolicy {
  return {
    policy,
    on: new Set(policy.retryOn),
    statusCodes: new Set(policy.retriableStatusCodes),
    responseHeaders: policy.retriableHeaders.map(compileHeaderMatch),
    requestHeaders: policy.retriableRequestHeaders.map(compileHeaderMatch),
  };
}

const ofRetryOn: ReadonlySet<string> = new Set(retryOnWords);
const ofRetryGrpcOn: ReadonlySet<string> = new Set(retryGrpcOnWords);

/** A list's words that are in `known`. */
function words(list: string | undefined, known: ReadonlySet<string>): RetryOn[] {
  return tokens(list).filter((word): word is RetryOn => known.has(word));
}

function tokens(list: string | undefined): string[] {
  return (list ?? '')
    .split(',')
    .map((token) => token.trim())
    .filter((token) => token !== '');
}

/** absl::SimpleAtoi to an unsigned number. */
function parseUnsigned(text: string | undefined): number | undefined {
  return text !== undefined && /^\s*\+?\d{1,15}\s*$/.test(text) ? Number(text) : undefined;
}

/**
 * How a request is retried; undefined: not at all. Its own headers add conditions and replace the number of retries; only what is trusted may have set them: the
 * connection manager takes them from clients, so they come from `request_headers_to_add`.
 * https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/router_filter#x-envoy-retry-on
 */
export function retryRules(compiled: CompiledRetryPolicy = noPolicy, headers: HeaderMap): RetryRules | undefined {
  const { policy, requestHeaders } = compiled;
  const [retryOn, retryGrpcOn] = [headers.get('x-envoy-retry-on'), headers.get('x-envoy-retry-grpc-on')];
  // The usual case costs nothing.
  if (compiled.on.size === 0 && retryOn === undefined && retryGrpcOn === undefined) return undefined;
  const asked = [...words(retryOn, ofRetryOn), ...words(retryGrpcOn, ofRetryGrpcOn)];
  if (compiled.on.size === 0 && asked.length === 0) return undefined;
  if (requestHeaders.length > 0 && !requestHeaders.some((test) => test(headers))) return undefined;
  const codes = tokens(headers.get('x-envoy-retriable-status-codes')).flatMap((code) => parseUnsigned(code) ?? []);
  const names = tokens(headers.get('x-envoy-retriable-header-names')).map((name) => name.toLowerCase());
  return {
    on: asked.length === 0 ? compiled.on : new Set([...compiled.on, ...asked]),
    maxRetries: parseUnsigned(headers.get('x-envoy-max-retries')) ?? policy.numRetries,
    statusCodes: codes.length === 0 ? compiled.statusCodes : new Set([...compiled.statusCodes, ...codes]),
    responseHeaders:
      names.length === 0
        ? compiled.responseHeaders
        : [
            ...compiled.responseHeaders,
            ...names.map(
              (name): HeaderTest =>
                (response) =>
                  response.has(name),
            ),
          ],
    backOff: policy.backOff,
    avoidPreviousHosts: policy.avoidPreviousHosts,
    hostSelectionMaxAttempts: policy.hostSelectionMaxAttempts,
  };
}
