import { expect } from 'chai';
import { systemClock } from '../src/clock.js';

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Until the clock has moved on. */
const spin = (): number => {
  const before = systemClock.monotonic();
  while (systemClock.monotonic() - before < 1);
  return systemClock.monotonic();
};

describe('the real clock', () => {
  it('tells a turn one time, which is never ahead', () => {
    const before = systemClock.monotonic();
    const first = systemClock.turnTime();
    const after = spin();
    expect(first).to.be.within(before, after - 1);
    expect(systemClock.turnTime()).to.equal(first);
  });

  it('tells the next turn another', async () => {
    const first = systemClock.turnTime();
    const later = spin();
    await nextTurn();
    expect(systemClock.turnTime()).to.be.at.least(later).and.greaterThan(first);
  });

  it('cancels timers, and does not wait longer than Node can', async () => {
    let fired = 0;
    const far = systemClock.setTimeout(() => fired++, 1e12);
    const near = systemClock.setTimeout(() => fired++, 1);
    near.cancel();
    spin();
    await nextTurn();
    await nextTurn();
    far.cancel();
    expect(fired).to.equal(0);
  });
});
