import type { CircuitBreakerThresholds, Cluster } from '../../model/cluster.js';
import type { DurationValue } from '../../protobuf/duration.js';
import type { Cluster__Output } from '../../protobuf/generated/envoy/config/cluster/v3/Cluster.js';
import type { HttpProtocolOptions__Output } from '../../protobuf/generated/envoy/extensions/upstreams/http/v3/HttpProtocolOptions.js';
import { join } from './findings.js';
import { readDuration } from './read-duration.js';
import { checkFields, extensionRule, report } from './support/check.js';
import {
  circuitBreakersSupport,
  clusterCommonHttpOptionsSupport,
  clusterFilterFieldsSupport,
  clusterHttpOptionsSupport,
  retryBudgetSupport,
  roundRobinSupport,
  tcpOptionsSupport,
  thresholdsSupport,
} from './support/cluster.js';
import { lbPolicySupport, protocolOptionsSupport } from './support/cluster-extensions.js';
import { clusterFilterSupport } from './support/network-filters.js';
import { type Context, extensionType, readExtension } from './translate.js';

const defaultIdleTimeoutMs = 3_600_000;
const defaultThresholds: CircuitBreakerThresholds = {
  maxConnections: 1024,
  maxPendingRequests: 1024,
  maxRequests: 1024,
  maxRetries: 3,
};

const defaultBudgetPercent = 20;

const tcpOptions = 'envoy.extensions.upstreams.tcp.v3.TcpProtocolOptions';
const httpOptions = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';

interface IdleTimeouts {
  tcp: DurationValue | null;
  http: DurationValue | null;
}

function readProtocolOptions(context: Context, cluster: Cluster__Output): IdleTimeouts {
  const found: IdleTimeouts = { tcp: null, http: null };
  for (const [key, any] of Object.entries(cluster.typed_extension_protocol_options)) {
    const path = `typed_extension_protocol_options[${JSON.stringify(key)}]`;
    const type = extensionType(context, any, path);
    if (type === tcpOptions) {
      const options = readExtension<{
        readonly idle_timeout: DurationValue | null;
      }>(context, any, path);
      if (options === undefined) continue;
      checkFields(tcpOptionsSupport, options, path, context.findings);
      found.tcp = options.idle_timeout;
    } else if (type === httpOptions) {
      const options = readExtension<HttpProtocolOptions__Output>(context, any, path);
      if (options === undefined) continue;
      checkFields(clusterHttpOptionsSupport, options, path, context.findings);
      const common = options.common_http_protocol_options;
      if (common === null) continue;
      checkFields(
        clusterCommonHttpOptionsSupport,
        common,
        join(path, 'common_http_protocol_options'),
        context.findings,
      );
      found.http = common.idle_timeout;
    } else if (type !== undefined) {
      const { treatment, reason } = extensionRule(protocolOptionsSupport, type) ?? protocolOptionsSupport.others;
      report(context.findings, treatment, path, `${reason} (${type})`);
    }
  }
  return found;
}

/** The idle timeout of TCP connections, else the one that is meant for HTTP, else one hour. */
export function readIdleTimeout(context: Context, cluster: Cluster__Output): number {
  const { tcp, http } = readProtocolOptions(context, cluster);
  const common = cluster.common_http_protocol_options;
  if (common !== null)
    checkFields(clusterCommonHttpOptionsSupport, common, 'common_http_protocol_options', context.findings);
  return readDuration(context, tcp ?? http ?? common?.idle_timeout, defaultIdleTimeoutMs, 'idle_timeout');
}

/** The first thresholds of a priority count, as in Envoy. */
export function readCircuitBreakers(context: Context, cluster: Cluster__Output): Cluster['circuitBreakers'] {
  const breakers = cluster.circuit_breakers;
  if (breakers !== null) {
    checkFields(circuitBreakersSupport, breakers, 'circuit_breakers', context.findings);
    for (const [index, thresholds] of breakers.thresholds.entries()) {
      const path = `circuit_breakers.thresholds[${index}]`;
      checkFields(thresholdsSupport, thresholds, path, context.findings);
      const budget = thresholds.retry_budget;
      if (budget !== null) checkFields(retryBudgetSupport, budget, join(path, 'retry_budget'), context.findings);
    }
  }
  const read = (priority: 'DEFAULT' | 'HIGH'): CircuitBreakerThresholds => {
    const set = breakers?.thresholds.find((thresholds) => thresholds.priority === priority);
    return {
      maxConnections: set?.max_connections?.value ?? defaultThresholds.maxConnections,
      maxPendingRequests: set?.max_pending_requests?.value ?? defaultThresholds.maxPendingRequests,
      maxRequests: set?.max_requests?.value ?? defaultThresholds.maxRequests,
      maxRetries: set?.max_retries?.value ?? defaultThresholds.maxRetries,
      ...(set?.retry_budget && {
        retryBudget: {
          percent: set.retry_budget.budget_percent?.value ?? defaultBudgetPercent,
          minConcurrency: set.retry_budget.min_retry_concurrency?.value ?? defaultThresholds.maxRetries,
        },
      }),
    };
  };
  return { default: read('DEFAULT'), high: read('HIGH') };
}

/** Which policy is asked for: `load_balancing_policy` wins over `lb_policy`, and in it the first one that is known. */
export function checkLbPolicy(context: Context, cluster: Cluster__Output): void {
  const { findings, schema } = context;
  if (cluster.load_balancing_policy === null) {
    if (cluster.lb_policy === 'LOAD_BALANCING_POLICY_CONFIG')
      findings.malformed.push({
        path: 'load_balancing_policy',
        message: 'is required with lb_policy LOAD_BALANCING_POLICY_CONFIG',
      });
    return;
  }
  for (const [index, policy] of cluster.load_balancing_policy.policies.entries()) {
    const path = `load_balancing_policy.policies[${index}].typed_extension_config.typed_config`;
    const any = policy.typed_extension_config?.typed_config ?? null;
    const type = extensionType(context, any, path);
    if (type === undefined) return;
    if (!schema.has(type)) continue;
    const rule = extensionRule(lbPolicySupport, type);
    if (rule !== undefined) report(findings, rule.treatment, path, `${rule.reason} (${type})`);
    else if (any !== null) {
      const config = readExtension<object>(context, any, path);
      if (config !== undefined) checkFields(roundRobinSupport, config, path, findings);
    }
    return;
  }
  findings.malformed.push({
    path: 'load_balancing_policy.policies',
    message: 'none of the policies is known',
  });
}

export function checkNetworkFilters(context: Context, cluster: Cluster__Output): void {
  for (const [index, filter] of cluster.filters.entries()) {
    const path = `filters[${index}]`;
    checkFields(clusterFilterFieldsSupport, filter, path, context.findings);
    if (filter.config_discovery) continue;
    const type = extensionType(context, filter.typed_config, path);
    const rule = type === undefined ? undefined : extensionRule(clusterFilterSupport, type);
    if (rule !== undefined) report(context.findings, rule.treatment, path, `${rule.reason} (${type})`);
  }
}
