import { expect } from 'chai';
import type { CallMark } from '../../../src/bridge/prepared-bridge.js';
import { createLimitedCalls } from '../../../src/bridge/script/limited-calls.js';

const busy = (ms: number): void => {
  const end = performance.now() + ms;
  while (performance.now() < end);
};

describe('calls with a time limit', () => {
  let mark: CallMark;

  beforeEach(() => {
    mark = { cell: new Uint32Array(1), number: 7 };
  });

  it('give what their functions return or throw', async () => {
    const limited = createLimitedCalls(1_000);
    const failure = new Error('no');
    const results = await Promise.allSettled([
      limited('one', mark, () => 1),
      limited('two', mark, () => {
        throw failure;
      }),
      limited('three', mark, () => 3),
    ]);
    expect(results.map((each) => (each.status === 'fulfilled' ? each.value : each.reason))).to.deep.equal([
      1,
      failure,
      3,
    ]);
  });

  it('blame the one that took too long, not those that were asked for beside it', async () => {
    const limited = createLimitedCalls(500);
    const results = await Promise.allSettled([
      limited('slow', mark, () => busy(350)),
      limited('late', mark, () => busy(350)),
      limited('endless', mark, () => busy(60_000)),
      limited('last', mark, () => 'done'),
    ]);
    expect(
      results.map((each) => (each.status === 'fulfilled' ? each.value : (each.reason as Error).message)),
    ).to.deep.equal([undefined, undefined, 'endless took more than 0.5 s', 'done']);
  });

  it('are under their marks while they run, and only then', async () => {
    const limited = createLimitedCalls(100);
    const other = { ...mark, number: 8 };
    const seen = await Promise.all([
      limited('one', mark, () => mark.cell[0]),
      limited('two', other, () => mark.cell[0]),
    ]);
    expect(seen).to.deep.equal([7, 8]);
    expect(mark.cell[0]).to.equal(0);
    // What is stopped has no chance to clear up behind itself.
    const stopped = await limited('endless', mark, () => busy(60_000)).catch((error: Error) => error.message);
    expect(stopped).to.include('took more than');
    expect(mark.cell[0]).to.equal(0);
  });
});
