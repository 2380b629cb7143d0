import type { Timer } from '../clock.js';
import type { Cluster } from '../model/cluster.js';
import type { LoadAssignment } from '../model/endpoint.js';
import type { Resource } from '../model/verdict.js';
import type { StatsScope } from '../stats/store.js';
import type { Secrets } from '../tls/secrets.js';
import { ClusterBreakers, type Priority, type ResourceLimit } from './circuit-breakers.js';
import type { ClusterFollowers } from './cluster-followers.js';
import type { AcquireOptions, Acquisition, ActiveCluster, Pin, Pipeline } from './cluster-manager.js';
import { type ClusterStats, clusterStats } from './cluster-stats.js';
import { type ClusterTls, createClusterTls } from './cluster-tls.js';
import { ClusterTraffic, type TrafficContext } from './cluster-traffic.js';
import type { PoolCallbacks } from './connection.js';
import { ConnectionRequest } from './connection-request.js';
import { type Host, type HostStats, healthOf } from './host.js';
import type { HostSource, HostSourceCallbacks, UpdateOutcome } from './host-source.js';
import { multiplexingStats } from './multiplexing-stats.js';
import { reconcileHosts } from './reconcile-hosts.js';
import type { SharingOptions } from './shared-pool.js';

/** What all versions of all clusters share. */
export interface VersionContext<P extends Pipeline> extends TrafficContext {
  readonly secrets: Secrets;
  /** undefined: this process serves. */
  readonly followers: ClusterFollowers<P> | undefined;
  readonly callbacks: VersionCallbacks<P>;
}

export interface VersionOptions<P extends Pipeline> {
  readonly resource: Resource<Cluster>;
  readonly config: Cluster;
  readonly pipeline: P;
  readonly source: HostSource;
  /** `cluster.STAT_NAME`, removed with this version. */
  readonly scope: StatsScope;
}

export interface VersionCallbacks<P extends Pipeline> {
  onWarm(version: ClusterVersion<P>): void;
  /** The followers are about to be told of it. */
  onHandOver(version: ClusterVersion<P>): void;
  onHostsChanged(): void;
  /** See `overdue`. */
  onOverdue(version: ClusterVersion<P>): void;
  onClosed(version: ClusterVersion<P>): void;
}

type State =
  | { readonly kind: 'warming' }
  /** It has its hosts, and the followers are told. */
  | { readonly kind: 'handing_over' }
  | { readonly kind: 'active' }
  /** Replaced or removed; `timer` is the end of its drain time. */
  | { readonly kind: 'draining'; readonly timer: Timer }
  | { readonly kind: 'closed' };

const warming: State = { kind: 'warming' };
const handingOver: State = { kind: 'handing_over' };
const active: State = { kind: 'active' };
const closed: State = { kind: 'closed' };

const outcomeStats = {
  success: 'updateSuccess',
  failure: 'updateFailure',
  empty: 'updateEmpty',
  rejected: 'updateRejected',
  timeout: 'updateTimeout',
} as const satisfies Record<Exclude<UpdateOutcome, 'fixed'>, keyof ClusterStats>;

const noAssignment: LoadAssignment = { clusterName: '', localities: [], overprovisioningFactor: 140 };
const noStats = (): undefined => undefined;

/**
 * One version of a cluster: its hosts, limits and the pipeline that it runs on. warming → (handing_over →) active → draining → closed,
 * or from warming straight to closed. Closed, it holds nothing any more. What drains is held by a running exchange each, so that there are
 * never more draining versions than exchanges.
 */
export class ClusterVersion<P extends Pipeline> implements ActiveCluster<P>, HostSourceCallbacks {
  readonly config: Cluster;
  readonly pipeline: P;
  readonly stats: StatsScope;
  /** The resource as it was last sent; one with another meaning makes another version. */
  resource: Resource<Cluster>;
  readonly #context: VersionContext<P>;
  readonly #source: HostSource;
  readonly #madeMs: number;
  readonly #stats: ClusterStats;
  readonly #breakers: ClusterBreakers;
  readonly #sharing: SharingOptions | undefined;
  readonly #tls: ClusterTls;
  /** Only while warming: versions must not hold on to all that came before them. */
  #previous: ClusterVersion<P> | undefined;
  #assignment = noAssignment;
  #hostCount = 0;
  /** The hosts of `#assignment`. Of an active version they are kept once they were wanted; until then nothing is counted of them. */
  #hosts: readonly Host[] | undefined;
  #hostsWanted = false;
  /** Made with the first request. */
  #traffic: ClusterTraffic | undefined;
  /** What the followers serve under the cluster's name. */
  #followed = false;
  #state = warming;

