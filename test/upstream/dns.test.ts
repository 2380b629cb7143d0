import type { LookupAddress, LookupAllOptions } from 'node:dns';
import { expect } from 'chai';
import type { Cluster, DnsSettings } from '../../src/model/cluster.js';
import { createStatsStore } from '../../src/stats/create-store.js';
import type { ClusterManager } from '../../src/upstream/cluster-manager.js';
import { createClusterManager } from '../../src/upstream/create-cluster-manager.js';
import { createSystemResolver, type DnsResolver } from '../../src/upstream/dns-resolver.js';
import { FakeClock } from '../support/fake-clock.js';
import {
  active,
  assignment,
  clusterModel,
  connected,
  log,
  pipeline,
  resource,
  startServer,
  type TestEndpoint,
  type TestPipeline,
} from './support.js';

interface Question {
  readonly hostname: string;
  cancelled: boolean;
  answer(addresses: readonly string[]): void;
  fail(): void;
}

/** A resolver whose answers the test gives. */
function fakeResolver(): DnsResolver & { readonly questions: Question[] } {
  const questions: Question[] = [];
  return {
    questions,
    resolve(hostname, _family, callback) {
      const question: Question = {
        hostname,
        cancelled: false,
        answer: (addresses) => callback(undefined, addresses),
        fail: () => callback(new Error('ENOTFOUND'), []),
      };
      questions.push(question);
      return {
        cancel() {
          question.cancelled = true;
        },
      };
    },
  };
}

const dns: DnsSettings = {
  refreshRateMs: 5000,
  failureRefreshRate: { baseMs: 1000, maxMs: 4000 },
  respectTtl: false,
  lookupFamily: 'V4_ONLY',
};

function dnsModel(
  type: 'STRICT_DNS' | 'LOGICAL_DNS',
  endpoints: readonly TestEndpoint[],
  overrides: Partial<Cluster> = {},
): Cluster {
  return clusterModel({ type, loadAssignment: assignment(endpoints), dns }, overrides);
}

