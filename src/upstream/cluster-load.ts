import type { Locality } from '../model/endpoint.js';
import type { Counter } from '../stats/store.js';
import type { ClusterStatus } from './cluster-manager.js';
import type { Host, HostStats } from './host.js';

/** Requests since they were taken the last time, and those that run now. */
export interface Load {
  readonly success: number;
  readonly error: number;
  readonly inProgress: number;
  readonly issued: number;
}

/** What one locality of one priority did. Its endpoints are those of which there is something to tell. */
export interface LocalityLoad extends Load {
  readonly locality: Locality;
  readonly priority: number;
  readonly endpoints: readonly (Load & { readonly host: Host })[];
}

export interface ClusterLoad {
  /** In the order of priorities; those of which there is something to tell. */
  readonly localities: readonly LocalityLoad[];
  readonly dropped: number;
  /** Takes it: what comes later begins here. Until then the same is read again, and more. */
  take(): void;
}

/** Counts the load of clusters piece by piece, each request once, without touching what /clusters shows. */
export interface ClusterLoads {
  /** What was counted before is nobody's business. */
  begin(status: ClusterStatus): void;
  /** Since `begin` or the last `take`; without either, since the cluster is there. */
  read(status: ClusterStatus): ClusterLoad;
  forget(name: string): void;
}

type Taken = Pick<Load, 'success' | 'error' | 'issued'>;

const takenOf = ({ rqSuccess, rqError, rqTotal }: HostStats): Taken => ({
  success: rqSuccess,
  error: rqError,
  issued: rqTotal,
});

/** Hosts of one key share what is counted; it belongs to the first. */
function distinct(hosts: readonly Host[]): Host[] {
  const first = new Map<HostStats, Host>();
  for (const host of hosts) if (!first.has(host.stats)) first.set(host.stats, host);
  return [...first.values()];
}

const isSomething = ({ success, error, inProgress, issued }: Load) => success + error + inProgress + issued > 0;

function sum(loads: readonly Load[]): Load {
  const total = (field: keyof Load) => loads.reduce((all, load) => all + load[field], 0);
  return { success: total('success'), error: total('error'), inProgress: total('inProgress'), issued: total('issued') };
}

export interface ClusterLoadsOptions {
  /** What counts the requests of a cluster that its circuit breakers refused. */
  droppedOf(status: ClusterStatus): Readonly<Pick<Counter, 'value'>> | undefined;
  /** Hosts that left their cluster are still counted until their last request ended. Those of workers are not. */
  readonly countsHostsThatLeft: boolean;
}

export function createClusterLoads({ droppedOf, countsHostsThatLeft }: ClusterLoadsOptions): ClusterLoads {
  /** By what a host counts, which outlives its updates. */
  const taken = new WeakMap<HostStats, Taken>();
  const takenDrops = new WeakMap<object, number>();
  /** By cluster: the hosts that were there when load was taken. */
  const known = new Map<string, readonly Host[]>();

  /** Hosts of the cluster, and those that left it since and still have something to tell. */
  function hostsOf(status: ClusterStatus): Host[] {
    const hosts = distinct(status.countedHosts);
    const here = new Set(hosts.map(({ stats }) => stats));
    const gone = known.get(status.name)?.filter(({ stats }) => !here.has(stats)) ?? [];
    return [...hosts, ...gone];
  }
  function loadOf({ stats }: Host): Load {
    const before = taken.get(stats);
    return {
      success: stats.rqSuccess - (before?.success ?? 0),
      error: stats.rqError - (before?.error ?? 0),
      inProgress: stats.rqActive,
      issued: stats.rqTotal - (before?.issued ?? 0),
    };
  }

  return {
    begin(status) {
      const hosts = distinct(status.countedHosts);
      for (const { stats } of hosts) taken.set(stats, takenOf(stats));
      known.set(status.name, hosts);
      const drops = droppedOf(status);
      if (drops) takenDrops.set(drops, drops.value);
    },
    read(status) {
      const hosts = hostsOf(status);
      const here = new Set(status.countedHosts);
      const groups = new Map<string, { host: Host; loads: (Load & { host: Host })[] }>();
      const seen = hosts.map((host) => ({ host, now: takenOf(host.stats), load: loadOf(host) }));
      for (const { host, load } of seen) {
        if (!isSomething(load)) continue;
        const { region, zone, subZone } = host.locality;
        const key = JSON.stringify([host.priority, region, zone, subZone]);
        const group = groups.get(key) ?? { host, loads: [] };
        groups.set(key, group);
        group.loads.push({ ...load, host });
      }
      const drops = droppedOf(status);
      const droppedNow = drops?.value ?? 0;
      return {
        localities: [...groups.values()]
          .sort((a, b) => a.host.priority - b.host.priority)
          .map(({ host: { locality, priority }, loads }) => ({ locality, priority, ...sum(loads), endpoints: loads })),
        dropped: droppedNow - ((drops && takenDrops.get(drops)) ?? 0),
        take() {
          for (const { host, now } of seen) taken.set(host.stats, now);
          const kept = seen.filter(({ host, load }) => here.has(host) || (countsHostsThatLeft && load.inProgress > 0));
          known.set(
            status.name,
            kept.map(({ host }) => host),
          );
          if (drops) takenDrops.set(drops, droppedNow);
        },
      };
    },
    forget: (name) => void known.delete(name),
  };
}
