import { expect } from 'chai';
import type { BridgeConfig, Cluster } from '../../src/model/cluster.js';
import type { Resource } from '../../src/model/verdict.js';
import { type AcceptedBridge, createAcceptedBridges } from '../../src/server/judge-process/accepted-bridge.js';
import { createRollBack, type RollBack } from '../../src/server/roll-back.js';
import { createStatsStore } from '../../src/stats/create-store.js';
import type { StatsStore } from '../../src/stats/store.js';
import { createClusterManager } from '../../src/upstream/create-cluster-manager.js';
import { testLog } from '../bridge/harness.js';
import { FakeClock } from '../support/fake-clock.js';
import { clusterModel, log as noLog, resource } from '../upstream/support.js';

/** A version of a cluster: which content of the library, which configuration. */
interface Version {
  readonly library: string;
  readonly config?: string;
}

const a: Version = { library: 'A' };
const b: Version = { library: 'B' };
const c: Version = { library: 'C' };

describe('clusters go back to the version before when their library ends workers', () => {
  let clock: FakeClock;
  let stats: StatsStore;
  let log: ReturnType<typeof testLog>;
  let rollBack: RollBack;
  let bridges: ReturnType<typeof createAcceptedBridges>;
  /** What the file of every library holds. */
  let onDisk: string;

  beforeEach(() => {
    clock = new FakeClock();
    stats = createStatsStore();
    log = testLog();
    onDisk = 'B';
    bridges = createAcceptedBridges({ maxGoLibraries: 100, onUnused: () => undefined });
    const clusters = createClusterManager<AcceptedBridge>({
      stats,
      log: noLog,
      clock,
      drainTimeMs: 1000,
      onEdsInterest: () => undefined,
    });
    const judge = {
      ...bridges,
      prepare: async (config: BridgeConfig) => bridges.accept(config, judged({ library: onDisk }, config)),
      currentHash: async () => `hash-${onDisk}`,
    };
    rollBack = createRollBack({ clusters, judge, stats, log, clock });
  });
  afterEach(async () => {
    rollBack.close();
    await rollBack.clusters.close();
    expect([...bridges.filesInUse()], 'copies that nobody let go of').to.deep.equal([]);
  });

  function judged({ library, config = '' }: Version, { pluginName }: BridgeConfig) {
    const hash = `hash-${library}`;
    const stored = { kind: 'go' as const, path: '/plugins/lib.so', hash, file: `/store/${library}.so` };
    return { id: `${library}${config}${pluginName}`, libraryHash: hash, library: stored };
  }

  function bridgeOf(version: Version): AcceptedBridge {
    const config = {
      libraryId: 'lib',
      libraryPath: '/plugins/lib.so',
      pluginName: 'plugin',
      pluginConfig: { typeUrl: 'x', value: Buffer.from(version.config ?? '') },
    };
    const accepted = bridges.accept(config, judged(version, config));
    if (!accepted.ok) throw new Error(JSON.stringify(accepted.problems));
    return accepted.bridge;
  }

  const resourceOf = (name: string, { library, config = '' }: Version): Resource<Cluster> =>
    resource(clusterModel([{ port: 1 }], { name }), `${library}${config}`);

  function set(name: string, version: Version, origin: 'static' | 'dynamic' = 'dynamic'): number {
    const bridge = bridgeOf(version);
    rollBack.clusters.setCluster(resourceOf(name, version), bridge, origin);
    return bridge.number;
  }

  function crash(mark: number, times = 3): void {
    for (let time = 0; time < times; time++) rollBack.onCrash(mark, 'exit code 2:\npanic: too much');
  }

  /** What runs: content and configuration, `parked`, or `unknown`. */
  function running(name: string): string {
    const found = rollBack.clusters.lookup(name);
    if (found.kind !== 'active') return found.kind;
    const { version, pipeline } = found.cluster;
    expect(pipeline.id).to.equal(`${version}plugin`);
    return version;
  }

  const counted = (): Record<string, number> => ({
    rollbacks: stats.counter('bridge.library_rollbacks').value,
    now: stats.gauge('bridge.rolled_back_clusters').value,
    crashes: stats.counter('bridge.crashes_by_library').value,
  });

  const tables: readonly {
    readonly what: string;
    readonly clusters: Readonly<Record<string, readonly Version[]>>;
    /** In whose call three workers ended. */
    readonly guilty: Version;
    readonly running: Readonly<Record<string, string>>;
    readonly rolledBack: readonly string[];
  }[] = [
    {
      what: 'one with a version before runs that again',
      clusters: { one: [a, b] },
      guilty: b,
      running: { one: 'A' },
      rolledBack: ['one'],
    },
    {
      what: 'the latest one before it with another bridge counts',
      clusters: { one: [c, a, b, b] },
      guilty: b,
      running: { one: 'A' },
      rolledBack: ['one'],
    },
    {
      what: 'one without is out of service',
      clusters: { one: [b] },
      guilty: b,
      running: { one: 'parked' },
      rolledBack: ['one'],
    },
    {
      what: 'all clusters of the library go back, and no others',
      clusters: { one: [a, b], two: [c, b], three: [b], four: [b, a], five: [c] },
      guilty: b,
      running: { one: 'A', two: 'C', three: 'parked', four: 'A', five: 'C' },
      rolledBack: ['one', 'two', 'three'],
    },
    {
      what: 'another configuration of the same library is a version before, too',
      clusters: {
        one: [
          { ...b, config: '1' },
          { ...b, config: '2' },
        ],
      },
      guilty: { ...b, config: '2' },
      running: { one: 'B1' },
      rolledBack: ['one'],
    },
    {
      what: 'unless that is one that another cluster must leave',
      clusters: {
        one: [
          { ...b, config: '1' },
          { ...b, config: '2' },
        ],
        two: [a, { ...b, config: '1' }],
      },
      guilty: { ...b, config: '2' },
      running: { one: 'parked', two: 'A' },
      rolledBack: ['one', 'two'],
    },
    {
      what: 'a library that nobody runs any more moves nothing',
      clusters: { one: [b, a] },
      guilty: b,
      running: { one: 'A' },
      rolledBack: [],
    },
  ];
  for (const { what, clusters, guilty, running: expected, rolledBack } of tables) {
    it(what, () => {
      for (const [name, versions] of Object.entries(clusters)) for (const version of versions) set(name, version);
      const probe = bridgeOf(guilty);
      crash(probe.number);
      probe.release();
      const names = Object.keys(clusters);
      expect(Object.fromEntries(names.map((name) => [name, running(name)]))).to.deep.equal(expected);
      expect(names.filter((name) => rollBack.rolledBack(name))).to.deep.equal(rolledBack);
      expect(counted()).to.deep.equal({
        rollbacks: Math.min(1, rolledBack.length),
        now: rolledBack.length,
        crashes: 3,
      });
      const told = log.lines.filter(({ text }) => text.startsWith('cluster rolled back'));
      expect(told.map(({ level, fields }) => [level, fields.cluster])).to.deep.equal(
        rolledBack.map((name) => ['error', name]),
      );
    });
  }

  it('says what was taken back, why, and what to do', () => {
    set('one', a);
    const mark = set('one', b);
    set('two', b);
    crash(mark);
    const of = (name: string) => rollBack.rolledBack(name);
    const why =
      'plugin "plugin" of /plugins/lib.so (sha256 hash-B…) has ended three workers within a minute, the last time: exit code 2:; panic: too much';
    const todo = "change the library's file or the configuration";
    expect(of('one')?.resource.version).to.equal('B');
    expect(of('one')?.at.getTime()).to.equal(clock.now());
    expect(of('one')?.message).to.equal(`${why}: the version before ("A") runs again; ${todo}`);
    expect(of('two')?.message).to.equal(`${why}: there is no version before, so it is out of service; ${todo}`);
    expect(rollBack.clusters.lookup('two')).to.deep.equal({ kind: 'parked', reason: of('two')?.message });
    // The same again is refused.
    expect(() => bridgeOf(b)).to.throw('has ended three workers within a minute');
  });

  it('two crashes, or three that are further apart, are none', () => {
    set('one', a);
    const mark = set('one', b);
    crash(mark, 2);
    clock.advance(61_000);
    crash(mark, 2);
    expect(running('one')).to.equal('B');
    crash(mark, 1);
    expect(running('one')).to.equal('A');
  });

  it('crashes of two configurations of a library are counted together', () => {
    const marks = [set('one', { ...b, config: '1' }), set('two', { ...b, config: '2' })];
    for (const mark of marks) crash(mark, 1);
    crash(marks[0] as number, 1);
    expect([running('one'), running('two')]).to.deep.equal(['parked', 'parked']);
  });

  it('a crash without a mark, or with one of nobody, is reported and moves nothing', () => {
    set('one', a);
    set('one', b);
    crash(0);
    crash(12_345);
    expect(running('one')).to.equal('B');
    expect(stats.counter('bridge.crashes_without_library').value).to.equal(6);
    expect(counted()).to.deep.equal({ rollbacks: 0, now: 0, crashes: 0 });
    expect(log.lines.map(({ level }) => level)).to.deep.equal(Array(6).fill('error'));
  });

  it('a later version is applied as ever, and clears it', () => {
    set('one', a);
    crash(set('one', b));
    set('one', c);
    expect(running('one')).to.equal('C');
    expect(rollBack.rolledBack('one')).to.equal(undefined);
    expect(counted()).to.include({ now: 0 });
    // The one before is what ran, not what was taken back.
    crash(set('one', { ...c, config: '2' }));
    expect(running('one')).to.equal('C');
  });

  it('so does the version that runs again, when it is sent again', () => {
    set('one', a);
    crash(set('one', b));
    set('one', a);
    expect(running('one')).to.equal('A');
    expect(rollBack.rolledBack('one')).to.equal(undefined);
  });

  it('one that is out of service comes back with a later version', () => {
    crash(set('one', b));
    set('one', c);
    expect(running('one')).to.equal('C');
  });

  it('a third library that is worse than the first goes back to nothing', () => {
    set('one', a);
    const [first, second] = [set('one', b), set('two', a)];
    crash(first);
    crash(second);
    expect([running('one'), running('two')]).to.deep.equal(['parked', 'parked']);
    expect(counted()).to.deep.equal({ rollbacks: 2, now: 2, crashes: 6 });
  });

  it('what was accepted before and comes after it was taken back is not applied', () => {
    set('one', a);
    const late = bridgeOf(b);
    crash(set('one', b));
    rollBack.clusters.setCluster(resourceOf('one', b), late, 'dynamic');
    expect(running('one')).to.equal('A');
    expect(rollBack.rolledBack('one')?.resource.version).to.equal('B');
  });

  it('static clusters go back, too, and no dynamic one takes their place', () => {
    const mark = set('one', b, 'static');
    set('one', a, 'dynamic');
    crash(mark);
    expect(running('one')).to.equal('parked');
    set('one', a, 'dynamic');
    expect(running('one')).to.equal('parked');
    rollBack.clusters.removeCluster('one');
    expect(rollBack.rolledBack('one')).not.to.equal(undefined);
  });

  it('what was removed or parked has no version before', () => {
    for (const leave of [
      () => rollBack.clusters.removeCluster('one'),
      () => {
        const parked = { ...resourceOf('one', a), verdict: { kind: 'parked', model: undefined, reason: 'x' } as const };
        rollBack.clusters.setCluster(parked, undefined, 'dynamic');
      },
    ]) {
      set('one', a);
      leave();
      const version = { ...b, config: String(leave) };
      crash(set('one', version));
      expect(running('one')).to.equal('parked');
      expect(counted()).to.include({ now: 1 });
      rollBack.clusters.removeCluster('one');
      expect(running('one')).to.equal('unknown');
      expect(counted()).to.include({ now: 0 });
    }
  });

  describe('a library that was taken back is looked at again', () => {
    it('and left alone when its file is the same', async () => {
      set('one', a);
      crash(set('one', b));
      await rollBack.retry();
      expect(running('one')).to.equal('A');
      expect(rollBack.rolledBack('one')?.resource.version).to.equal('B');
    });

    for (const before of [[a], []]) {
      it(`and its version applied with the new content (${before.length} before it)`, async () => {
        for (const version of before) set('one', version);
        crash(set('one', b));
        onDisk = 'C';
        await rollBack.retry();
        const found = rollBack.clusters.lookup('one');
        if (found.kind !== 'active') throw new Error(found.kind);
        expect([found.cluster.version, found.cluster.pipeline.libraryHash]).to.deep.equal(['B', 'hash-C']);
        expect(rollBack.rolledBack('one')).to.equal(undefined);
      });
    }

    it('and dropped when the control plane was faster', async () => {
      crash(set('one', b));
      onDisk = 'C';
      const looking = rollBack.retry();
      set('one', a);
      await looking;
      expect(running('one')).to.equal('A');
    });
  });
});
