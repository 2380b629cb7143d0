import { expect } from 'chai';
import type { Cluster } from '../../src/model/cluster.js';
import type { Resource } from '../../src/model/verdict.js';
import { createStatsStore } from '../../src/stats/create-store.js';
import type { ClusterManager } from '../../src/upstream/cluster-manager.js';
import { createClusterManager } from '../../src/upstream/create-cluster-manager.js';
import { FakeClock } from '../support/fake-clock.js';
import {
  active,
  assignment,
  attempt,
  clusterModel,
  connected,
  edsDiscovery,
  eventually,
  log,
  pinOf,
  pipeline,
  resource,
  startServer,
  type TestPipeline,
  type TestServer,
  turns,
} from './support.js';

/** Nobody answers within the turn in which the tests use it. */
const nobody = { address: '127.0.0.1', port: 1 };

describe('cluster manager', () => {
  let server: TestServer;
  let clock: FakeClock;
  let stats: ReturnType<typeof createStatsStore>;
  let manager: ClusterManager<TestPipeline>;
  let interest: string[];
  let warmed: string[];

  beforeEach(async () => {
    server = await startServer();
    clock = new FakeClock();
    stats = createStatsStore();
    interest = [];
    warmed = [];
    manager = createClusterManager({
      stats,
      log,
      clock,
      drainTimeMs: 1000,
      onEdsInterest: (name, _source, wanted) => interest.push(`${wanted ? '+' : '-'}${name}`),
      onWarmed: (name) => warmed.push(name),
    });
  });
  afterEach(async () => {
    const closing = manager.close();
    clock.advance(1000);
    await closing;
    await server.close();
    expect(clock.pending, 'timers left').to.equal(0);
    const left = [...stats.counters.keys(), ...stats.gauges.keys()].filter((name) => name.startsWith('cluster.'));
    expect(left, 'statistics left').to.deep.equal([]);
  });

  const here = () => [{ port: server.port }];
  const counter = (name: string) => stats.counter(name).value;
  const gauge = (name: string) => stats.gauge(name).value;
  const shown = (name = 'echo') => manager.snapshot().find((status) => status.name === name);
  const put = (model: Cluster, version = '1', pipe = pipeline()) => {
    manager.setCluster(resource(model, version), pipe, 'dynamic');
    return pipe;
  };
  const parked = (name: string): Resource<Cluster> => ({
    name,
    version: '1',
    bytes: Buffer.from(name),
    verdict: { kind: 'parked', model: undefined, reason: 'ORIGINAL_DST' },
  });

  describe('lookup', () => {
    it('knows unknown, warming, active and parked clusters', () => {
      expect(manager.lookup('echo')).to.deep.equal({ kind: 'unknown' });
      put(clusterModel(edsDiscovery()));
      expect(manager.lookup('echo')).to.deep.equal({ kind: 'warming' });
      manager.setLoadAssignment('echo', assignment(here()));
      expect(manager.lookup('echo').kind).to.equal('active');
      manager.setCluster(parked('odd'), undefined, 'dynamic');
      expect(manager.lookup('odd')).to.deep.equal({ kind: 'parked', reason: 'ORIGINAL_DST' });
      manager.setCluster(resource(clusterModel(here(), { name: 'xds' })), undefined, 'static');
      expect(manager.lookup('xds')).to.deep.equal({ kind: 'parked', reason: 'it has no bridge' });
      manager.removeCluster('echo');
      manager.removeCluster('odd');
      expect(['echo', 'odd'].map((name) => manager.lookup(name).kind)).to.deep.equal(['unknown', 'unknown']);
      expect(counter('cluster_manager.cluster_added')).to.equal(3);
      expect(counter('cluster_manager.cluster_removed')).to.equal(2);
    });

    it('a parked resource takes the place of what ran; a good one takes it back', async () => {
      const pipe = put(clusterModel(here()));
      const running = active(manager);
      const exchange = pinOf();
      running.pin(exchange);
      manager.setCluster(parked('echo'), undefined, 'dynamic');
      expect(manager.lookup('echo').kind).to.equal('parked');
      expect(shown()).to.include({ active: undefined, draining: 1 });
      expect(pipe.released).to.equal(0);
      expect((await connected(running)).connection.host.address).to.equal(server.address);
      put(clusterModel(here()), '2');
      expect(shown()?.parked).to.equal(undefined);
      expect(gauge('cluster_manager.active_clusters')).to.equal(1);
    });

    it('a parked resource that is sent again changes nothing but its version', () => {
      manager.setCluster(parked('odd'), undefined, 'dynamic');
      const before = shown('odd')?.parked?.lastUpdated;
      clock.advance(5);
      manager.setCluster({ ...parked('odd'), version: '2' }, undefined, 'dynamic');
      expect(shown('odd')?.parked?.resource.version).to.equal('2');
      expect(shown('odd')?.parked?.lastUpdated).to.equal(before);
      expect(counter('cluster_manager.cluster_modified')).to.equal(0);
    });

    it('a dynamic resource neither replaces nor removes a static cluster', () => {
      manager.setCluster(resource(clusterModel(here()), 'static'), pipeline(), 'static');
      const refused = put(clusterModel([]), 'dynamic');
      manager.removeCluster('echo');
      expect(refused.released).to.equal(1);
      expect(active(manager).version).to.equal('static');
      expect(shown()?.origin).to.equal('static');
    });

    it('refuses a rejected resource', () => {
      const bad: Resource<Cluster> = { ...resource(clusterModel([])), verdict: { kind: 'rejected', problems: [] } };
      expect(() => manager.setCluster(bad, undefined, 'dynamic')).to.throw('rejected');
    });
  });

  describe('the same meaning', () => {
    const bridge = (value: string) => ({
      libraryId: 'l',
      libraryPath: 'p',
      pluginName: 'n',
      pluginConfig: { typeUrl: '', value: Buffer.from(value) },
    });
    const model = (change: Partial<Cluster> = {}) =>
      clusterModel(here(), { bridge: bridge('{"a":1,"b":1}'), ...change });
    const changes: readonly { what: string; next: () => Cluster; id: string; same: boolean }[] = [
      { what: 'an equal model and pipeline', next: model, id: 'p', same: true },
      {
        what: 'other bytes of a plugin configuration with the same pipeline id',
        next: () => model({ bridge: bridge('{"b":1,"a":1}') }),
        id: 'p',
        same: true,
      },
      { what: 'another pipeline id', next: model, id: 'q', same: false },
      { what: 'another timeout', next: () => model({ connectTimeoutMs: 1 }), id: 'p', same: false },
      {
        what: 'another endpoint',
        next: () => model({ discovery: clusterModel([...here(), nobody]).discovery }),
        id: 'p',
        same: false,
      },
    ];
    for (const { what, next, id, same } of changes) {
      it(`${what}: ${same ? 'nothing is rebuilt' : 'a new version'}`, () => {
        const first = put(model(), '1', pipeline('p'));
        const before = active(manager);
        clock.advance(10);
        const second = put(next(), '2', pipeline(id));
        expect(active(manager) === before).to.equal(same);
        expect([first.released, second.released]).to.deep.equal(same ? [0, 1] : [1, 0]);
        expect(active(manager).version).to.equal('2');
        expect(shown()?.active?.resource.version).to.equal('2');
        expect(counter('cluster_manager.cluster_modified')).to.equal(same ? 0 : 1);
        expect(shown()?.active?.lastUpdated.getTime()).to.equal(clock.start + (same ? 0 : 10));
      });
    }

    it('as the version that warms: goes on warming', () => {
      const first = put(clusterModel(edsDiscovery()), '1');
      const second = put(clusterModel(edsDiscovery()), '2');
      expect([first.released, second.released]).to.deep.equal([0, 1]);
      expect(shown()?.warming?.resource.version).to.equal('2');
      expect(interest).to.deep.equal(['+echo']);
    });

    it('as the version that serves, while another one warms: the other one is dropped', () => {
      put(clusterModel(here()), '1');
      const before = active(manager);
      const warming = put(clusterModel(edsDiscovery()), '2');
      put(clusterModel(here()), '3');
      expect(active(manager)).to.equal(before);
      expect(before.version).to.equal('3');
      expect(warming.released).to.equal(1);
      expect(shown()?.warming).to.equal(undefined);
      expect(interest).to.deep.equal(['+echo', '-echo']);
      expect(gauge('cluster_manager.warming_clusters')).to.equal(0);
      expect(gauge('cluster.echo.warming_state')).to.equal(0);
    });
  });

  describe('warming', () => {
    it('serves on the old version until the new one knows its endpoints', () => {
      const old = put(clusterModel(here()), '1');
      const next = put(clusterModel(edsDiscovery('svc')), '2');
      expect(active(manager).version).to.equal('1');
      expect(shown()?.warming?.waitingFor).to.deep.equal(['endpoints (EDS svc)']);
      expect([gauge('cluster_manager.warming_clusters'), manager.isWarming]).to.deep.equal([1, true]);
      expect(gauge('cluster.echo.warming_state')).to.equal(1);
      expect(warmed).to.deep.equal(['echo']);
      manager.setLoadAssignment('svc', assignment(here()));
      expect(active(manager).version).to.equal('2');
      expect(active(manager).pipeline).to.equal(next);
      expect(old.released).to.equal(1);
      expect(warmed).to.deep.equal(['echo', 'echo']);
      expect(gauge('cluster_manager.warming_clusters')).to.equal(0);
      expect(gauge('cluster.echo.warming_state')).to.equal(0);
    });

    it('ends without endpoints when there is no such resource', async () => {
      put(clusterModel(edsDiscovery()));
      manager.setLoadAssignment('echo', 'does_not_exist');
      expect(await attempt(active(manager)).result).to.deep.equal({ kind: 'no_healthy_upstream' });
      expect(counter('cluster.echo.update_empty')).to.equal(1);
    });

    it('a version that names another source of endpoints moves to it once that has answered', () => {
      put(clusterModel(edsDiscovery('svc')));
      manager.setLoadAssignment('svc', assignment(here()));
      const own = edsDiscovery('svc') as Extract<Cluster['discovery'], { type: 'EDS' }>;
      const waiting: Cluster['discovery'] = { ...own, source: { ...own.source, initialFetchTimeoutMs: 1 } };
      put(clusterModel(waiting), '2');
      expect(interest).to.deep.equal(['+svc']);
      const path = { kind: 'path', path: '/eds.yaml', watchedDirectory: undefined, pollIntervalMs: undefined } as const;
      const source = { ...path, initialFetchTimeoutMs: 1 };
      put(clusterModel({ ...own, source }), '3');
      expect(interest).to.deep.equal(['+svc', '+svc']);
      expect(active(manager).version).to.equal('2');
      manager.setLoadAssignment('svc', assignment(here()), own.source);
      expect(active(manager).version).to.equal('2');
      manager.setLoadAssignment('svc', assignment([...here(), nobody]), source);
      expect(active(manager).version).to.equal('3');
      expect(shown()?.hosts).to.have.lengthOf(2);
      expect(interest).to.deep.equal(['+svc', '+svc', '-svc']);
      manager.removeCluster('echo');
      expect(interest).to.deep.equal(['+svc', '+svc', '-svc', '-svc']);
    });

    it('two clusters have the same service name of two sources', () => {
      const own = edsDiscovery('svc') as Extract<Cluster['discovery'], { type: 'EDS' }>;
      const path = { kind: 'path', path: '/eds.yaml', watchedDirectory: undefined, pollIntervalMs: undefined } as const;
      const source = { ...path, initialFetchTimeoutMs: 1 };
      put(clusterModel(own, { name: 'a' }));
      put(clusterModel({ ...own, source }, { name: 'b' }));
      manager.setLoadAssignment('svc', assignment(here()), own.source);
      expect([manager.lookup('a').kind, manager.lookup('b').kind]).to.deep.equal(['active', 'warming']);
      manager.setLoadAssignment('svc', assignment([...here(), nobody]), source);
      manager.setLoadAssignment('svc', assignment([]), own.source);
      expect([manager.status('a')?.hosts.length, manager.status('b')?.hosts.length]).to.deep.equal([0, 2]);
    });

    it('a newer version takes the place of the one that warms; EDS is not asked again', () => {
      const pipes = ['1', '2', '3'].map((version, index) =>
        put(clusterModel(edsDiscovery(), { connectTimeoutMs: index + 1 }), version),
      );
      expect(pipes.map(({ released }) => released)).to.deep.equal([1, 1, 0]);
      expect(interest).to.deep.equal(['+echo']);
      expect(gauge('cluster_manager.warming_clusters')).to.equal(1);
      manager.setLoadAssignment('echo', assignment(here()));
      expect(active(manager).version).to.equal('3');
    });

    it('a new version of a known service is warm at once', () => {
      put(clusterModel(edsDiscovery()), '1');
      manager.setLoadAssignment('echo', assignment(here()));
      manager.setLoadAssignment('echo', 'does_not_exist');
      put(clusterModel(edsDiscovery(), { connectTimeoutMs: 1 }), '2');
      expect(active(manager).version).to.equal('2');
      expect(shown()?.hosts).to.have.length(1);
      expect(interest).to.deep.equal(['+echo']);
    });

    it('may be removed meanwhile', () => {
      const pipe = put(clusterModel(edsDiscovery()));
      manager.removeCluster('echo');
      expect(pipe.released).to.equal(1);
      expect(interest).to.deep.equal(['+echo', '-echo']);
      expect(warmed).to.deep.equal(['echo']);
      manager.setLoadAssignment('echo', assignment(here()));
      expect(manager.lookup('echo').kind).to.equal('unknown');
      expect(manager.snapshot()).to.deep.equal([]);
    });

    it('two clusters share a service: one subscription, until the last has gone', () => {
      put(clusterModel(edsDiscovery('svc'), { name: 'a' }));
      put(clusterModel(edsDiscovery('svc'), { name: 'b' }));
      manager.setLoadAssignment('svc', assignment(here()));
      expect([active(manager, 'a').version, active(manager, 'b').version]).to.deep.equal(['1', '1']);
      manager.removeCluster('a');
      expect(interest).to.deep.equal(['+svc']);
      manager.removeCluster('b');
      expect(interest).to.deep.equal(['+svc', '-svc']);
    });

    it('keeps the statistics of hosts that stay', async () => {
      put(clusterModel(here()), '1');
      (await connected(active(manager))).connection.release(true);
      put(clusterModel([nobody, { port: server.port, weight: 3 }]), '2');
      const host = shown()?.hosts[1];
      expect(host).to.include({ address: server.address, weight: 3 });
      expect(host?.stats).to.include({ rqTotal: 1, cxTotal: 1, cxActive: 0 });
    });
  });

  describe('draining', () => {
    it('finishes exchanges on the old pipeline and connection, and closes what is idle at once', async () => {
      const old = put(clusterModel(here()), '1');
      const before = active(manager);
      let resets = 0;
      const exchange = pinOf(() => {
        resets++;
      });
      before.pin(exchange);
      const [running, idle] = await Promise.all([connected(before), connected(before)]);
      idle.connection.release(true);
      const next = put(clusterModel(here()), '2', pipeline('q'));
      expect(gauge('cluster.echo.upstream_cx_active')).to.equal(1);
      expect([old.released, shown()?.draining]).to.deep.equal([0, 1]);
      // A replacement connection for the old exchange, and a new exchange on the new version.
      const [again, other] = await Promise.all([connected(before), connected(active(manager))]);
      expect([again, other].map(({ connection }) => connection.reused)).to.deep.equal([false, false]);
      again.connection.release(true);
      server.sockets[0]?.write('answer');
      await eventually(() => running.events.includes('answer'));
      running.connection.release(true);
      expect(gauge('cluster.echo.upstream_cx_active')).to.equal(1);
      expect(old.released).to.equal(0);
      before.unpin(exchange);
      before.unpin(exchange);
      expect([old.released, next.released, resets, shown()?.draining]).to.deep.equal([1, 0, 0, 0]);
      other.connection.release(true);
    });

    it('waits for an exchange that unpins before it gives its connection back', async () => {
      const old = put(clusterModel(here()), '1');
      const before = active(manager);
      const exchange = pinOf();
      before.pin(exchange);
      const running = await connected(before);
      manager.removeCluster('echo');
      before.unpin(exchange);
      expect(old.released).to.equal(0);
      running.connection.release(false);
      expect(old.released).to.equal(1);
      expect(running.events).to.deep.equal(['ready']);
    });

    it('a request that waits for its connection gets it', async () => {
      const old = put(clusterModel(here()), '1');
      const waiting = attempt(active(manager));
      manager.removeCluster('echo');
      await waiting.result;
      expect(waiting.connection?.host.address).to.equal(server.address);
      expect(old.released).to.equal(0);
      waiting.connection?.release(true);
      expect(old.released).to.equal(1);
    });

    it('a request that waits may be cancelled: nothing keeps the version then', () => {
      const old = put(clusterModel([nobody]), '1');
      const waiting = attempt(active(manager));
      manager.removeCluster('echo');
      waiting.cancel();
      expect(old.released).to.equal(1);
    });

    it('resets what still runs when the drain time is over, and counts it', async () => {
      const old = put(clusterModel(here()), '1');
      const before = active(manager);
      const running = await connected(before);
      let resets = 0;
      const polite = pinOf(() => {
        resets++;
        running.connection.release(false);
        before.unpin(polite);
      });
      const deaf = pinOf(() => {
        resets++;
        throw new Error('bug');
      });
      before.pin(polite);
      before.pin(deaf);
      const stuck = await connected(before);
      put(clusterModel(here()), '2', pipeline('q'));
      clock.advance(999);
      expect([resets, old.released]).to.deep.equal([0, 0]);
      clock.advance(1);
      expect([resets, old.released]).to.deep.equal([2, 1]);
      expect(counter('cluster.echo.upstream_rq_drain_timeout')).to.equal(2);
      expect(running.events).to.deep.equal(['ready']);
      expect(stuck.events).to.deep.equal(['ready', 'close:cluster removed']);
      expect(await attempt(before).result).to.deep.equal({ kind: 'cluster_removed' });
      before.unpin(deaf);
      expect(old.released).to.equal(1);
    });

    it('200 versions under load hold nothing when their exchanges have ended', async () => {
      const pipes: TestPipeline[] = [];
      const ends: (() => void)[] = [];
      for (let version = 0; version < 200; version++) {
        pipes.push(put(clusterModel(here()), `${version}`, pipeline(`p${version}`)));
        const cluster = active(manager);
        const exchange = pinOf();
        cluster.pin(exchange);
        const made = attempt(cluster);
        ends.push(() => {
          made.connection?.release(version % 2 === 0);
          cluster.unpin(exchange);
        });
        await made.result;
        if (ends.length > 10) ends.shift()?.();
        expect(shown()?.draining).to.be.at.most(10);
      }
      for (const end of ends) end();
      expect(pipes.filter(({ released }) => released !== 1)).to.deep.equal(pipes.slice(-1));
      expect(shown()?.draining).to.equal(0);
      expect(gauge('cluster.echo.upstream_rq_active')).to.equal(0);
      // Pools of the version that serves may have an idle timer and one idle connection.
      expect(clock.pending).to.be.at.most(1);
      await eventually(() => server.sockets.filter((socket) => !socket.readableEnded && !socket.destroyed).length <= 1);
    });

    it('close() ends at once without exchanges, and at the latest after the drain time', async () => {
      const pipe = put(clusterModel(here()));
      active(manager).pin(pinOf());
      let done = false;
      const closing = manager.close().then(() => {
        done = true;
      });
      expect(manager.lookup('echo').kind).to.equal('unknown');
      clock.advance(999);
      await turns();
      expect(done).to.equal(false);
      clock.advance(1);
      await closing;
      expect(pipe.released).to.equal(1);
      await manager.close();
    });
  });

  describe('endpoints', () => {
    let other: TestServer;
    beforeEach(async () => {
      other = await startServer();
    });
    afterEach(() => other.close());

    it('an EDS update changes hosts and nothing else', async () => {
      const pipe = put(clusterModel(edsDiscovery()));
      manager.setLoadAssignment('echo', assignment([...here(), { port: other.port }]));
      const cluster = active(manager);
      const first = await connected(cluster);
      const second = await connected(cluster);
      const [stays, goes] = first.connection.host.address === server.address ? [first, second] : [second, first];
      stays.connection.release(true);
      manager.setLoadAssignment('echo', assignment(here()));
      expect(active(manager)).to.equal(cluster);
      expect(pipe.released).to.equal(0);
      // The pool of the host that stays was left alone; new exchanges go only there.
      for (let turn = 0; turn < 4; turn++) {
        const next = await connected(cluster);
        expect([next.connection.host.address, next.connection.reused]).to.deep.equal([server.address, true]);
        next.connection.release(true);
      }
      // The exchange with the removed host finishes; then its connection closes.
      other.sockets[0]?.write('answer');
      await eventually(() => goes.events.includes('answer'));
      goes.connection.release(true);
      expect(gauge('cluster.echo.upstream_cx_active')).to.equal(1);
      expect(counter('cluster.echo.membership_change')).to.equal(2);
      expect(gauge('cluster.echo.membership_total')).to.equal(1);
    });

    it('idle connections to a removed host close', async () => {
      put(clusterModel(edsDiscovery()));
      manager.setLoadAssignment('echo', assignment(here()));
      (await connected(active(manager))).connection.release(true);
      manager.setLoadAssignment('echo', assignment([{ port: other.port }]));
      expect(gauge('cluster.echo.upstream_cx_active')).to.equal(0);
    });

    it('a request that waits for a removed host goes to another one', async () => {
      put(clusterModel(edsDiscovery()));
      manager.setLoadAssignment('echo', assignment([nobody]));
      const waiting = attempt(active(manager));
      manager.setLoadAssignment('echo', assignment(here()));
      await waiting.result;
      expect(waiting.connection?.host.address).to.equal(server.address);
      expect(gauge('cluster.echo.upstream_cx_active')).to.equal(1);
      expect(gauge('cluster.echo.upstream_rq_pending_active')).to.equal(0);
    });

    it('a host that comes back while it drains keeps its connections and statistics', async () => {
      put(clusterModel(edsDiscovery()));
      manager.setLoadAssignment('echo', assignment(here()));
      const cluster = active(manager);
      const running = await connected(cluster);
      manager.setLoadAssignment('echo', assignment([]));
      expect(await attempt(cluster).result).to.deep.equal({ kind: 'no_healthy_upstream' });
      manager.setLoadAssignment('echo', assignment(here()));
      running.connection.release(true);
      expect((await connected(cluster)).connection.reused).to.equal(true);
      expect(shown()?.hosts[0]?.stats).to.include({ rqTotal: 2, cxTotal: 1, cxActive: 1, rqActive: 1 });
    });

    it('counts membership and health, and what changes nothing', () => {
      put(clusterModel(edsDiscovery()));
      const three = assignment([
        ...here(),
        { port: 1, health: 'DEGRADED', weight: 7 },
        { port: 2, health: 'UNHEALTHY', priority: 1 },
        { port: 2, health: 'HEALTHY' },
      ]);
      manager.setLoadAssignment('echo', three);
      manager.setLoadAssignment('echo', structuredClone(three));
      const of = (name: string) => gauge(`cluster.echo.${name}`);
      expect(
        ['membership_total', 'membership_healthy', 'membership_degraded', 'max_host_weight'].map(of),
      ).to.deep.equal([3, 1, 1, 7]);
      const counted = ['update_success', 'update_no_rebuild', 'membership_change'].map((name) =>
        counter(`cluster.echo.${name}`),
      );
      expect(counted).to.deep.equal([2, 1, 1]);
      expect(counter('cluster_manager.cluster_updated')).to.equal(1);
    });
  });
});
