import type { ReadTexts, TextReadout } from '../admin/stats.js';
import type { JudgedBridge } from '../bridge/prepared-bridge.js';
import type { ListenerManager } from '../listener/listener-manager.js';
import type { ClusterManager } from '../upstream/cluster-manager.js';
import type { ResourceType } from '../xds/resource-type.js';
import type { DynamicConfig } from './dynamic-config.js';
import type { ResourceTypes } from './resource-types.js';

const inName = (name: string) => name.replaceAll(':', '_');

/**
 * The versions of all that control planes gave, as text: `cluster_manager.cds.version_text` and so on, under Envoy's names. Put together
 * when they are asked for, because every cluster has one.
 */
export function createTextReadouts(options: {
  readonly types: { readonly [K in keyof ResourceTypes<never>]: Pick<ResourceType<never>, 'typeUrl' | 'statPrefix'> };
  readonly dynamic: DynamicConfig;
  readonly clusters: Pick<ClusterManager<JudgedBridge>, 'statuses'>;
  readonly listeners: Pick<ListenerManager, 'snapshot'>;
}): ReadTexts {
  const { types, dynamic, clusters, listeners } = options;
  const versionsOf = ({ typeUrl }: { readonly typeUrl: string }): ReadonlyMap<string, string> =>
    new Map(Array.from(dynamic.client.states(typeUrl), ({ name, version }) => [name, version]));

  function* wholeTypes(): Generator<TextReadout> {
    for (const { statPrefix, typeUrl } of [types.clusters, types.listeners])
      yield { name: `${statPrefix}.version_text`, value: dynamic.client.version(typeUrl) ?? '' };
  }
  function* endpoints(): Generator<TextReadout | undefined> {
    for (const { name, active } of clusters.statuses()) {
      yield undefined;
      if (active?.config.discovery.type !== 'EDS') continue;
      const value = dynamic.client.versionOf(types.endpoints.typeUrl, active.config.discovery.serviceName);
      yield { name: `cluster.${inName(name)}.version_text`, value };
    }
  }
  function* routes(): Generator<TextReadout> {
    const versions = versionsOf(types.routes);
    const told = new Set<string>();
    const chains = listeners.snapshot().flatMap(({ active }) => {
      const verdict = active?.resource.verdict;
      return verdict?.kind === 'active' ? verdict.model.filterChains : [];
    });
    for (const { httpConnectionManager } of chains) {
      const { statPrefix, routes: wanted } = httpConnectionManager;
      if (wanted.kind !== 'rds') continue;
      const name = `http.${statPrefix}.rds.${inName(wanted.name)}.version_text`;
      if (told.has(name)) continue;
      told.add(name);
      yield { name, value: versions.get(wanted.name) ?? '' };
    }
  }
  function* secrets(): Generator<TextReadout> {
    for (const [name, value] of versionsOf(types.secrets)) yield { name: `sds.${inName(name)}.version_text`, value };
  }
  return function* all(prefix) {
    yield* wholeTypes();
    if (prefix.startsWith('cluster.') || 'cluster.'.startsWith(prefix)) yield* endpoints();
    yield* routes();
    yield* secrets();
  };
}