  /** `previous` is the version that this one follows: its hosts' statistics go on. */
  constructor(
    { resource, config, pipeline, source, scope }: VersionOptions<P>,
    context: VersionContext<P>,
    previous: ClusterVersion<P> | undefined,
  ) {
    this.config = config;
    this.pipeline = pipeline;
    this.stats = scope;
    this.resource = resource;
    this.#context = context;
    this.#source = source;
    this.#madeMs = context.clock.now();
    this.#stats = scope.group(clusterStats);
    this.#breakers = new ClusterBreakers(config.circuitBreakers, scope);
    this.#sharing = pipeline.frames && { protocol: pipeline.frames, sharing: scope.group(multiplexingStats) };
    this.#tls = createClusterTls(config, context.secrets, scope, () => this.#onSecretsChanged());
    this.#previous = previous;
  }

  get version(): string {
    return this.resource.version;
  }

  get lastUpdated(): Date {
    return new Date(this.#madeMs);
  }

  /** From now on they are kept: something may be counted of them. */
  get hosts(): readonly Host[] {
    this.#hostsWanted = true;
    this.#hosts ??= this.#makeHosts(noStats);
    return this.#hosts;
  }

  /** For a look at them. */
  get shownHosts(): readonly Host[] {
    return this.#hosts ?? this.#makeHosts(noStats);
  }

  /** Those of which something may have been counted. */
  get countedHosts(): readonly Host[] {
    return (this.#hostsWanted && this.#hosts) || [];
  }

  get hostCount(): number {
    return this.#hostCount;
  }

  get overprovisioningFactor(): number {
    return this.#assignment.overprovisioningFactor;
  }

  get resolved(): HostSource['resolved'] {
    return this.#source.resolved;
  }

  showWarming(warming: boolean): void {
    this.#stats.set('warmingState', warming ? 1 : 0);
  }

  waitingFor(): readonly string[] {
    if (this.#state.kind === 'handing_over') return ['workers'];
    return [...this.#source.waitingFor(), ...this.#tls.waitingFor(this.#hosts ?? [])];
  }

  /** All that it still waits for did not come in time: nothing else should wait for it any more. */
  get overdue(): boolean {
    if (this.#state.kind !== 'warming' || !this.#source.isWarm) return false;
    const hosts = this.#hosts ?? [];
    return this.#tls.waitingFor(hosts).length > 0 && this.#tls.isOverdue(hosts);
  }

  get followed(): boolean {
    return this.#followed;
  }

  /** The followers serve it from now on; `served` is called when all of them do. */
  follow(served: () => void): void {
    const { config, version, pipeline } = this;
    this.#followed = true;
    this.#context.followers?.serve({ config, version, pipeline, hosts: this.#assignment }, served);
  }

  /** The followers serve another version now. */
  unfollow(): void {
    this.#followed = false;
  }

  /** Starts learning hosts. `onWarm` comes later, or, where all is known already, before this returns. */
  start(): void {
    this.#source.start(this);
    this.#checkWarm();
  }

  activate(): void {
    this.#state = active;
    this.#takeOver();
    this.#breakers.show(true);
    this.#showMembership(this.#hosts ?? []);
    this.#forgetUnwanted();
  }

  /** Hosts of which something was counted in the version before go on with that. */
  #takeOver(): void {
    const before = this.#previous;
    this.#previous = undefined;
    if (before === undefined || !before.#hostsWanted) return;
    const known = new Map(before.hosts.map((host) => [host.key, host]));
    this.#hosts = this.#makeHosts((key) => known.get(key)?.stats);
    this.#hostsWanted = true;
  }

  /** Lets what runs on it finish, for at most `ms`, and closes it then. A version that never served closes at once. */
  drain(ms: number): void {
    if (this.#state.kind === 'draining' || this.#state.kind === 'closed') return;
    this.#followed = false;
    this.#breakers.show(false);
    this.#source.stop();
    this.#previous = undefined;
    if (this.#traffic === undefined) {
      this.#close();
      return;
    }
    const timer = this.#context.clock.setTimeout(() => this.#onDrainTimeout(), ms);
    this.#state = { kind: 'draining', timer };
    this.#traffic.drain();
    this.#checkDrained();
  }

  pin(exchange: Pin): void {
    this.#trafficOf().pins.add(exchange);
  }

  unpin(exchange: Pin): void {
    if (this.#traffic?.pins.delete(exchange)) this.#checkDrained();
  }

  acquire(priority: Priority, callbacks: PoolCallbacks, options?: AcquireOptions): Acquisition {
    const request = new ConnectionRequest(priority, options, callbacks, this.#context.log);
    if (this.#state.kind === 'closed') request.fail({ kind: 'cluster_removed' });
    else this.#trafficOf().dispatch(request);
    return request;
  }

  retries(priority: Priority): ResourceLimit {
    return this.#breakers.of(priority).retries;
  }

  onAttempt(): void {
    this.#stats.add('updateAttempt', 1);
  }

  onOutcome(outcome: UpdateOutcome, assignment: LoadAssignment | undefined): void {
    if (outcome !== 'fixed') this.#stats.add(outcomeStats[outcome], 1);
    if (assignment) this.#setAssignment(assignment);
    this.#checkWarm();
  }

  #trafficOf(): ClusterTraffic {
    if (this.#traffic === undefined) {
      this.#traffic = new ClusterTraffic({
        config: this.config,
        stats: this.#stats,
        breakers: this.#breakers,
        tls: this.#tls,
        sharing: this.#sharing,
        context: this.#context,
        onShrunk: () => this.#checkDrained(),
      });
      this.#traffic.setHosts(this.hosts, this.overprovisioningFactor);
    }
    return this.#traffic;
  }

  #makeHosts(statsOf: (key: string) => HostStats | undefined): readonly Host[] {
    return reconcileHosts([], this.#assignment, this.config.discovery, statsOf).hosts;
  }

  #setAssignment(assignment: LoadAssignment): void {
    const before = this.#assignment;
    const previous = this.#hosts ?? this.#makeHosts(noStats);
    const { hosts, removed, added, changed } = reconcileHosts(previous, assignment, this.config.discovery, (key) =>
      this.#traffic?.knownStats(key),
    );
    // Also where it means the same: it is the one that others have now, too.
    this.#assignment = assignment;
    if (!changed && assignment.overprovisioningFactor === before.overprovisioningFactor) {
      this.#stats.add('updateNoRebuild', 1);
      return;
    }
    this.#hosts = hosts;
    this.#hostCount = hosts.length;
    if (added > 0 || removed.length > 0) this.#stats.add('membershipChange', 1);
    if (this.#state.kind === 'active') this.#showMembership(hosts);
    this.#traffic?.setHosts(hosts, assignment.overprovisioningFactor, removed);
    if (this.#followed) this.#context.followers?.setHosts(this.config.name, assignment);
    this.#context.callbacks.onHostsChanged();
    this.#forgetUnwanted();
  }

  /** A hundred thousand hosts are much to keep where few are used. */
  #forgetUnwanted(): void {
    if (this.#state.kind === 'active' && !this.#hostsWanted) this.#hosts = undefined;
  }

  #onSecretsChanged(): void {
    if (this.#state.kind !== 'warming') return;
    this.#checkWarm();
    if (this.overdue) this.#context.callbacks.onOverdue(this);
  }

  #showMembership(hosts: readonly Host[]): void {
    const count = { healthy: 0, degraded: 0, unhealthy: 0 };
    for (const host of hosts) count[healthOf(host)]++;
    this.#stats.set('membershipTotal', hosts.length);
    this.#stats.set('membershipHealthy', count.healthy);
    this.#stats.set('membershipDegraded', count.degraded);
    const weight = hosts.reduce((max, host) => Math.max(max, host.weight), 1);
    this.#stats.set('maxHostWeight', weight);
  }

  #checkWarm(): void {
    if (this.#state.kind !== 'warming' || !this.#source.isWarm) return;
    if (this.#tls.waitingFor(this.#hosts ?? []).length > 0) return;
    const { callbacks, followers } = this.#context;
    if (followers === undefined) {
      callbacks.onWarm(this);
      return;
    }
    this.#state = handingOver;
    callbacks.onHandOver(this);
    this.follow(() => {
      if (this.#state.kind === 'handing_over') callbacks.onWarm(this);
    });
  }

  #checkDrained(): void {
    if (this.#state.kind === 'draining' && this.#traffic?.quiet !== false) this.#close();
  }

  #onDrainTimeout(): void {
    const { log } = this.#context;
    const late = this.#traffic?.pins.toArray() ?? [];
    if (late.length > 0) {
      this.#stats.rqDrainTimeout.value += late.length;
      log.warn(
        {
          cluster: this.config.name,
          version: this.version,
          exchanges: late.length,
        },
        'drain time is over: resetting the exchanges that still run on a replaced version of the cluster',
      );
    }
    for (const exchange of late) {
      try {
        exchange.onDrainTimeout();
      } catch (error) {
        log.error({ err: error, cluster: this.config.name }, 'an exchange failed while it was reset');
      }
    }
    // Whoever did not let go does not keep the version.
    this.#close();
  }

  #close(): void {
    const state = this.#state;
    if (state.kind === 'closed') return;
    this.#state = closed;
    if (state.kind === 'draining') state.timer.cancel();
    this.#traffic?.destroy();
    this.#tls.close();
    this.pipeline.release();
    this.stats.remove();
    this.#context.callbacks.onClosed(this);
  }
}
