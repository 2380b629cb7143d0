import { setImmediate } from 'node:timers/promises';
import { expect } from 'chai';
import fc from 'fast-check';
import { loadSchema } from '../../src/protobuf/schema.js';
import { ApplyHold } from '../../src/xds/apply-hold.js';
import { Interest } from '../../src/xds/interest.js';
import { findRepetition, rememberResponse } from '../../src/xds/last-response.js';
import { ResourceCache } from '../../src/xds/resource-cache.js';
import { sotw } from '../../src/xds/sotw-subscription.js';
import type { ReceivedResponse } from '../../src/xds/subscription.js';
import { TypeMux } from '../../src/xds/type-mux.js';
import { FakeClock } from '../support/fake-clock.js';
import { RecordingWatcher, recordingLog, type TestType, testType } from './harness.js';

const schema = loadSchema();
const typeUrl = 'type.googleapis.com/t';
const otherType = 'type.googleapis.com/u';
const wrapped = 'type.googleapis.com/envoy.service.discovery.v3.Resource';
const verdict = { kind: 'active', model: '1', warnings: [] } as const;
/** As many as are remembered, and more. */
const base = Array.from({ length: 80 }, (_, index) => `r${index}`);

/** A message with a name in field 1 and a value in field 2. */
function bytesOf(name: string, value: string): Buffer {
  const field = (tag: number, text: string) => Buffer.from([tag, text.length, ...Buffer.from(text)]);
  return Buffer.concat([field(10, name), field(18, value)]);
}

function parse(bytes: Uint8Array): { readonly name: string; readonly value: string } {
  const buffer = Buffer.from(bytes);
  const end = 2 + (buffer[1] ?? 0);
  if (buffer[0] !== 10 || buffer[end] !== 18) throw new Error('no name or value');
  return { name: buffer.toString('utf8', 2, end), value: buffer.toString('utf8', end + 2) };
}

function type(fullState: boolean): TestType {
  const made = testType(typeUrl, fullState);
  return Object.assign(made, {
    nameOf: (bytes: Uint8Array) => parse(bytes).name,
    async judge({ name, bytes }: { readonly name: string; readonly bytes: Uint8Array }) {
      made.judged.push(name);
      const { value } = parse(bytes);
      const problems = [{ path: 'value', message: 'is bad' }];
      return value === 'bad' ? { kind: 'rejected', problems } : { kind: 'active', model: value, warnings: [] };
    },
    staleGroup: (model: string) => model,
  });
}

type Step =
  | { readonly kind: 'same' | 'shuffle' | 'empty' | 'reconnect' | 'stale' | 'fewer' }
  | { readonly kind: 'set'; readonly at: number; readonly value: string }
  | {
      readonly kind: 'remove' | 'add' | 'twice' | 'twice_other' | 'wrap' | 'other_type' | 'long_form';
      readonly at: number;
    }
  | { readonly kind: 'watch'; readonly count: number };

const at = fc.nat({ max: base.length - 1 });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constantFrom('same', 'shuffle', 'empty', 'reconnect', 'stale', 'fewer') }),
  fc.record({ kind: fc.constant('set'), at, value: fc.constantFrom('1', '2', '2', '3', 'longer', 'bad') }),
  fc.record({ kind: fc.constantFrom('remove', 'add', 'twice', 'twice_other', 'wrap', 'other_type', 'long_form'), at }),
  fc.record({ kind: fc.constant('watch'), count: fc.integer({ min: 70, max: 90 }) }),
) as fc.Arbitrary<Step>;

interface Any {
  readonly type_url: string;
  readonly value: Uint8Array;
}

const any = (name: string, value: string): Any => ({ type_url: typeUrl, value: bytesOf(name, value) });

