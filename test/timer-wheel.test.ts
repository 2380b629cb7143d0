import { expect } from 'chai';
import fc from 'fast-check';
import type { Clock } from '../src/clock.js';
import { systemClock } from '../src/clock.js';
import { TimerWheel, tickMs } from '../src/timer-wheel.js';
import { FakeClock } from './support/fake-clock.js';

const day = 86_400_000;

/** A clock whose timers fire as late as the test likes. */
class LateClock implements Pick<Clock, 'monotonic' | 'setTimeout'> {
  time = 0;
  readonly waiting = new Set<() => void>();

  monotonic(): number {
    return this.time;
  }

  setTimeout<A>(callback: (argument: A) => void, _ms: number, argument?: A) {
    const run = (): void => callback(argument as A);
    this.waiting.add(run);
    return { cancel: () => void this.waiting.delete(run) };
  }

  fire(): void {
    const due = [...this.waiting];
    this.waiting.clear();
    for (const run of due) run();
  }
}

describe('the timer wheel', () => {
  it('fires every timer once, never early and at most a tick late, and none that was cancelled', () => {
    const delay = fc.oneof(
      fc.integer({ min: 0, max: 700 }),
      fc.double({ min: 0, max: 40_000, noNaN: true }),
      fc.integer({ min: 0, max: 200 * day }),
    );
    const step = fc.oneof(
      { weight: 5, arbitrary: fc.record({ do: fc.constant('start' as const), ms: delay }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant('cancel' as const), which: fc.nat() }) },
      { weight: 3, arbitrary: fc.record({ do: fc.constant('advance' as const), ms: delay }) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 0, max: 300 * day }), (steps, begin) => {
        const clock = new FakeClock();
        clock.advance(begin);
        const wheel = new TimerWheel(clock);
        const running: { due: number; cancel: () => void }[] = [];
        for (const one of steps) {
          if (one.do === 'start') {
            const entry = { due: clock.monotonic() + one.ms, cancel: () => {} };
            const timer = wheel.start(
              (argument) => {
                expect(argument).to.equal(entry);
                expect(running).to.include(entry);
                expect(clock.monotonic()).to.be.within(entry.due, entry.due + tickMs + 1);
                running.splice(running.indexOf(entry), 1);
              },
              one.ms,
              entry,
            );
            entry.cancel = () => timer.cancel();
            running.push(entry);
          } else if (one.do === 'cancel') {
            const [cancelled] = running.splice(one.which % Math.max(1, running.length), 1);
            cancelled?.cancel();
            cancelled?.cancel();
          } else clock.advance(one.ms);
          expect(clock.pending, 'timers of the clock').to.be.at.most(1);
          for (const { due } of running)
            expect(due, 'a timer that was missed').to.be.above(clock.monotonic() - tickMs - 1);
        }
        for (const { cancel } of running) cancel();
        clock.advance(1000 * day);
        expect(clock.pending, 'timers of the clock when nothing runs').to.equal(0);
      }),
      { numRuns: 400 },
    );
  });

  it('asks the clock for nothing when a timer is started behind others, or cancelled', () => {
    let asked = 0;
    const clock = new (class extends FakeClock {
      override setTimeout<A>(callback: (argument: A) => void, ms: number, argument?: A) {
        asked++;
        return super.setTimeout(callback, ms, argument);
      }
    })();
    const wheel = new TimerWheel(clock);
    wheel.start(() => {}, 1000, undefined);
    for (let i = 0; i < 1000; i++) {
      clock.advance(0.9);
      wheel.start(() => expect.fail('it was cancelled'), 60_000, undefined).cancel();
    }
    // When its slot was opened, and when it moved to the last one.
    expect(asked).to.be.at.most(4);
  });

  it('lets callbacks start and cancel timers', () => {
    const clock = new FakeClock();
    const wheel = new TimerWheel(clock);
    const fired: string[] = [];
    const second = { cancel: () => {} };
    wheel.start(
      () => {
        fired.push('first');
        second.cancel();
        wheel.start(() => fired.push('third'), 0, undefined);
      },
      500,
      undefined,
    );
    Object.assign(second, {
      cancel: (
        (timer) => () =>
          timer.cancel()
      )(wheel.start(() => fired.push('second'), 500, undefined)),
    });
    clock.advance(500 + tickMs);
    expect(fired).to.deep.equal(['first']);
    clock.advance(2 * tickMs);
    expect(fired).to.deep.equal(['first', 'third']);
  });

  it('goes on after a callback that throws', () => {
    const clock = new LateClock();
    const wheel = new TimerWheel(clock);
    let fired = 0;
    const fail = (): never => {
      throw new Error('no');
    };
    wheel.start(fail, 200, undefined);
    wheel.start(() => fired++, 200, undefined);
    clock.time = 210;
    expect(() => clock.fire()).to.throw('no');
    expect(fired).to.equal(0);
    clock.fire();
    expect(fired).to.equal(1);
    expect(clock.waiting.size).to.equal(0);
  });

  it('works on a hundred thousand that are due at once in pieces', () => {
    const clock = new LateClock();
    const wheel = new TimerWheel(clock);
    const count = 100_000;
    let fired = 0;
    const work = (): void => {
      fired++;
      clock.time += 0.05;
    };
    for (let i = 0; i < count; i++) wheel.start(work, 60_000 + (i % 5000), undefined);
    // The process was stopped for that long.
    clock.time = 100_000;
    let runs = 0;
    for (; clock.waiting.size > 0; runs++) {
      const before = clock.time;
      clock.fire();
      expect(clock.time - before).to.be.at.most(6);
    }
    expect(fired).to.equal(count);
    expect(runs).to.be.above(900);
  });

  it('waits for what is due after longer than it has slots for', () => {
    const clock = new FakeClock();
    const wheel = new TimerWheel(clock);
    let fired = 0;
    wheel.start(() => fired++, 500 * day, undefined);
    const never = wheel.start(() => fired++, Number.POSITIVE_INFINITY, undefined);
    clock.advance(500 * day - 1);
    expect(fired).to.equal(0);
    clock.advance(tickMs + 1);
    expect(fired).to.equal(1);
    clock.advance(1000 * day);
    expect(fired).to.equal(1);
    never.cancel();
  });

  it('is behind the timers of the real clock', async () => {
    for (const ms of [3, 100, 130]) {
      const start = performance.now();
      const argument = { ms };
      // Its timers don't keep the process alive.
      const alive = setInterval(() => {}, 1000);
      const given = await new Promise((resolve) => systemClock.setTimeout(resolve, ms, argument));
      clearInterval(alive);
      expect(given).to.equal(argument);
      expect(performance.now() - start).to.be.at.least(ms - 1);
    }
  });
});
