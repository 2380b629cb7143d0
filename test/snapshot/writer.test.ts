import { setImmediate } from 'node:timers/promises';
import { expect } from 'chai';
import type { SavedResource, UnsavedSnapshot } from '../../src/snapshot/format.js';
import { createSnapshotWriter } from '../../src/snapshot/writer.js';
import { createStatsStore } from '../../src/stats/create-store.js';
import { FakeClock } from '../support/fake-clock.js';
import { recordingLog } from '../xds/harness.js';

const resource: SavedResource = {
  source: 'ads',
  typeUrl: 't',
  name: 'r',
  version: '1',
  bytes: new Uint8Array(),
  acceptedAt: new Date(0),
};

function setUp(intervalMs = 5_000) {
  const clock = new FakeClock();
  const log = recordingLog();
  const stats = createStatsStore();
  const saved: UnsavedSnapshot[] = [];
  const world = {
    readiness: 'yes' as 'no' | 'settling' | 'yes',
    failure: undefined as string | undefined,
    /** What saves wait for, when set. */
    hold: undefined as Promise<void> | undefined,
    touched: 0,
    /** How many steps it takes to collect. */
    steps: 0,
    resources: [resource],
  };
  const writer = createSnapshotWriter({
    store: {
      path: '/kept/file',
      async save(snapshot) {
        await world.hold;
        if (world.failure !== undefined) throw new Error(world.failure);
        saved.push(snapshot);
        return 7;
      },
      async touch() {
        world.touched++;
      },
      clean: async () => undefined,
    },
    owner: { nodeId: 'n', nodeCluster: 'c' },
    writtenBy: 'test',
    *collect() {
      for (let step = 0; step < world.steps; step++) {
        clock.advance(5);
        yield;
      }
      return world.resources;
    },
    readiness: () => world.readiness,
    intervalMs,
    clock,
    log,
    stats,
  });
  const pass = async (ms: number) => {
    clock.advance(ms);
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  };
  return { clock, log, stats, saved, world, writer, pass };
}

describe('the writer of snapshots', () => {
  it('writes once for changes that follow each other', async () => {
    const { writer, saved, pass } = setUp();
    for (let change = 0; change < 5; change++) {
      writer.changed();
      await pass(500);
    }
    expect(saved).to.have.length(0);
    await pass(1_000);
    expect(saved).to.have.length(1);
    await pass(60_000);
    expect(saved).to.have.length(1);
  });

  it('does not wait for ever for changes to end', async () => {
    const { writer, saved, pass } = setUp();
    for (let change = 0; change < 200; change++) {
      writer.changed();
      await pass(500);
    }
    expect(saved.length).to.be.within(2, 4);
  });

  it('leaves time between two writes', async () => {
    const { writer, saved, pass } = setUp();
    writer.changed();
    await pass(1_000);
    writer.changed();
    await pass(4_000);
    expect(saved).to.have.length(1);
    await pass(1_000);
    expect(saved).to.have.length(2);
  });

  it('waits until what changed has settled, but not for ever', async () => {
    const { writer, saved, world, pass } = setUp();
    world.readiness = 'settling';
    writer.changed();
    for (let second = 0; second < 25; second++) await pass(1_000);
    expect(saved).to.have.length(0);
    for (let second = 0; second < 10; second++) await pass(1_000);
    expect(saved).to.have.length(1);
  });

  it('writes nothing before the server is up', async () => {
    const { writer, saved, world, pass } = setUp();
    world.readiness = 'no';
    writer.changed();
    for (let second = 0; second < 100; second++) await pass(1_000);
    expect(saved).to.have.length(0);
    world.readiness = 'yes';
    await pass(2_000);
    await pass(2_000);
    expect(saved).to.have.length(1);
  });

  it('tells once of a disk that fails, tries again more and more seldom, and tells when it is over', async () => {
    const { writer, saved, world, stats, log, pass } = setUp();
    world.failure = 'ENOSPC: no space left on device, write /kept/file.12-0123abcd.tmp';
    writer.changed();
    for (let second = 0; second < 600; second++) await pass(1_000);
    const failures = stats.counter('server.snapshot.write_failure').value;
    expect(failures).to.be.within(5, 9);
    expect(log.lines).to.have.length(1);
    expect(log.lines[0]).to.include('ENOSPC');
    expect(writer.lastFailure?.message).to.equal('ENOSPC: no space left on device, write /kept/file.tmp');
    world.failure = undefined;
    for (let second = 0; second < 301; second++) await pass(1_000);
    expect(saved).to.have.length(1);
    expect(writer.lastFailure).to.equal(undefined);
    expect(stats.counter('server.snapshot.write_success').value).to.equal(1);
    expect(stats.gauge('server.snapshot.size_bytes').value).to.equal(7);
  });

  it('writes again what changed while it wrote', async () => {
    const { writer, saved, world, pass } = setUp();
    let release = () => {};
    world.hold = new Promise((resolve) => {
      release = resolve;
    });
    writer.changed();
    await pass(1_000);
    writer.changed();
    release();
    await pass(0);
    expect(saved).to.have.length(1);
    await pass(6_000);
    expect(saved).to.have.length(2);
  });

  it('writes what is left at the end, and waits for no disk that hangs', async () => {
    const first = setUp();
    first.writer.changed();
    await first.writer.close();
    expect(first.saved).to.have.length(1);
    first.writer.changed();
    await first.pass(60_000);
    expect(first.saved).to.have.length(1);
    expect(first.clock.pending).to.equal(0);

    const second = setUp();
    second.world.hold = new Promise(() => undefined);
    second.writer.changed();
    const closed = second.writer.close();
    await second.pass(2_000);
    await closed;
  });

  it('collects in turns, and at the end of the process at once what is still there', async () => {
    const { writer, saved, world, clock, pass } = setUp();
    world.steps = 50;
    writer.changed();
    await pass(1_000);
    const before = clock.monotonic();
    await setImmediate();
    expect(clock.monotonic() - before).to.be.within(1, 20);
    expect(saved).to.have.length(0);
    const closed = writer.close();
    world.resources = [];
    await closed;
    expect(saved.map(({ resources }) => [...resources].length)).to.deep.equal([1]);
  });

  it('shows every day that its file is still wanted', async () => {
    const { world, pass } = setUp();
    await pass(86_400_000 * 3);
    expect(world.touched).to.equal(3);
  });
});
