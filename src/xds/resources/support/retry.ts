import { type RetryOn, retryGrpcOnWords, retryOnWords } from '../../../model/route.js';
import { type ExtensionSupport, ignored, type MessageSupport, message } from './rules.js';

/** Of `retry_on`: the words that count, and why others do not. */
export const retryOnSupport: {
  readonly implemented: readonly RetryOn[];
  readonly without: Readonly<Record<string, string>>;
} = {
  implemented: [...retryOnWords, ...retryGrpcOnWords],
  without: {
    'refused-stream': 'does not happen with servers that speak TCP',
    'http3-post-connect-failure': 'does not happen with servers that speak TCP',
  },
};

export const retryPolicySupport: MessageSupport = message(
  'envoy.config.route.v3.RetryPolicy',
  `retry_on num_retries per_try_timeout retry_host_predicate host_selection_retry_max_attempts retriable_status_codes
   retry_back_off retriable_headers retriable_request_headers`,
  [
    ...ignored('per_try_idle_timeout', 'per_try_timeout applies'),
    ...ignored('retry_priority', 'a retry chooses among the priorities as the first attempt did'),
    ...ignored('rate_limited_retry_back_off', 'retry_back_off applies'),
    ...ignored('retry_options_predicates', 'a retry has the options of the first attempt'),
    ...ignored('refresh_cluster_on_retry', 'a retry goes to the cluster of the first attempt'),
  ],
);

export const retryBackOffSupport: MessageSupport = message(
  'envoy.config.route.v3.RetryPolicy.RetryBackOff',
  'base_interval max_interval',
);

export const retryHostPredicateSupport: ExtensionSupport = {
  point: '`retry_host_predicate` of a retry policy',
  implemented: ['envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate'],
  rules: [],
  others: { treatment: 'ignored', reason: 'a retry may choose any host' },
};
