import type { Cluster, Discovery } from '../../model/cluster.js';
import type { LoadAssignment } from '../../model/endpoint.js';
import { isReachable } from '../../model/transport-socket.js';
import type { Cluster__Output } from '../../protobuf/generated/envoy/config/cluster/v3/Cluster.js';
import { checkSubscribedName, readConfigSource } from './config-source.js';
import { readClusterDns, readDnsCluster } from './dns-cluster.js';
import { readLoadAssignment } from './endpoint.js';
import { extensionRule, report } from './support/check.js';
import { clusterTypeSupport } from './support/cluster-extensions.js';
import { type Context, extensionType } from './translate.js';

function readInlineAssignment(
  context: Context,
  cluster: Cluster__Output,
  names: 'ip' | 'dns',
): LoadAssignment | undefined {
  if (cluster.load_assignment !== null)
    return readLoadAssignment(context, cluster.load_assignment, 'load_assignment', names);
  context.findings.unsupported.push({
    path: 'load_assignment',
    message: 'is required: without it there is no server to connect to',
  });
  return undefined;
}

/** https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/service_discovery#logical-dns */
function checkSingleHost(context: Context, assignment: LoadAssignment): void {
  const count = assignment.localities.reduce((sum, locality) => sum + locality.endpoints.length, 0);
  if (count !== 1 || assignment.localities.length !== 1)
    context.findings.malformed.push({
      path: 'load_assignment',
      message: 'a LOGICAL_DNS cluster must have exactly one endpoint',
    });
}

function readDns(
  context: Context,
  cluster: Cluster__Output,
  type: 'STRICT_DNS' | 'LOGICAL_DNS',
): Discovery | undefined {
  const dns = readClusterDns(context, cluster);
  const loadAssignment = readInlineAssignment(context, cluster, 'dns');
  if (loadAssignment === undefined) return undefined;
  if (type === 'LOGICAL_DNS') checkSingleHost(context, loadAssignment);
  return { type, loadAssignment, dns };
}

function readEds(context: Context, cluster: Cluster__Output): Discovery | undefined {
  const source = cluster.eds_cluster_config?.eds_config;
  if (!source) {
    context.findings.malformed.push({
      path: 'eds_cluster_config.eds_config',
      message: 'is required in a cluster of type EDS',
    });
    return undefined;
  }
  const read = readConfigSource(context, source, 'eds_cluster_config.eds_config');
  if (read === undefined) return undefined;
  const own = cluster.eds_cluster_config?.service_name;
  const serviceName = own || cluster.name;
  checkSubscribedName(context, serviceName, own ? 'eds_cluster_config.service_name' : 'name');
  return { type: 'EDS', serviceName, source: read };
}

function readCustom(context: Context, cluster: Cluster__Output): Discovery | undefined {
  const path = 'cluster_type.typed_config';
  const any = cluster.cluster_type?.typed_config ?? null;
  const type = extensionType(context, any, path);
  if (type === undefined || any === null) return undefined;
  const rule = extensionRule(clusterTypeSupport, type);
  if (rule !== undefined) {
    report(context.findings, rule.treatment, path, `${rule.reason} (${type})`);
    return undefined;
  }
  const custom = readDnsCluster(context, any, path);
  const loadAssignment = readInlineAssignment(context, cluster, 'dns');
  if (custom === undefined || loadAssignment === undefined) return undefined;
  if (custom.type === 'LOGICAL_DNS') checkSingleHost(context, loadAssignment);
  return { type: custom.type, loadAssignment, dns: custom.dns };
}

/** How a cluster finds its hosts; undefined with findings when it can't be run. */
export function readDiscovery(context: Context, cluster: Cluster__Output): Discovery | undefined {
  if (cluster.cluster_type) return readCustom(context, cluster);
  const type = cluster.type ?? 'STATIC';
  if (cluster.eds_cluster_config !== null && type !== 'EDS')
    context.findings.malformed.push({
      path: 'eds_cluster_config',
      message: 'must not be set in a cluster that is not of type EDS',
    });
  switch (type) {
    case 'STATIC': {
      const loadAssignment = readInlineAssignment(context, cluster, 'ip');
      return loadAssignment && { type, loadAssignment };
    }
    case 'STRICT_DNS':
    case 'LOGICAL_DNS':
      return readDns(context, cluster, type);
    case 'EDS':
      return readEds(context, cluster);
    default:
      context.findings.parked.push({
        path: 'type',
        message: `not supported: clusters of type ${type} are not run`,
      });
      return undefined;
  }
}

/** Endpoints that are listed in the cluster itself and can't be reached make it one that can't run as configured. */
export function checkReachable(
  context: Context,
  sockets: Pick<Cluster, 'transportSocketMatches'>,
  discovery: Discovery,
): void {
  if (discovery.type === 'EDS') return;
  for (const [group, locality] of discovery.loadAssignment.localities.entries())
    for (const [index, endpoint] of locality.endpoints.entries())
      if (!isReachable(sockets, endpoint))
        context.findings.unsupported.push({
          path: `load_assignment.endpoints[${group}].lb_endpoints[${index}].metadata`,
          message: 'not supported: it chooses a transport socket that cannot be run',
        });
}
