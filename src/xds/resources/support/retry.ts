import { type RetryOn, retryGrpcOnWords, retryOnWords } from '../../../model/route.js';
import { active, type ExtensionSupport, type MessageSupport, message, types, warned } from './rules.js';

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
    ...warned('per_try_idle_timeout', 'per_try_timeout applies'),
    ...warned('retry_priority', 'a retry chooses among the priorities as the first attempt did'),
    ...warned('rate_limited_retry_back_off', 'retry_back_off applies'),
    ...warned('retry_options_predicates', 'a retry has the options of the first attempt'),
    ...warned('refresh_cluster_on_retry', 'a retry goes to the cluster of the first attempt'),
  ],
);

export const retryBackOffSupport: MessageSupport = message(
  'envoy.config.route.v3.RetryPolicy.RetryBackOff',
  'base_interval max_interval',
);

export const retryHostPredicateFieldsSupport: MessageSupport = message(
  'envoy.config.route.v3.RetryPolicy.RetryHostPredicate',
  'typed_config',
  active('name', 'predicates are chosen by the type of their configuration'),
);

const anyHost = 'a retry may choose any host';

export const retryHostPredicateSupport: ExtensionSupport = {
  point: '`retry_host_predicate` of a retry policy',
  categories: ['envoy.retry_host_predicates'],
  implemented: ['envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate'],
  rules: [
    types(
      'warned',
      'envoy.extensions.retry.host',
      'omit_canary_hosts.v3.OmitCanaryHostsPredicate omit_host_metadata.v3.OmitHostMetadataConfig',
      anyHost,
    ),
  ],
  others: { treatment: 'warned', reason: anyHost },
};
