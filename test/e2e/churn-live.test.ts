import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { adsBootstrap } from '../support/ads-bootstrap.js';
import { GoControlPlane, type Snapshot } from '../support/go-control-plane.js';
import { Load } from '../support/load/load.js';
import type { LoadReport, Sighting } from '../support/load/protocol.js';
import { type Pontoon, projectRoot, startPontoon } from '../support/pontoon.js';
import { bridgeClusterResource, endpointsResource, listenerResource, routesResource } from '../support/resources.js';
import { until } from '../support/until.js';

const cdsUrl = 'type.googleapis.com/envoy.config.cluster.v3.Cluster';
const library = join(projectRoot, 'test', 'fixtures', 'plugins', 'stamp.ts');
const connections = 16;

/** What the control plane has: values of plugin_config, numbers of servers, stat prefix of the listener, cluster by path. */
interface State {
  /** Of the cluster with endpoints of its own. */
  readonly value: number | string;
  readonly otherValue: number;
  /** Of the cluster whose endpoints come by EDS. */
  readonly movedServer: number;
  readonly statPrefix: string;
  readonly flipTo: 'one' | 'other' | 'extra';
  /** Whether there is a cluster `extra`, whose library nobody else has. */
  readonly extra: boolean;
}

const initial: State = { value: 1, otherValue: 100, movedServer: 0, statPrefix: 'first', flipTo: 'one', extra: false };

const modes = [
  { variant: 'SOTW', flags: [], processes: 1 },
  { variant: 'DELTA', flags: [], processes: 1 },
  { variant: 'SOTW', flags: ['--concurrency', '2'], processes: 2 },
  { variant: 'DELTA', flags: ['--isolate'], processes: 1 },
] as const;

