import type { DnsSettings } from '../../model/cluster.js';
import { typeNameOf, unpackAny } from '../../protobuf/any.js';
import type { DurationValue } from '../../protobuf/duration.js';
import type { Cluster__Output } from '../../protobuf/generated/envoy/config/cluster/v3/Cluster.js';
import type { DnsCluster__Output } from '../../protobuf/generated/envoy/extensions/clusters/dns/v3/DnsCluster.js';
import { DecodeError } from '../../protobuf/schema.js';
import { join } from './findings.js';
import { readDuration } from './read-duration.js';
import { checkFields, extensionRule, report } from './support/check.js';
import {
  appleResolverSupport,
  caresResolverSupport,
  dnsClusterSupport,
  getaddrinfoResolverSupport,
} from './support/cluster.js';
import { dnsResolverSupport } from './support/cluster-extensions.js';
import { type Context, readExtension } from './translate.js';

const defaultRefreshRateMs = 5_000;

interface RefreshRate {
  readonly base_interval: DurationValue | null;
  readonly max_interval: DurationValue | null;
}

/** Fields that a cluster and a DnsCluster have in common. */
interface DnsFields {
  readonly dns_refresh_rate: DurationValue | null;
  readonly dns_failure_refresh_rate: RefreshRate | null;
  readonly respect_dns_ttl: boolean;
  readonly dns_lookup_family: string;
}

const families: Readonly<Record<string, DnsSettings['lookupFamily']>> = {
  V4_ONLY: 'V4_ONLY',
  V6_ONLY: 'V6_ONLY',
  V4_PREFERRED: 'V4_PREFERRED',
  ALL: 'ALL',
};

/** Without a rate of its own, a failed resolution is repeated at the refresh rate; its greatest interval is ten times the least. */
function readFailureRefreshRate(context: Context, rate: RefreshRate | null, refreshRateMs: number, path: string) {
  if (rate === null) return { baseMs: refreshRateMs, maxMs: refreshRateMs };
  const baseMs = readDuration(context, rate.base_interval, refreshRateMs, join(path, 'base_interval'));
  const maxMs = readDuration(context, rate.max_interval, baseMs * 10, join(path, 'max_interval'));
  if (maxMs < baseMs)
    context.findings.malformed.push({
      path: join(path, 'max_interval'),
      message: 'must not be less than base_interval',
    });
  return { baseMs, maxMs };
}

function readDnsFields(context: Context, fields: DnsFields, path: string): DnsSettings {
  const refreshRateMs = readDuration(
    context,
    fields.dns_refresh_rate,
    defaultRefreshRateMs,
    join(path, 'dns_refresh_rate'),
  );
  const failurePath = join(path, 'dns_failure_refresh_rate');
  return {
    refreshRateMs,
    failureRefreshRate: readFailureRefreshRate(context, fields.dns_failure_refresh_rate, refreshRateMs, failurePath),
    respectTtl: fields.respect_dns_ttl,
    lookupFamily: families[fields.dns_lookup_family] ?? 'AUTO',
  };
}

interface TypedExtension {
  readonly typed_config: {
    readonly type_url: string;
    readonly value: Uint8Array;
  } | null;
}

const resolverSupports = [caresResolverSupport, getaddrinfoResolverSupport, appleResolverSupport];

/** Resolver settings may be ignored as long as they don't name other servers to ask. */
function checkResolver(context: Context, resolver: TypedExtension | null, path: string): void {
  if (!resolver?.typed_config) return;
  const at = join(path, 'typed_config');
  const rule = extensionRule(dnsResolverSupport, typeNameOf(resolver.typed_config.type_url));
  if (rule !== undefined) {
    report(context.findings, rule.treatment, at, rule.reason);
    return;
  }
  try {
    // Not validated: what Envoy demands of it differs between versions, and nothing of it is used.
    const config = unpackAny<object>(context.schema, resolver.typed_config);
    const support = config.known ? resolverSupports.find(({ message }) => message === config.typeName) : undefined;
    if (config.known && support) checkFields(support, config.message, at, context.findings);
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    context.findings.malformed.push({ path: at, message: error.message });
  }
}

/** Settings of a cluster of type STRICT_DNS or LOGICAL_DNS. */
export function readClusterDns(context: Context, cluster: Cluster__Output): DnsSettings {
  checkResolver(context, cluster.typed_dns_resolver_config, 'typed_dns_resolver_config');
  return readDnsFields(context, cluster, '');
}

/** Settings of a cluster with `cluster_type` DnsCluster, which stands for both DNS types. */
export function readDnsCluster(
  context: Context,
  any: { readonly type_url: string; readonly value: Uint8Array },
  path: string,
): { readonly type: 'STRICT_DNS' | 'LOGICAL_DNS'; readonly dns: DnsSettings } | undefined {
  const config = readExtension<DnsCluster__Output>(context, any, path);
  if (config === undefined) return undefined;
  checkFields(dnsClusterSupport, config, path, context.findings);
  checkResolver(context, config.typed_dns_resolver_config, join(path, 'typed_dns_resolver_config'));
  return {
    type: config.all_addresses_in_single_endpoint ? 'LOGICAL_DNS' : 'STRICT_DNS',
    dns: readDnsFields(context, config, path),
  };
}
