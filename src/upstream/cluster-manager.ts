import type { Cluster } from '../model/cluster.js';
import type { ConfigSource } from '../model/config-source.js';
import type { LoadAssignment } from '../model/endpoint.js';
import type { Resource } from '../model/verdict.js';
import type { StatsStore } from '../stats/store.js';
import type { ResourceLimit } from './circuit-breakers.js';
import type { PoolCallbacks } from './connection.js';
import type { FrameProtocol } from './frame-protocol.js';
import type { Host } from './host.js';
import type { Listed } from './swap-list.js';

/** What a cluster's version runs on besides its configuration (the prepared bridge): opaque here, released when its last exchange ended. */
export interface Pipeline {
  /** All that `Cluster.bridge` means (library, plugin, parsed configuration): pipelines with the same id can stand for each other. */
  readonly id: string;
  /** How its exchanges share connections; without it each has one to itself. */
  readonly frames?: FrameProtocol | undefined;
  release(): void;
}

/** An exchange that runs on a version of a cluster. */
export interface Pin extends Listed {
  /** Aborts it: the drain time is over. */
  onDrainTimeout(): void;
}

/**
 * One version of a cluster that serves. An exchange pins it for as long as it lasts, so that a replaced version drains:
 * `pin` when the exchange begins, in the same turn of the event loop as `lookup`, and `unpin` exactly once when it ended.
 */
export interface ActiveCluster<P extends Pipeline> {
  readonly config: Cluster;
  readonly version: string;
  readonly pipeline: P;
  /** The cluster's scope, `cluster.NAME`: forgotten with its last version. */
  readonly stats: StatsStore;
  pin(exchange: Pin): void;
  unpin(exchange: Pin): void;
  /**
   * Chooses a host and gets a connection to it. `onReady` or `onFailure` comes later, once; `cancel` stops it (a no-op afterwards).
   * Works for a pinned version also while it drains.
   */
  acquire(priority: 'default' | 'high', callbacks: PoolCallbacks, options?: AcquireOptions): Acquisition;
  /** The circuit breaker of retries: counted by whoever makes them. Pinned or not. */
  retries(priority: 'default' | 'high'): ResourceLimit;
}

/** A connection on its way. */
export interface Acquisition {
  /** `onReady` or `onFailure` comes in this turn of the event loop. */
  readonly decided: boolean;
  cancel(): void;
}

export interface AcquireOptions {
  /** Not a connection that was pooled before, because one of them just turned out to be stale. */
  readonly freshOnly: boolean;
  /** Not a share of one. */
  readonly exclusive: boolean;
  /** Large, so that it had rather be written as it comes: where connections are shared it gets one that is its alone until it is written, if there may be one. */
  readonly streamed?: boolean;
  /** Hosts that a retry had rather not meet again. */
  readonly avoid?: AvoidedHosts | undefined;
}

export interface AvoidedHosts {
  /** Their keys. */
  readonly keys: ReadonlySet<string>;
  /** How many more times to choose when one of them was chosen; the last choice counts. */
  readonly attempts: number;
}

/** What a route's cluster name leads to. `parked` and `warming` (first version not warm yet) have no hosts to serve. */
export type ClusterLookup<P extends Pipeline> =
  | { readonly kind: 'active'; readonly cluster: ActiveCluster<P> }
  | { readonly kind: 'parked'; readonly reason: string }
  | { readonly kind: 'warming' }
  | { readonly kind: 'unknown' };

export type Origin = 'static' | 'dynamic';

/** Why there is no (new) load assignment. All but `disconnected` are answers: what waits for endpoints goes on with those that it has. */
export type NoAssignment = 'does_not_exist' | 'timed_out' | 'rejected' | 'disconnected';

/** Config in (add, remove, endpoints), active clusters out. */
export interface ClusterManager<P extends Pipeline> {
  lookup(name: string): ClusterLookup<P>;
  /**
   * Adds or changes a cluster: warms it (endpoints, DNS) and then swaps it in; the old version drains. The manager owns one use of `pipeline`.
   * The same meaning (equal model, equal pipeline identity) changes nothing but the version that is shown.
   * A resource that is parked (or has no pipeline) replaces what runs under its name, too. A dynamic resource never replaces a static one.
   */
  setCluster(resource: Resource<Cluster>, pipeline: P | undefined, origin: Origin): void;
  /** Its exchanges finish. A static cluster stays. */
  removeCluster(name: string): void;
  /** What came of EDS, for every cluster with that service name from that source; without one, from any. */
  setLoadAssignment(serviceName: string, answer: LoadAssignment | NoAssignment, source?: ConfigSource): void;
  /** Whether a cluster has a version on its way that should be waited for: what it lacks may still come in time. */
  readonly isWarming: boolean;
  /** For /clusters, /config_dump and /init_dump. */
  snapshot(): readonly ClusterStatus[];
  /** As `snapshot`, but each is made when its turn comes, which may be much later. */
  statuses(): Iterable<ClusterStatus>;
  status(name: string): ClusterStatus | undefined;
  /** Stops DNS, closes idle connections, drains the rest. Resolves when nothing is left or the drain time is over. Lookups find nothing any more. */
  close(): Promise<void>;
}

export interface VersionStatus {
  readonly resource: Resource<Cluster>;
  readonly lastUpdated: Date;
}

export interface ClusterStatus {
  readonly name: string;
  readonly origin: Origin;
  /** The version that serves, if any. */
  readonly active:
    | (VersionStatus & {
        readonly config: Cluster;
        readonly overprovisioningFactor: number;
      })
    | undefined;
  /** The version on its way, and what it waits for. */
  readonly warming: (VersionStatus & { readonly waitingFor: readonly string[] }) | undefined;
  readonly parked: (VersionStatus & { readonly reason: string }) | undefined;
  /** How many replaced versions still have exchanges. */
  readonly draining: number;
  /** Those of the version that serves, for whoever counts something of them: made, and kept, when they are first asked for. */
  readonly hosts: readonly Host[];
  /** The same for whoever only looks: where nothing was counted they are made for this one look. */
  readonly shownHosts: readonly Host[];
  /** The same; none where nobody asked for them yet, so that nothing was counted of them. */
  readonly countedHosts: readonly Host[];
}