for (const { variant, flags, processes } of modes) {
  describe(`changes by go-control-plane under load, ${[variant, ...flags].join(' ')}`, function () {
    this.timeout(60_000);
    let controlPlane: GoControlPlane;
    let load: Load;
    let pontoon: Pontoon;
    let nodes = 0;
    let nodeId = '';
    let state = initial;
    let revision = 0;
    let folder = '';
    /** A library that is loaded by no cluster but `extra`. */
    let copy = '';

    before(async function () {
      GoControlPlane.require(this);
      controlPlane = await GoControlPlane.start();
    });
    after(() => controlPlane?.close());

    beforeEach(async () => {
      nodeId = `live-${nodes++}`;
      folder = mkdtempSync(join(tmpdir(), 'pontoon-churn-'));
      copy = join(folder, 'copy.ts');
      writeFileSync(copy, readFileSync(library));
      state = initial;
      load = await Load.open();
      await push({});
      pontoon = await startPontoon({
        bootstrap: adsBootstrap({ variant, address: controlPlane.address, nodeId }),
        args: ['--plugin-root', folder, '--plugin-root', dirname(library), ...flags],
      });
      const { hostname: host, port } = new URL(await pontoon.listener('main'));
      load.start({ host, port: Number(port), connections, paths: ['/one', '/moved', '/flip'], pauseMs: 20, seed: 2 });
      await onEach('/one', ({ stamp, server }) => stamp === 'whole:1' && server === 10);
      await onEach('/moved', ({ server }) => server === 0);
      await onEach('/flip', ({ server }) => server === 10);
    });
    afterEach(async () => {
      load?.close();
      await pontoon?.stop();
      rmSync(folder, { recursive: true, force: true });
    });

    /** Changes a part of the state; only the kinds of resources that it changes get another version. */
    async function push(change: Partial<State>): Promise<number> {
      state = { ...state, ...change };
      const { value, otherValue, movedServer, statPrefix, flipTo, extra } = state;
      const port = (server: number) => load.ports[server] as number;
      const snapshot: Snapshot = {
        version: String(revision++),
        nodeId,
        versions: {
          clusters: `${value} ${otherValue} ${extra}`,
          endpoints: String(movedServer),
          listeners: statPrefix,
          routes: flipTo,
        },
        resources: {
          clusters: [
            bridgeClusterResource({
              name: 'one',
              ports: [port(10)],
              library,
              plugin: 'whole',
              config: { version: value },
            }),
            bridgeClusterResource({
              name: 'other',
              ports: [port(11)],
              library,
              plugin: 'streamed',
              config: { version: otherValue },
            }),
            bridgeClusterResource({ name: 'moved', library, plugin: 'streamed', config: { version: 7 } }),
            ...(extra ? [extraCluster()] : []),
          ],
          endpoints: [endpointsResource('moved', [port(movedServer)])],
          listeners: [listenerResource('main', statPrefix, 'routes')],
          routes: [routesResource('routes', { '/moved': 'moved', '/flip': flipTo, '/': 'one' })],
        },
      };
      return await controlPlane.putSnapshot(snapshot);
    }

    function extraCluster(): object {
      const config = { version: 300 };
      return bridgeClusterResource({
        name: 'extra',
        ports: [load.ports[9] as number],
        library: copy,
        plugin: 'whole',
        config,
      });
    }

    /** Waits until every connection was served so on that path, last. */
    async function onEach(path: string, condition: (seen: Sighting) => boolean): Promise<void> {
      await until(`what was waited for on ${path}`, async () => {
        const { sequences, failures } = await load.report();
        const last = sequences.map((sequence) => sequence.findLast((seen) => seen.path === path));
        return failures > 0 || last.every((seen) => seen && condition(seen)) || undefined;
      });
    }

    async function stopCleanly(): Promise<LoadReport> {
      const report = await load.stop();
      expect(report.examples, `${report.failures} failures`).to.deep.equal([]);
      expect(report.announcedCloses).to.equal(0);
      expect(await pontoon.stat('server.uncaught_errors')).to.equal(0);
      return report;
    }

    it('moves endpoints by EDS without touching the pipeline', async () => {
      const judged = await pontoon.stat('xds.cds.judged');
      const modified = await pontoon.stat('cluster_manager.cluster_modified');
      for (let movedServer = 1; movedServer <= 9; movedServer++) {
        await push({ movedServer });
        await sleep(50);
      }
      await onEach('/moved', ({ server }) => server === 9);
      const report = await stopCleanly();
      const moved = report.seen.filter(({ path }) => path === '/moved');
      expect(moved.length).to.be.greaterThan(2);
      // The configuration was parsed once in each process, for all the hosts that served it.
      expect(new Set(moved.flatMap(({ parses }) => parses)).size).to.equal(processes);
      for (const sequence of report.sequences) {
        const servers = sequence.filter(({ path }) => path === '/moved').map(({ server }) => server);
        expect(servers).to.deep.equal(servers.toSorted((a, b) => a - b));
      }
      expect(await pontoon.stat('xds.cds.judged')).to.equal(judged);
      expect(await pontoon.stat('cluster_manager.cluster_modified')).to.equal(modified);
      expect(await pontoon.stat('cluster.moved.membership_change')).to.be.at.least(moved.length);
      expect(await pontoon.stat('cluster.moved.membership_total')).to.equal(1);
    });

    it('goes on with what ran when a version is bad, says which, and takes its siblings and the next good one', async () => {
      let seq = await push({ value: 'many', otherValue: 101, flipTo: 'other' });
      const { error_detail } = await controlPlane.waitForRequest(
        ({ ack, type_url, node_id }) => ack === 'nack' && type_url === cdsUrl && node_id === nodeId,
        seq,
      );
      expect(error_detail).to.contain('one: upstream_config.typed_config.plugin_config: ');
      expect(error_detail).to.contain('version: "many" is not a number');
      expect(error_detail).to.not.contain('other');
      await onEach('/flip', ({ stamp }) => stamp === 'streamed:101');
      await onEach('/one', ({ stamp }) => stamp === 'whole:1');
      expect(await pontoon.stat('cluster_manager.cds.update_rejected')).to.be.at.least(1);
      expect(await pontoon.get('/config_dump')).to.contain('is not a number');

      seq = await push({ value: 2 });
      await controlPlane.waitForRequest(({ ack, type_url }) => ack === 'ack' && type_url === cdsUrl, seq);
      await onEach('/one', ({ stamp }) => stamp === 'whole:2');
      await stopCleanly();
      expect(await pontoon.get('/config_dump')).to.not.contain('is not a number');
    });

    it('serves on while the control plane is away, and takes what changed meanwhile', async () => {
      await controlPlane.stopGrpc();
      await until(
        'a lost stream',
        async () => (await pontoon.stat('control_plane.connected_state')) === 0 || undefined,
      );
      await push({ value: 3, movedServer: 4, flipTo: 'other' });
      const { exchanges } = await load.report();
      await until('exchanges without a control plane', async () => {
        const report = await load.report();
        return report.exchanges > exchanges + 100 || undefined;
      });
      expect((await load.report()).seen.map(({ stamp }) => stamp)).to.not.include('whole:3');
      await controlPlane.startGrpc();
      await onEach('/one', ({ stamp }) => stamp === 'whole:3');
      await onEach('/moved', ({ server }) => server === 4);
      await onEach('/flip', ({ stamp }) => stamp === 'streamed:100');
      await stopCleanly();
      // What did not change came again with the new stream, and was known.
      expect(await pontoon.stat('xds.cds.judged')).to.equal(4);
    });

    it('adds a cluster with a route to it at once, and removes it when its route is gone', async () => {
      await push({ extra: true, flipTo: 'extra' });
      await onEach('/flip', ({ stamp, server }) => stamp === 'whole:300' && server === 9);
      await push({ flipTo: 'other' });
      await onEach('/flip', ({ stamp }) => stamp === 'streamed:100');
      await push({ extra: false });
      await until('the removal', async () => !(await pontoon.get('/clusters')).includes('extra::') || undefined);
      await stopCleanly();
      expect(await pontoon.stat('cluster_manager.cluster_removed')).to.equal(1);
    });

    it('changes listeners and routes without closing a connection', async () => {
      for (let step = 1; step <= 10; step++) {
        const even = step % 2 === 0;
        await push(even ? { flipTo: state.flipTo === 'one' ? 'other' : 'one' } : { statPrefix: `step-${step}` });
        await sleep(100);
      }
      await onEach('/flip', ({ server }) => server === 11);
      await until(
        'the last listener',
        async () => (await pontoon.stat('http.step-9.downstream_rq_total')) > 100 || undefined,
      );
      const report = await stopCleanly();
      expect(new Set(report.seen.map(({ path, stamp }) => `${path} ${stamp}`))).to.deep.equal(
        new Set(['/one whole:1', '/moved streamed:7', '/flip whole:1', '/flip streamed:100']),
      );
      expect(await pontoon.stat('listener_manager.listener_in_place_updated')).to.equal(5);
      expect(await pontoon.stat('listener_manager.listener_create_failure')).to.equal(0);
    });
  });
}
