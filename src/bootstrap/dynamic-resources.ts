import type { Bootstrap, Node } from '../model/bootstrap.js';
import type { ApiSource } from '../model/config-source.js';
import type { Bootstrap__Output } from '../protobuf/generated/envoy/config/bootstrap/v3/Bootstrap.js';
import { readApiSource } from '../xds/resources/api-source.js';
import { readConfigSource } from '../xds/resources/config-source.js';
import { join } from '../xds/resources/findings.js';
import { clusterManagerSupport, dynamicResourcesSupport } from '../xds/resources/support/bootstrap.js';
import { checkFields } from '../xds/resources/support/check.js';
import type { Context } from '../xds/resources/translate.js';
import type { ControlPlanes } from './control-planes.js';

const adsPath = 'dynamic_resources.ads_config';

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

/** Where dynamic clusters and listeners come from: the aggregated stream, streams of their own, or files. */
export function readDynamicResources(
  context: Context,
  bootstrap: Bootstrap__Output,
  node: Node,
  controlPlanes: ControlPlanes,
): Pick<Bootstrap, 'ads' | 'cds' | 'lds'> {
  const dynamic = bootstrap.dynamic_resources;
  if (dynamic === null) return { ads: undefined, cds: undefined, lds: undefined };
  checkFields(dynamicResourcesSupport, dynamic, 'dynamic_resources', context.findings);
  const ads = dynamic.ads_config ? readApiSource(context, dynamic.ads_config, adsPath) : undefined;
  if (ads) controlPlanes.check(ads, adsPath);
  const [cds, lds] = (['cds_config', 'lds_config'] as const).map((field) => {
    const source = dynamic[field];
    if (source === null) return undefined;
    const path = `dynamic_resources.${field}`;
    if (source.ads && dynamic.ads_config === null)
      context.findings.malformed.push({
        path: join(path, 'ads'),
        message: 'needs dynamic_resources.ads_config',
      });
    const read = readConfigSource(context, source, path);
    if (read?.kind === 'api') controlPlanes.check(read, join(path, 'api_config_source'));
    return read;
  });
  const streams = [cds, lds].some((source) => source !== undefined && source.kind !== 'path');
  if (dynamic.ads_config !== null || streams) checkNode(context, node);
  return { ads, cds, lds };
}

/** Who gets load reports. Envoy asks only the first service, too. */
export function readLoadReporting(
  context: Context,
  bootstrap: Bootstrap__Output,
  node: Node,
  controlPlanes: ControlPlanes,
): ApiSource | undefined {
  const manager = bootstrap.cluster_manager;
  if (manager === null) return undefined;
  checkFields(clusterManagerSupport, manager, 'cluster_manager', context.findings);
  if (manager.load_stats_config === null) return undefined;
  const path = 'cluster_manager.load_stats_config';
  const source = readApiSource(context, manager.load_stats_config, path);
  if (source === undefined) return undefined;
  if (source.services.length > 1)
    context.findings.warnings.push({
      path: join(path, 'grpc_services'),
      message: 'load is reported to the first; the others are ignored',
    });
  if (source.rateLimit !== undefined)
    context.findings.warnings.push({
      path: join(path, 'rate_limit_settings'),
      message: 'is ignored: the server says how often load is reported',
    });
  controlPlanes.check(source, path);
  checkNode(context, node);
  return source;
}
