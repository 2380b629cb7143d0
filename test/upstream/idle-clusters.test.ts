import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect } from 'chai';
import type { Cluster } from '../../src/model/cluster.js';
import { createStatsStore } from '../../src/stats/create-store.js';
import type { StatsStore } from '../../src/stats/store.js';
import type { ClusterManager, ClusterStatus } from '../../src/upstream/cluster-manager.js';
import { createClusterManager } from '../../src/upstream/create-cluster-manager.js';
import { FakeClock } from '../support/fake-clock.js';
import {
  assignment,
  clusterModel,
  edsDiscovery,
  log,
  pinOf,
  pipeline,
  resource,
  type TestEndpoint,
  type TestPipeline,
} from './support.js';

const ports = (from: number, count: number): TestEndpoint[] =>
  Array.from({ length: count }, (_, index) => ({ port: from + index }));

describe('hosts of clusters that nobody uses', () => {
  let stats: StatsStore;
  let manager: ClusterManager<TestPipeline>;

  beforeEach(() => {
    stats = createStatsStore();
    manager = createClusterManager<TestPipeline>({
      stats,
      log,
      clock: new FakeClock(),
      drainTimeMs: 1000,
      onEdsInterest: () => undefined,
    });
  });

  const put = (version: string, overrides: Partial<Cluster> = {}, service = 'echo') =>
    manager.setCluster(resource(clusterModel(edsDiscovery(service), overrides), version), pipeline(), 'dynamic');
  const status = () => manager.status('echo') as ClusterStatus;
  const use = () => {
    const found = manager.lookup('echo');
    if (found.kind !== 'active') throw new Error(`not active but ${found.kind}`);
    found.cluster.pin(pinOf());
  };
  const counted = (name: string) => stats.counter(`cluster.echo.${name}`).value;
  const shown = (name: string) => stats.gauge(`cluster.echo.${name}`).value;
  const membership = () => ({
    total: shown('membership_total'),
    healthy: shown('membership_healthy'),
    degraded: shown('membership_degraded'),
    weight: shown('max_host_weight'),
  });

  it('are made when they are asked for, and then stay', () => {
    put('1');
    manager.setLoadAssignment('echo', assignment(ports(1, 2)));
    expect(status().countedHosts).to.deep.equal([]);
    const { hosts } = status();
    expect(hosts.map(({ address }) => address)).to.deep.equal(['127.0.0.1:1', '127.0.0.1:2']);
    expect(status().hosts).to.equal(hosts);
    expect(status().countedHosts).to.equal(hosts);
    manager.setLoadAssignment('echo', assignment(ports(2, 2)));
    expect(status().countedHosts[0]).to.equal(hosts[1]);
  });

  it('are not kept for who only looks at them', () => {
    put('1');
    manager.setLoadAssignment('echo', assignment(ports(1, 2)));
    expect(status().shownHosts.map(({ address }) => address)).to.deep.equal(['127.0.0.1:1', '127.0.0.1:2']);
    expect(status().shownHosts).to.not.equal(status().shownHosts);
    expect(status().countedHosts).to.deep.equal([]);
    use();
    expect(status().shownHosts).to.equal(status().countedHosts);
  });

  it('are made by the first request', () => {
    put('1');
    manager.setLoadAssignment('echo', assignment(ports(1, 2)));
    use();
    expect(status().countedHosts).to.have.length(2);
  });

  it('are counted all the same', () => {
    put('1');
    const endpoints: TestEndpoint[] = [
      { port: 1, weight: 3 },
      { port: 2, health: 'DEGRADED' },
      { port: 3, health: 'DRAINING' },
      // Of EDS, the same address again is no host.
      { port: 1, weight: 9 },
    ];
    manager.setLoadAssignment('echo', assignment(endpoints));
    expect(membership()).to.deep.equal({ total: 3, healthy: 1, degraded: 1, weight: 3 });
    manager.setLoadAssignment('echo', assignment(ports(1, 2)));
    expect(membership()).to.deep.equal({ total: 2, healthy: 2, degraded: 0, weight: 1 });
    expect(status().countedHosts).to.deep.equal([]);
    expect(status().hosts).to.have.length(2);
  });

  it('are compared with those of an update', () => {
    put('1');
    const changes = () => [counted('membership_change'), counted('update_no_rebuild'), counted('update_success')];
    manager.setLoadAssignment('echo', assignment(ports(1, 2)));
    expect(changes()).to.deep.equal([1, 0, 1]);
    manager.setLoadAssignment('echo', assignment(ports(1, 2)));
    expect(changes()).to.deep.equal([1, 1, 2]);
    manager.setLoadAssignment('echo', assignment([{ port: 1, weight: 2 }, { port: 2 }]));
    expect(changes()).to.deep.equal([1, 1, 3]);
    manager.setLoadAssignment('echo', assignment(ports(2, 1)));
    expect(changes()).to.deep.equal([2, 1, 4]);
    expect(status().countedHosts).to.deep.equal([]);
  });

  it('go on with what was counted in the version before, also when that was first used while the next one warmed', () => {
    put('1');
    manager.setLoadAssignment('echo', assignment(ports(1, 2)));
    put('2', {}, 'other');
    use();
    const [before] = status().hosts;
    if (before) before.stats.rqTotal = 7;
    manager.setLoadAssignment('other', assignment(ports(1, 1), 'other'));
    expect(status().active?.resource.version).to.equal('2');
    expect(status().countedHosts.map(({ stats: { rqTotal } }) => rqTotal)).to.deep.equal([7]);
    put('3', { connectTimeoutMs: 1 }, 'other');
    expect(status().countedHosts.map(({ stats: { rqTotal } }) => rqTotal)).to.deep.equal([7]);
  });

  it('cost little memory', () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const add = (from: number, count: number) => {
      for (let index = from; index < from + count; index++) {
        const name = `cluster-${index}`;
        const model = clusterModel(edsDiscovery(name), { name, statName: name });
        manager.setCluster({ ...resource(model, '1'), name }, pipeline(), 'dynamic');
        manager.setLoadAssignment(name, shared);
      }
    };
    const shared = assignment(ports(1, 20));
    add(0, 200);
    collect();
    const before = process.memoryUsage().heapUsed;
    const count = 2_000;
    add(200, count);
    collect();
    const each = (process.memoryUsage().heapUsed - before) / count;
    expect(manager.status(`cluster-${count}`)?.hosts).to.have.length(20);
    expect(each).to.be.below(6_000);
  });
});
