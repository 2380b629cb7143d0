import type { Clock, Timer } from '../clock.js';
import type { Logger } from '../log.js';
import type { Cluster } from '../model/cluster.js';
import type { Resource } from '../model/verdict.js';
import type { AdoptSocket } from '../sockets/stream-socket.js';
import type { StatsScope, StatsStore } from '../stats/store.js';
import { ClusterBreakers, type Priority, type ResourceLimit } from './circuit-breakers.js';
import { type ClusterFollowers, specOf } from './cluster-followers.js';
import type { AcquireOptions, Acquisition, ActiveCluster, AvoidedHosts, Pin, Pipeline } from './cluster-manager.js';
import { type ClusterStats, clusterStats } from './cluster-stats.js';
import type { ClusterTls } from './cluster-tls.js';
import type { PoolCallbacks } from './connection.js';
import { ConnectionRequest } from './connection-request.js';
import { type Host, type HostStats, healthOf, reconcileHosts } from './host.js';
import { HostPool } from './host-pool.js';
import type { HostSource, HostUpdate, UpdateOutcome } from './host-source.js';
import { LoadBalancer } from './lb/load-balancer.js';
import { multiplexingStats } from './multiplexing-stats.js';
import type { Pool, PoolContext } from './pool-accounts.js';
import { SharedPool, type SharingOptions } from './shared-pool.js';
import { SwapList } from './swap-list.js';

export interface VersionOptions<P extends Pipeline> extends VersionCallbacks<P> {
  readonly resource: Resource<Cluster>;
  readonly config: Cluster;
  readonly pipeline: P;
  readonly source: HostSource;
  readonly tls: (onChange: () => void) => ClusterTls;
  /** `cluster.STAT_NAME`, removed with this version. */
  readonly scope: StatsScope;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  readonly adoptSocket: AdoptSocket;
  /** undefined: this process serves. */
  readonly followers: ClusterFollowers<P> | undefined;
}

export interface VersionCallbacks<P extends Pipeline> {
  onWarm(version: ClusterVersion<P>): void;
  /** The followers are about to be told of it. */
  onHandOver(version: ClusterVersion<P>): void;
  onHostsChanged(): void;
  /** See `overdue`. */
  onOverdue(): void;
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

/** Of one priority, by the hosts' keys. */
interface Pools {
  readonly context: PoolContext;
  readonly byHost: Map<string, Pool>;
}

const outcomeStats = {
  success: 'updateSuccess',
  failure: 'updateFailure',
  empty: 'updateEmpty',
  rejected: 'updateRejected',
  timeout: 'updateTimeout',
} as const satisfies Record<Exclude<UpdateOutcome, 'fixed'>, keyof ClusterStats>;

/**
 * One version of a cluster: its hosts, pools, limits and the pipeline that it runs on. warming → (handing_over →) active → draining → closed,
 * or from warming straight to closed. Closed, it holds nothing any more. What drains is held by a running exchange each, so that there are
 * never more draining versions than exchanges.
 */
export class ClusterVersion<P extends Pipeline> implements ActiveCluster<P> {
  readonly config: Cluster;
  readonly pipeline: P;
  readonly lastUpdated: Date;
  readonly stats: StatsStore;
  /** The resource as it was last sent; one with another meaning makes another version. */
  resource: Resource<Cluster>;
  readonly #options: VersionOptions<P>;
  readonly #stats: ClusterStats;
  readonly #breakers: ClusterBreakers;
  /** Made with a priority's first request: most of ten thousand clusters are never used. */
  readonly #pools: { [P in Priority]?: Pools } = {};
  readonly #sharing: SharingOptions | undefined;
  readonly #tls: ClusterTls;
  readonly #lb: LoadBalancer;
  readonly #pins = new SwapList<Pin>();
  /** Only while warming: versions must not hold on to all that came before them. */
  #previous: ClusterVersion<P> | undefined;
  #hosts: readonly Host[] = [];
  /** Made when it is asked for. */
  #hostsByKey: ReadonlyMap<string, Host> | undefined;
  #overprovisioningFactor = 140;
  /** What the followers serve under the cluster's name. */
  #followed = false;
  #state: State = { kind: 'warming' };

  /** `previous` is the version that this one follows: its hosts' statistics go on. */
  constructor(options: VersionOptions<P>, previous: ClusterVersion<P> | undefined) {
    const { config, scope, clock, random } = options;
    this.#options = options;
    this.config = config;
    this.pipeline = options.pipeline;
    this.resource = options.resource;
    this.stats = scope;
    this.#previous = previous;
    this.lastUpdated = new Date(clock.now());
    this.#stats = scope.group(clusterStats);
    this.#breakers = new ClusterBreakers(config.circuitBreakers, scope);
    this.#tls = options.tls(() => this.#onSecretsChanged());
    const protocol = options.pipeline.frames;
    this.#sharing = protocol && { protocol, sharing: scope.group(multiplexingStats) };
    this.#lb = new LoadBalancer({ random, stats: this.#stats });
  }

  get version(): string {
    return this.resource.version;
  }

