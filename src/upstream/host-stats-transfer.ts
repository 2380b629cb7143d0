import type { ClusterStatus } from './cluster-manager.js';
import { countedOf, type Host, type HostStats } from './host.js';

const counterFields = ['cxConnectFail', 'cxTotal', 'rqError', 'rqSuccess', 'rqTimeout', 'rqTotal'] as const;
const gaugeFields = ['cxActive', 'rqActive'] as const;
const fields = [...counterFields, ...gaugeFields] as const;

/** One host's numbers: plain data for another process. */
export interface HostReport {
  readonly key: string;
  /** Of the object that counts: another one for a host that was gone and came back, which begins at zero. */
  readonly id: number;
  /** Cumulative, in the order of `fields`. */
  readonly values: readonly number[];
}

/** All hosts of which anything was counted. */
export interface HostStatsReport {
  readonly clusters: readonly { readonly name: string; readonly hosts: readonly HostReport[] }[];
}

export interface HostStatsExporter {
  report(): HostStatsReport;
}

export interface HostStatsImporter {
  /** Takes a worker's report into the statistics of this process's hosts; of hosts that are not here nothing is kept. */
  apply(worker: number, report: HostStatsReport): void;
  /** The worker ended: what it had in progress is over, what it counted stays. Its number must not come again. */
  forget(worker: number): void;
}

/** What was taken from a worker for one host. */
interface Taken {
  readonly id: number;
  readonly into: HostStats;
  readonly values: readonly number[];
}

/**
 * A worker's side: the numbers of its hosts, as /clusters shows them.
 *
 * @param statuses the clusters that run now
 */
export function createHostStatsExporter(statuses: () => readonly ClusterStatus[]): HostStatsExporter {
  const ids = new WeakMap<HostStats, number>();
  let lastId = 0;

  function reportOf({ key, stats }: Host): HostReport {
    let id = ids.get(stats);
    if (id === undefined) {
      id = ++lastId;
      ids.set(stats, id);
    }
    return { key, id, values: fields.map((field) => stats[field]) };
  }
  return {
    report() {
      const clusters = statuses().map(({ name, countedHosts }) => {
        // Hosts of one key share their statistics.
        const counted = new Map(countedHosts.map((host) => [host.key, host]));
        const used = [...counted.values()].filter((host) => fields.some((field) => countedOf(host)[field] !== 0));
        const reports = used.map(reportOf);
        return { name, hosts: reports };
      });
      return { clusters: clusters.filter(({ hosts }) => hosts.length > 0) };
    },
  };
}

/** What was in progress is over. */
function endProgress(taken: Taken): Taken {
  const values = [...taken.values];
  for (const field of gaugeFields) {
    const index = fields.indexOf(field);
    taken.into[field] -= values[index] ?? 0;
    values[index] = 0;
  }
  return { ...taken, values };
}

/** Adds to `into` what came since `before`, which was taken into the same. */
function take({ id, values }: HostReport, into: HostStats, before: Taken | undefined): Taken {
  const counted = before?.id === id ? before.values : undefined;
  if (before && !counted) endProgress(before);
  for (const [index, field] of fields.entries()) into[field] += (values[index] ?? 0) - (counted?.[index] ?? 0);
  return { id, into, values };
}

/** One cluster of one worker. What is in `before` for hosts that are not here any more is dropped. */
function takeCluster(
  reports: readonly HostReport[],
  hosts: readonly Host[],
  before: ReadonlyMap<string, Taken> | undefined,
): ReadonlyMap<string, Taken> {
  const reported = new Map(reports.map((report) => [report.key, report]));
  const taken = new Map<string, Taken>();
  for (const host of hosts) {
    const { key } = host;
    if (taken.has(key) || !(before?.has(key) || reported.has(key))) continue;
    const { stats: into } = host;
    const known = before?.get(key);
    const same = known?.into === into ? known : undefined;
    const report = reported.get(key);
    // A host that the worker has no more may come back there with its numbers.
    const next = report ? take(report, into, same) : same && endProgress(same);
    if (next) taken.set(key, next);
  }
  return taken;
}

/**
 * The side that shows: its hosts' statistics become what all workers counted.
 *
 * @param statuses the clusters that run now
 */
export function createHostStatsImporter(statuses: () => readonly ClusterStatus[]): HostStatsImporter {
  /** Per worker, by cluster and host: no more than there are hosts. */
  const workers = new Map<number, ReadonlyMap<string, ReadonlyMap<string, Taken>>>();

  return {
    apply(worker, { clusters }) {
      const before = workers.get(worker);
      const reports = new Map(clusters.map(({ name, hosts }) => [name, hosts]));
      const taken = new Map<string, ReadonlyMap<string, Taken>>();
      for (const status of statuses()) {
        const { name } = status;
        const known = before?.get(name);
        const reported = reports.get(name);
        if (!known && !reported) continue;
        const ofCluster = takeCluster(reported ?? [], status.hosts, known);
        if (ofCluster.size > 0) taken.set(name, ofCluster);
      }
      workers.set(worker, taken);
    },
    forget(worker) {
      for (const hosts of workers.get(worker)?.values() ?? []) for (const one of hosts.values()) endProgress(one);
      workers.delete(worker);
    },
  };
}
