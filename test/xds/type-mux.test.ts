import { setImmediate } from 'node:timers/promises';
import { expect } from 'chai';
import fc from 'fast-check';
import { ApplyHold } from '../../src/xds/apply-hold.js';
import { delta } from '../../src/xds/delta-subscription.js';
import { sotw } from '../../src/xds/sotw-subscription.js';
import type { ReceivedResource, ReceivedResponse } from '../../src/xds/subscription.js';
import { TypeMux } from '../../src/xds/type-mux.js';
import type { TypeStats } from '../../src/xds/type-stats.js';
import { FakeClock } from '../support/fake-clock.js';
import { bytesOf, RecordingWatcher, recordingLog, testType, type VariantName, variants } from './harness.js';

const typeUrl = 'type.googleapis.com/t';
const name = fc.constantFrom('a', 'b', 'c', 'd');
const value = fc.constantFrom('1', '2', 'parked', 'bad', 'heartbeat');

type Step =
  | { readonly kind: 'watch'; readonly names: readonly string[] }
  | { readonly kind: 'reconnect' }
  | {
      readonly kind: 'response';
      readonly resources: readonly (readonly [name: string, value: string])[];
      readonly removed: readonly string[];
    };

const response = fc.record({
  kind: fc.constant('response' as const),
  resources: fc.array(fc.tuple(name, value), { maxLength: 5 }),
  removed: fc.array(name, { maxLength: 2 }),
});
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: response },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('watch' as const), names: fc.uniqueArray(name) }) },
    { weight: 1, arbitrary: fc.constant({ kind: 'reconnect' as const }) },
  ),
  { maxLength: 25 },
);

const stats: TypeStats = {
  judged() {},
  attempted() {},
  accepted() {},
  rejected() {},
  failed() {},
  timedOut() {},
};

/** What the resources should be, kept the simple way. */
class Model {
  readonly held = new Map<string, string>();
  wanted = new Set<string>();

  constructor(
    readonly everything: boolean,
    readonly leftOutIsDeleted: boolean,
  ) {}

  wants(one: string): boolean {
    return this.everything || this.wanted.has(one);
  }

  watch(names: readonly string[]): void {
    this.wanted = new Set(names);
    for (const one of this.held.keys()) if (!this.wants(one)) this.held.delete(one);
  }

  /** Returns whether all of it is good. */
  take(resources: Extract<Step, { kind: 'response' }>['resources'], removed: readonly string[]): boolean {
    const all = [...resources.map(([one]) => one), ...removed];
    const once = (one: string) => all.filter((other) => other === one).length === 1;
    let good = all.every(once);
    for (const [one, text] of resources) {
      if (!once(one) || text === 'heartbeat' || !this.wants(one)) continue;
      if (text === 'bad') good = false;
      else this.held.set(one, text);
    }
    for (const one of removed) if (once(one)) this.held.delete(one);
    if (this.leftOutIsDeleted && resources.every(([, text]) => text !== 'heartbeat')) {
      for (const one of this.held.keys()) if (!all.includes(one)) this.held.delete(one);
    }
    return good;
  }
}

function received(step: Extract<Step, { kind: 'response' }>, nonce: string, variant: VariantName): ReceivedResponse {
  const resources = step.resources.map(([one, text]): ReceivedResource => {
    if (text === 'heartbeat') return { name: one, version: nonce, body: { kind: 'heartbeat' } };
    const named = variant === 'DELTA' ? one : undefined;
    return { name: named, version: nonce, body: { kind: 'message', typeUrl, bytes: bytesOf(one, text) } };
  });
  const mayBeComplete = variant === 'SOTW' && step.resources.every(([, text]) => text !== 'heartbeat');
  return { typeUrl, nonce, version: nonce, resources, removed: variant === 'SOTW' ? [] : step.removed, mayBeComplete };
}

/** Time passes whenever it is looked at: every turn is over at once. */
class HurryingClock extends FakeClock {
  override monotonic(): number {
    this.advance(5);
    return super.monotonic();
  }
}

for (const variant of variants) {
  for (const everything of [true, false]) {
    for (const [fullState, Clock] of [
      [true, FakeClock],
      [false, FakeClock],
      [true, HurryingClock],
      [false, HurryingClock],
    ] as const) {
      const turns = Clock === HurryingClock ? ', a pause at every resource' : '';
      it(`type mux, ${variant}, ${everything ? 'wildcard' : 'names'}, ${fullState ? 'full state' : 'single resources'}${turns}: holds what it should`, async () => {
        await fc.assert(
          fc.asyncProperty(steps, async (list) => {
            const model = new Model(everything, fullState && variant === 'SOTW');
            const clock = new Clock();
            const mux = new TypeMux<string>({
              type: testType(typeUrl, fullState),
              variant: variant === 'SOTW' ? sotw : delta,
              clock,
              log: recordingLog(),
              stats,
              server: () => 0,
              onProgress: () => {},
              hold: new ApplyHold(clock),
              onChanged: () => {},
            });
            const watcher = new RecordingWatcher();
            const watch = mux.watches.add(everything ? 'wildcard' : [], watcher);
            mux.streamStarted();
            const speak = () => {
              for (let guard = 0; guard < 3; guard++) mux.nextRequest();
              for (const one of watcher.state.keys()) if (!model.wants(one)) watcher.state.delete(one);
            };
            speak();
            let count = 0;
            for (const step of list) {
              if (step.kind === 'watch') {
                if (!everything) mux.watches.update(watch, step.names);
                model.watch(step.names);
                speak();
                await Promise.resolve();
              } else if (step.kind === 'reconnect') {
                mux.streamEnded();
                mux.streamStarted();
                speak();
              } else if (mux.wanted) {
                const nonce = `n${count++}`;
                const removed = variant === 'SOTW' ? [] : step.removed;
                mux.receive(received(step, nonce, variant), 0);
                const good = model.take(step.resources, removed);
                let answer: object | undefined;
                for (let guard = 0; !answer && guard < 10_000; guard++) {
                  await setImmediate();
                  clock.advance(5_000);
                  answer = mux.nextAnswer();
                }
                expect(answer).to.include({ response_nonce: nonce });
                expect('error_detail' in (answer as object), 'is rejected').to.equal(!good);
                expect(mux.nextAnswer()).to.equal(undefined);
              }
              expect(watcher.plain).to.deep.equal(Object.fromEntries(model.held));
              const running = [...mux.states()].filter(({ bytes }) => bytes !== undefined);
              expect(running.map((state) => state.name).toSorted()).to.deep.equal([...model.held.keys()].toSorted());
            }
            mux.close();
            expect(clock.pending).to.equal(0);
          }),
          { numRuns: 100 },
        );
      });
    }
  }
}