describe('DNS clusters', () => {
  let clock: FakeClock;
  let stats: ReturnType<typeof createStatsStore>;
  let resolver: ReturnType<typeof fakeResolver>;
  let manager: ClusterManager<TestPipeline>;

  beforeEach(() => {
    clock = new FakeClock();
    stats = createStatsStore();
    resolver = fakeResolver();
    const options = { stats, log, clock, drainTimeMs: 1000, onEdsInterest() {}, random: () => 0.5 };
    manager = createClusterManager({ ...options, resolver });
  });
  afterEach(async () => {
    const closing = manager.close();
    clock.advance(1000);
    await closing;
    expect(clock.pending, 'timers left').to.equal(0);
  });

  const put = (model: Cluster, version = '1') =>
    manager.setCluster(resource(model, version), pipeline(version), 'dynamic');
  const addresses = () => manager.snapshot()[0]?.hosts.map((host) => host.address);
  const counter = (name: string) => stats.counter(`cluster.echo.${name}`).value;
  const latest = () => resolver.questions.at(-1) as Question;

  it('STRICT_DNS: every address of every name is a host, once all names were answered', () => {
    put(
      dnsModel('STRICT_DNS', [
        { address: 'a.test', port: 1, weight: 2 },
        { address: 'b.test', port: 2, priority: 1 },
        { address: 'a.test', port: 3 },
        { address: '192.0.2.9', port: 4 },
      ]),
    );
    expect(resolver.questions.map(({ hostname }) => hostname)).to.deep.equal(['a.test', 'b.test']);
    expect(manager.lookup('echo').kind).to.equal('warming');
    resolver.questions[0]?.answer(['192.0.2.2', '192.0.2.1']);
    expect(manager.snapshot()[0]?.warming?.waitingFor).to.deep.equal(['addresses (DNS b.test)']);
    resolver.questions[1]?.answer(['2001:db8::1']);
    expect(manager.lookup('echo').kind).to.equal('active');
    expect(addresses()).to.deep.equal([
      '192.0.2.1:1',
      '192.0.2.2:1',
      '[2001:db8::1]:2',
      '192.0.2.1:3',
      '192.0.2.2:3',
      '192.0.2.9:4',
    ]);
    expect(manager.snapshot()[0]?.hosts[0]).to.include({ hostname: 'a.test', weight: 2, priority: 0 });
  });

  it('a name that fails completes warming, too; the others and plain addresses serve', () => {
    put(
      dnsModel('STRICT_DNS', [
        { address: 'a.test', port: 1 },
        { address: '192.0.2.9', port: 4 },
      ]),
    );
    latest().fail();
    expect(manager.lookup('echo').kind).to.equal('active');
    expect(addresses()).to.deep.equal(['192.0.2.9:4']);
  });

  it('addresses alone need no DNS', () => {
    put(dnsModel('STRICT_DNS', [{ address: '192.0.2.9', port: 4 }]));
    expect(addresses()).to.deep.equal(['192.0.2.9:4']);
    expect(resolver.questions).to.have.length(0);
  });

  it('asks again at the refresh rate, with jitter; the same answer in another order changes nothing', () => {
    put(dnsModel('STRICT_DNS', [{ address: 'a.test', port: 1 }]));
    latest().answer(['192.0.2.1', '192.0.2.2']);
    clock.advance(5249);
    expect(resolver.questions).to.have.length(1);
    clock.advance(1);
    expect(resolver.questions).to.have.length(2);
    latest().answer(['192.0.2.2', '192.0.2.1']);
    expect(counter('update_no_rebuild')).to.equal(1);
    clock.advance(5250);
    latest().answer(['192.0.2.3']);
    expect(addresses()).to.deep.equal(['192.0.2.3:1']);
    expect(['update_attempt', 'update_success', 'membership_change'].map(counter)).to.deep.equal([3, 3, 2]);
  });

  it('keeps the last hosts on failure and backs off, up to the maximum, until it works again', () => {
    put(dnsModel('STRICT_DNS', [{ address: 'a.test', port: 1 }]));
    latest().answer(['192.0.2.1']);
    clock.advance(5250);
    // random() is 0.5: three quarters of 1000, 2000, 4000, 4000.
    for (const delay of [750, 1500, 3000, 3000]) {
      latest().fail();
      expect(addresses()).to.deep.equal(['192.0.2.1:1']);
      const before = resolver.questions.length;
      clock.advance(delay - 1);
      expect(resolver.questions).to.have.length(before);
      clock.advance(1);
      expect(resolver.questions).to.have.length(before + 1);
    }
    expect(counter('update_failure')).to.equal(4);
    latest().answer(['192.0.2.1']);
    clock.advance(5250);
    latest().fail();
    clock.advance(750);
    expect(resolver.questions).to.have.length(8);
  });

  it('a new version begins with the addresses of the old one and asks again', () => {
    put(dnsModel('STRICT_DNS', [{ address: 'a.test', port: 1 }]));
    latest().answer(['192.0.2.1']);
    put(dnsModel('STRICT_DNS', [{ address: 'a.test', port: 2 }], { connectTimeoutMs: 1 }), '2');
    expect(active(manager).version).to.equal('2');
    expect(addresses()).to.deep.equal(['192.0.2.1:2']);
    expect(resolver.questions).to.have.length(2);
    latest().answer(['192.0.2.7']);
    expect(addresses()).to.deep.equal(['192.0.2.7:2']);
  });

  it('a removed cluster asks no more', () => {
    put(dnsModel('STRICT_DNS', [{ address: 'a.test', port: 1 }]));
    manager.removeCluster('echo');
    expect(latest().cancelled).to.equal(true);
    put(dnsModel('STRICT_DNS', [{ address: 'a.test', port: 1 }]));
    latest().answer(['192.0.2.1']);
    manager.removeCluster('echo');
    clock.advance(100_000);
    expect(resolver.questions).to.have.length(2);
  });

  it('LOGICAL_DNS: one host, whose connections stay when its address changes', async () => {
    const [one, two] = await Promise.all([startServer(), startServer()]);
    try {
      const endpoint = { address: 'a.test', port: one.port };
      put(dnsModel('LOGICAL_DNS', [endpoint]));
      latest().answer(['127.0.0.1', '192.0.2.1']);
      expect(addresses()).to.deep.equal([`127.0.0.1:${one.port}`]);
      const kept = await connected(active(manager));
      kept.connection.release(true);
      clock.advance(5250);
      latest().answer(['192.0.2.1', '127.0.0.1']);
      expect(addresses()).to.deep.equal([`192.0.2.1:${one.port}`]);
      const again = await connected(active(manager));
      expect(again.connection.reused).to.equal(true);
      expect(again.connection.host.address).to.equal(`127.0.0.1:${one.port}`);
      expect(manager.snapshot()[0]?.hosts[0]?.stats).to.include({ rqTotal: 2, cxActive: 1 });
      expect(counter('membership_change')).to.equal(1);
      again.connection.release(false);
    } finally {
      await Promise.all([one.close(), two.close()]);
    }
  });
});

