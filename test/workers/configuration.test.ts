import { expect } from 'chai';
import { until } from '../support/until.js';
import { createTestFleet, type TestFleet } from './test-fleet.js';
import type { TestMessage } from './test-worker.js';

const note = (value: unknown): TestMessage => ({ kind: 'note', value });

describe('configuration of workers', () => {
  let workers: TestFleet;

  beforeEach(async () => {
    workers = await createTestFleet();
  });

  afterEach(() => workers.close());

  const notes = async (): Promise<unknown[]> => (await workers.answers()).map(({ notes }) => notes);

  it('is the replay, then what is broadcast, in the order of sending', async () => {
    workers.replay = [note('a'), { kind: 'wait', ms: 30 }, note('b')];
    const started = workers.fleet.start();
    // While the processes start.
    workers.send(note('c'));
    await started;
    workers.send({ kind: 'wait', ms: 30 });
    workers.send(note('d'));
    await workers.fleet.settled();
    expect(await notes()).to.deep.equal([
      ['a', 'b', 'c', 'd'],
      ['a', 'b', 'c', 'd'],
    ]);
  });

  it('keeps what structured clone keeps', async () => {
    await workers.fleet.start();
    const value = {
      bytes: Uint8Array.of(1, 2, 255),
      map: new Map([['a', 1n]]),
      nothing: undefined,
      text: 'ä\0',
      set: new Set([1]),
    };
    workers.send(note(value));
    await workers.fleet.settled();
    expect(await notes()).to.deep.equal([[value], [value]]);
  });

  it('is refused when it cannot be sent', async () => {
    await workers.fleet.start();
    expect(() => workers.fleet.broadcast({ f: () => 1 })).to.throw(/could not be cloned/);
    await workers.fleet.settled();
  });

  it('is carried out when start resolves', async () => {
    workers.replay = [{ kind: 'wait', ms: 100 }, note('late')];
    await workers.fleet.start();
    expect(await notes()).to.deep.equal([['late'], ['late']]);
  });

  it('goes on after a piece that threw', async () => {
    await workers.fleet.start();
    workers.send({ kind: 'throw' });
    workers.send(note('after'));
    await workers.fleet.settled();
    expect(await notes()).to.deep.equal([['after'], ['after']]);
    expect(workers.ends).to.deep.equal([]);
  });

  it('is settled only when the slowest has carried it out, for all who ask', async () => {
    await workers.fleet.start();
    workers.send({ kind: 'wait', ms: 100 });
    workers.send(note('slow'));
    const all = Array.from({ length: 1_000 }, () => workers.fleet.settled());
    expect(new Set(all).size, 'one barrier for all who ask in one turn').to.equal(1);
    await Promise.all(all);
    expect(await notes()).to.deep.equal([['slow'], ['slow']]);
  });

  it('is settled when the successor of a worker that ended meanwhile has carried out the replay', async () => {
    await workers.fleet.start();
    workers.replay = [{ kind: 'wait', ms: 100 }, note('replayed')];
    workers.send({ kind: 'exit', code: 3, words: '' });
    workers.send(note('never'));
    await workers.fleet.settled();
    expect(await notes()).to.deep.equal([['replayed'], ['replayed']]);
    expect(workers.ends.map(({ worker, cause }) => [worker, cause])).to.have.deep.members([
      [1, 'crashed'],
      [2, 'crashed'],
    ]);
  });

  it('a worker that was started after a broadcast does not miss those that follow', async () => {
    await workers.fleet.start();
    const values: number[] = [];
    for (let value = 0; value < 300; value++) {
      values.push(value);
      workers.replay = [note(values.slice())];
      workers.send(note(value));
      if (value % 100 === 50) workers.send({ kind: 'exit', code: 0, words: '' });
      if (value % 10 === 0) await workers.fleet.settled();
    }
    await workers.fleet.settled();
    expect(workers.counter('crashed')).to.be.greaterThan(1);
    for (const answer of await notes())
      expect((answer as unknown[]).flat(), 'nothing is missing, nothing twice').to.deep.equal(values);
  });

  it('lets the event loop go on during a long replay', async () => {
    workers.replay = Array.from({ length: 100 }, () => ({ kind: 'work', ms: 2 }));
    await workers.fleet.start();
    for (const { turns } of await workers.answers()) expect(turns).to.be.greaterThan(20);
  });

  it('a long replay is not taken for a hang', async () => {
    await workers.close();
    workers = await createTestFleet({ silenceMs: 1_000 });
    workers.replay = Array.from({ length: 150 }, () => ({ kind: 'work', ms: 10 }));
    await workers.fleet.start();
    expect(workers.ends).to.deep.equal([]);
  });

  describe('questions', () => {
    it('are answered while configuration is carried out', async () => {
      await workers.fleet.start();
      workers.send({ kind: 'wait', ms: 60_000 });
      workers.send(note('later'));
      expect(await notes()).to.deep.equal([[], []]);
    });

    it('leave out who does not answer in time', async () => {
      await workers.fleet.start();
      workers.send({ kind: 'work', ms: 1_500 });
      expect(await workers.fleet.ask('state', 50), 'it did not wait for the work').to.have.property('size', 0);
      await workers.fleet.settled();
      expect(await notes(), 'the late answer is not taken for the next one').to.deep.equal([[], []]);
    });

    it('leave out who ends at once, and who throws', async () => {
      await workers.fleet.start();
      expect(await workers.fleet.ask('throw', 60_000)).to.have.property('size', 0);
      expect(workers.logs.join()).to.contain('as asked');
      workers.send({ kind: 'exit', code: 0, words: '' });
      expect(await workers.fleet.ask('state', 60_000)).to.have.property('size', 0);
    });

    it('are answered with nothing when nobody lives', async () => {
      expect(await workers.fleet.ask('state', 60_000)).to.have.property('size', 0);
    });
  });

  it('reports come in order, with the number of their worker', async () => {
    await workers.fleet.start();
    for (let value = 0; value < 100; value++) workers.send({ kind: 'report', value });
    await until('all reports', () => workers.reports.length === 200 || undefined);
    for (const worker of [1, 2]) {
      const own = workers.reports.filter((each) => each.worker === worker).map(({ report }) => report);
      expect(own).to.deep.equal(Array.from({ length: 100 }, (_, value) => value));
    }
  });
});