/** The resources that follow the step, of which the next begins with those it returns first. */
function after(list: readonly Any[], one: Step): { readonly sent: readonly Any[]; readonly next: readonly Any[] } {
  const both = (resources: readonly Any[]) => ({ sent: resources, next: resources });
  if (one.kind === 'shuffle') return both([...list.slice(30).reverse(), ...list.slice(0, 30)]);
  if (one.kind === 'empty') return { sent: [], next: list };
  if (one.kind === 'fewer') return { sent: list.slice(0, 66), next: list };
  if (!('at' in one) || list.length === 0) return both(list);
  const index = one.at % list.length;
  const target = list[index] as Any;
  const name = target.type_url === typeUrl ? parse(target.value).name : 'r0';
  const replaced = (by: Any) => list.map((each, i) => (i === index ? by : each));
  switch (one.kind) {
    case 'set':
      return both(replaced(any(name, one.value)));
    case 'remove':
      return both(list.filter((each) => each !== target));
    case 'add': {
      const added = `r${80 + (one.at % 10)}`;
      const there = list.some(({ value }) => Buffer.compare(value, bytesOf(added, '1')) === 0);
      return both(there ? list : [...list.slice(0, index), any(added, '1'), ...list.slice(index)]);
    }
    case 'twice':
      return { sent: [...list, target], next: list };
    case 'twice_other':
      return { sent: [any(name, 'another'), ...list], next: list };
    case 'wrap': {
      const resource = { name, resource: target, ttl: { seconds: 20 } };
      const value = schema.encode('envoy.service.discovery.v3.Resource', resource);
      return { sent: replaced({ type_url: wrapped, value }), next: list };
    }
    case 'other_type':
      return { sent: replaced({ ...target, type_url: otherType }), next: list };
    case 'long_form':
      // The same, with a field behind it that nobody knows.
      return both(replaced({ ...target, value: Buffer.concat([target.value, Buffer.of(24, 1)]) }));
  }
}

function muxOf(fullState: boolean, raw: boolean) {
  const clock = new FakeClock();
  const counts: string[] = [];
  const none = () => undefined;
  const kind = type(fullState);
  const mux = new TypeMux<string>({
    type: kind,
    variant: sotw,
    clock,
    log: recordingLog(),
    stats: {
      judged: none,
      attempted: none,
      accepted: (version) => counts.push(`accepted ${version}`),
      rejected: () => counts.push('rejected'),
      failed: none,
      timedOut: none,
    },
    server: () => 0,
    onProgress: none,
    hold: new ApplyHold(clock),
    onChanged: none,
  });
  const watcher = new RecordingWatcher();
  let skips = true;
  const skipsUnchanged = () => skips;
  const single = base.map((name) => {
    const one = Object.assign(new RecordingWatcher(), { skipsUnchanged });
    if (!fullState) mux.watches.add([name], one);
    return one;
  });
  const watch = mux.watches.add(fullState ? 'wildcard' : base, watcher);
  mux.streamStarted();
  mux.nextRequest();
  return {
    mux,
    kind,
    rename: (names: readonly string[]) => {
      mux.watches.update(watch, names);
      mux.nextRequest();
    },
    toggle: () => {
      skips = !skips;
    },
    async take(bytes: Buffer, nonce: string): Promise<object> {
      const read = sotw.unpack(bytes);
      const { resources } = read;
      const plain: ReceivedResponse['resources'] = {
        length: resources.length,
        at: (index) => resources.at(index),
      };
      mux.receive(raw ? read : { ...read, resources: plain }, bytes.length);
      let answer: object | undefined;
      for (let guard = 0; !answer && guard < 1_000; guard++) {
        await setImmediate();
        clock.advance(1_000);
        answer = mux.nextAnswer();
      }
      expect(answer).to.include({ response_nonce: nonce });
      return answer as object;
    },
    seen: () => ({
      counts,
      judged: kind.judged.toSorted(),
      states: [...mux.states()]
        .map(({ name, status, version, bytes, error }) => ({ name, status, version, bytes, error: error?.details }))
        .sort((a, b) => (a.name < b.name ? -1 : 1)),
      told: [watcher, ...single].map(({ plain, updates }) => ({
        plain,
        updates: updates.map(({ changed, unchanged, removed, rejected }) =>
          [changed, rejected]
            .map((each) => each.map(({ name }) => name).toSorted())
            .concat([unchanged.toSorted(), removed.toSorted()]),
        ),
      })),
    }),
  };
}