  get hosts(): readonly Host[] {
    return this.#hosts;
  }

  get overprovisioningFactor(): number {
    return this.#overprovisioningFactor;
  }

  get resolved(): HostSource['resolved'] {
    return this.#options.source.resolved;
  }

  showWarming(warming: boolean): void {
    this.#stats.set('warmingState', warming ? 1 : 0);
  }

  waitingFor(): readonly string[] {
    if (this.#state.kind === 'handing_over') return ['workers'];
    return [...this.#options.source.waitingFor(), ...this.#tls.waitingFor(this.#hosts)];
  }

  /** All that it still waits for did not come in time: nothing else should wait for it any more. */
  get overdue(): boolean {
    if (this.#state.kind !== 'warming' || this.#options.source.waitingFor().length > 0) return false;
    return this.#tls.waitingFor(this.#hosts).length > 0 && this.#tls.isOverdue(this.#hosts);
  }

  get followed(): boolean {
    return this.#followed;
  }

  /** The followers serve it from now on; `served` is called when all of them do. */
  follow(served: () => void): void {
    const { config, pipeline, followers } = this.#options;
    this.#followed = true;
    followers?.serve({ config, version: this.version, pipeline, hosts: this.#hostUpdate() }, served);
  }

  /** The followers serve another version now. */
  unfollow(): void {
    this.#followed = false;
  }

  /** Starts learning hosts. `onWarm` comes later, or, where all is known already, before this returns. */
  start(): void {
    this.#options.source.start({
      onAttempt: () => this.#stats.add('updateAttempt', 1),
      onOutcome: (outcome, update) => this.#onOutcome(outcome, update),
    });
    this.#checkWarm();
  }

  activate(): void {
    this.#state = { kind: 'active' };
    this.#previous = undefined;
    this.#breakers.show(true);
    this.#showMembership();
  }

  /** Lets what runs on it finish, for at most `ms`, and closes it then. A version that never served closes at once. */
  drain(ms: number): void {
    if (this.#state.kind === 'draining' || this.#state.kind === 'closed') return;
    this.#followed = false;
    this.#breakers.show(false);
    this.#options.source.stop();
    this.#previous = undefined;
    const timer = this.#options.clock.setTimeout(() => this.#onDrainTimeout(), ms);
    this.#state = { kind: 'draining', timer };
    for (const pool of this.#allPools()) pool.drain();
    this.#checkDrained();
  }

  pin(exchange: Pin): void {
    this.#pins.add(exchange);
  }

  unpin(exchange: Pin): void {
    if (this.#pins.delete(exchange)) this.#checkDrained();
  }

  acquire(priority: Priority, callbacks: PoolCallbacks, options?: AcquireOptions): Acquisition {
    const request = new ConnectionRequest(priority, options, callbacks, this.#options.log);
    this.#dispatch(request);
    return request;
  }

  retries(priority: Priority): ResourceLimit {
    return this.#breakers.of(priority).retries;
  }

  #dispatch(request: ConnectionRequest): void {
    if (this.#state.kind === 'closed') {
      request.fail({ kind: 'cluster_removed' });
      return;
    }
    const host = this.#pick(request.avoid);
    if (host) {
      this.#poolOf(host, request.priority).add(request);
    } else {
      this.#stats.cxNoneHealthy.value++;
      request.fail({ kind: 'no_healthy_upstream' });
    }
  }

  #pick(avoid: AvoidedHosts | undefined): Host | undefined {
    let host = this.#lb.pick();
    for (let left = avoid?.attempts ?? 0; left > 0 && host && avoid?.keys.has(host.key); left--) host = this.#lb.pick();
    return host;
  }

  #poolOf(host: Host, priority: Priority): Pool {
    this.#pools[priority] ??= { context: this.#contextOf(priority), byHost: new Map() };
    const { context, byHost } = this.#pools[priority];
    let pool = byHost.get(host.key);
    if (!pool) {
      pool = this.#makePool(host, context);
      if (this.#state.kind === 'draining') pool.drain();
      byHost.set(host.key, pool);
    }
    return pool;
  }

  #contextOf(priority: Priority): PoolContext {
    const { clock, log, adoptSocket } = this.#options;
    const { connectTimeoutMs, idleTimeoutMs, perConnectionBufferLimitBytes } = this.config;
    return {
      stats: this.#stats,
      clock,
      log,
      connectTimeoutMs,
      idleTimeoutMs,
      bufferLimitBytes: perConnectionBufferLimitBytes,
      breakers: this.#breakers.of(priority),
      adoptSocket,
      tlsOf: (host) => this.#tls.of(host),
      onShrunk: (pool) => this.#onPoolShrunk(pool, priority),
    };
  }

  #makePool(host: Host, context: PoolContext): Pool {
    const sharing = this.#sharing;
    return sharing === undefined ? new HostPool(host, context) : new SharedPool(host, context, sharing);
  }

  #allPools(): Pool[] {
    return Object.values(this.#pools).flatMap(({ byHost }) => [...byHost.values()]);
  }

  #onOutcome(outcome: UpdateOutcome, update: HostUpdate | undefined): void {
    if (outcome !== 'fixed') this.#stats.add(outcomeStats[outcome], 1);
    if (update) this.#setHosts(update);
    this.#checkWarm();
  }

  #setHosts({ hosts: specs, overprovisioningFactor }: HostUpdate): void {
    const { hosts, removed, added, changed } = reconcileHosts(this.#hosts, specs, (key) => this.#knownStats(key));
    if (!changed && overprovisioningFactor === this.#overprovisioningFactor) {
      this.#stats.add('updateNoRebuild', 1);
      return;
    }
    this.#hosts = hosts;
    this.#hostsByKey = undefined;
    this.#overprovisioningFactor = overprovisioningFactor;
    this.#lb.update(hosts, overprovisioningFactor);
    if (added > 0 || removed.length > 0) this.#stats.add('membershipChange', 1);
    if (this.#state.kind === 'active') this.#showMembership();
    for (const { byHost } of Object.values(this.#pools)) {
      for (const host of hosts) this.#serveHost(byHost, host);
      for (const key of removed) this.#removeHost(byHost, key);
    }
    if (this.#followed) this.#options.followers?.setHosts(this.config.name, this.#hostUpdate());
    this.#options.onHostsChanged();
  }

  /** What was connected in another way must not serve the host any more. */
  #serveHost(pools: Map<string, Pool>, host: Host): void {
    const pool = pools.get(host.key);
    if (pool && this.#tls.of(pool.host) !== this.#tls.of(host)) this.#removeHost(pools, host.key);
    pools.get(host.key)?.serve(host);
  }

  #onSecretsChanged(): void {
    if (this.#state.kind !== 'warming') return;
    this.#checkWarm();
    if (this.overdue) this.#options.onOverdue();
  }

  #hostUpdate(): HostUpdate {
    return { hosts: this.#hosts.map(specOf), overprovisioningFactor: this.#overprovisioningFactor };
  }

  #removeHost(pools: Map<string, Pool>, key: string): void {
    const pool = pools.get(key);
    if (!pool) return;
    // Who waits for a host that is gone goes to another one; where there is none, it is still the best chance.
    const moved = this.#hosts.length > 0 ? pool.takePending() : [];
    pool.drain();
    for (const request of moved) this.#dispatch(request);
    if (pool.empty) pools.delete(key);
  }

  #knownStats(key: string): HostStats | undefined {
    const pool = this.#pools.default?.byHost.get(key) ?? this.#pools.high?.byHost.get(key);
    return pool?.host.stats ?? this.#previous?.hostStats(key);
  }

  hostStats(key: string): HostStats | undefined {
    return this.#hostOf(key)?.stats;
  }

  #hostOf(key: string): Host | undefined {
    this.#hostsByKey ??= new Map(this.#hosts.map((host) => [host.key, host]));
    return this.#hostsByKey.get(key);
  }

  #showMembership(): void {
    const health = this.#hosts.map(healthOf);
    this.#stats.set('membershipTotal', health.length);
    this.#stats.set('membershipHealthy', health.filter((each) => each === 'healthy').length);
    this.#stats.set('membershipDegraded', health.filter((each) => each === 'degraded').length);
    this.#stats.set(
      'maxHostWeight',
      this.#hosts.reduce((max, host) => Math.max(max, host.weight), 1),
    );
  }

