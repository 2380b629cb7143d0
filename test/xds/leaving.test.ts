import { setImmediate } from 'node:timers/promises';
import { expect } from 'chai';
import { allSteps, createTurns } from '../../src/turns.js';
import { ApplyHold } from '../../src/xds/apply-hold.js';
import { delta } from '../../src/xds/delta-subscription.js';
import { Interest } from '../../src/xds/interest.js';
import { Leaving } from '../../src/xds/leaving.js';
import { planResponse } from '../../src/xds/plan-response.js';
import { ResourceCache } from '../../src/xds/resource-cache.js';
import { sotw } from '../../src/xds/sotw-subscription.js';
import type { ReceivedResponse } from '../../src/xds/subscription.js';
import { TypeMux } from '../../src/xds/type-mux.js';
import { FakeClock } from '../support/fake-clock.js';
import { bytesOf, RecordingWatcher, recordingLog, testType } from './harness.js';

const typeUrl = 'type.googleapis.com/t';
const names = Array.from({ length: 500 }, (_, index) => `r${index}`);
const stats = { judged() {}, attempted() {}, accepted() {}, rejected() {}, failed() {}, timedOut() {} };

/** A millisecond passes whenever it is looked at. */
class WorkingClock extends FakeClock {
  override monotonic(): number {
    this.advance(1);
    return super.monotonic();
  }
}

describe('many names', () => {
  it('are forgotten a few in each turn, and once', async () => {
    const forgotten: string[] = [];
    const clock = new WorkingClock();
    const leaving = new Leaving(
      (name) => forgotten.push(name),
      () => createTurns(clock),
    );
    leaving.add(new Set(names.slice(0, 300)));
    leaving.add(new Set(names.slice(100)));
    leaving.back('r250');
    let most = 0;
    for (let before = 0; forgotten.length < names.length; before = forgotten.length) {
      await setImmediate();
      most = Math.max(most, forgotten.length - before);
    }
    expect(most).to.be.lessThan(10);
    expect(forgotten.toSorted()).to.deep.equal(names.toSorted());
  });

  it('that a response removes are read a few in each turn', async () => {
    let [read, before, most] = [0, 0, 0];
    function* removed(): Iterable<string> {
      for (const name of names) {
        read++;
        yield name;
      }
    }
    const turns = () => {
      most = Math.max(most, read - before);
      before = read;
      return undefined;
    };
    const interest = new Interest();
    interest.setWildcard(true);
    const response = { typeUrl, nonce: '1', version: '1', removed: removed(), mayBeComplete: false, resources: [] };
    const type = testType(typeUrl, false);
    const plan = await planResponse(type, response, new ResourceCache<string>(), interest, 0, turns);
    expect(plan.removed).to.deep.equal(names);
    expect(most).to.be.within(1, 20);
  });
});

for (const variant of [sotw, delta])
  describe(`names that nobody wants any more, ${variant.kind}`, () => {
    let mux: TypeMux<string>;

    /** All are wanted and held. */
    async function hold() {
      const clock = new WorkingClock();
      const [onProgress, onChanged] = [() => undefined, () => undefined];
      const options = { type: testType(typeUrl, false), variant, clock, log: recordingLog(), stats, server: () => 0 };
      mux = new TypeMux<string>({ ...options, onProgress, onChanged, hold: new ApplyHold(clock) });
      const watches = names.map((name) => mux.watches.add([name], new RecordingWatcher()));
      mux.streamStarted();
      mux.nextRequest();
      const response: ReceivedResponse = {
        typeUrl,
        nonce: '1',
        version: '1',
        removed: [],
        mayBeComplete: true,
        resources: names.map((name) => ({
          name,
          version: '1',
          body: { kind: 'message', typeUrl, bytes: bytesOf(name, '1') },
        })),
      };
      await mux.receive(response, 0);
      mux.nextAnswer();
      expect([...mux.states()].filter(({ status }) => status === 'active')).to.have.lengthOf(names.length);
      return watches;
    }

    afterEach(() => mux.close());

    it('are shown no more at once, and forgotten in turns', async () => {
      for (const watch of await hold()) mux.watches.remove(watch);
      mux.nextRequest();
      expect([...mux.states()]).to.deep.equal([]);
      expect(allSteps(mux.keepable()).resources).to.deep.equal([]);
      const watcher = new RecordingWatcher();
      mux.watches.add(['r499'], watcher);
      await setImmediate();
      expect(mux.state('r499')?.status, 'waits for an answer').to.equal('requested');
      expect(watcher.updates).to.deep.equal([]);
    });

    it('come back as they are held while the control plane was not told', async () => {
      for (const watch of await hold()) mux.watches.remove(watch);
      const watcher = new RecordingWatcher();
      mux.watches.add(['r499'], watcher);
      mux.nextRequest();
      await setImmediate();
      expect(mux.state('r499')?.status).to.equal('active');
      expect(watcher.plain).to.deep.equal({ r499: '1' });
    });

    it('are not known to a wildcard that comes meanwhile', async () => {
      for (const watch of await hold()) mux.watches.remove(watch);
      mux.nextRequest();
      const watcher = new RecordingWatcher();
      mux.watches.add('wildcard', watcher);
      await setImmediate();
      expect([...mux.states()]).to.deep.equal([]);
      expect(watcher.updates).to.deep.equal([]);
    });
  });
