import type { JudgedBridge } from '../bridge/prepared-bridge.js';
import type { Bootstrap } from '../model/bootstrap.js';
import type { Cluster } from '../model/cluster.js';
import type { ConfigSource } from '../model/config-source.js';
import type { FilterChain, Listener } from '../model/listener.js';
import { sdsSecrets } from '../model/tls.js';
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

/** A source that a resource names, and what it wants of it. */
export interface NamedSource {
  readonly kind: 'endpoints' | 'routes' | 'secrets';
  readonly name: string;
  readonly source: ConfigSource;
  readonly path: string;
}

function withSources<T>(
  type: ResourceType<T>,
  known: Known,
  sourcesOf: (model: T) => readonly NamedSource[],
): ResourceType<T> {
  return {
    ...type,
    async judge(resource): Promise<Verdict<T>> {
      const verdict = await type.judge(resource);
      if (verdict.kind !== 'active') return verdict;
      const problems = sourcesOf(verdict.model).flatMap(({ source, path }) => problemsOf(source, path, known));
      if (problems.length === 0) return verdict;
      type.discard?.(verdict.model);
      return { kind: 'rejected', problems };
    },
  };
}

/** Of a transport socket. Those of transport_socket_matches may be for hosts that never come. */
function secretSources({ tls }: Pick<Cluster | FilterChain, 'tls'>): NamedSource[] {
  const secrets = tls ? sdsSecrets(tls) : [];
  return secrets.map(({ name, source }) => ({
    kind: 'secrets',
    name,
    source,
    path: `transport_socket (secret ${name}).sds_config`,
  }));
}

/** Where a cluster's endpoints and secrets come from. */
export function sourcesOfCluster({ cluster }: Pick<JudgedCluster<JudgedBridge>, 'cluster'>): NamedSource[] {
  const { discovery } = cluster;
  const endpoints: NamedSource[] = [];
  if (discovery.type === 'EDS') {
    const { serviceName: name, source } = discovery;
    endpoints.push({ kind: 'endpoints', name, source, path: 'eds_cluster_config.eds_config' });
  }
  return [...endpoints, ...secretSources(cluster)];
}

/** Where a listener's routes and secrets come from. */
export function sourcesOfListener(listener: Listener): NamedSource[] {
  return listener.filterChains.flatMap((chain) => {
    const { routes } = chain.httpConnectionManager;
    const followed: NamedSource[] = [];
    if (routes.kind === 'rds') {
      const { name, source } = routes;
      followed.push({ kind: 'routes', name, source, path: 'rds.config_source' });
    }
    return [...followed, ...secretSources(chain)];
  });
}

/** Types that reject clusters and listeners whose endpoints, routes and secrets nobody could bring. */
export function checkSources<B extends JudgedBridge>(types: ResourceTypes<B>, known: Known): ResourceTypes<B> {
  return {
    ...types,
    clusters: withSources(types.clusters, known, sourcesOfCluster),
    listeners: withSources(types.listeners, known, sourcesOfListener),
  };
}
