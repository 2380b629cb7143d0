import { expect } from 'chai';
import fc from 'fast-check';
import { createBackOff, NackPacer } from '../../src/xds/back-off.js';

describe('back-off', () => {
  it('stays between nothing and an interval that doubles up to a bound', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { maxLength: 20 }), (jitter) => {
        let index = 0;
        const backOff = createBackOff(500, 30_000, () => jitter[index] as number);
        for (; index < jitter.length; index++) {
          const interval = Math.min(500 * 2 ** index, 30_000);
          expect(backOff.next()).to.equal((jitter[index] as number) * interval);
        }
        backOff.reset();
        index = 0;
        if (jitter.length > 0) expect(backOff.next()).to.equal((jitter[0] as number) * 500);
      }),
    );
  });
});

describe('the pace of rejections', () => {
  it('lets the first go, spaces the others, and forgives', () => {
    const pacer = new NackPacer();
    expect([
      pacer.delay(0, false),
      pacer.delay(0, false),
      pacer.delay(0, false),
      pacer.delay(600, false),
    ]).to.deep.equal([0, 200, 600, 800]);
    pacer.accepted();
    expect(pacer.delay(1_400, false)).to.equal(0);
  });

  it('lets a patient sender through at once', () => {
    const pacer = new NackPacer();
    for (let at = 0; at < 1_000_000; at += 6_000) expect(pacer.delay(at, false)).to.equal(0);
  });

  it('does not wait long with what is news', () => {
    const pacer = new NackPacer();
    for (let n = 0; n < 5; n++) pacer.delay(0, false);
    // They went out until 3 s; one more of them would wait for 3.2 s.
    expect(pacer.delay(3_000, true)).to.equal(1_000);
    expect(pacer.delay(4_000, true)).to.equal(1_000);
    expect(pacer.delay(5_000, false)).to.equal(2_000);
  });
});
