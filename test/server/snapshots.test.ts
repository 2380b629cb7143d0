import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Bootstrap } from '../../src/model/bootstrap.js';
import { openSnapshots, type SnapshotOptions } from '../../src/server/snapshots.js';
import type { SavedResource, UnsavedSnapshot } from '../../src/snapshot/format.js';
import { createSnapshotStore } from '../../src/snapshot/store.js';
import { createStatsStore } from '../../src/stats/create-store.js';
import { FakeClock } from '../support/fake-clock.js';
import { until } from '../support/until.js';
import { recordingLog } from '../xds/harness.js';

const owner = { nodeId: 'n', nodeCluster: 'c' };
const resource = (source: string, typeUrl: string): SavedResource => ({
  source,
  typeUrl,
  name: `${source}-${typeUrl}`,
  version: '1',
  bytes: Buffer.from('x'),
  acceptedAt: new Date(0),
});
const saved = [resource('ads', 'cluster'), resource('ads', 'secret'), resource('other', 'secret')];

// biome-ignore lint/correctness/useYield: there are no steps
function* nothingInSteps(): Generator<undefined, [], undefined> {
  return [];
}

describe('snapshots of a server', () => {
  let folder: string;
  beforeEach(() => {
    folder = join(mkdtempSync(join(tmpdir(), 'pontoon-server-snapshots-')), 'kept');
  });
  afterEach(() => rmSync(join(folder, '..'), { recursive: true, force: true }));

  async function open(options: Partial<SnapshotOptions> = {}, timeouts: { cds?: number; lds?: number } = {}) {
    const clock = new FakeClock();
    const stats = createStatsStore();
    const log = recordingLog();
    const source = (ms: number | undefined) =>
      ms === undefined ? undefined : { kind: 'ads', initialFetchTimeoutMs: ms };
    const bootstrap = { node: { id: 'n', cluster: 'c' }, cds: source(timeouts.cds), lds: source(timeouts.lds) };
    const snapshots = await openSnapshots({
      options: { folder, waitMs: 5_000, intervalMs: 0, secrets: true, ...options },
      bootstrap: bootstrap as unknown as Bootstrap,
      types: { secrets: { typeUrl: 'secret' } },
      writtenBy: 'test',
      clock,
      log,
      stats,
    });
    return { snapshots, clock, stats, log };
  }
  const save = (resources: UnsavedSnapshot['resources']) =>
    createSnapshotStore(folder, owner).save({ owner, savedAt: new Date(5), writtenBy: 'test', resources });
  const names = (resources: Iterable<{ readonly name: string }> = []) => [...resources].map(({ name }) => name);

  it('give each source what it said', async () => {
    await save(saved);
    const { snapshots, stats } = await open();
    expect(names(snapshots.lastKnown('ads')?.resources())).to.deep.equal(['ads-cluster', 'ads-secret']);
    expect(names(snapshots.lastKnown('other')?.resources())).to.deep.equal(['other-secret']);
    expect(names(snapshots.lastKnown('new')?.resources())).to.deep.equal([]);
    snapshots.forget();
    expect(snapshots.lastKnown('ads')).to.equal(undefined);
    expect(stats.gauge('server.snapshot.update_time').value).to.equal(5);
    expect(stats.counter('server.snapshot.load_success').value).to.equal(1);
  });

  it('know nothing where nothing was kept', async () => {
    const { snapshots, stats } = await open();
    expect(snapshots.lastKnown('ads')).to.equal(undefined);
    expect(stats.counter('server.snapshot.load_failure').value).to.equal(0);
  });

  it('neither write nor read secrets that are to be left out', async () => {
    const { snapshots, clock } = await open({ secrets: false });
    snapshots.begin({
      *keepable(isKept) {
        return saved.filter(({ typeUrl }) => isKept(typeUrl));
      },
      stale: () => 0,
      readiness: () => 'yes',
    });
    snapshots.changed('response');
    clock.advance(1);
    await until('a write', () => snapshots.status().lastWrite);
    expect(names((await createSnapshotStore(folder, owner).load()).snapshot?.resources)).to.deep.equal(['ads-cluster']);
    await save(saved);
    const again = await open({ secrets: false });
    expect(names(again.snapshots.lastKnown('ads')?.resources())).to.deep.equal(['ads-cluster']);
  });

  for (const [waitMs, timeouts, expected] of [
    [5_000, {}, 5_000],
    [5_000, { cds: 15_000, lds: 15_000 }, 5_000],
    [5_000, { cds: 15_000, lds: 1_000 }, 800],
    [5_000, { cds: 0, lds: 0 }, 5_000],
    [0, { cds: 1_000 }, 0],
  ] as const)
    it(`wait ${expected} ms of ${waitMs} ms where initial_fetch_timeout is ${JSON.stringify(timeouts)}`, async () => {
      await save(saved);
      const { snapshots } = await open({ waitMs }, timeouts);
      expect(snapshots.lastKnown('ads')?.waitMs).to.equal(expected);
    });

  it('say once that they are used, and once that it is over', async () => {
    await save(saved);
    const { snapshots, stats, log, clock } = await open();
    let stale = 0;
    snapshots.begin({ keepable: nothingInSteps, stale: () => stale, readiness: () => 'yes' });
    const state = () => [
      stats.gauge('server.snapshot.active').value,
      stats.gauge('server.snapshot.stale_resources').value,
    ];
    for (stale of [1, 2]) snapshots.changed('last_known');
    expect(state()).to.deep.equal([1, 2]);
    clock.advance(60_000);
    expect(snapshots.status().lastWrite).to.equal(undefined);
    for (stale of [1, 0, 0]) snapshots.changed('response');
    expect(state()).to.deep.equal([0, 0]);
    expect(log.lines).to.have.length(1);
    expect(log.lines[0]).to.include('what it said to an earlier process is used');
    await snapshots.close();
  });
});
