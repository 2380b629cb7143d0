import { expect } from 'chai';
import { loadSchema } from '../../src/protobuf/schema.js';
import type { ScriptedStream, XdsRequest } from '../support/scripted-xds-server.js';
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

for (const variant of variants) {
  describe(`xDS updates, ${variant}`, () => {
    let h: Harness;
    let clusters: RecordingWatcher;
    let endpoints: RecordingWatcher;
    let stream: ScriptedStream;
    beforeEach(async () => {
      h = await createHarness(variant);
      clusters = new RecordingWatcher();
      endpoints = new RecordingWatcher();
      h.client.subscribe(h.cds, 'wildcard', clusters);
      h.client.subscribe(h.eds, ['e', 'f'], endpoints);
      h.client.start();
      stream = await h.server.nextStream();
      await stream.next();
      await stream.next();
    });
    afterEach(() => h.close());

    async function exchange(response: Parameters<typeof respond>[1]): Promise<XdsRequest> {
      respond(stream, response);
      return await stream.next();
    }

    it('deletes clusters, and endpoints only when told', async () => {
      await exchange({ nonce: 'n1', resources: { a: '1', b: '1' } });
      await exchange({ type: edsUrl, nonce: 'n2', resources: { e: '1', f: '1' } });
      if (variant === 'SOTW') {
        await exchange({ version: '2', nonce: 'n3', resources: { b: '1' } });
        await exchange({ type: edsUrl, version: '2', nonce: 'n4', resources: { f: '2' } });
        expect(endpoints.plain).to.deep.equal({ e: '1', f: '2' });
        await exchange({ type: edsUrl, version: '3', nonce: 'n5' });
        expect(endpoints.plain).to.deep.equal({ e: '1', f: '2' });
      } else {
        await exchange({ version: '2', nonce: 'n3', removed: ['a'] });
        await exchange({ type: edsUrl, version: '2', nonce: 'n4', resources: { f: '2' }, removed: ['e'] });
        expect(endpoints.plain).to.deep.equal({ f: '2' });
        expect([...h.client.states(edsUrl)][1]).to.deep.include({ name: 'e', status: 'does_not_exist' });
      }
      expect(clusters.plain).to.deep.equal({ b: '1' });
      expect(clusters.updates[1]).to.deep.include({ removed: ['a'] });
      await exchange({ version: '3', nonce: 'n6', removed: ['b'] });
      expect(clusters.plain).to.deep.equal({});
    });

    it('keeps a running version whose successor is bad, until it is left out', async () => {
      await exchange({ nonce: 'n1', resources: { a: '1' } });
      await exchange({ version: '2', nonce: 'n2', resources: { a: 'bad' } });
      expect(clusters.plain).to.deep.equal({ a: '1' });
      const ack = await exchange({ version: '3', nonce: 'n3', removed: ['a'] });
      expect(ack.error_detail).to.equal(null);
      expect(clusters.plain).to.deep.equal({});
      expect([...h.client.states(cdsUrl)]).to.deep.equal([]);
    });

    if (variant === 'DELTA') {
      it('hears at once that a name never seen does not exist, and tells later watchers', async () => {
        await exchange({ type: edsUrl, nonce: 'n1', removed: ['e', 'never heard of'] });
        expect(endpoints.updates.map(({ removed }) => removed)).to.deep.equal([['e']]);
        const second = new RecordingWatcher(1_000);
        h.client.subscribe(h.eds, ['e'], second);
        await second.count(1);
        expect(second.updates[0]?.removed).to.deep.equal(['e']);
        expect(h.clock.pending).to.equal(0);
        await exchange({ type: edsUrl, nonce: 'n2', resources: { e: '1' } });
        expect([endpoints.plain, second.plain]).to.deep.equal([{ e: '1' }, { e: '1' }]);
      });
    }

    it('judges one of ten thousand when one changed', async () => {
      const resources = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`c${i}`, 'same']));
      await exchange({ version: '1', nonce: 'n1', resources });
      const judged = h.stats.counter('xds.cds.judged');
      expect(judged.value).to.equal(10_000);
      await exchange({ version: '2', nonce: 'n2', resources: { ...resources, c77: 'other' } });
      expect(judged.value).to.equal(10_001);
      expect(clusters.updates[1]?.changed.map(({ name }) => name)).to.deep.equal(['c77']);
      expect(clusters.updates[1]?.unchanged).to.have.lengthOf(9_999);
    });

    it('judges equal bytes again when what they refer to is another', async () => {
      await exchange({ nonce: 'n1', resources: { a: '1', b: '2' } });
      h.cds.stale.add('2');
      await exchange({ version: '2', nonce: 'n2', resources: { a: '1', b: '2' } });
      expect(h.cds.judged).to.deep.equal(['a', 'b', 'b']);
      expect(clusters.updates[1]?.changed.map(({ name }) => name)).to.deep.equal(['b']);
      expect(clusters.updates[1]?.unchanged).to.deep.equal(['a']);
    });

    it('bears empty versions', async () => {
      await exchange({ version: '', nonce: 'n1', resources: { a: '1' } });
      expect((await exchange({ version: '', nonce: 'n2', resources: { a: '2' } })).error_detail).to.equal(null);
      expect(clusters.plain).to.deep.equal({ a: '2' });
      stream.end();
      await until(() => h.clock.pending === 1);
      h.clock.advance(500);
      stream = await h.server.nextStream();
      if (variant === 'DELTA') expect((await stream.next()).initial_resource_versions).to.deep.equal({ a: '' });
    });

    it('takes responses of a type in order, and lets other types pass a slow judge', async () => {
      let go = () => {};
      h.cds.hold = new Promise((resolve) => {
        go = resolve;
      });
      respond(stream, { version: '1', nonce: 'n1', resources: { a: '1' } });
      respond(stream, { version: '2', nonce: 'n2', resources: { a: '2' } });
      const eds = await exchange({ type: edsUrl, nonce: 'e1', resources: { e: '1' } });
      expect([eds.type_url, eds.response_nonce]).to.deep.equal([edsUrl, 'e1']);
      expect(h.cds.judged).to.deep.equal(['a']);
      h.cds.hold = undefined;
      go();
      expect((await stream.next()).response_nonce).to.equal('n1');
      expect((await stream.next()).response_nonce).to.equal('n2');
      expect(clusters.updates.map(({ changed }) => changed.map(({ version }) => version))).to.deep.equal([
        ['1'],
        ['2'],
      ]);
    });

    it('stops reading while too much waits to be judged', async () => {
      let go = () => {};
      h.cds.hold = new Promise((resolve) => {
        go = resolve;
      });
      const large = 'x'.repeat(1024 * 1024);
      for (let i = 1; i <= 60; i++)
        respond(stream, { version: `${i}`, nonce: `n${i}`, resources: { a: `${i} ${large}` } });
      // Far less than 60 MiB was taken: another type, sent last, is not seen.
      respond(stream, { type: edsUrl, nonce: 'e1', resources: { e: '1' } });
      await until(() => h.cds.judged.length === 1);
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect(stream.unread).to.equal(0);
      expect(endpoints.updates).to.deep.equal([]);
      h.cds.hold = undefined;
      go();
      const nonces: string[] = [];
      while (!nonces.includes('n60') || !nonces.includes('e1')) nonces.push((await stream.next()).response_nonce);
      const numbers = nonces.filter((nonce) => nonce !== 'e1').map((nonce) => Number(nonce.slice(1)));
      expect(numbers).to.deep.equal(numbers.toSorted((a, b) => a - b));
      // In SotW a later answer stands for those before it.
      if (variant === 'DELTA') expect(numbers).to.have.lengthOf(60);
      expect(clusters.updates).to.have.lengthOf(60);
    });

    it('reads a response of more than gRPC gives by default', async () => {
      const resources = Object.fromEntries(
        Array.from({ length: 10 }, (_, i) => [`c${i}`, 'x'.repeat(2 * 1024 * 1024)]),
      );
      expect((await exchange({ nonce: 'n1', resources })).error_detail).to.equal(null);
      expect(clusters.state.size).to.equal(10);
    });

    it('leaves a stream that sends what is no response', async () => {
      const bytes = Buffer.alloc(65 * 1024 * 1024, 'x');
      respondRaw(stream, { version: '1', nonce: 'n1' }, [{ name: 'a', bytes }]);
      await until(() => !h.client.connected);
      expect(h.log.lines.some((line) => line.includes('RESOURCE_EXHAUSTED'))).to.equal(true);
    });

    it('takes heartbeats for what they are', async () => {
      await exchange({ version: '1', nonce: 'n1', resources: { a: '1', b: '1' } });
      const beat = { name: 'a', version: '1', ttl: { seconds: '5' } };
      if (variant === 'DELTA') {
        stream.send({ system_version_info: '1', type_url: cdsUrl, nonce: 'n2', resources: [beat] });
      } else {
        const value = loadSchema().encode('envoy.service.discovery.v3.Resource', beat);
        const any = { type_url: 'type.googleapis.com/envoy.service.discovery.v3.Resource', value };
        stream.send({ version_info: '1', type_url: cdsUrl, nonce: 'n2', resources: [any] });
      }
      const ack = await stream.next();
      expect([ack.response_nonce, ack.error_detail]).to.deep.equal(['n2', null]);
      expect(clusters.plain).to.deep.equal({ a: '1', b: '1' });
      expect(clusters.updates[1]).to.deep.include({ changed: [], removed: [], rejected: [], unchanged: [] });
    });

    if (variant === 'SOTW') {
      it('unwraps resources that come with a TTL', async () => {
        const schema = loadSchema();
        const wrap = (name: string, value: Buffer) => ({
          type_url: 'type.googleapis.com/envoy.service.discovery.v3.Resource',
          value: schema.encode('envoy.service.discovery.v3.Resource', {
            name,
            ttl: { seconds: '5' },
            resource: { type_url: cdsUrl, value },
          }),
        });
        const resources = [wrap('a', bytesOf('a', '1')), { type_url: cdsUrl, value: bytesOf('b', '1') }];
        stream.send({ version_info: '1', type_url: cdsUrl, nonce: 'n1', resources });
        expect((await stream.next()).error_detail).to.equal(null);
        expect(clusters.plain).to.deep.equal({ a: '1', b: '1' });
        const broken = {
          type_url: 'type.googleapis.com/envoy.service.discovery.v3.Resource',
          value: Buffer.from([0xff]),
        };
        stream.send({ version_info: '2', type_url: cdsUrl, nonce: 'n2', resources: [broken] });
        expect((await stream.next()).error_detail?.message).to.contain(
          'resources[0]: the envoy.service.discovery.v3.Resource',
        );
        expect(clusters.plain).to.deep.equal({ a: '1', b: '1' });
      });
    }
  });
}
