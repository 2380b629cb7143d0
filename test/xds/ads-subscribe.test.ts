import { expect } from 'chai';
import {
  bytesOf,
  cdsUrl,
  createHarness,
  edsUrl,
  type Harness,
  namesIn,
  RecordingWatcher,
  respond,
  until,
  variants,
} from './harness.js';

for (const variant of variants) {
  describe(`xDS subscriptions, ${variant}`, () => {
    let h: Harness;
    beforeEach(async () => {
      h = await createHarness(variant);
    });
    afterEach(() => h.close());

    it('says who it is in the first message only', async () => {
      h.client.subscribe(h.cds, 'wildcard', new RecordingWatcher());
      h.client.subscribe(h.eds, ['e'], new RecordingWatcher());
      h.client.start();
      const stream = await h.server.nextStream();
      const first = await stream.next();
      expect(first.node).to.deep.include({ id: 'n1', cluster: 'c1', user_agent_name: 'pontoon' });
      expect(first.node?.client_features).to.deep.equal([
        'xds.config.resource-in-sotw',
        'xds.config.supports-resource-ttl',
      ]);
      expect(first.node).to.have.nested.property('user_agent_build_version.version.minor_number', 2);
      expect(first.node).to.have.nested.property('metadata.fields.a.listValue.values[1].stringValue', 'x');
      expect((await stream.next()).node).to.equal(null);
    });

    it('repeats the node in every request when told so', async () => {
      h.close();
      h = await createHarness(variant, { nodeInEveryRequest: true });
      h.client.subscribe(h.cds, 'wildcard', new RecordingWatcher());
      h.client.subscribe(h.eds, ['e'], new RecordingWatcher());
      h.client.start();
      const stream = await h.server.nextStream();
      for (const request of [await stream.next(), await stream.next()]) expect(request.node?.id).to.equal('n1');
    });

    it('sends initial metadata', async () => {
      const { address } = h.server;
      const channel = { addresses: () => [address], metadata: () => [{ key: 'authorization', value: 'token' }] };
      h.client.close();
      const server = h.server;
      const other = await createHarness(variant, {
        channel: { ...channel, connectTimeoutMs: 1000, keepaliveTimeMs: 10_000, keepaliveTimeoutMs: 1000 },
      });
      other.client.subscribe(other.cds, 'wildcard', new RecordingWatcher());
      other.client.start();
      expect((await server.nextStream()).metadata.get('authorization')).to.deep.equal(['token']);
      other.close();
    });

    it('asks for everything with an empty list, and for names by name', async () => {
      h.client.subscribe(h.cds, 'wildcard', new RecordingWatcher());
      h.client.subscribe(h.eds, ['e1', 'e2'], new RecordingWatcher());
      h.client.start();
      const stream = await h.server.nextStream();
      const cds = await stream.next();
      expect([cds.type_url, cds.response_nonce, namesIn(cds)]).to.deep.equal([cdsUrl, '', []]);
      const eds = await stream.next();
      expect([eds.type_url, namesIn(eds)]).to.deep.equal([edsUrl, ['e1', 'e2']]);
    });

    it('adds names to a wildcard, and takes the wildcard back', async () => {
      const everything = h.client.subscribe(h.cds, 'wildcard', new RecordingWatcher());
      h.client.start();
      const stream = await h.server.nextStream();
      await stream.next();
      h.client.subscribe(h.cds, ['a'], new RecordingWatcher());
      expect(namesIn(await stream.next())).to.deep.equal(variant === 'SOTW' ? ['*', 'a'] : ['a']);
      everything.close();
      const without = await stream.next();
      if (variant === 'SOTW') expect(without.resource_names).to.deep.equal(['a']);
      else expect(without.resource_names_unsubscribe).to.deep.equal(['*']);
      // An empty list would no longer mean everything on this stream.
      h.client.subscribe(h.cds, 'wildcard', new RecordingWatcher());
      expect(namesIn(await stream.next())).to.deep.equal(variant === 'SOTW' ? ['*', 'a'] : ['*']);
    });

    it('starts with everything and names alike', async () => {
      h.client.subscribe(h.cds, 'wildcard', new RecordingWatcher());
      h.client.subscribe(h.cds, ['a'], new RecordingWatcher());
      h.client.start();
      const stream = await h.server.nextStream();
      const first = namesIn(await stream.next());
      if (variant === 'SOTW') expect(first).to.deep.equal(['*', 'a']);
      else {
        // An empty list is what every server knows; the names follow.
        expect(first).to.deep.equal([]);
        expect(namesIn(await stream.next())).to.deep.equal(['a']);
      }
    });

    it('echoes the nonce once a response is applied, and the version with it', async () => {
      let applied = false;
      const watcher = new RecordingWatcher(0, async () => {
        await new Promise((resolve) => setTimeout(resolve, 20));
        applied = true;
      });
      h.client.subscribe(h.cds, 'wildcard', watcher);
      h.client.start();
      const stream = await h.server.nextStream();
      await stream.next();
      respond(stream, { version: 'v1', nonce: 'n1', resources: { a: '1', b: 'parked here' } });
      const ack = await stream.next();
      expect(applied).to.equal(true);
      expect([ack.response_nonce, ack.error_detail]).to.deep.equal(['n1', null]);
      if (variant === 'SOTW') expect(ack.version_info).to.equal('v1');
      expect(watcher.plain).to.deep.equal({ a: '1', b: 'parked' });
      expect([...h.client.states(cdsUrl)].map(({ name, status, version }) => [name, status, version])).to.deep.equal([
        ['a', 'active', 'v1'],
        ['b', 'parked', 'v1'],
      ]);
      expect(h.stats.counter('cluster_manager.cds.update_success').value).to.equal(1);
      expect(h.stats.counter('cluster_manager.cds.update_attempt').value).to.equal(2);
      expect(h.stats.gauge('control_plane.connected_state').value).to.equal(1);
    });

    it('changes names while a response is being judged', async () => {
      const watcher = new RecordingWatcher();
      const watch = h.client.subscribe(h.eds, ['a', 'b'], watcher);
      h.client.start();
      const stream = await h.server.nextStream();
      await stream.next();
      let go = () => {};
      h.eds.hold = new Promise((resolve) => {
        go = resolve;
      });
      respond(stream, { type: edsUrl, version: 'v1', nonce: 'n1', resources: { a: '1', b: '1' } });
      await until(() => h.eds.judged.length === 2);
      watch.update(['b', 'c']);
      const change = await stream.next();
      // The nonce of what was answered last: none yet.
      expect(change.response_nonce).to.equal('');
      if (variant === 'SOTW') expect(change.resource_names).to.deep.equal(['b', 'c']);
      else {
        expect(change.resource_names_subscribe).to.deep.equal(['c']);
        expect(change.resource_names_unsubscribe).to.deep.equal(['a']);
      }
      go();
      const ack = await stream.next();
      expect([ack.response_nonce, ack.error_detail]).to.deep.equal(['n1', null]);
      // What is no longer wanted is dropped, not applied.
      expect(watcher.plain).to.deep.equal({ b: '1' });
      expect(h.eds.discarded).to.deep.equal(['1']);
    });

    it('gives a second watcher of a known resource what is held, without a request', async () => {
      h.client.subscribe(h.eds, ['a'], new RecordingWatcher());
      h.client.start();
      const stream = await h.server.nextStream();
      await stream.next();
      respond(stream, { type: edsUrl, nonce: 'n1', resources: { a: '1' } });
      await stream.next();
      const second = new RecordingWatcher();
      h.client.subscribe(h.eds, ['a'], second);
      await second.count(1);
      expect(second.updates[0]?.cause).to.equal('cache');
      expect(second.plain).to.deep.equal({ a: '1' });
      expect(h.eds.judged).to.deep.equal(['a']);
      respond(stream, { type: edsUrl, version: '2', nonce: 'n2', resources: { a: '2' } });
      await stream.next();
      expect(second.plain).to.deep.equal({ a: '2' });
      expect(stream.unread).to.equal(0);
    });

    it('gives a second wildcard watcher what is held', async () => {
      h.client.subscribe(h.cds, 'wildcard', new RecordingWatcher());
      h.client.start();
      const stream = await h.server.nextStream();
      await stream.next();
      respond(stream, { nonce: 'n1', resources: { a: '1', b: '2' } });
      await stream.next();
      const second = new RecordingWatcher();
      h.client.subscribe(h.cds, 'wildcard', second);
      await second.count(1);
      expect(second.plain).to.deep.equal({ a: '1', b: '2' });
    });

    it('does not take a few names for everything', async () => {
      h.client.subscribe(h.cds, ['a'], new RecordingWatcher());
      h.client.start();
      const stream = await h.server.nextStream();
      await stream.next();
      respond(stream, { nonce: 'n1', resources: { a: '1' } });
      await stream.next();
      const everything = new RecordingWatcher();
      h.client.subscribe(h.cds, 'wildcard', everything);
      await stream.next();
      expect(everything.updates).to.deep.equal([]);
      respond(stream, { version: '2', nonce: 'n2', resources: { a: '1', b: '1' } });
      await stream.next();
      // Also what came for another watcher before.
      expect(everything.plain).to.deep.equal({ a: '1', b: '1' });
      expect(everything.updates[0]?.unchanged).to.deep.equal([]);
      respond(stream, { version: '3', nonce: 'n3', resources: { a: '1', b: '2' } });
      await stream.next();
      expect(everything.updates[1]).to.deep.include({ unchanged: ['a'] });
      expect(everything.updates[1]?.changed).to.have.lengthOf(1);
    });

    it('forgets what it unsubscribed from and gets it from the server again', async () => {
      const watch = h.client.subscribe(h.eds, ['a', 'b'], new RecordingWatcher());
      h.client.start();
      const stream = await h.server.nextStream();
      await stream.next();
      respond(stream, { type: edsUrl, nonce: 'n1', resources: { a: '1', b: '1' } });
      await stream.next();
      watch.update(['b']);
      const less = await stream.next();
      if (variant === 'SOTW') expect(less.resource_names).to.deep.equal(['b']);
      else expect(less.resource_names_unsubscribe).to.deep.equal(['a']);
      const again = new RecordingWatcher();
      h.client.subscribe(h.eds, ['a'], again);
      expect(namesIn(await stream.next())).to.include('a');
      expect(again.updates).to.deep.equal([]);
      respond(stream, { type: edsUrl, nonce: 'n2', resources: { a: '1' } });
      await stream.next();
      expect(again.plain).to.deep.equal({ a: '1' });
      expect(h.eds.judged).to.deep.equal(['a', 'b', 'a']);
    });

    it('keeps a resource whose watcher is replaced within one turn', async () => {
      const watch = h.client.subscribe(h.eds, ['a'], new RecordingWatcher());
      h.client.start();
      const stream = await h.server.nextStream();
      await stream.next();
      respond(stream, { type: edsUrl, nonce: 'n1', resources: { a: '1' } });
      await stream.next();
      watch.close();
      const next = new RecordingWatcher();
      h.client.subscribe(h.eds, ['a'], next);
      await next.count(1);
      expect(next.plain).to.deep.equal({ a: '1' });
      // Nothing changed for the server, so nothing is said: the next message is the answer to the next response.
      respond(stream, { type: edsUrl, nonce: 'n2', resources: { a: '2' } });
      expect((await stream.next()).response_nonce).to.equal('n2');
    });

    it('takes in resources that nobody asked for without a word, and acknowledges them', async () => {
      const watcher = new RecordingWatcher();
      h.client.subscribe(h.eds, ['a'], watcher);
      h.client.start();
      const stream = await h.server.nextStream();
      await stream.next();
      respond(stream, { type: edsUrl, nonce: 'n1', resources: { a: '1', z: 'bad' } });
      expect((await stream.next()).error_detail).to.equal(null);
      expect(watcher.plain).to.deep.equal({ a: '1' });
      expect(h.eds.judged).to.deep.equal(['a']);
      expect([...h.client.states(edsUrl)]).to.have.lengthOf(1);
    });

    it('asks once for the endpoints of a whole batch of clusters, after acknowledging the clusters', async () => {
      const endpoints = new RecordingWatcher();
      h.client.subscribe(
        h.cds,
        'wildcard',
        new RecordingWatcher(0, async ({ changed }) => {
          for (const { name } of changed) {
            await new Promise((resolve) => setTimeout(resolve, 2));
            h.client.subscribe(h.eds, [name], endpoints);
          }
        }),
      );
      h.client.start();
      const stream = await h.server.nextStream();
      await stream.next();
      respond(stream, { nonce: 'n1', resources: { a: '1', b: '1', c: '1' } });
      const ack = await stream.next();
      expect([ack.type_url, ack.response_nonce]).to.deep.equal([cdsUrl, 'n1']);
      const eds = await stream.next();
      expect([eds.type_url, namesIn(eds)]).to.deep.equal([edsUrl, ['a', 'b', 'c']]);
    });

    it('asks for endpoints after a while although the clusters are still being applied', async () => {
      let done = () => {};
      const applied = new Promise<void>((resolve) => {
        done = resolve;
      });
      h.client.subscribe(
        h.cds,
        'wildcard',
        new RecordingWatcher(0, () => {
          h.client.subscribe(h.eds, ['a'], new RecordingWatcher());
          return applied;
        }),
      );
      h.client.start();
      const stream = await h.server.nextStream();
      await stream.next();
      respond(stream, { nonce: 'n1', resources: { a: '1' } });
      await until(() => h.cds.judged.length === 1 && h.clock.pending === 1);
      h.clock.advance(1_000);
      expect(namesIn(await stream.next())).to.deep.equal(['a']);
      done();
      expect((await stream.next()).response_nonce).to.equal('n1');
    });

    it('tells that nothing came in time where no control plane was ever heard', async () => {
      const all = new RecordingWatcher(15_000);
      h.client.subscribe(h.cds, 'wildcard', all);
      h.client.start();
      const stream = await h.server.nextStream();
      await stream.next();
      h.clock.advance(14_000);
      stream.end();
      await until(() => !h.client.connected);
      h.server.stop();
      h.clock.advance(1_000);
      expect(all.updates).to.deep.equal([{ ...all.updates[0], cause: 'initial_fetch_timeout', removed: [] }]);
      expect(h.stats.counter('cluster_manager.cds.init_fetch_timeout').value).to.equal(1);
    });

    it('tells that nothing came in time, counted from the request on and only while connected', async () => {
      h.client.subscribe(h.eds, ['known'], new RecordingWatcher());
      h.client.start();
      let stream = await h.server.nextStream();
      await stream.next();
      respond(stream, { type: edsUrl, nonce: 'n0', resources: { known: '1' } });
      await stream.next();
      const watcher = new RecordingWatcher(15_000);
      h.client.subscribe(h.eds, ['a', 'b'], watcher);
      await stream.next();
      h.clock.advance(14_000);
      stream.end();
      await until(() => !h.client.connected);
      h.clock.advance(500);
      stream = await h.server.nextStream();
      await stream.next();
      respond(stream, { type: edsUrl, nonce: 'n1', resources: { a: '1' } });
      await stream.next();
      h.clock.advance(14_999);
      expect(watcher.updates).to.have.lengthOf(1);
      h.clock.advance(1);
      expect(watcher.updates[1]).to.deep.include({ cause: 'initial_fetch_timeout', removed: ['b'] });
      expect([...h.client.states(edsUrl)].map(({ name, status }) => [name, status])).to.deep.equal([
        ['known', 'active'],
        ['a', 'active'],
        ['b', 'timed_out'],
      ]);
      // Late is better than never.
      respond(stream, { type: edsUrl, nonce: 'n2', resources: { b: '1' } });
      await stream.next();
      expect(watcher.plain).to.deep.equal({ a: '1', b: '1' });
      expect(h.clock.pending).to.equal(0);
    });

    it('lets a watcher wait for what another one has asked for already', async () => {
      const watch = h.client.subscribe(h.eds, ['a'], new RecordingWatcher(0));
      h.client.start();
      const stream = await h.server.nextStream();
      await stream.next();
      const second = new RecordingWatcher(1_000);
      h.client.subscribe(h.eds, ['a'], second);
      await until(() => h.clock.pending === 1);
      watch.close();
      h.client.subscribe(h.eds, ['a'], new RecordingWatcher(2_000));
      await until(() => h.clock.pending === 2);
      h.clock.advance(1_000);
      expect(second.updates[0]).to.deep.include({ cause: 'initial_fetch_timeout', removed: ['a'] });
    });

    it('cancels the wait when the watch ends, and waits for ever when told so', async () => {
      const patient = new RecordingWatcher(0);
      h.client.subscribe(h.eds, ['a'], patient);
      const watch = h.client.subscribe(h.eds, ['b'], new RecordingWatcher(1_000));
      h.client.start();
      const stream = await h.server.nextStream();
      await stream.next();
      expect(h.clock.pending).to.equal(1);
      watch.close();
      expect(h.clock.pending).to.equal(0);
      h.clock.advance(10 ** 9);
      expect(patient.updates).to.deep.equal([]);
    });

    it('keeps names as they are', async () => {
      const names = ['xdstp://authority/envoy.config/a/*?b=c&d=e', 'outbound|80||x.example.com', 'ü 名', '80'];
      const watcher = new RecordingWatcher();
      h.client.subscribe(h.eds, names, watcher);
      h.client.start();
      const stream = await h.server.nextStream();
      expect(namesIn(await stream.next())).to.deep.equal(names);
      respond(stream, { type: edsUrl, nonce: 'n1', resources: Object.fromEntries(names.map((name) => [name, '1'])) });
      expect((await stream.next()).error_detail).to.equal(null);
      expect([...watcher.state.keys()]).to.have.members(names);
    });

    it('takes an empty first answer without a version, and what follows it', async () => {
      const watcher = new RecordingWatcher();
      h.client.subscribe(h.cds, 'wildcard', watcher);
      h.client.start();
      const stream = await h.server.nextStream();
      await stream.next();
      respond(stream, { version: '', nonce: 'n1' });
      expect((await stream.next()).error_detail).to.equal(null);
      expect(watcher.updates).to.have.lengthOf(1);
      respond(stream, { version: '', nonce: 'n2', resources: { a: '1' } });
      expect((await stream.next()).error_detail).to.equal(null);
      expect(watcher.plain).to.deep.equal({ a: '1' });
    });

    it('refuses to watch names that mean something else', () => {
      expect(() => h.client.subscribe(h.eds, [''], new RecordingWatcher())).to.throw(TypeError, 'not a resource name');
      expect(() => h.client.subscribe(h.eds, ['*'], new RecordingWatcher())).to.throw(TypeError, 'not a resource name');
    });

    it('does not keep a whole response in memory for one resource of it', async () => {
      const watcher = new RecordingWatcher();
      h.client.subscribe(h.cds, 'wildcard', watcher);
      h.client.start();
      const stream = await h.server.nextStream();
      await stream.next();
      respond(stream, { nonce: 'n1', resources: { a: '1', b: 'x'.repeat(100_000) } });
      await stream.next();
      const held = watcher.updates[0]?.changed[0]?.bytes as Uint8Array;
      expect(Buffer.from(held)).to.deep.equal(bytesOf('a', '1'));
      // Small ones share as much.
      expect(held.buffer.byteLength).to.be.at.most(8192);
    });
  });
}
