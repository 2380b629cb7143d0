import type { ClusterSpecifier, DirectResponseAction, ForwardAction, RedirectAction } from '../../model/route.js';
import type { DirectResponseAction__Output } from '../../protobuf/generated/envoy/config/route/v3/DirectResponseAction.js';
import type { RedirectAction__Output } from '../../protobuf/generated/envoy/config/route/v3/RedirectAction.js';
import type { RouteAction__Output } from '../../protobuf/generated/envoy/config/route/v3/RouteAction.js';
import type { WeightedCluster__Output } from '../../protobuf/generated/envoy/config/route/v3/WeightedCluster.js';
import type { RegexMatchAndSubstitute__Output } from '../../protobuf/generated/envoy/type/matcher/v3/RegexMatchAndSubstitute.js';
import { readDataSource } from './data-source.js';
import { join } from './findings.js';
import { readDuration } from './read-duration.js';
import { readRetryPolicy } from './retry-policy.js';
import { readRegex } from './string-match.js';
import { checkFields } from './support/check.js';
import {
  clusterWeightSupport,
  connectConfigSupport,
  directResponseSupport,
  proxyProtocolSupport,
  redirectSupport,
  routeActionSupport,
  routeUpgradeSupport,
  weightedClusterSupport,
} from './support/route.js';
import type { Context } from './translate.js';

const defaultTimeoutMs = 15_000;
const maxTotalWeight = 0xffff_ffff;

const notFoundStatuses: Readonly<Record<string, ForwardAction['clusterNotFoundStatus']>> = {
  NOT_FOUND: 404,
  INTERNAL_SERVER_ERROR: 500,
};

const redirectStatuses: Readonly<Record<string, RedirectAction['status']>> = {
  MOVED_PERMANENTLY: 301,
  FOUND: 302,
  SEE_OTHER: 303,
  TEMPORARY_REDIRECT: 307,
  PERMANENT_REDIRECT: 308,
};

function readWeighted(context: Context, weighted: WeightedCluster__Output, path: string): ClusterSpecifier {
  const { findings } = context;
  checkFields(weightedClusterSupport, weighted, path, findings);
  let total = 0;
  const clusters = weighted.clusters.map((cluster, index) => {
    const at = join(path, `clusters[${index}]`);
    checkFields(clusterWeightSupport, cluster, at, findings);
    if ((cluster.name === '') === (cluster.cluster_header === ''))
      findings.malformed.push({
        path: at,
        message: 'exactly one of name and cluster_header is required',
      });
    if (cluster.weight === null)
      findings.malformed.push({
        path: join(at, 'weight'),
        message: 'is required',
      });
    const weight = cluster.weight?.value ?? 0;
    total += weight;
    return { name: cluster.name, weight };
  });
  if (total === 0)
    findings.malformed.push({
      path,
      message: 'the sum of the weights must be greater than 0',
    });
  if (total > maxTotalWeight)
    findings.malformed.push({
      path,
      message: `the sum of the weights exceeds ${maxTotalWeight}`,
    });
  return { kind: 'weighted', clusters };
}

function readClusterSpecifier(
  context: Context,
  action: RouteAction__Output,
  path: string,
): ClusterSpecifier | undefined {
  if (action.cluster_specifier === 'cluster') return { kind: 'cluster', name: action.cluster ?? '' };
  if (action.cluster_specifier === 'cluster_header')
    return {
      kind: 'cluster_header',
      header: (action.cluster_header ?? '').toLowerCase(),
    };
  if (action.weighted_clusters) return readWeighted(context, action.weighted_clusters, join(path, 'weighted_clusters'));
  return undefined;
}

function readRegexRewrite(context: Context, rewrite: RegexMatchAndSubstitute__Output | null, path: string) {
  const pattern = rewrite?.pattern && readRegex(context, rewrite.pattern, join(path, 'pattern'));
  return pattern ? { pattern, substitution: rewrite?.substitution ?? '' } : undefined;
}

