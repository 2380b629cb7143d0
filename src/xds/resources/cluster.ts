import type { BridgeConfig, Cluster, Discovery } from '../../model/cluster.js';
import type { ConfigSource } from '../../model/config-source.js';
import { createSharing } from '../../model/sharing.js';
import type { Cluster__Output } from '../../protobuf/generated/envoy/config/cluster/v3/Cluster.js';
import type { Schema } from '../../protobuf/schema.js';
import { readBridgeConfig } from './bridge-config.js';
import { checkReachable, readDiscovery } from './discovery.js';
import { newFindings } from './findings.js';
import { readDuration } from './read-duration.js';
import { checkFields, extensionRule } from './support/check.js';
import { clusterSupport, commonLbConfigSupport, edsClusterConfigSupport } from './support/cluster.js';
import { upstreamSupport } from './support/cluster-extensions.js';
import { noStaticSecrets, type StaticSecrets } from './tls-context.js';
import { type Context, extensionType, type ResourceTranslator, translateResource } from './translate.js';
import { checkKnownTransportSockets, readTransportSocket, readTransportSocketMatches } from './transport-socket.js';
import { checkLbPolicy, checkNetworkFilters, readCircuitBreakers, readIdleTimeout } from './upstream-options.js';

const typeName = 'envoy.config.cluster.v3.Cluster';

const defaultConnectTimeoutMs = 5_000;
const defaultBufferLimitBytes = 1024 * 1024;

const bridgePath = 'upstream_config.typed_config';

/** Whether the cluster selects the bridge; otherwise it is parked with the reason. */
function selectsBridge(context: Context, cluster: Cluster__Output): boolean {
  const { findings } = context;
  if (cluster.upstream_config === null) {
    findings.parked.push({
      path: '',
      message: 'the cluster has no HTTP-TCP bridge (upstream_config is not set)',
    });
    return false;
  }
  const type = extensionType(context, cluster.upstream_config.typed_config, bridgePath);
  if (type === undefined) return false;
  const rule = extensionRule(upstreamSupport, type);
  if (rule === undefined) return true;
  findings.parked.push({
    path: bridgePath,
    message: `the cluster has no HTTP-TCP bridge but ${type}: ${rule.reason}`,
  });
  return false;
}

function checkBridgeCluster(context: Context, cluster: Cluster__Output): void {
  const { findings } = context;
  checkFields(clusterSupport, cluster, '', findings);
  if (cluster.common_lb_config !== null)
    checkFields(commonLbConfigSupport, cluster.common_lb_config, 'common_lb_config', findings);
  if (cluster.eds_cluster_config !== null)
    checkFields(edsClusterConfigSupport, cluster.eds_cluster_config, 'eds_cluster_config', findings);
  checkLbPolicy(context, cluster);
  checkNetworkFilters(context, cluster);
}

function toModel(
  context: Context,
  cluster: Cluster__Output,
  discovery: Discovery,
  bridge: BridgeConfig | undefined,
  sockets: Pick<Cluster, 'tls' | 'transportSocketMatches'>,
): Cluster {
  return {
    name: cluster.name,
    statName: (cluster.alt_stat_name || cluster.name).replaceAll(':', '_'),
    discovery,
    lbPolicy: 'ROUND_ROBIN',
    connectTimeoutMs: readDuration(context, cluster.connect_timeout, defaultConnectTimeoutMs, 'connect_timeout'),
    idleTimeoutMs: readIdleTimeout(context, cluster),
    perConnectionBufferLimitBytes: cluster.per_connection_buffer_limit_bytes?.value ?? defaultBufferLimitBytes,
    circuitBreakers: readCircuitBreakers(context, cluster),
    ...sockets,
    bridge,
  };
}

/** What thousands of clusters mostly have alike. */
function createClusterSharing(): (cluster: Cluster) => Cluster {
  const limits = createSharing<Cluster['circuitBreakers']>();
  const sources = createSharing<ConfigSource>();
  const bridges = createSharing<BridgeConfig>(({ libraryId, libraryPath, pluginName, pluginConfig }) => {
    const { typeUrl, value, canonical } = pluginConfig;
    return JSON.stringify([
      libraryId,
      libraryPath,
      pluginName,
      typeUrl,
      Buffer.from(value).toString('latin1'),
      canonical,
    ]);
  });
  return (cluster) => {
    const { discovery, bridge } = cluster;
    return {
      ...cluster,
      discovery: discovery.type === 'EDS' ? { ...discovery, source: sources(discovery.source) } : discovery,
      circuitBreakers: limits(cluster.circuitBreakers),
      bridge: bridge && bridges(bridge),
    };
  };
}

function readBridgeCluster(context: Context, cluster: Cluster__Output, secrets: StaticSecrets): Cluster | undefined {
  const any = cluster.upstream_config?.typed_config;
  const bridge = any ? readBridgeConfig(context, any, bridgePath) : undefined;
  const discovery = readDiscovery(context, cluster);
  checkBridgeCluster(context, cluster);
  const tls = readTransportSocket(context, cluster.transport_socket, 'transport_socket', secrets);
  const transportSocketMatches = readTransportSocketMatches(context, cluster, secrets);
  if (discovery === undefined) {
    // For what it finds: all that is wrong with a cluster is told at once.
    readIdleTimeout(context, cluster);
    readCircuitBreakers(context, cluster);
    return undefined;
  }
  checkReachable(context, { transportSocketMatches }, discovery);
  return toModel(context, cluster, discovery, bridge, { ...(tls && { tls }), transportSocketMatches });
}

/** Nothing of a parked cluster runs but perhaps its endpoints (the control plane's), so only what is malformed matters. */
function readParkedCluster(context: Context, cluster: Cluster__Output): Cluster | undefined {
  const findings = newFindings();
  const discovery = readDiscovery({ ...context, findings }, cluster);
  context.findings.malformed.push(...findings.malformed);
  if (discovery === undefined || findings.unsupported.length > 0) return undefined;
  // Nothing connects to its hosts in the way that it says.
  return toModel({ ...context, findings }, cluster, discovery, undefined, { transportSocketMatches: [] });
}

function readCluster(cluster: Cluster__Output, context: Context, secrets: StaticSecrets): Cluster | undefined {
  checkKnownTransportSockets(context, cluster);
  return selectsBridge(context, cluster)
    ? readBridgeCluster(context, cluster, secrets)
    : readParkedCluster(context, cluster);
}

/**
 * CDS. A cluster without the bridge is parked whatever else it has; its model, if it can be made, says where its hosts are.
 * https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/cluster/v3/cluster.proto
 */
export function clusterResource(schema: Schema, secrets = noStaticSecrets): ResourceTranslator<Cluster> {
  const share = createClusterSharing();
  return {
    typeUrl: `type.googleapis.com/${typeName}`,
    nameOf: (bytes) => schema.decode<Cluster__Output>(typeName, bytes).name,
    translate: (bytes, origin) =>
      translateResource(schema, typeName, bytes, origin, (message: Cluster__Output, context) => {
        const cluster = readCluster(message, context, secrets);
        return cluster && share(cluster);
      }),
  };
}
