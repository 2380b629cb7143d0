import { expect } from 'chai';
import fc from 'fast-check';
import { densest } from '../../bench/fleet/spread.js';
import { createLogging } from '../../src/log.js';
import { AdsStream } from '../../src/xds/ads-stream.js';
import { channelDefaults } from '../../src/xds/channel.js';
import { FakeClock } from '../support/fake-clock.js';
import { createRandom } from '../support/random.js';

const windowMs = 100;
const log = createLogging('off').logger('test');

/**
 * When each of so many clients, all of which lose their control plane at 0, tries for the first time after it is back, in milliseconds
 * from then on. Until it is back there is no address, so that every attempt fails at once.
 */
function firstAttempts(clients: number, outageMs: number, seed: number): number[] {
  const clock = new FakeClock();
  const random = createRandom(seed);
  const times: number[] = [];
  const noop = () => undefined;
  for (let client = 0; client < clients; client++) {
    let isBack = false;
    const stream = new AdsStream({
      method: '/none',
      channels: [
        {
          ...channelDefaults,
          addresses() {
            const now = clock.monotonic();
            // The loss itself is the attempt at 0.
            if (!isBack && now > 0 && now >= outageMs) {
              isBack = true;
              times.push(now - outageMs);
            }
            return [];
          },
        },
      ],
      somethingMissing: () => false,
      clock,
      random,
      log,
      handlers: { onConnected: noop, onMessage: noop, onWritable: noop, onDisconnected: noop },
    });
    stream.start();
  }
  clock.advance(outageMs + 60_000);
  return times;
}

describe('clients that lose their control plane together', () => {
  it('come back over the whole of an interval, whatever the outage', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 120_000 }), fc.integer(), (outageMs, seed) => {
        const times = firstAttempts(100, outageMs, seed);
        expect(times).to.have.lengthOf(100);
        // Evenly over 500 ms it would be 20 in each 100 ms.
        expect(densest(times, windowMs)).to.be.at.most(40);
        expect(Math.max(...times)).to.be.at.most(30_000);
      }),
      { numRuns: 25 },
    );
  });

  it('come back the more spread the longer the outage was', () => {
    const [short, long] = [0, 60_000].map((outageMs) => firstAttempts(200, outageMs, 1)) as [number[], number[]];
    expect(Math.max(...short)).to.be.within(400, 500);
    expect(Math.max(...long)).to.be.within(15_000, 30_000);
    expect(densest(long, windowMs)).to.be.at.most(10);
  });
});

describe('the densest window', () => {
  it('is found wherever it begins', () => {
    expect(densest([], 100)).to.equal(0);
    expect(densest([0, 99, 100, 500], 100)).to.equal(2);
    expect(densest([450, 0, 101, 150, 199, 200], 100)).to.equal(4);
  });
});