/** CONNECT's entry of upgrade_configs; other upgrades are not done, so those requests are answered like any other. */
function readConnect(context: Context, action: RouteAction__Output, path: string): ForwardAction['connect'] {
  const { findings } = context;
  const seen = new Set<string>();
  let connect: ForwardAction['connect'];
  for (const [index, upgrade] of action.upgrade_configs.entries()) {
    const at = join(path, `upgrade_configs[${index}]`);
    checkFields(routeUpgradeSupport, upgrade, at, findings);
    const type = upgrade.upgrade_type.toLowerCase();
    if (seen.has(type))
      findings.malformed.push({
        path: at,
        message: `duplicate upgrade ${upgrade.upgrade_type}`,
      });
    seen.add(type);
    const isConnect = type === 'connect' || type === 'connect-udp';
    const config = upgrade.connect_config;
    if (config !== null && !isConnect)
      findings.malformed.push({
        path: join(at, 'connect_config'),
        message: 'is allowed with upgrade_type CONNECT only',
      });
    if (upgrade.enabled?.value === false) continue;
    if (type === 'connect') {
      if (config) checkFields(connectConfigSupport, config, join(at, 'connect_config'), findings);
      const header = config?.proxy_protocol_config;
      if (header) checkFields(proxyProtocolSupport, header, join(at, 'connect_config.proxy_protocol_config'), findings);
      const version = header?.version;
      connect = {
        proxyProtocol: version === 'V2' ? 'V2' : version === 'V1' ? 'V1' : undefined,
      };
    } else {
      findings.warnings.push({
        path: at,
        message: `ignored: connections are not upgraded to ${upgrade.upgrade_type}`,
      });
    }
  }
  return connect;
}

/** https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/route/v3/route_components.proto#config-route-v3-routeaction */
export function readForward(context: Context, action: RouteAction__Output, path: string): ForwardAction | undefined {
  const { findings } = context;
  checkFields(routeActionSupport, action, path, findings);
  const rewrites = [action.prefix_rewrite !== '', action.regex_rewrite !== null, action.path_rewrite_policy !== null];
  if (rewrites.filter(Boolean).length > 1)
    findings.malformed.push({
      path,
      message: 'only one of prefix_rewrite, regex_rewrite and path_rewrite_policy is allowed',
    });
  const cluster = readClusterSpecifier(context, action, path);
  const regexRewrite = readRegexRewrite(context, action.regex_rewrite, join(path, 'regex_rewrite'));
  const connect = readConnect(context, action, path);
  if (cluster === undefined) return undefined;
  return {
    kind: 'route',
    cluster,
    clusterNotFoundStatus: notFoundStatuses[action.cluster_not_found_response_code] ?? 503,
    timeoutMs: readDuration(context, action.timeout, defaultTimeoutMs, join(path, 'timeout')),
    idleTimeoutMs:
      action.idle_timeout === null
        ? undefined
        : readDuration(context, action.idle_timeout, 0, join(path, 'idle_timeout')),
    prefixRewrite: action.prefix_rewrite || undefined,
    regexRewrite,
    hostRewrite: action.host_rewrite_literal || undefined,
    priority: action.priority === 'HIGH' ? 'high' : 'default',
    retryPolicy: readRetryPolicy(context, action.retry_policy, join(path, 'retry_policy')),
    connect,
  };
}

function readRedirectPath(context: Context, redirect: RedirectAction__Output, path: string): RedirectAction['path'] {
  switch (redirect.path_rewrite_specifier) {
    case 'path_redirect':
      return { kind: 'path', value: redirect.path_redirect ?? '' };
    case 'prefix_rewrite':
      return { kind: 'prefix_rewrite', value: redirect.prefix_rewrite ?? '' };
    case 'regex_rewrite': {
      const rewrite = readRegexRewrite(context, redirect.regex_rewrite ?? null, join(path, 'regex_rewrite'));
      return rewrite && { kind: 'regex_rewrite', ...rewrite };
    }
    default:
      return undefined;
  }
}

function readRedirectScheme(redirect: RedirectAction__Output): RedirectAction['scheme'] {
  if (redirect.https_redirect) return { kind: 'https' };
  return redirect.scheme_redirect ? { kind: 'scheme', value: redirect.scheme_redirect } : undefined;
}

/** https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/route/v3/route_components.proto#config-route-v3-redirectaction */
export function readRedirect(context: Context, redirect: RedirectAction__Output, path: string): RedirectAction {
  checkFields(redirectSupport, redirect, path, context.findings);
  return {
    kind: 'redirect',
    status: redirectStatuses[redirect.response_code] ?? 301,
    scheme: readRedirectScheme(redirect),
    host: redirect.host_redirect || undefined,
    port: redirect.port_redirect || undefined,
    path: readRedirectPath(context, redirect, path),
    stripQuery: redirect.strip_query,
  };
}

export function readDirectResponse(
  context: Context,
  response: DirectResponseAction__Output,
  path: string,
  maxBodyBytes: number,
): DirectResponseAction {
  checkFields(directResponseSupport, response, path, context.findings);
  const body = response.body && readDataSource(context, response.body, join(path, 'body'), maxBodyBytes);
  return {
    kind: 'direct_response',
    status: response.status,
    body: body ?? new Uint8Array(),
  };
}
