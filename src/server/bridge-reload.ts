import { type AdminEndpoint, text } from '../admin/endpoint.js';
import type { BridgeRuntime, PreparedBridge } from '../bridge/prepared-bridge.js';
import type { Logger } from '../log.js';
import { describeProblems } from '../model/verdict.js';
import type { ClusterManager, ClusterStatus } from '../upstream/cluster-manager.js';

export interface BridgeReloadOptions {
  readonly clusters: ClusterManager<PreparedBridge>;
  readonly runtime: BridgeRuntime;
  readonly log: Logger;
}

/** Looks at every running bridge's library file again; one that changed is judged and swapped like a changed cluster. */
export function createBridgeReload({ clusters, runtime, log }: BridgeReloadOptions): () => Promise<void> {
  async function reload({ name, origin, active }: ClusterStatus): Promise<void> {
    const found = clusters.lookup(name);
    if (found.kind !== 'active' || !active) return;
    const { pipeline } = found.cluster;
    const { config, libraryHash } = pipeline;
    // A library that can't be read or bundled has no hash: preparing it tells why.
    if ((await runtime.currentHash(config)) === libraryHash) return;
    const prepared = await runtime.prepare(config);
    if (!prepared.ok) {
      log.error(
        { cluster: name },
        `the new library was refused, the old one goes on: ${describeProblems(prepared.problems)}`,
      );
      return;
    }
    // The cluster may have changed while its library was judged: then that change has looked at the file itself.
    const now = clusters.lookup(name);
    if (now.kind !== 'active' || now.cluster.pipeline !== pipeline) return prepared.bridge.release();
    clusters.setCluster(active.resource, prepared.bridge, origin);
    log.info({ cluster: name, library: config.libraryPath }, 'library reloaded');
  }
  return async () => {
    for (const status of clusters.snapshot()) await reload(status);
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