  #checkWarm(): void {
    if (this.#state.kind !== 'warming' || this.waitingFor().length > 0) return;
    if (this.#options.followers === undefined) {
      this.#options.onWarm(this);
      return;
    }
    this.#state = { kind: 'handing_over' };
    this.#options.onHandOver(this);
    this.follow(() => {
      if (this.#state.kind === 'handing_over') this.#options.onWarm(this);
    });
  }

  #onPoolShrunk(pool: Pool, priority: Priority): void {
    if (pool.empty && !this.#hostOf(pool.host.key)) this.#pools[priority]?.byHost.delete(pool.host.key);
    this.#checkDrained();
  }

  #checkDrained(): void {
    if (this.#state.kind !== 'draining' || this.#pins.size > 0) return;
    if (this.#allPools().every((pool) => pool.quiet)) this.#close();
  }

  #onDrainTimeout(): void {
    const late = this.#pins.toArray();
    if (late.length > 0) {
      this.#stats.rqDrainTimeout.value += late.length;
      this.#options.log.warn(
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
        this.#options.log.error({ err: error, cluster: this.config.name }, 'an exchange failed while it was reset');
      }
    }
    // Whoever did not let go does not keep the version.
    this.#close();
  }

  #close(): void {
    const state = this.#state;
    if (state.kind === 'closed') return;
    this.#state = { kind: 'closed' };
    if (state.kind === 'draining') state.timer.cancel();
    this.#pins.clear();
    for (const pool of this.#allPools()) pool.destroy({ kind: 'cluster_removed' });
    this.#tls.close();
    this.pipeline.release();
    this.#options.scope.remove();
    this.#options.onClosed(this);
  }
}
