import { setImmediate } from 'node:timers/promises';
import { expect } from 'chai';
import { createTurns } from '../../src/turns.js';
import { ApplyHold } from '../../src/xds/apply-hold.js';
import { Interest } from '../../src/xds/interest.js';
import { ResourceCache } from '../../src/xds/resource-cache.js';
import type { AcceptedResource, ResourceUpdate } from '../../src/xds/resource-type.js';
import { sotw } from '../../src/xds/sotw-subscription.js';
import type { ReceivedResponse } from '../../src/xds/subscription.js';
import { TypeMux } from '../../src/xds/type-mux.js';
import { WatchMap } from '../../src/xds/watch-map.js';
import { FakeClock } from '../support/fake-clock.js';
import { bytesOf, RecordingWatcher, recordingLog, testType } from './harness.js';

const typeUrl = 'type.googleapis.com/t';
const stats = { judged() {}, attempted() {}, accepted() {}, rejected() {}, failed() {}, timedOut() {} };
const pauseAlways = () => setImmediate();
const names = Array.from({ length: 50 }, (_, i) => `r${i}`);

function resource(name: string, value = '1'): AcceptedResource<string> {
  return { name, version: '1', bytes: bytesOf(name, value), verdict: { kind: 'active', model: value, warnings: [] } };
}

function updateOf(changed: readonly AcceptedResource<string>[]): ResourceUpdate<string> {
  return { cause: 'response', version: '1', changed, removed: [], rejected: [], unchanged: [] };
}

