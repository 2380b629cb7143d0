import { setImmediate } from 'node:timers/promises';
import { expect } from 'chai';
import { loadSchema } from '../../src/protobuf/schema.js';
import { allSteps } from '../../src/turns.js';
import { wrappedResourceType } from '../../src/xds/discovery.js';
import type { KeptResource } from '../../src/xds/last-known.js';
import type { ScriptedStream } from '../support/scripted-xds-server.js';
import {
  bytesOf,
  cdsUrl,
  createHarness,
  edsUrl,
  type Harness,
  RecordingWatcher,
  respond,
  respondRaw,
  until,
  variants,
} from './harness.js';

const acceptedAt = new Date(Date.UTC(2025, 0, 1));
const kept = (typeUrl: string, name: string, value: string): KeptResource => ({
  typeUrl,
  name,
  version: 'old',
  bytes: bytesOf(name, value),
  acceptedAt,
});
const clusters = (values: Readonly<Record<string, string>>) =>
  Object.entries(values).map(([name, value]) => kept(cdsUrl, name, value));
const waitMs = 2_000;

for (const variant of variants) {
  describe(`what is known from before, ${variant}`, () => {
    let h: Harness;
    let silences = 0;
    const changes: string[] = [];
    afterEach(() => h.close());

    async function begin(resources: readonly KeptResource[], initialFetchTimeoutMs = 15_000) {
      silences = 0;
      changes.length = 0;
      h = await createHarness(variant, {
        lastKnown: { resources: () => resources, waitMs, onSilence: () => silences++ },
        onChanged: (cause) => changes.push(cause),
      });
      const watcher = new RecordingWatcher(initialFetchTimeoutMs);
      h.client.subscribe(h.cds, 'wildcard', watcher);
      h.client.start();
      const stream = await h.server.nextStream();
      await until(() => h.client.connected);
      return { watcher, stream };
    }
    /** Up to the point where it runs. */
    async function restored(values: Readonly<Record<string, string>>) {
      const world = await begin(clusters(values));
      h.clock.advance(waitMs);
      await world.watcher.count(1);
      return world;
    }
    const answered = async (stream: ScriptedStream, nonce: string) => {
      for (;;) {
        const request = await stream.next();
        if (request.response_nonce === nonce) return request;
      }
    };

    it('is used when the control plane is silent for too long, and not before', async () => {
      const { watcher } = await begin(clusters({ a: '1', b: 'parked', c: 'bad' }));
      h.clock.advance(waitMs - 1);
      await setImmediate();
      expect(watcher.updates).to.have.length(0);
      h.clock.advance(1);
      await watcher.count(1);
      expect(silences).to.equal(1);
      expect(watcher.updates[0]).to.include({ cause: 'last_known', version: '' });
      expect(watcher.plain).to.deep.equal({ a: '1', b: 'parked' });
      // Judged like anything else.
      expect(h.cds.judged).to.deep.equal(['a', 'b', 'c']);
      expect(watcher.updates[0]?.rejected.map(({ name }) => name)).to.deep.equal(['c']);
      const states = [...h.client.states(cdsUrl)];
      expect(states.map(({ name, stale, status }) => `${name} ${status} ${stale}`)).to.deep.equal([
        'a active true',
        'b parked true',
        'c rejected false',
      ]);
      expect(states[0]?.lastUpdated).to.deep.equal(acceptedAt);
      expect(h.client.stale).to.equal(2);
      expect(changes).to.deep.equal(['last_known']);
    });

    it('is not used when the control plane speaks', async () => {
      const { watcher, stream } = await begin(clusters({ a: '1' }));
      await stream.next();
      h.clock.advance(waitMs - 1);
      respond(stream, { nonce: 'n', resources: { b: '2' } });
      await watcher.count(1);
      h.client.serverIsUp();
      h.clock.advance(60_000);
      await setImmediate();
      expect(silences).to.equal(0);
      expect(watcher.plain).to.deep.equal({ b: '2' });
    });

    it('is not used twice, and a resource under another name than its own not at all', async () => {
      const wrong = { ...kept(cdsUrl, 'x', '1'), name: 'y' };
      const { watcher } = await begin([...clusters({ a: '1' }), wrong]);
      h.clock.advance(waitMs);
      await watcher.count(1);
      expect(watcher.plain).to.deep.equal({ a: '1' });
      expect(watcher.updates[0]?.rejected.map(({ name }) => name)).to.deep.equal(['y']);
      h.clock.advance(60_000);
      await setImmediate();
      expect(watcher.updates).to.have.length(1);
    });

    it('says of a type that had nothing that there is nothing', async () => {
      const { watcher } = await begin([]);
      h.clock.advance(waitMs);
      await watcher.count(1);
      expect(watcher.updates[0]).to.deep.include({ cause: 'last_known', changed: [], removed: [] });
      h.clock.advance(60_000);
      await setImmediate();
      expect(watcher.updates).to.have.length(1);
    });

    it('is waited for once it is judged, whatever initial_fetch_timeout says', async () => {
      const { watcher } = await begin(clusters({ a: '1' }));
      let release = () => {};
      h.cds.hold = new Promise((resolve) => {
        release = resolve;
      });
      h.clock.advance(waitMs);
      await until(() => h.cds.judged.length === 1);
      h.clock.advance(60_000);
      expect(watcher.updates).to.have.length(0);
      release();
      await watcher.count(1);
      expect(watcher.updates[0]).to.include({ cause: 'last_known' });
    });

    it('gives way to an answer that comes while it is judged', async () => {
      const { watcher, stream } = await begin(clusters({ a: '1', b: '1' }));
      let release = () => {};
      h.cds.hold = new Promise((resolve) => {
        release = resolve;
      });
      h.clock.advance(waitMs);
      await until(() => h.cds.judged.length > 0);
      respond(stream, { nonce: 'n', resources: { a: '2' } });
      await setImmediate();
      release();
      await answered(stream, 'n');
      h.clock.advance(1_000);
      await until(() => watcher.plain.b === undefined);
      expect(watcher.plain).to.deep.equal({ a: '2' });
    });

    it('is not claimed to be held', async () => {
      const { stream } = await restored({ a: '1' });
      await stream.next();
      stream.end();
      await until(() => !h.client.connected);
      h.clock.advance(1_500);
      const request = await (await h.server.nextStream()).next();
      if (variant === 'SOTW') expect(request.version_info).to.equal('');
      else expect(request.initial_resource_versions).to.deep.equal({});
    });

    it('is replaced as a whole by the first answer; what is the same is not touched', async () => {
      const { watcher, stream } = await restored({ same: '1', changed: '1', gone: '1' });
      h.cds.judged.length = 0;
      respond(stream, { nonce: 'n', version: '9', resources: { same: '1', changed: '2', added: '1' } });
      expect((await answered(stream, 'n')).error_detail).to.equal(null);
      expect(h.cds.judged.sort()).to.deep.equal(['added', 'changed']);
      if (variant === 'DELTA') {
        // There may be more to come.
        expect(watcher.plain).to.deep.equal({ same: '1', changed: '2', gone: '1', added: '1' });
        expect(h.client.stale).to.equal(1);
        h.clock.advance(1_000);
      }
      await until(() => watcher.plain.gone === undefined);
      expect(watcher.plain).to.deep.equal({ same: '1', changed: '2', added: '1' });
      expect(h.client.stale).to.equal(0);
      expect([...h.client.states(cdsUrl)].map(({ name, version }) => `${name} ${version}`)).to.have.members([
        'same 9',
        'changed 9',
        'added 9',
      ]);
      expect(changes).to.include('response');
    });

    it('is forgotten, and that is told, when nobody wants it any more', async () => {
      await begin([kept(edsUrl, 'a', '1')]);
      const watcher = new RecordingWatcher();
      const subscription = h.client.subscribe(h.eds, ['a'], watcher);
      h.clock.advance(waitMs);
      await watcher.count(1);
      expect(h.client.stale).to.equal(1);
      changes.length = 0;
      subscription.close();
      await until(() => h.client.stale === 0);
      expect(changes).to.deep.equal(['response']);
    });

    it('goes on where the first answer has another, bad version', async () => {
      const { watcher, stream } = await restored({ a: '1', b: '1' });
      respond(stream, { nonce: 'n', resources: { a: 'bad', b: '1' } });
      expect((await answered(stream, 'n')).error_detail?.message).to.include('a: value: must not be');
      h.clock.advance(1_000);
      await setImmediate();
      expect(watcher.plain).to.deep.equal({ a: '1', b: '1' });
    });

    if (variant === 'SOTW')
      it('loses nothing to an answer that may not be complete', async () => {
        const { watcher, stream } = await restored({ a: '1', b: '1' });
        respondRaw(stream, { version: '2', nonce: 'n' }, [
          { name: 'a', bytes: bytesOf('a', '1') },
          { name: '?', bytes: Buffer.from('no JSON') },
        ]);
        expect((await answered(stream, 'n')).error_detail).not.to.equal(null);
        expect(watcher.plain).to.deep.equal({ a: '1', b: '1' });
        expect(h.client.stale).to.equal(1);
      });
    else {
      it('waits for all parts of the first answer', async () => {
        const { watcher, stream } = await restored({ a: '1', b: '1', c: '1' });
        respond(stream, { nonce: 'n1', resources: { a: '1' } });
        await answered(stream, 'n1');
        h.clock.advance(900);
        respond(stream, { nonce: 'n2', resources: { b: '1' } });
        await answered(stream, 'n2');
        h.clock.advance(900);
        await setImmediate();
        expect(watcher.plain).to.deep.equal({ a: '1', b: '1', c: '1' });
        h.clock.advance(100);
        await until(() => watcher.plain.c === undefined);
        expect(watcher.plain).to.deep.equal({ a: '1', b: '1' });
      });

      it('asks for everything again when the stream ends between the parts', async () => {
        const { watcher, stream } = await restored({ a: '1', b: '1' });
        respond(stream, { nonce: 'n1', resources: { a: '1' } });
        await answered(stream, 'n1');
        stream.end();
        await until(() => !h.client.connected);
        h.clock.advance(1_500);
        expect(watcher.plain).to.deep.equal({ a: '1', b: '1' });
        const next = await h.server.nextStream();
        expect((await next.next()).initial_resource_versions).to.deep.equal({});
        respond(next, { nonce: 'm', resources: { a: '1' } });
        await answered(next, 'm');
        h.clock.advance(1_000);
        await until(() => watcher.plain.b === undefined);
        next.end();
        await until(() => !h.client.connected);
        h.clock.advance(1_500);
        const last = await (await h.server.nextStream()).next();
        expect(last.initial_resource_versions).to.deep.equal({ a: '1' });
      });
    }

    it('has names that are asked for while the control plane is silent, at once', async () => {
      const resources = [...clusters({ a: '1' }), kept(edsUrl, 'e', '1'), kept(edsUrl, 'other', '1')];
      const { watcher } = await begin(resources);
      h.clock.advance(waitMs);
      await watcher.count(1);
      const endpoints = new RecordingWatcher(15_000);
      const watch = h.client.subscribe(h.eds, ['e', 'unknown'], endpoints);
      await endpoints.count(1);
      expect(endpoints.plain).to.deep.equal({ e: '1' });
      watch.update(['e', 'unknown', 'other']);
      await endpoints.count(2);
      expect(endpoints.plain).to.deep.equal({ e: '1', other: '1' });
      // Nobody knows it: starting must end all the same.
      h.clock.advance(15_000);
      expect(endpoints.updates.at(-1)).to.deep.include({ cause: 'initial_fetch_timeout', removed: ['unknown'] });
    });

    it('has single names that the control plane says nothing of, although it spoke before', async () => {
      const { watcher, stream } = await begin([kept(edsUrl, 'e', '1')]);
      await stream.next();
      respond(stream, { nonce: 'n', resources: { a: '1' } });
      await watcher.count(1);
      const endpoints = new RecordingWatcher(15_000);
      h.client.subscribe(h.eds, ['e'], endpoints);
      h.clock.advance(waitMs - 1);
      await setImmediate();
      expect(endpoints.updates).to.have.length(0);
      h.clock.advance(1);
      await endpoints.count(1);
      expect(endpoints.plain).to.deep.equal({ e: '1' });
      respond(stream, { nonce: 'm', type: edsUrl, resources: { e: '2' } });
      await endpoints.count(2);
      expect(endpoints.plain).to.deep.equal({ e: '2' });
      expect(h.client.stale).to.equal(0);
    });

    it('is over when the server is up and the control plane spoke of all that is wanted', async () => {
      const { watcher, stream } = await begin([...clusters({ a: '1' }), kept(edsUrl, 'e', '1')]);
      h.client.serverIsUp();
      respond(stream, { nonce: 'n', resources: { a: '1' } });
      await watcher.count(1);
      h.clock.advance(60_000);
      const endpoints = new RecordingWatcher();
      h.client.subscribe(h.eds, ['e'], endpoints);
      h.clock.advance(60_000);
      await setImmediate();
      expect(silences).to.equal(0);
      expect(endpoints.updates).to.have.length(0);
    });

    it('what is accepted can be kept, except for what ends unless it is renewed', async () => {
      const { watcher, stream } = await begin([]);
      const any = (name: string) => ({ type_url: cdsUrl, value: bytesOf(name, '1') });
      const mortal = { name: 'mortal', version: '1', ttl: { seconds: 100 }, resource: any('mortal') };
      const common = { type_url: cdsUrl, nonce: 'n' };
      const wrapper = { type_url: `type.googleapis.com/${wrappedResourceType}` };
      stream.send(
        variant === 'DELTA'
          ? { ...common, resources: [{ name: 'a', version: '1', resource: any('a') }, mortal] }
          : {
              ...common,
              resources: [any('a'), { ...wrapper, value: loadSchema().encode(wrappedResourceType, mortal) }],
            },
      );
      await watcher.count(1);
      expect(watcher.plain).to.deep.equal({ a: '1', mortal: '1' });
      const now = h.clock.now();
      expect(
        allSteps(h.client.keepable()).flatMap(({ resources }) =>
          resources.map(({ name, lastUpdated }) => [name, lastUpdated.getTime()]),
        ),
      ).to.deep.equal([['a', now]]);
    });
  });
}
