import type { Clock } from '../clock.js';
import type { Logger } from '../log.js';
import type { Cluster } from '../model/cluster.js';
import type { AdoptSocket } from '../sockets/stream-socket.js';
import type { ClusterBreakers, Priority } from './circuit-breakers.js';
import type { AvoidedHosts, Pin } from './cluster-manager.js';
import type { ClusterStats } from './cluster-stats.js';
import type { ClusterTls } from './cluster-tls.js';
import type { ConnectionRequest } from './connection-request.js';
import type { Host, HostStats } from './host.js';
import { HostPool } from './host-pool.js';
import { LoadBalancer } from './lb/load-balancer.js';
import type { Pool, PoolContext } from './pool-accounts.js';
import { SharedPool, type SharingOptions } from './shared-pool.js';
import { SwapList } from './swap-list.js';

export interface TrafficContext {
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  readonly adoptSocket: AdoptSocket;
}

export interface TrafficOptions {
  readonly config: Cluster;
  readonly stats: ClusterStats;
  readonly breakers: ClusterBreakers;
  readonly tls: ClusterTls;
  /** undefined: each exchange has a connection to itself. */
  readonly sharing: SharingOptions | undefined;
  readonly context: TrafficContext;
  /** A request or a connection went away. */
  readonly onShrunk: () => void;
}

/** Of one priority, by the hosts' keys. */
interface Pools {
  readonly context: PoolContext;
  readonly byHost: Map<string, Pool>;
}

/**
 * What requests need of one version of a cluster: whose turn it is, connections, and who uses them. Made with the first request: most of ten
 * thousand clusters are never used.
 */
export class ClusterTraffic {
  /** Exchanges that run on the version. */
  readonly pins = new SwapList<Pin>();
  readonly #options: TrafficOptions;
  readonly #lb: LoadBalancer;
  /** Made with a priority's first request. */
  readonly #pools: { [P in Priority]?: Pools } = {};
  #hosts: readonly Host[] = [];
  /** Made when it is asked for. */
  #hostKeys: ReadonlySet<string> | undefined;
  #draining = false;

  constructor(options: TrafficOptions) {
    this.#options = options;
    this.#lb = new LoadBalancer({ random: options.context.random, stats: options.stats });
  }

  /** Nothing uses it and nothing waits for it. */
  get quiet(): boolean {
    return this.pins.size === 0 && this.#allPools().every((pool) => pool.quiet);
  }

  /** `removed`: the keys of hosts that were there before and are no longer. */
  setHosts(hosts: readonly Host[], overprovisioningFactor: number, removed: readonly string[] = []): void {
    this.#hosts = hosts;
    this.#hostKeys = undefined;
    this.#lb.update(hosts, overprovisioningFactor);
    for (const { byHost } of Object.values(this.#pools)) {
      for (const host of hosts) this.#serveHost(byHost, host);
      for (const key of removed) this.#removeHost(byHost, key);
    }
  }

  /** What was counted of a host that has a pool, perhaps one that was removed. */
  knownStats(key: string): HostStats | undefined {
    const pool = this.#pools.default?.byHost.get(key) ?? this.#pools.high?.byHost.get(key);
    return pool?.host.stats;
  }

  dispatch(request: ConnectionRequest): void {
    const host = this.#pick(request.avoid);
    if (host) {
      this.#poolOf(host, request.priority).add(request);
    } else {
      this.#options.stats.cxNoneHealthy.value++;
      request.fail({ kind: 'no_healthy_upstream' });
    }
  }

  drain(): void {
    this.#draining = true;
    for (const pool of this.#allPools()) pool.drain();
  }

  destroy(): void {
    this.pins.clear();
    for (const pool of this.#allPools()) pool.destroy({ kind: 'cluster_removed' });
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
      if (this.#draining) pool.drain();
      byHost.set(host.key, pool);
    }
    return pool;
  }

  #contextOf(priority: Priority): PoolContext {
    const { config, stats, breakers, tls, context } = this.#options;
    return {
      stats,
      clock: context.clock,
      log: context.log,
      connectTimeoutMs: config.connectTimeoutMs,
      idleTimeoutMs: config.idleTimeoutMs,
      bufferLimitBytes: config.perConnectionBufferLimitBytes,
      breakers: breakers.of(priority),
      adoptSocket: context.adoptSocket,
      tlsOf: (host) => tls.of(host),
      onShrunk: (pool) => this.#onPoolShrunk(pool, priority),
    };
  }

  #makePool(host: Host, context: PoolContext): Pool {
    const { sharing } = this.#options;
    return sharing === undefined ? new HostPool(host, context) : new SharedPool(host, context, sharing);
  }

  #allPools(): Pool[] {
    return Object.values(this.#pools).flatMap(({ byHost }) => [...byHost.values()]);
  }

  /** What was connected in another way must not serve the host any more. */
  #serveHost(pools: Map<string, Pool>, host: Host): void {
    const pool = pools.get(host.key);
    const { tls } = this.#options;
    if (pool && tls.of(pool.host) !== tls.of(host)) this.#removeHost(pools, host.key);
    pools.get(host.key)?.serve(host);
  }

  #removeHost(pools: Map<string, Pool>, key: string): void {
    const pool = pools.get(key);
    if (!pool) return;
    // Who waits for a host that is gone goes to another one; where there is none, it is still the best chance.
    const moved = this.#hosts.length > 0 ? pool.takePending() : [];
    pool.drain();
    for (const request of moved) this.dispatch(request);
    if (pool.empty) pools.delete(key);
  }

  #onPoolShrunk(pool: Pool, priority: Priority): void {
    if (pool.empty && !this.#hasHost(pool.host.key)) this.#pools[priority]?.byHost.delete(pool.host.key);
    this.#options.onShrunk();
  }

  #hasHost(key: string): boolean {
    this.#hostKeys ??= new Set(this.#hosts.map((host) => host.key));
    return this.#hostKeys.has(key);
  }
}
