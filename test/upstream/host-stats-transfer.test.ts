import { expect } from 'chai';
import fc from 'fast-check';
import type { ClusterStatus } from '../../src/upstream/cluster-manager.js';
import { type Host, type HostStats, newHostStats } from '../../src/upstream/host.js';
import {
  createHostStatsExporter,
  createHostStatsImporter,
  type HostStatsExporter,
  type HostStatsImporter,
} from '../../src/upstream/host-stats-transfer.js';

const newStats = (numbers: Partial<HostStats> = {}): HostStats => ({ ...newHostStats(), ...numbers });

/** What the transfer reads of a status. */
function status(name: string, hosts: Readonly<Record<string, HostStats>>): ClusterStatus {
  const all = Object.entries(hosts).map(([key, stats]): Host => ({ key, stats }) as unknown as Host);
  return { name, hosts: all, countedHosts: all } as unknown as ClusterStatus;
}

describe('statistics of hosts of several processes', () => {
  let importer: HostStatsImporter;
  let exporter: HostStatsExporter;
  /** What runs in the worker and here. */
  let thereRuns: readonly ClusterStatus[];
  let hereRuns: readonly ClusterStatus[];
  let here: HostStats;
  let there: HostStats;
  const take = (hosts: Record<string, HostStats> = { h: there }, into: Record<string, HostStats> = { h: here }) => {
    thereRuns = [status('a', hosts)];
    hereRuns = [status('a', into)];
    importer.apply(1, structuredClone(exporter.report()));
  };

  beforeEach(() => {
    importer = createHostStatsImporter(() => hereRuns);
    exporter = createHostStatsExporter(() => thereRuns);
    here = newStats();
    there = newStats({ cxTotal: 3, cxActive: 2, rqTotal: 5, rqSuccess: 4, rqError: 1, rqActive: 1 });
  });

  it('adds what every worker counted, once', () => {
    take();
    take();
    const other = [status('a', { h: newStats({ cxTotal: 10, cxActive: 1 }) })];
    importer.apply(2, createHostStatsExporter(() => other).report());
    expect(here).to.deep.equal(
      newStats({ cxTotal: 13, cxActive: 3, rqTotal: 5, rqSuccess: 4, rqError: 1, rqActive: 1 }),
    );
    there.cxActive--;
    there.rqTotal++;
    take();
    expect(here).to.deep.include({ cxActive: 2, rqTotal: 6 });
  });

  it('sends nothing of hosts of which nothing was counted, and those of one key once', () => {
    const { hosts } = status('a', { h: there });
    thereRuns = [status('idle', { h: newStats() }), { ...status('a', {}), countedHosts: [...hosts, ...hosts] }];
    const report = exporter.report();
    expect(report.clusters.map(({ name, hosts: sent }) => [name, sent.length])).to.deep.equal([['a', 1]]);
  });

  it('takes away what an ended worker had in progress, and nothing else', () => {
    take();
    importer.forget(1);
    importer.forget(1);
    expect(here).to.deep.equal(newStats({ cxTotal: 3, rqTotal: 5, rqSuccess: 4, rqError: 1 }));
  });

  it('goes on with a host that the worker had no more for a while', () => {
    take();
    take({});
    expect(here).to.deep.include({ cxActive: 0, cxTotal: 3 });
    take();
    expect(here).to.deep.include({ cxActive: 2, cxTotal: 3 });
  });

  it('adds all of a host that began anew in the worker', () => {
    take();
    take({ h: newStats({ cxTotal: 9, cxActive: 1 }) });
    expect(here).to.deep.include({ cxActive: 1, cxTotal: 12, rqTotal: 5 });
  });

  it('shows all that the worker has for a host that began anew here, and leaves the old one alone', () => {
    take();
    const next = newStats();
    there.cxTotal++;
    take({ h: there }, { h: next });
    expect(next).to.deep.include({ cxActive: 2, cxTotal: 4 });
    expect(here).to.deep.include({ cxTotal: 3 });
    importer.forget(1);
    expect(next).to.deep.include({ cxActive: 0, cxTotal: 4 });
  });

  it('leaves hosts alone that are not here any more', () => {
    take();
    there.cxTotal++;
    take({ h: there }, {});
    hereRuns = [];
    importer.apply(1, exporter.report());
    importer.forget(1);
    expect(here).to.deep.include({ cxTotal: 3, cxActive: 2 });
  });

  it('is the sum of all, in any order of events', () => {
    const kind = fc.constantFrom('begin', 'begin', 'end', 'report', 'report', 'anew', 'gone', 'die');
    const event = fc.tuple(kind, fc.nat({ max: 2 }), fc.constantFrom('h1', 'h2'));
    const sum = (field: 'rqTotal' | 'rqActive', of: Iterable<HostStats>): number =>
      [...of].reduce((total, { [field]: value }) => total + value, 0);
    fc.assert(
      fc.property(fc.array(event, { maxLength: 150, size: 'max' }), (events) => {
        const hosts = { h1: newStats(), h2: newStats() };
        let count = 0;
        hereRuns = [status('a', hosts)];
        const start = () => {
          const running = new Map<string, HostStats>();
          const reporter = createHostStatsExporter(() => [status('a', Object.fromEntries(running))]);
          return { number: ++count, exporter: reporter, hosts: running };
        };
        const workers = [start(), start(), start()];
        /** What was last told of every object that ever counted. */
        const told = new Map<HostStats, HostStats>();
        const report = (one: ReturnType<typeof start>): void => {
          importer.apply(one.number, structuredClone(one.exporter.report()));
          for (const object of one.hosts.values()) told.set(object, { ...object });
        };
        for (const [what, which, key] of events) {
          const one = workers[which] as ReturnType<typeof start>;
          const stats = one.hosts.get(key) ?? newStats();
          if (what === 'report') report(one);
          else if (what === 'gone') one.hosts.delete(key);
          else if (what === 'anew') one.hosts.set(key, newStats());
          else if (what === 'end') stats.rqActive = Math.max(0, stats.rqActive - 1);
          else if (what === 'die') {
            importer.forget(one.number);
            workers[which] = start();
          } else {
            stats.rqTotal++;
            stats.rqActive++;
            one.hosts.set(key, stats);
          }
        }
        for (const one of workers) report(one);
        const living = workers.flatMap((one) => [...one.hosts.values()]);
        expect(sum('rqTotal', Object.values(hosts))).to.equal(sum('rqTotal', told.values()));
        expect(sum('rqActive', Object.values(hosts))).to.equal(sum('rqActive', living));
        for (const one of workers) importer.forget(one.number);
        expect(sum('rqActive', Object.values(hosts))).to.equal(0);
      }),
      { numRuns: 300 },
    );
  });
});
