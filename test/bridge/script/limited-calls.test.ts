import { expect } from 'chai';
import { createLimitedCalls } from '../../../src/bridge/script/limited-calls.js';

const busy = (ms: number): void => {
  const end = performance.now() + ms;
  while (performance.now() < end);
};

describe('calls with a time limit', () => {
  it('give what their functions return or throw', async () => {
    const limited = createLimitedCalls(1_000);
    const failure = new Error('no');
    const results = await Promise.allSettled([
      limited('one', () => 1),
      limited('two', () => {
        throw failure;
      }),
      limited('three', () => 3),
    ]);
    expect(results.map((each) => (each.status === 'fulfilled' ? each.value : each.reason))).to.deep.equal([
      1,
      failure,
      3,
    ]);
  });

  it('blame the one that took too long, not those that were asked for beside it', async () => {
    const limited = createLimitedCalls(100);
    const results = await Promise.allSettled([
      limited('slow', () => busy(70)),
      limited('late', () => busy(70)),
      limited('endless', () => busy(60_000)),
      limited('last', () => 'done'),
    ]);
    expect(
      results.map((each) => (each.status === 'fulfilled' ? each.value : (each.reason as Error).message)),
    ).to.deep.equal([undefined, undefined, 'endless took more than 0.1 s', 'done']);
  });
});
