import { type AdminEndpoint, text } from '../admin/endpoint.js';
import type { BridgeRuntime, PreparedBridge } from '../bridge/prepared-bridge.js';
import type { Logger } from '../log.js';
import { describeProblems } from '../model/verdict.js';
import type { ClusterManager } from '../upstream/cluster-manager.js';

export interface BridgeReloadOptions {
  readonly clusters: ClusterManager<PreparedBridge>;
  readonly runtime: BridgeRuntime;
  readonly log: Logger;
}

/** Looks at every running bridge's library file again; one that changed is judged and swapped like a changed cluster. */
export function createBridgeReload({ clusters, runtime, log }: BridgeReloadOptions): () => Promise<void> {
  async function reload(name: string): Promise<void> {
    const found = clusters.lookup(name);
    if (found.kind !== 'active') return;
    const { config, libraryHash } = found.cluster.pipeline;
    const hash = await runtime.currentHash(config);
    if (hash === undefined || hash === libraryHash) return;
    const prepared = await runtime.prepare(config);
    if (!prepared.ok) {
      log.error(
        { cluster: name },
        `the new library was refused, the old one goes on: ${describeProblems(prepared.problems)}`,
      );
      return;
    }
    // The cluster may have changed while its library was judged: then that change has looked at the file itself.
    const status = clusters.snapshot().find((candidate) => candidate.name === name);
    if (status?.active?.config.bridge !== config) return prepared.bridge.release();
    clusters.setCluster(status.active.resource, prepared.bridge, status.origin);
    log.info({ cluster: name, library: config.libraryPath }, 'library reloaded');
  }
  return async () => {
    for (const { name, active } of clusters.snapshot()) if (active) await reload(name);
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
