import { expect } from 'chai';
import type { Cluster } from '../../src/model/cluster.js';
import { formatAddress, type LoadAssignment } from '../../src/model/endpoint.js';
import { createStatsStore } from '../../src/stats/create-store.js';
import { type ClusterFollowers, createGivenHosts } from '../../src/upstream/cluster-followers.js';
import type { ClusterManager } from '../../src/upstream/cluster-manager.js';
import { createClusterManager } from '../../src/upstream/create-cluster-manager.js';
import { FakeClock } from '../support/fake-clock.js';
import { assignment, clusterModel, edsDiscovery, log, pipeline, resource, type TestPipeline } from './support.js';

const eds = (overrides: Partial<Cluster> = {}) => clusterModel(edsDiscovery('echo'), overrides);
const fixed = (port: number) => clusterModel([{ port }]);

describe('a cluster manager whose clusters others serve', () => {
  let manager: ClusterManager<TestPipeline>;
  let told: string[];
  let served: (() => void)[];

  beforeEach(() => {
    told = [];
    served = [];
    const ports = ({ localities }: LoadAssignment) =>
      localities
        .flatMap(({ endpoints }) => endpoints.map(({ address }) => formatAddress(address).split(':')[1]))
        .join();
    const followers: ClusterFollowers<TestPipeline> = {
      serve({ config, version, hosts, pipeline: { id } }, done) {
        told.push(`serve ${config.name} ${version} ${id} ${ports(hosts)}`);
        served.push(done);
      },
      setHosts: (name, hosts) => told.push(`hosts ${name} ${ports(hosts)}`),
      park: (name, reason) => told.push(`park ${name} ${reason}`),
      remove: (name) => told.push(`remove ${name}`),
    };
    manager = createClusterManager({
      stats: createStatsStore(),
      log,
      clock: new FakeClock(),
      drainTimeMs: 1000,
      onEdsInterest: () => undefined,
      followers,
    });
  });

  const put = (model: Cluster, version: string, id = 'p') =>
    manager.setCluster(resource(model, version), pipeline(id), 'dynamic');
  const status = () => {
    const [one] = manager.snapshot();
    return { active: one?.active?.resource.version, waitingFor: one?.warming?.waitingFor };
  };

  it('tells them a version when it has its hosts, and calls it active when all of them serve it', () => {
    put(eds(), '1');
    expect(told).to.deep.equal([]);
    expect(status()).to.deep.equal({ active: undefined, waitingFor: ['endpoints (EDS echo)'] });
    manager.setLoadAssignment('echo', assignment([{ port: 1 }]));
    expect(told).to.deep.equal(['serve echo 1 p 1']);
    expect(status()).to.deep.equal({ active: undefined, waitingFor: ['workers'] });
    served[0]?.();
    expect(status()).to.deep.equal({ active: '1', waitingFor: undefined });
  });

  it('tells them new hosts, of the version that they were told last', () => {
    put(eds(), '1');
    manager.setLoadAssignment('echo', assignment([{ port: 1 }]));
    manager.setLoadAssignment('echo', assignment([{ port: 2 }]));
    served[0]?.();
    manager.setLoadAssignment('echo', assignment([{ port: 3 }]));
    put(eds({ connectTimeoutMs: 1 }), '2');
    manager.setLoadAssignment('echo', assignment([{ port: 4 }]));
    expect(told).to.deep.equal([
      'serve echo 1 p 1',
      'hosts echo 2',
      'hosts echo 3',
      'serve echo 2 p 3',
      'hosts echo 4',
    ]);
  });

  it('sends them back to what served when a version is given up on its way', () => {
    put(fixed(1), '1');
    served[0]?.();
    put(fixed(2), '2');
    put(fixed(1), '3');
    expect(told).to.deep.equal(['serve echo 1 p 1', 'serve echo 2 p 2', 'serve echo 3 p 1']);
    served[1]?.();
    expect(status()).to.deep.equal({ active: '3', waitingFor: undefined });
  });

  it('sends them back when what replaces a version on its way has no hosts yet', () => {
    put(fixed(1), '1');
    served[0]?.();
    put(fixed(2), '2');
    put(eds(), '3');
    expect(told).to.deep.equal(['serve echo 1 p 1', 'serve echo 2 p 2', 'serve echo 1 p 1']);
    expect(status()).to.deep.equal({ active: '1', waitingFor: ['endpoints (EDS echo)'] });
  });

  it('tells them of what goes', () => {
    put(fixed(1), '1');
    manager.removeCluster('echo');
    put(fixed(1), '2');
    served[1]?.();
    const parked = { kind: 'parked', model: undefined, reason: 'why' } as const;
    manager.setCluster({ name: 'echo', version: '3', bytes: Buffer.from('3'), verdict: parked }, undefined, 'dynamic');
    expect(told.filter((line) => !line.startsWith('serve'))).to.deep.equal([
      'remove echo',
      'remove echo',
      'park echo why',
    ]);
    served[0]?.();
    expect(status().active).to.equal(undefined);
  });
});

describe('hosts that are given', () => {
  it('serve at once, follow what is told, and go with their last version', () => {
    const hosts = createGivenHosts();
    const manager = createClusterManager<TestPipeline>({
      stats: createStatsStore(),
      log,
      clock: new FakeClock(),
      drainTimeMs: 1000,
      onEdsInterest: () => undefined,
      hostSource: hosts.source,
    });
    const addresses = () => manager.snapshot()[0]?.hosts.map(({ address }) => address);
    hosts.set('echo', assignment([{ port: 1 }]));
    manager.setCluster(resource(eds(), '1'), pipeline(), 'dynamic');
    expect(addresses()).to.deep.equal(['127.0.0.1:1']);
    hosts.set('echo', assignment([{ port: 2 }, { port: 3 }]));
    expect(addresses()).to.deep.equal(['127.0.0.1:2', '127.0.0.1:3']);
    manager.setCluster(resource(eds({ connectTimeoutMs: 1 }), '2'), pipeline(), 'dynamic');
    expect(addresses()).to.deep.equal(['127.0.0.1:2', '127.0.0.1:3']);
    hosts.set('echo', assignment([{ port: 4 }]));
    expect(addresses()).to.deep.equal(['127.0.0.1:4']);
  });
});
