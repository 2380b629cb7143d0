import { readdirSync } from 'node:fs';
import { expect } from 'chai';
import { until } from '../support/until.js';
import { createTestFleet, type TestFleet } from './test-fleet.js';

describe('supervision of workers', () => {
  let workers: TestFleet;

  beforeEach(async () => {
    workers = await createTestFleet({ silenceMs: 500 });
  });

  afterEach(() => workers.close());

  const marks = (): readonly string[] => readdirSync(workers.folder).filter((name) => name.endsWith('.mark'));
  const ends = (count: number): Promise<true> =>
    until(`${count} ends`, () => workers.ends.length >= count || undefined, 30_000);
  const live = (): Promise<true> => until('two that serve', () => workers.gauge('live') === 2 || undefined, 30_000);

  it('has one thread for the engine beside the main one, unless NODE_OPTIONS says how many', async () => {
    const before = process.env.NODE_OPTIONS;
    const threads = async (): Promise<number[]> => {
      await workers.fleet.start();
      return (await workers.answers()).map(({ pid }) => readdirSync(`/proc/${pid}/task`).length);
    };
    const [usual = 0, other] = await threads();
    expect(other).to.equal(usual);
    await workers.close();
    workers = await createTestFleet();
    process.env.NODE_OPTIONS = `${before ?? ''} --v8-pool-size=3`;
    try {
      expect(await threads()).to.deep.equal([usual + 2, usual + 2]);
    } finally {
      if (before === undefined) delete process.env.NODE_OPTIONS;
      else process.env.NODE_OPTIONS = before;
    }
  });

  describe('a worker that ends by itself', () => {
    it('is told with its exit code and last words, and has a successor', async () => {
      await workers.fleet.start();
      workers.send({ kind: 'exit', code: 7, words: 'panic: out of cheese\n\ngoroutine 1 [running]:\n' });
      await ends(2);
      for (const { cause, detail } of workers.ends) {
        expect(cause).to.equal('crashed');
        expect(detail).to.match(/^exit code 7; [\s\S]*panic: out of cheese\n\ngoroutine 1/);
      }
      await live();
      expect((await workers.answers()).map(({ worker }) => worker)).to.have.members([3, 4]);
      expect([workers.counter('started'), workers.counter('crashed'), workers.counter('hung')]).to.deep.equal([
        4, 2, 0,
      ]);
      expect(workers.logs.filter((line) => line.includes('has ended by itself: exit code 7'))).to.have.length(2);
    });

    it('by a signal is told with it', async () => {
      await workers.fleet.start();
      const [first] = await workers.answers();
      process.kill(first?.pid as number, 'SIGSEGV');
      await ends(1);
      expect(workers.ends).to.deep.equal([
        { worker: first?.worker, cause: 'crashed', detail: 'killed by SIGSEGV', mark: 0 },
      ]);
    });

    it('leaves the mark of whose code ran, and no file', async () => {
      await workers.fleet.start();
      expect(marks()).to.deep.equal(['worker-1.mark', 'worker-2.mark']);
      workers.send({ kind: 'mark', number: 0x01020304 });
      workers.send({ kind: 'exit', code: 0, words: '' });
      await ends(2);
      expect(workers.ends.map(({ mark }) => mark)).to.deep.equal([0x01020304, 0x01020304]);
      await live();
      expect(marks()).to.deep.equal(['worker-3.mark', 'worker-4.mark']);
    });

    it('leaves the mark when it is killed, too', async () => {
      await workers.fleet.start();
      workers.send({ kind: 'mark', number: 5 });
      await workers.fleet.settled();
      for (const { pid } of await workers.answers()) process.kill(pid, 'SIGKILL');
      await ends(2);
      expect(workers.ends.map(({ mark, detail }) => [mark, detail])).to.deep.equal(
        Array(2).fill([5, 'killed by SIGKILL']),
      );
    });

    it('is told after its last report', async () => {
      await workers.fleet.start();
      for (let value = 0; value < 100; value++) workers.send({ kind: 'report', value });
      workers.send({ kind: 'exit', code: 0, words: '' });
      await new Promise((resolve) => setImmediate(resolve));
      // The processes have ended when this one sees what they said.
      const end = performance.now() + 500;
      while (performance.now() < end);
      await ends(1);
      const before = workers.reports.filter(({ worker }) => worker === workers.ends[0]?.worker).length;
      expect(before).to.equal(100);
    });

    it('again and again is started again later and later, and serves when it can', async () => {
      workers.configure({ exitAt: 'start' });
      const started = workers.fleet.start();
      await ends(6);
      expect(workers.counter('started'), 'not at once every time').to.be.lessThan(12);
      workers.configure({});
      await started;
      expect(workers.gauge('live')).to.equal(2);
    });
  });

  describe('a worker that hangs', () => {
    it('is killed, told with its mark, and has a successor', async () => {
      await workers.fleet.start();
      workers.send({ kind: 'mark', number: 17 });
      workers.send({ kind: 'hang' });
      await ends(2);
      expect(workers.ends).to.have.deep.members([
        { worker: 1, cause: 'hung', detail: 'it gave no sign of life for 0.5 s', mark: 17 },
        { worker: 2, cause: 'hung', detail: 'it gave no sign of life for 0.5 s', mark: 17 },
      ]);
      await live();
      expect([workers.counter('hung'), workers.counter('crashed')]).to.deep.equal([2, 0]);
    });

    it('because it was stopped is killed, too', async () => {
      await workers.fleet.start();
      const [first] = await workers.answers();
      process.kill(first?.pid as number, 'SIGSTOP');
      await ends(1);
      expect(workers.ends[0]?.cause).to.equal('hung');
    });

    it('is not blamed for a main process that did not look', async () => {
      await workers.fleet.start();
      for (let round = 0; round < 3; round++) {
        const end = performance.now() + 1_000;
        while (performance.now() < end);
        await new Promise((resolve) => setImmediate(resolve));
      }
      await workers.fleet.settled();
      expect(workers.ends).to.deep.equal([]);
    });

    it('at its start has longer, and is killed then', async () => {
      await workers.close();
      workers = await createTestFleet({ silenceMs: 500, startTimeMs: 18_000, count: 1 });
      workers.configure({ startMs: 1_500 });
      await workers.fleet.start();
      expect(workers.ends).to.deep.equal([]);
      await workers.close();
      workers = await createTestFleet({ silenceMs: 200, startTimeMs: 1_000, count: 1 });
      workers.configure({ startMs: 60_000 });
      const started = workers.fleet.start();
      await ends(1);
      expect(workers.ends[0]?.detail).to.equal('it gave no sign of life within 1 s of its start');
      workers.configure({});
      await started;
    });
  });

  describe('replacing', () => {
    it('starts a successor, then drains the old one', async () => {
      await workers.fleet.start();
      workers.replay = [{ kind: 'wait', ms: 100 }];
      const replaced = workers.fleet.replace(1, 'test');
      await until('the successor', () => workers.counter('started') === 3 || undefined);
      expect(workers.gauge('live'), 'the old one serves meanwhile').to.equal(2);
      await replaced;
      expect(workers.gauge('live')).to.equal(2);
      expect(workers.ends).to.deep.equal([{ worker: 1, cause: 'retired', detail: 'it had drained', mark: 0 }]);
      expect(workers.reports).to.deep.equal([{ worker: 1, report: 'drained' }]);
      expect([workers.counter('replaced'), workers.counter('crashed')]).to.deep.equal([1, 0]);
      expect((await workers.answers()).map(({ worker }) => worker)).to.have.members([2, 3]);
    });

    it('all does so one after the other, once for all who ask meanwhile', async () => {
      await workers.fleet.start();
      const first = workers.fleet.replaceAll('first');
      const others = Array.from({ length: 10 }, () => workers.fleet.replaceAll('again'));
      await first;
      await Promise.all(others);
      expect(workers.counter('started')).to.be.lessThan(7);
      expect(workers.counter('replaced')).to.equal(workers.counter('started') - 2);
      expect(workers.gauge('live')).to.equal(2);
    });

    it('leaves the old one in service when the successor ends before it is ready', async () => {
      await workers.fleet.start();
      workers.configure({ exitAt: 'start' });
      await workers.fleet.replaceAll('test');
      expect(workers.gauge('live')).to.equal(2);
      expect(workers.counter('started'), 'and the second one was not tried').to.equal(3);
      expect(workers.counter('replaced')).to.equal(0);
      expect((await workers.answers()).map(({ worker }) => worker)).to.have.members([1, 2]);
      expect(workers.logs.join()).to.contain('stays in service');
      const client = await workers.connect();
      expect(await client.ask('hello')).to.match(/^\d+$/);
    });

    it('the old one may end before: then the successor takes its place', async () => {
      await workers.fleet.start();
      workers.replay = [{ kind: 'wait', ms: 200 }];
      const [first] = await workers.answers();
      const replaced = workers.fleet.replace(first?.worker as number, 'test');
      await until('the successor', () => workers.counter('started') === 3 || undefined);
      process.kill(first?.pid as number, 'SIGKILL');
      await replaced;
      await workers.fleet.settled();
      expect(workers.counter('started')).to.equal(3);
      expect(workers.gauge('live')).to.equal(2);
    });

    it('does nothing for a worker that has ended', async () => {
      await workers.fleet.start();
      await workers.fleet.replace(99, 'test');
      expect(workers.counter('started')).to.equal(2);
    });

    it('kills the old one when its drain time is over', async () => {
      await workers.close();
      workers = await createTestFleet({ count: 1, drainTimeMs: 10 });
      await workers.fleet.start();
      workers.send({ kind: 'drain_ms', ms: 60_000 });
      await workers.fleet.replace(1, 'test');
      expect(workers.ends).to.deep.equal([{ worker: 1, cause: 'retired', detail: 'its drain time was over', mark: 0 }]);
    });

    it('an old one that crashes while it drains is told as such, and has no successor', async () => {
      await workers.fleet.start();
      workers.send({ kind: 'drain_ms', ms: 60_000 });
      const replaced = workers.fleet.replace(1, 'test');
      await until('the successor', () => workers.counter('replaced') === 1 || undefined);
      const old = (await workers.answers()).find(({ worker }) => worker === 1);
      process.kill(old?.pid as number, 'SIGKILL');
      await replaced;
      expect(workers.ends).to.deep.equal([{ worker: 1, cause: 'crashed', detail: 'killed by SIGKILL', mark: 0 }]);
      expect(workers.counter('started')).to.equal(3);
    });
  });

  describe('closing', () => {
    it('drains all and ends them', async () => {
      await workers.fleet.start();
      await workers.fleet.close(5_000);
      expect(workers.ends.map(({ cause, detail }) => [cause, detail])).to.deep.equal(
        Array(2).fill(['retired', 'it had drained']),
      );
      expect(workers.gauge('live')).to.equal(0);
      expect(marks()).to.deep.equal([]);
    });

    it('kills who still drains after the time for it, and who was not yet ready', async () => {
      workers.replay = [{ kind: 'drain_ms', ms: 60_000 }];
      await workers.fleet.start();
      workers.replay = [{ kind: 'wait', ms: 60_000 }];
      const replaced = workers.fleet.replace(1, 'test');
      await until('the successor', () => workers.counter('started') === 3 || undefined);
      const settled = workers.fleet.settled();
      await workers.fleet.close(10);
      expect(workers.ends.map(({ worker, cause }) => [worker, cause])).to.have.deep.members([
        [1, 'retired'],
        [2, 'retired'],
        [3, 'retired'],
      ]);
      // Nobody waits for ever.
      await Promise.all([replaced, settled, workers.fleet.settled()]);
    });

    it('before and during the start ends what there is', async () => {
      const started = workers.fleet.start();
      await workers.fleet.close(0);
      await started;
      expect(workers.ends.map(({ cause }) => cause)).to.deep.equal(['retired', 'retired']);
    });

    it('starts nobody that waited for its restart', async () => {
      workers.configure({ exitAt: 'start' });
      const started = workers.fleet.start();
      await ends(4);
      await workers.fleet.close(0);
      await started;
      const count = workers.counter('started');
      await new Promise((resolve) => setTimeout(resolve, 600));
      expect(workers.counter('started')).to.equal(count);
    });
  });

  it('a program that cannot be started is told and tried again', async () => {
    await workers.close();
    workers = await createTestFleet({ count: 1, folder: '/nonexistent' });
    void workers.fleet.start();
    await ends(2);
    expect(workers.ends[0]?.detail).to.match(/^its process could not be started: ENOENT/);
  });
});