describe('turns', () => {
  it('gives one pause to all that run side by side, and only when the turn is over', async () => {
    const clock = new FakeClock();
    const turns = createTurns(clock);
    clock.advance(5);
    expect(turns(), 'something is done in each turn').to.equal(undefined);
    const pause = turns();
    expect(pause).to.not.equal(undefined);
    expect(turns()).to.equal(pause);
    await pause;
    expect(turns()).to.equal(undefined);
  });

  it('are shorter when several go on in the same round of the event loop, and all of them do', async () => {
    const [clock, step, count] = [new FakeClock(), 0.05, 8];
    const done: number[] = [];
    const work = async (index: number) => {
      const turns = createTurns(clock);
      for (done[index] = 0; done[index] < 200; done[index]++) {
        const pause = turns();
        if (pause) await pause;
        clock.advance(step);
      }
    };
    const works = Promise.all(Array.from({ length: count }, (_, index) => work(index)));
    const rounds: number[] = [clock.monotonic()];
    for (let before = clock.monotonic(); done.some((steps) => steps < 200); before = clock.monotonic()) {
      const steps = [...done];
      await setImmediate();
      rounds.push(clock.monotonic() - before);
      const idle = done.filter((now, index) => now === steps[index] && now < 200);
      expect(idle.length, 'something is done in each turn').to.equal(0);
    }
    await works;
    expect(Math.max(...rounds)).to.be.within(1, 2 + 2 * count * step);
  });

  it('tells watchers in the order of the response, and none that ended meanwhile', async () => {
    const [interest, cache, clock] = [new Interest(), new ResourceCache<string>(), new FakeClock()];
    const watches = new WatchMap({ interest, cache, clock, log: recordingLog(), onTimeout: () => undefined });
    const told: string[] = [];
    const handles = names.map((name) =>
      watches.add([name], {
        initialFetchTimeoutMs: 0,
        onUpdate: ({ changed }) => void told.push(...changed.map((one) => one.name)),
      }),
    );
    const delivered = watches.deliver(updateOf(names.map((name) => resource(name))), pauseAlways);
    while (told.length < 5) await setImmediate();
    for (const handle of handles.slice(20, 30)) watches.remove(handle);
    await delivered;
    expect(told).to.deep.equal([...names.slice(0, 20), ...names.slice(30)]);
  });

  it('tells of what came again only who has something of it', async () => {
    const [interest, cache, clock] = [new Interest(), new ResourceCache<string>(), new FakeClock()];
    const watches = new WatchMap({ interest, cache, clock, log: recordingLog(), onTimeout: () => undefined });
    const add = (name: string, skips: boolean) => {
      const watcher = Object.assign(new RecordingWatcher(), { skipsUnchanged: () => skips });
      watches.add([name], watcher);
      return watcher;
    };
    const [waiting, listening, skipping] = [add('a', true), add('b', false), add('c', true)];
    await watches.deliver(updateOf([resource('b'), resource('c')]), pauseAlways);
    await watches.deliver({ ...updateOf([]), unchanged: ['a', 'b', 'c'] }, pauseAlways);
    expect([waiting, listening, skipping].map(({ updates }) => updates.length)).to.deep.equal([1, 2, 1]);
  });

  it('tells a watcher of many names once', async () => {
    const [interest, cache, clock] = [new Interest(), new ResourceCache<string>(), new FakeClock()];
    const watches = new WatchMap({ interest, cache, clock, log: recordingLog(), onTimeout: () => undefined });
    const watcher = new RecordingWatcher();
    watches.add(names, watcher);
    await watches.deliver(updateOf(names.map((name) => resource(name))), pauseAlways);
    expect(watcher.updates.map(({ changed }) => changed.map(({ name }) => name))).to.deep.equal([names]);
  });

  it('applies a response as a whole before the one that supersedes it, and answers the last', async () => {
    const clock = new FakeClock();
    const options = {
      type: testType(typeUrl, true),
      variant: sotw,
      clock,
      log: recordingLog(),
      stats,
      server: () => 0,
    };
    const mux = new TypeMux<string>({
      ...options,
      onProgress: () => {},
      onChanged: () => {},
      hold: new ApplyHold(clock),
    });
    const applied: string[] = [];
    const watcher = new RecordingWatcher(0, async ({ changed, removed }) => {
      for (const { name, version } of changed) {
        await setImmediate();
        applied.push(`${name}@${version}`);
      }
      applied.push(...removed.map((name) => `-${name}`));
      return undefined;
    });
    mux.watches.add('wildcard', watcher);
    mux.streamStarted();
    mux.nextRequest();
    const response = (version: string, values: Readonly<Record<string, string>>): ReceivedResponse => ({
      typeUrl,
      nonce: version,
      version,
      removed: [],
      mayBeComplete: true,
      resources: Object.entries(values).map(([name, value]) => ({
        name: undefined,
        version,
        body: { kind: 'message', typeUrl, bytes: bytesOf(name, value) },
      })),
    });
    const first = mux.receive(response('1', { a: '1', b: '1', c: '1' }), 0);
    const second = mux.receive(response('2', { a: '2', c: '1' }), 0);
    while (applied.length < 1) await setImmediate();
    expect(applied).to.deep.equal(['a@1']);
    await Promise.all([first, second]);
    expect(applied).to.deep.equal(['a@1', 'b@1', 'c@1', 'a@2', '-b']);
    expect(mux.nextAnswer()).to.deep.include({ response_nonce: '2', version_info: '2' });
    expect(mux.nextAnswer()).to.equal(undefined);
  });

  for (const source of ['a control plane', 'what is known from before'])
    it(`drops what was accepted of ${source} when everything ends while it is taken in`, async () => {
      const clock = new FakeClock();
      clock.monotonic = () => {
        clock.advance(5);
        return clock.now();
      };
      const type = testType(typeUrl, true);
      const options = { type, variant: sotw, clock, log: recordingLog(), stats, server: () => 0 };
      const mux = new TypeMux<string>({
        ...options,
        onProgress: () => {},
        onChanged: () => {},
        hold: new ApplyHold(clock),
      });
      const watcher = new RecordingWatcher();
      mux.watches.add('wildcard', watcher);
      mux.streamStarted();
      mux.nextRequest();
      if (source === 'a control plane') {
        const resources = names.map((name) => ({
          name: undefined,
          version: '1',
          body: { kind: 'message' as const, typeUrl, bytes: bytesOf(name, name) },
        }));
        void mux.receive({ typeUrl, nonce: '1', version: '1', removed: [], mayBeComplete: true, resources }, 0);
      } else {
        mux.takeKept(
          names.map((name) => ({ typeUrl, name, version: '1', bytes: bytesOf(name, name), acceptedAt: new Date(0) })),
        );
      }
      while (type.judged.length < names.length) await setImmediate();
      mux.close();
      for (let i = 0; i < 200 && type.discarded.length < names.length; i++) await setImmediate();
      expect(watcher.updates).to.deep.equal([]);
      expect(type.discarded.toSorted()).to.deep.equal(names.toSorted());
    });
});