describe('a response that repeats the last one', () => {
  for (const fullState of [true, false]) {
    it(`does what it does when each resource is read, ${fullState ? 'full state' : 'single resources'}`, async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 12 }), async (steps) => {
          const [quick, slow] = [muxOf(fullState, true), muxOf(fullState, false)];
          let list: readonly Any[] = base.map((name) => any(name, '1'));
          for (const [index, one] of [{ kind: 'same' } as const, ...steps].entries()) {
            for (const { mux, kind, rename, toggle } of [quick, slow]) {
              if (one.kind === 'reconnect') {
                mux.streamEnded();
                mux.streamStarted();
                mux.nextRequest();
              } else if (one.kind === 'watch' && !fullState) {
                rename(Array.from({ length: one.count }, (_, i) => `r${i}`));
                toggle();
              } else if (one.kind === 'stale') {
                if (!kind.stale.delete('2')) kind.stale.add('2');
              }
            }
            const { sent, next } = after(list, one);
            list = next;
            const version = `${index}`;
            const message = { version_info: version, resources: sent, type_url: typeUrl, nonce: version };
            const bytes = schema.encode('envoy.service.discovery.v3.DiscoveryResponse', message);
            const answer = await quick.take(bytes, version);
            // Where it puts the same resources does not count.
            expect(answer).to.deep.equal(await slow.take(bytes, version));
            expect(quick.seen()).to.deep.equal(slow.seen());
          }
          quick.mux.close();
          slow.mux.close();
        }),
        { numRuns: 60 },
      );
    });
  }

  it('is not even read, but for what is other than before, in whatever order', async () => {
    const { mux, take } = muxOf(true, true);
    const reads = (resources: readonly Any[], version: string) => {
      const message = { version_info: version, resources, type_url: typeUrl, nonce: version };
      return schema.encode('envoy.service.discovery.v3.DiscoveryResponse', message);
    };
    const list = base.map((name) => any(name, '1'));
    await take(reads(list, '1'), '1');
    const response = sotw.unpack(reads([any('r3', '2'), ...list.filter((_, i) => i !== 3).reverse()], '2'));
    const looked = new Set<number>();
    const { resources } = response;
    const watched: ReceivedResponse['resources'] = {
      length: resources.length,
      at(index) {
        looked.add(index);
        return resources.at(index);
      },
      repeats(index, ...rest) {
        looked.add(index);
        return resources.repeats?.(index, ...rest);
      },
      ...(resources.raw && { raw: resources.raw }),
    };
    await mux.receive({ ...response, resources: watched }, 0);
    await setImmediate();
    expect([...looked]).to.deep.equal([0]);
    expect(mux.state('r3')?.version).to.equal('2');
    expect(mux.state('r4')?.version).to.equal('2');
    mux.close();
  });

  it('is taken for one no longer when something became of what it has', async () => {
    const changes: readonly ((cache: ResourceCache<string>, interest: Interest) => void)[] = [
      (cache) => cache.delete('r7'),
      (cache) => void cache.accept('r7', '2', bytesOf('r7', '2'), verdict, new Date(0)),
      (cache) => cache.setMissing('r7', 'does_not_exist', new Date(0)),
      (cache) => cache.distrust('r7'),
      (cache) =>
        cache.reject('r7', {
          version: '2',
          bytes: bytesOf('r7', 'x'),
          problems: [],
          judgedAt: 0,
          lastAttempt: new Date(0),
        }),
      (_, interest) => interest.remove('r7'),
    ];
    const message = { version_info: '1', resources: base.map((name) => any(name, '1')), type_url: typeUrl, nonce: '1' };
    const { resources } = sotw.unpack(schema.encode('envoy.service.discovery.v3.DiscoveryResponse', message));
    for (const change of changes) {
      const [cache, interest] = [new ResourceCache<string>(), new Interest()];
      for (const name of base) {
        interest.add(name);
        cache.accept(name, '1', bytesOf(name, '1'), verdict, new Date(0));
      }
      const turns = () => undefined;
      const last = await rememberResponse(type(true), resources, '1', { cache, interest }, undefined, turns);
      expect(last?.holds).to.equal(true);
      expect((await findRepetition(last, resources, turns))?.others).to.deep.equal([]);
      change(cache, interest);
      expect(last?.holds, String(change)).to.equal(false);
      expect(await findRepetition(last, resources, turns)).to.equal(undefined);
    }
  });
});
