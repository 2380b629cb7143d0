import { type AdminEndpoint, text } from '../admin/endpoint.js';
import type { BridgeJudge, JudgedBridge } from '../bridge/prepared-bridge.js';
import type { Logger } from '../log.js';
import { describeProblems } from '../model/verdict.js';
import type { ClusterManager, ClusterStatus } from '../upstream/cluster-manager.js';

export interface BridgeReloadOptions<B extends JudgedBridge> {
  readonly clusters: ClusterManager<B>;
  readonly judge: BridgeJudge<B>;
  readonly log: Logger;
  /** Its newest version was taken out of service: it is not for us to bring it back. */
  readonly isRolledBack: (clusterName: string) => boolean;
}

/** The cluster may change again and again while its library is judged. */
const mostAttempts = 5;

/** Looks at every running bridge's library file again; one that changed is judged and swapped like a changed cluster. */
export function createBridgeReload<B extends JudgedBridge>(options: BridgeReloadOptions<B>): () => Promise<void> {
  const { clusters, judge, log, isRolledBack } = options;

  function hashOf(name: string): string | undefined {
    const found = clusters.lookup(name);
    return found.kind === 'active' ? found.cluster.pipeline.libraryHash : undefined;
  }

  /** `changed`: the cluster has another version now, which may not have seen the file as it is. */
  async function take(status: ClusterStatus): Promise<'done' | 'changed'> {
    const { name, origin, warming } = status;
    const resource = (warming ?? status.active)?.resource;
    const config = resource?.verdict.kind === 'active' ? resource.verdict.model.bridge : undefined;
    if (!resource || !config) return 'done';
    // A library that can't be read or bundled has no hash: preparing it tells why.
    if (!warming && (await judge.currentHash(config)) === hashOf(name)) return 'done';
    const prepared = await judge.prepare(config);
    if (!prepared.ok) {
      const problems = describeProblems(prepared.problems);
      log.error({ cluster: name }, `the new library was refused, the old one goes on: ${problems}`);
      return 'done';
    }
    const now = clusters.status(name);
    if ((now?.warming ?? now?.active)?.resource !== resource) {
      prepared.bridge.release();
      return 'changed';
    }
    clusters.setCluster(resource, prepared.bridge, origin);
    log.info({ cluster: name, library: config.libraryPath }, 'library reloaded');
    return 'done';
  }

  async function reload(first: ClusterStatus): Promise<void> {
    let status: ClusterStatus | undefined = first;
    for (let attempt = 1; status && attempt <= mostAttempts; attempt++) {
      if ((await take(status)) === 'done') return;
      status = clusters.status(first.name);
    }
    if (status) log.warn({ cluster: first.name }, 'the cluster changed while its library was judged: reload it again');
  }

  return async () => {
    for (const status of clusters.snapshot()) if (!isRolledBack(status.name)) await reload(status);
  };
}

/** POST /bridges/reload */
export function reloadEndpoint(reload: () => Promise<void>): AdminEndpoint {
  return {
    path: '/bridges/reload',
    method: 'POST',
    help: 'look at the files of plugin libraries again and take those that changed',
    handle() {
      void reload();
      return text('OK\n');
    },
  };
}
