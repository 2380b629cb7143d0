import { expect } from 'chai';
import type { RetryPolicy } from '../../../src/model/route.js';
import { active, route, summary } from './translators.js';

const previousHosts =
  '{ name: p, typed_config: { "@type": type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate } }';
const omitCanary =
  '{ name: p, typed_config: { "@type": type.googleapis.com/envoy.extensions.retry.host.omit_canary_hosts.v3.OmitCanaryHostsPredicate } }';

const ofRoute = (policy: string): string =>
  `name: r\nvirtual_hosts: [{ name: v, domains: ["*"], routes: [{ match: { prefix: / }, route: { cluster: c, retry_policy: ${policy} } }] }]`;

function policyOf(yaml: string): RetryPolicy | undefined {
  const action = active(route(ofRoute(yaml))).virtualHosts[0]?.routes[0]?.action;
  return action?.kind === 'route' ? action.retryPolicy : undefined;
}

const present = (name: string) => ({
  name,
  test: { kind: 'present', present: true },
  invert: false,
  treatMissingAsEmpty: false,
});

describe('xds/resources retry policy', () => {
  it('fills in the defaults of Envoy', () => {
    expect(policyOf('{}')).to.deep.equal({
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
  });

  const cases: [yaml: string, expected: Partial<Record<keyof RetryPolicy, unknown>>][] = [
    ['{ retry_on: "connect-failure, reset,5xx,reset" }', { retryOn: ['connect-failure', 'reset', '5xx'] }],
    ['{ retry_on: "cancelled,unavailable" }', { retryOn: ['cancelled', 'unavailable'] }],
    ['{ num_retries: 0 }', { numRetries: 0 }],
    ['{ per_try_timeout: 0.25s }', { perTryTimeoutMs: 250 }],
    ['{ retry_back_off: { base_interval: 0.1s } }', { backOff: { baseMs: 100, maxMs: 1000 } }],
    [
      '{ retry_back_off: { base_interval: 0.0001s, max_interval: 0.0002s } }',
      // Sub-millisecond intervals are one millisecond.
      { backOff: { baseMs: 1, maxMs: 1 } },
    ],
    ['{ retriable_status_codes: [409, 503] }', { retriableStatusCodes: [409, 503] }],
    ['{ retriable_headers: [{ name: X-Again }] }', { retriableHeaders: [present('x-again')] }],
    ['{ retriable_request_headers: [{ name: X-Safe }] }', { retriableRequestHeaders: [present('x-safe')] }],
    [
      `{ retry_host_predicate: [${previousHosts}], host_selection_retry_max_attempts: 5 }`,
      { avoidPreviousHosts: true, hostSelectionMaxAttempts: 5 },
    ],
    ['{ host_selection_retry_max_attempts: 4611686018427387904 }', { hostSelectionMaxAttempts: 1000 }],
    ['{ host_selection_retry_max_attempts: -1 }', { hostSelectionMaxAttempts: 1000 }],
  ];
  for (const [yaml, expected] of cases)
    it(yaml, () => {
      expect(policyOf(yaml)).to.deep.include(expected);
    });

  const at = 'virtual_hosts\\[0\\].routes\\[0\\].route.retry_policy';
  const verdicts: [title: string, yaml: string, expected: RegExp][] = [
    ['all that is implemented', '{ retry_on: "5xx,gateway-error", num_retries: 2 }', /^active$/],
    [
      'what does not happen here',
      '{ retry_on: "refused-stream,reset" }',
      new RegExp(`^active \\| ${at}.retry_on: ignored: refused-stream does not happen with servers that speak TCP$`),
    ],
    [
      'a word that is none',
      '{ retry_on: "5xx,often" }',
      new RegExp(`^active \\| ${at}.retry_on: ignored: often is no condition that is known$`),
    ],
    [
      'an idle timeout',
      '{ per_try_idle_timeout: 1s }',
      new RegExp(`^active \\| ${at}.per_try_idle_timeout: ignored: `),
    ],
    [
      'waiting as long as the server says',
      '{ rate_limited_retry_back_off: { reset_headers: [{ name: retry-after }] } }',
      new RegExp(`^active \\| ${at}.rate_limited_retry_back_off: ignored: `),
    ],
    [
      'another priority',
      '{ retry_priority: { name: p, typed_config: { "@type": type.googleapis.com/envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig, update_frequency: 2 } } }',
      new RegExp(`^active \\| ${at}.retry_priority: ignored: `),
    ],
    [
      'another host predicate',
      `{ retry_host_predicate: [${omitCanary}] }`,
      new RegExp(`^active \\| ${at}.retry_host_predicate\\[0\\].typed_config: ignored: a retry may choose any host`),
    ],
    [
      'a host predicate without a configuration',
      '{ retry_host_predicate: [{ name: envoy.retry_host_predicates.previous_hosts }] }',
      new RegExp(`^rejected \\| ${at}.retry_host_predicate\\[0\\].typed_config: is required`),
    ],
    [
      'a longest interval that is shorter',
      '{ retry_back_off: { base_interval: 1s, max_interval: 0.5s } }',
      new RegExp(`^rejected \\| ${at}.retry_back_off.max_interval: must be greater than or equal to base_interval$`),
    ],
    ['a back-off without an interval', '{ retry_back_off: {} }', /^rejected \| .*base_interval/],
    [
      'a regex that RE2 does not take',
      '{ retriable_headers: [{ name: a, string_match: { safe_regex: { regex: "(" } } }] }',
      new RegExp(`^rejected \\| ${at}.retriable_headers\\[0\\].string_match.safe_regex.regex: `),
    ],
  ];
  for (const [title, yaml, expected] of verdicts)
    it(title, () => {
      expect(summary(route(ofRoute(yaml)))).to.match(expected);
    });

  it('of a virtual host, with what it says of attempts', () => {
    const [host] = active(
      route(
        'name: r\nvirtual_hosts: [{ name: v, domains: ["*"], retry_policy: { retry_on: reset }, include_request_attempt_count: true, include_attempt_count_in_response: true, include_is_timeout_retry_header: true }]',
      ),
    ).virtualHosts;
    expect(host?.retryPolicy?.retryOn).to.deep.equal(['reset']);
    expect(host).to.include({
      includeRequestAttemptCount: true,
      includeAttemptCountInResponse: true,
      includeIsTimeoutRetryHeader: true,
    });
  });
});
