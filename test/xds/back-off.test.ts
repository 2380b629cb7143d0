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
  /** Waits as long as it must, and tells how long that was. */
  function send(pacer: NackPacer, now: number, news = false): number {
    const wait = pacer.wait(now, news);
    pacer.sent(now + wait, news);
    return wait;
  }

  it('lets the first go, spaces the others, and forgives', () => {
    const pacer = new NackPacer();
    expect([send(pacer, 0), send(pacer, 0), send(pacer, 200), send(pacer, 1_000)]).to.deep.equal([0, 200, 400, 400]);
    pacer.accepted();
    expect(send(pacer, 1_400)).to.equal(0);
  });

  it('lets a patient sender through at once', () => {
    const pacer = new NackPacer();
    for (let at = 0; at < 1_000_000; at += 6_000) expect(send(pacer, at)).to.equal(0);
  });

  it('does not wait long with what is news', () => {
    const pacer = new NackPacer();
    for (const at of [0, 200, 600, 1_400, 3_000]) send(pacer, at);
    // One more of them would wait for 3.2 s.
    expect(pacer.wait(3_000, false)).to.equal(3_200);
    expect(send(pacer, 3_000, true)).to.equal(1_000);
    expect(send(pacer, 4_000, true)).to.equal(1_000);
    expect(send(pacer, 5_000)).to.equal(2_000);
  });
});
