import type { AdsConfig, Bootstrap, Node } from '../model/bootstrap.js';
import type { Cluster } from '../model/cluster.js';
import type { Resource } from '../model/verdict.js';
import type { Bootstrap__Output } from '../protobuf/generated/envoy/config/bootstrap/v3/Bootstrap.js';
import type { Cluster__Output } from '../protobuf/generated/envoy/config/cluster/v3/Cluster.js';
import type { ApiConfigSource__Output } from '../protobuf/generated/envoy/config/core/v3/ApiConfigSource.js';
import type { GrpcService__Output } from '../protobuf/generated/envoy/config/core/v3/GrpcService.js';
import { readConfigSource } from '../xds/resources/config-source.js';
import { join } from '../xds/resources/findings.js';
import {
  adsSupport,
  dynamicResourcesSupport,
  envoyGrpcSupport,
  grpcServiceSupport,
} from '../xds/resources/support/bootstrap.js';
import { checkFields } from '../xds/resources/support/check.js';
import type { Context } from '../xds/resources/translate.js';
import { isPlainText } from '../xds/resources/transport-socket.js';

const adsPath = 'dynamic_resources.ads_config';
const whatIsSupported =
  'one grpc_services entry with envoy_grpc, whose cluster is a static, plain-text cluster with endpoints';

function hasEndpoints(cluster: Cluster): boolean {
  return (
    cluster.discovery.type !== 'EDS' && cluster.discovery.loadAssignment.localities.some((l) => l.endpoints.length > 0)
  );
}

/** What keeps a static cluster from being the control plane's. */
function unusable(
  context: Context,
  message: Cluster__Output,
  resource: Resource<Cluster>,
): { path: string; message: string } | undefined {
  const { verdict } = resource;
  if (verdict.kind === 'rejected') return undefined;
  if (verdict.kind === 'active')
    return {
      path: 'upstream_config',
      message: 'the control plane speaks gRPC, so its cluster must not have the bridge',
    };
  if (isPlainText(context, message.transport_socket, 'transport_socket') === false)
    return {
      path: 'transport_socket',
      message: 'TLS to the control plane is not supported yet; remove it to connect in plain text',
    };
  if (message.transport_socket_matches.length > 0)
    return {
      path: 'transport_socket_matches',
      message: 'not supported for the control plane; remove them to connect in plain text',
    };
  if (verdict.model === undefined || !hasEndpoints(verdict.model))
    return {
      path: 'load_assignment',
      message: 'the control plane needs a cluster of type STATIC, STRICT_DNS or LOGICAL_DNS with an endpoint',
    };
  return undefined;
}

function checkControlPlaneCluster(
  context: Context,
  name: string,
  path: string,
  bootstrap: Bootstrap__Output,
  clusters: readonly Resource<Cluster>[],
): void {
  const index = clusters.findIndex((cluster) => cluster.name === name);
  const resource = clusters[index];
  const message = bootstrap.static_resources?.clusters[index];
  if (resource === undefined || message === undefined) {
    const known = clusters.map((cluster) => cluster.name).join(', ') || 'none';
    context.findings.malformed.push({
      path,
      message: `unknown cluster ${name}; allowed are the static clusters (${known})`,
    });
    return;
  }
  const found = unusable(context, message, resource);
  if (found !== undefined)
    context.findings.malformed.push({
      path: `static_resources.clusters[${index}].${found.path}`,
      message: found.message,
    });
}

function readInitialMetadata(service: GrpcService__Output): AdsConfig['initialMetadata'] {
  return service.initial_metadata.map(({ key, value, raw_value }) => ({
    key,
    value: value || raw_value.toString('latin1'),
  }));
}

function readVariant(context: Context, config: ApiConfigSource__Output): AdsConfig['variant'] {
  if (config.api_type === 'DELTA_GRPC') return 'DELTA';
  if (config.api_type !== 'GRPC')
    context.findings.malformed.push({
      path: join(adsPath, 'api_type'),
      message: `${config.api_type} is not supported; allowed are GRPC and DELTA_GRPC`,
    });
  return 'SOTW';
}

function readAds(
  context: Context,
  config: ApiConfigSource__Output,
  bootstrap: Bootstrap__Output,
  clusters: readonly Resource<Cluster>[],
): AdsConfig | undefined {
  const { findings } = context;
  checkFields(adsSupport, config, adsPath, findings);
  const variant = readVariant(context, config);
  if (config.transport_api_version !== 'V3')
    findings.malformed.push({
      path: join(adsPath, 'transport_api_version'),
      message: `${config.transport_api_version} is not supported; allowed is V3`,
    });
  const [service, ...others] = config.grpc_services;
  const path = join(adsPath, 'grpc_services[0]');
  if (service === undefined || others.length > 0) {
    findings.malformed.push({
      path: join(adsPath, 'grpc_services'),
      message: `has ${config.grpc_services.length} entries; allowed is ${whatIsSupported}`,
    });
    return undefined;
  }
  checkFields(grpcServiceSupport, service, path, findings);
  if (!service.envoy_grpc) return undefined;
  checkFields(envoyGrpcSupport, service.envoy_grpc, join(path, 'envoy_grpc'), findings);
  const clusterName = service.envoy_grpc.cluster_name;
  checkControlPlaneCluster(context, clusterName, join(path, 'envoy_grpc.cluster_name'), bootstrap, clusters);
  return {
    variant,
    clusterName,
    initialMetadata: readInitialMetadata(service),
    setNodeOnFirstMessageOnly: config.set_node_on_first_message_only,
  };
}

/** A control plane has to know who asks. */
function checkNode(context: Context, node: Node): void {
  for (const [field, flag] of [
    ['id', '--service-node'],
    ['cluster', '--service-cluster'],
  ] as const)
    if (node[field] === '')
      context.findings.malformed.push({
        path: `node.${field}`,
        message: `is required with a control plane; set it or use ${flag}`,
      });
}

/** Where dynamic clusters and listeners come from: one aggregated stream. */
export function readDynamicResources(
  context: Context,
  bootstrap: Bootstrap__Output,
  node: Node,
  clusters: readonly Resource<Cluster>[],
): Pick<Bootstrap, 'ads' | 'cds' | 'lds'> {
  const dynamic = bootstrap.dynamic_resources;
  if (dynamic === null) return { ads: undefined, cds: undefined, lds: undefined };
  checkFields(dynamicResourcesSupport, dynamic, 'dynamic_resources', context.findings);
  const ads = dynamic.ads_config ? readAds(context, dynamic.ads_config, bootstrap, clusters) : undefined;
  const [cds, lds] = (['cds_config', 'lds_config'] as const).map((field) => {
    const source = dynamic[field];
    if (source === null) return undefined;
    const path = `dynamic_resources.${field}`;
    if (source.ads && dynamic.ads_config === null)
      context.findings.malformed.push({
        path: join(path, 'ads'),
        message: 'needs dynamic_resources.ads_config',
      });
    return readConfigSource(context, source, path);
  });
  if (dynamic.ads_config !== null || cds !== undefined || lds !== undefined) checkNode(context, node);
  return { ads, cds, lds };
}
