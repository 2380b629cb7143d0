import type { WorkersSource } from '../admin/workers.js';
import type { BridgeJudge, JudgedBridge } from '../bridge/prepared-bridge.js';
import type { ChainRoutes } from '../listener/route-provider.js';
import type { ListenerServing } from '../listener/serving.js';
import type { Logging } from '../log.js';
import type { FilterChain, Listener } from '../model/listener.js';
import type { RouteTable } from '../routing/route-table.js';
import type { GivenSecret } from '../tls/given-secrets.js';
import type { ClusterFollowers } from '../upstream/cluster-followers.js';
import type { ClusterManager } from '../upstream/cluster-manager.js';
import type { RolledBack } from './roll-back.js';
import type { SubscribeRoutes } from './route-configs.js';

/**
 * Who serves what this process decides: this process itself (`local-plane.ts`) or workers (`workers/worker-plane.ts`). Everything else of the
 * server is the same for both.
 */
export interface Plane<B extends JudgedBridge> {
  readonly judge: BridgeJudge<B>;
  readonly followers: ClusterFollowers<B> | undefined;
  /** Called once, with the manager that decides. */
  serveWith(clusters: ClusterManager<B>): {
    readonly serving: ListenerServing;
    handler(listener: Listener, chain: FilterChain, current: () => RouteTable | undefined): ChainRoutes['handle'];
    /** What configuration is given to, in place of the manager. */
    readonly clusters: ClusterManager<B>;
  };
  /** Sees every secret that is used, when it came or changed; undefined: when nobody uses it any more. */
  readonly followSecret: ((key: string, secret: GivenSecret | undefined) => void) | undefined;
  /** Sees the route configurations that listeners follow. */
  followRoutes(subscribe: SubscribeRoutes): SubscribeRoutes;
  /** Levels that are changed through it are changed wherever something is logged. */
  readonly logging: Logging;
  reopenLogs(): void;
  /** Brings the statistics up to date. undefined: they always are. */
  readonly collect: (() => Promise<void>) | undefined;
  /** The cluster's version that was taken out of service because it ended processes. */
  rolledBack(clusterName: string): RolledBack | undefined;
  /** Takes versions that were taken back into service again, where their libraries have changed since. */
  retryRolledBack(): Promise<void>;
  /** undefined: this process serves. */
  readonly workers: WorkersSource | undefined;
  /** What is decided before it resolves is carried out by then. */
  start(): Promise<void>;
  /** When listeners and clusters have ended. */
  close(): Promise<void>;
}
