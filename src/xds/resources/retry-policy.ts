import type { RetryOn, RetryPolicy } from '../../model/route.js';
import type {
  _envoy_config_route_v3_RetryPolicy_RetryBackOff__Output as RetryBackOff__Output,
  _envoy_config_route_v3_RetryPolicy_RetryHostPredicate__Output as RetryHostPredicate__Output,
  RetryPolicy__Output,
} from '../../protobuf/generated/envoy/config/route/v3/RetryPolicy.js';
import { join } from './findings.js';
import { readDuration } from './read-duration.js';
import { readHeaderMatches } from './route-match.js';
import { checkFields, extensionRule, report } from './support/check.js';
import { retryBackOffSupport, retryHostPredicateSupport, retryOnSupport, retryPolicySupport } from './support/retry.js';
import { type Context, extensionType } from './translate.js';

const defaultBaseIntervalMs = 25;
/** The longest interval, where none is set, in base intervals. */
const defaultIntervalGrowth = 10;
/** More choices of a host than this are not made: they cost time, and find nothing new. */
const mostHostSelections = 1_000;

/** Words that are not Envoy's are left out, as there; the warning is ours. */
function readRetryOn(context: Context, retryOn: string, path: string): RetryOn[] {
  const found = new Set<RetryOn>();
  for (const word of retryOn.split(',').map((text) => text.trim())) {
    if (word === '') continue;
    if (retryOnSupport.implemented.includes(word as RetryOn)) found.add(word as RetryOn);
    else
      context.findings.warnings.push({
        path,
        message: `ignored: ${word} ${retryOnSupport.without[word] ?? 'is no condition that is known'}`,
      });
  }
  return [...found];
}

function readBackOff(context: Context, backOff: RetryBackOff__Output | null, path: string): RetryPolicy['backOff'] {
  if (backOff !== null) checkFields(retryBackOffSupport, backOff, path, context.findings);
  const baseMs = readDuration(context, backOff?.base_interval, defaultBaseIntervalMs, join(path, 'base_interval'));
  const maxMs = readDuration(
    context,
    backOff?.max_interval,
    baseMs * defaultIntervalGrowth,
    join(path, 'max_interval'),
  );
  if (maxMs < baseMs)
    context.findings.malformed.push({
      path: join(path, 'max_interval'),
      message: 'must be greater than or equal to base_interval',
    });
  return { baseMs, maxMs };
}

/** Whether `previous_hosts` is among them. */
function readHostPredicates(context: Context, predicates: readonly RetryHostPredicate__Output[], path: string) {
  let previousHosts = false;
  for (const [index, predicate] of predicates.entries()) {
    const at = join(path, `[${index}].typed_config`);
    const type = extensionType(context, predicate.typed_config, at);
    if (type === undefined) continue;
    const rule = extensionRule(retryHostPredicateSupport, type);
    if (rule === undefined) previousHosts = true;
    else report(context.findings, rule.treatment, at, `${rule.reason} (${type})`);
  }
  return previousHosts;
}

/** Envoy's default is 1; it takes a negative number for a very large one. */
function readHostSelections(value: string): number {
  const attempts = Number(value);
  if (attempts === 0) return 1;
  return attempts < 0 ? mostHostSelections : Math.min(attempts, mostHostSelections);
}

/** Of a route or a virtual host. https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/route/v3/route_components.proto#config-route-v3-retrypolicy */
export function readRetryPolicy(
  context: Context,
  policy: RetryPolicy__Output | null,
  path: string,
): RetryPolicy | undefined {
  if (policy === null) return undefined;
  checkFields(retryPolicySupport, policy, path, context.findings);
  return {
    retryOn: readRetryOn(context, policy.retry_on, join(path, 'retry_on')),
    numRetries: policy.num_retries?.value ?? 1,
    perTryTimeoutMs: readDuration(context, policy.per_try_timeout, 0, join(path, 'per_try_timeout')),
    backOff: readBackOff(context, policy.retry_back_off, join(path, 'retry_back_off')),
    retriableStatusCodes: policy.retriable_status_codes,
    retriableHeaders: readHeaderMatches(context, policy.retriable_headers, join(path, 'retriable_headers')),
    retriableRequestHeaders: readHeaderMatches(
      context,
      policy.retriable_request_headers,
      join(path, 'retriable_request_headers'),
    ),
    avoidPreviousHosts: readHostPredicates(context, policy.retry_host_predicate, join(path, 'retry_host_predicate')),
    hostSelectionMaxAttempts: readHostSelections(policy.host_selection_retry_max_attempts),
  };
}
