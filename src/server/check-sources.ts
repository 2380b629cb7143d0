import type { JudgedBridge } from '../bridge/prepared-bridge.js';
import type { Bootstrap } from '../model/bootstrap.js';
import type { ConfigSource } from '../model/config-source.js';
import type { Listener } from '../model/listener.js';
import type { Problem, Verdict } from '../model/verdict.js';
import type { ResourceType } from '../xds/resource-type.js';
import type { JudgedCluster, ResourceTypes } from './resource-types.js';

type Known = Pick<Bootstrap, 'ads' | 'grpcClusters'>;

/** What keeps resources from coming from a source that a resource of a control plane names. */
function problemsOf(source: ConfigSource, path: string, { ads, grpcClusters }: Known): Problem[] {
  if (source.kind === 'ads' && ads === undefined)
    return [{ path: `${path}.ads`, message: 'needs dynamic_resources.ads_config in the bootstrap' }];
  if (source.kind !== 'api') return [];
  return source.services.flatMap(({ target }, index) => {
    if (target.kind !== 'cluster' || grpcClusters.has(target.clusterName)) return [];
    const allowed = [...grpcClusters.keys()].join(', ') || 'none';
    return [
      {
        path: `${path}.api_config_source.grpc_services[${index}].envoy_grpc.cluster_name`,
        message: `${target.clusterName} is not a static cluster that can be a control plane; allowed are: ${allowed}`,
      },
    ];
  });
}

function withSource<T>(
  type: ResourceType<T>,
  known: Known,
  sourceOf: (model: T) => { readonly source: ConfigSource; readonly path: string } | undefined,
): ResourceType<T> {
  return {
    ...type,
    async judge(resource): Promise<Verdict<T>> {
      const verdict = await type.judge(resource);
      if (verdict.kind !== 'active') return verdict;
      const named = sourceOf(verdict.model);
      const problems = named ? problemsOf(named.source, named.path, known) : [];
      if (problems.length === 0) return verdict;
      type.discard?.(verdict.model);
      return { kind: 'rejected', problems };
    },
  };
}

function sourceOfCluster({ cluster: { discovery } }: JudgedCluster<JudgedBridge>) {
  return discovery.type === 'EDS' ? { source: discovery.source, path: 'eds_cluster_config.eds_config' } : undefined;
}

function sourceOfListener({ httpConnectionManager: { routes } }: Listener) {
  return routes.kind === 'rds' ? { source: routes.source, path: 'rds.config_source' } : undefined;
}

/** Types that reject clusters and listeners whose endpoints and routes nobody could bring. */
export function checkSources<B extends JudgedBridge>(types: ResourceTypes<B>, known: Known): ResourceTypes<B> {
  return {
    ...types,
    clusters: withSource(types.clusters, known, sourceOfCluster),
    listeners: withSource(types.listeners, known, sourceOfListener),
  };
}
