import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { adsBootstrap } from '../support/ads-bootstrap.js';
import { GoControlPlane } from '../support/go-control-plane.js';
import { Load } from '../support/load/load.js';
import type { LoadReport, Sighting } from '../support/load/protocol.js';
import { type Pontoon, startPontoon } from '../support/pontoon.js';
import { createRandom } from '../support/random.js';
import { bridgeClusterResource, listenerResource, routesResource } from '../support/resources.js';
import { until } from '../support/until.js';

const library = 'test/fixtures/plugins/stamp.ts';
const connections = 64;
const changes = 200;
const intervalMs = 100;
const nodeId = 'churn';

/** What a version of the cluster consists of; no two versions have the same. */
interface Version {
  readonly plugin: 'whole' | 'streamed';
  readonly value: number;
  readonly server: number;
}

const keyOf = ({ stamp, server }: Pick<Sighting, 'stamp' | 'server'>) => `${stamp} ${server}`;
const keyOfVersion = ({ plugin, value, server }: Version) => keyOf({ stamp: `${plugin}:${value}`, server });

/** One version after the other, each with one thing changed: the value in plugin_config, the endpoints, or the plugin. */
function planVersions(servers: number): readonly Version[] {
  const random = createRandom(3);
  const versions: Version[] = [{ plugin: 'whole', value: 0, server: 0 }];
  const used = new Set(versions.map(keyOfVersion));
  while (versions.length <= changes) {
    const last = versions.at(-1) as Version;
    const candidates: readonly Version[] = [
      { ...last, value: last.value + 1 },
      { ...last, server: (last.server + 1) % servers },
      { ...last, plugin: last.plugin === 'whole' ? 'streamed' : 'whole' },
    ];
    const next = candidates[Math.floor(random() * candidates.length)] as Version;
    if (used.has(keyOfVersion(next))) continue;
    used.add(keyOfVersion(next));
    versions.push(next);
  }
  return versions;
}

/** Milliseconds from the push of each version to the first response of it, or, where it was superseded unseen, of a later one. */
function delaysOf(versions: readonly Version[], pushedAt: readonly number[], { seen }: LoadReport): number[] {
  const seenAt = new Map(seen.map((one) => [keyOf(one), one.at]));
  const delays: number[] = [];
  let at = Number.POSITIVE_INFINITY;
  for (let index = versions.length - 1; index > 0; index--) {
    at = Math.min(at, seenAt.get(keyOfVersion(versions[index] as Version)) ?? at);
    delays.push(at - (pushedAt[index] as number));
  }
  return delays.toSorted((a, b) => a - b);
}

const percentile = (sorted: readonly number[], p: number) => sorted[Math.ceil(sorted.length * p) - 1] as number;

for (const variant of ['SOTW', 'DELTA'] as const) {
  describe(`cluster churn from go-control-plane under ${connections} connections, ${variant}`, () => {
    let controlPlane: GoControlPlane;
    let load: Load;
    let pontoon: Pontoon;

    before(async function () {
      GoControlPlane.require(this);
      controlPlane = await GoControlPlane.start();
      load = await Load.open();
    });
    after(async () => {
      load?.close();
      await pontoon?.stop();
      await controlPlane?.close();
    });

    async function push(version: Version, number: number): Promise<void> {
      const { plugin, value, server } = version;
      await controlPlane.putSnapshot({
        version: '1',
        versions: { clusters: String(number) },
        nodeId,
        resources: {
          clusters: [
            bridgeClusterResource({
              name: 'churn',
              ports: [load.ports[server] as number],
              library,
              plugin,
              config: { version: value },
            }),
          ],
          listeners: [listenerResource('main', 'main', 'routes')],
          routes: [routesResource('routes', { '/': 'churn' })],
        },
      });
    }

    it(`serves ${changes} changes in ${(changes * intervalMs) / 1000} s without losing or mixing a request`, async function () {
      this.timeout(120_000);
      const versions = planVersions(load.ports.length);
      const first = versions[0] as Version;
      await push(first, 0);
      pontoon = await startPontoon({ bootstrap: adsBootstrap({ variant, address: controlPlane.address, nodeId }) });
      const { hostname: host, port } = new URL(await pontoon.listener('main'));
      load.start({ host, port: Number(port), connections, paths: ['/'], pauseMs: 60, seed: 1 });
      await until('a response on each connection', async () => {
        const report = await load.report();
        return report.perConnection.every((count) => count > 0) || report.failures > 0 || undefined;
      });

      const pushedAt = [Date.now()];
      const start = Date.now();
      for (const [index, version] of versions.entries()) {
        if (index === 0) continue;
        await sleep(start + index * intervalMs - Date.now());
        pushedAt.push(Date.now());
        await push(version, index);
      }
      const took = Date.now() - start;
      const last = versions.at(-1) as Version;
      await until('the last version on each connection', async () => {
        const { sequences } = await load.report();
        return (
          sequences.every((seen) => seen.length > 0 && keyOf(seen.at(-1) as Sighting) === keyOfVersion(last)) ||
          undefined
        );
      });
      const report = await load.stop();

      const delays = delaysOf(versions, pushedAt, report);
      const [p50, p95, max] = [0.5, 0.95, 1].map((p) => percentile(delays, p));
      console.log(
        `      ${changes} changes in ${took} ms, ${report.exchanges} exchanges, ${report.seen.length} versions seen; ` +
          `push to first response: p50 ${p50} ms, p95 ${p95} ms, max ${max} ms; slowest exchange ${Math.round(report.slowestMs)} ms`,
      );
      expect(report.examples, `${report.failures} failures`).to.deep.equal([]);
      expect(report.announcedCloses).to.equal(0);
      expect(Math.min(...report.perConnection), 'exchanges on the least active connection').to.be.greaterThan(20);
      const order = new Map(versions.map((version, index) => [keyOfVersion(version), index]));
      for (const sequence of report.sequences) {
        const indexes = sequence.map((one) => order.get(keyOf(one)) ?? -1);
        expect(indexes, 'versions as one connection saw them').to.deep.equal(indexes.toSorted((a, b) => a - b));
        expect(indexes).to.not.include(-1);
      }
      expect(p95).to.be.at.most(500);
      await until('the connections of replaced versions closed', async () => {
        const { serverConnections } = await load.report();
        return serverConnections.every((count, server) => count === 0 || server === last.server) || undefined;
      });
      expect(await pontoon.stat('cluster_manager.cds.update_rejected')).to.equal(0);
      expect(await pontoon.stat('cluster.churn.upstream_rq_drain_timeout')).to.equal(0);
      expect(await pontoon.stat('server.uncaught_errors')).to.equal(0);
    });
  });
}