describe('system resolver', () => {
  const v4 = { address: '192.0.2.1', family: 4 };
  const v6 = { address: '2001:db8::1', family: 6 };
  const families: readonly {
    family: DnsSettings['lookupFamily'];
    has: LookupAddress[];
    gets: string[];
    asks: Partial<LookupAllOptions>;
  }[] = [
    { family: 'V4_ONLY', has: [v4, v4], gets: [v4.address], asks: { family: 4 } },
    { family: 'V6_ONLY', has: [v6], gets: [v6.address], asks: { family: 6 } },
    { family: 'AUTO', has: [v4, v6], gets: [v6.address], asks: {} },
    { family: 'AUTO', has: [v4], gets: [v4.address], asks: {} },
    { family: 'V4_PREFERRED', has: [v6, v4], gets: [v4.address], asks: {} },
    { family: 'V4_PREFERRED', has: [v6], gets: [v6.address], asks: {} },
    { family: 'ALL', has: [v6, v4], gets: [v6.address, v4.address], asks: {} },
  ];
  for (const { family, has, gets, asks } of families) {
    it(`${family} of ${has.map(({ family: each }) => `v${each}`).join(' and ')}`, async () => {
      let asked: LookupAllOptions | undefined;
      const resolver = createSystemResolver((_hostname, options, callback) => {
        asked = options;
        setImmediate(callback, null, has);
      });
      const got = await new Promise((resolve) => resolver.resolve('a.test', family, (_, list) => resolve(list)));
      expect(got).to.deep.equal(gets);
      expect(asked).to.include({ all: true, ...asks });
    });
  }

  it('knows the names of the machine itself', async () => {
    const got = await new Promise((resolve) =>
      createSystemResolver().resolve('localhost', 'V4_ONLY', (_, list) => resolve(list)),
    );
    expect(got).to.deep.equal(['127.0.0.1']);
  });

  it('reports a name that does not exist', async () => {
    const error = await new Promise<Error | undefined>((resolve) =>
      createSystemResolver().resolve('no-such-name.invalid', 'V4_ONLY', resolve),
    );
    expect(error).to.be.an('error');
  });

  it('asks for two names at a time, and not at all for what was cancelled', async () => {
    const open: (() => void)[] = [];
    const asked: string[] = [];
    const resolver = createSystemResolver((hostname, _options, callback) => {
      asked.push(hostname);
      open.push(() => callback(null, [v4]));
    });
    const answered: string[] = [];
    const queries = ['a', 'b', 'c', 'd'].map((name) => resolver.resolve(name, 'ALL', () => answered.push(name)));
    expect(asked).to.deep.equal(['a', 'b']);
    queries[0]?.cancel();
    queries[2]?.cancel();
    expect(asked).to.deep.equal(['a', 'b']);
    for (const finish of open.splice(0)) finish();
    for (const finish of open.splice(0)) finish();
    expect(asked).to.deep.equal(['a', 'b', 'd']);
    expect(answered).to.deep.equal(['b', 'd']);
  });
});
