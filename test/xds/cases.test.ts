import { connect, createServer, type Socket } from 'node:net';
import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { systemClock } from '../../src/clock.js';
import { channelDefaults } from '../../src/xds/ads-client.js';
import { patienceMs } from '../../src/xds/server-choice.js';
import { GoXdsServer } from '../support/go-xds-server.js';
import { Bench, kinds, transports } from './bench.js';
import { bytesOf, namesIn, RecordingWatcher, until, variants } from './harness.js';

/**
 * What every xDS client has to get right, each over both variants and both kinds of streams, against a server and an encoder in Go. Other
 * files here look closer at single parts.
 */
for (const transport of transports)
  for (const variant of variants)
    describe(`xDS cases, ${variant}, ${transport}`, () => {
      const sotw = variant === 'SOTW';
      let b: Bench;
      before(function () {
        GoXdsServer.require(this);
      });
      after(() => GoXdsServer.end());
      beforeEach(async () => {
        b = await Bench.start(variant, transport);
      });
      afterEach(() => b.close());

      it('1 first request carries node, later ones do not', async () => {
        b.subscribe('cds', 'wildcard', new RecordingWatcher());
        expect((await b.next('cds')).node?.id).to.equal('n1');
        await b.respond('cds', '1', { a: '1' });
        expect((await b.next('cds')).node).to.equal(null);
        await b.reconnect('cds');
        expect((await b.next('cds')).node?.id).to.equal('n1');
      });

      it('2 nonce echoed, version only after accept', async () => {
        b.subscribe('cds', 'wildcard', new RecordingWatcher());
        await b.next('cds');
        await b.respond('cds', 'v1', { a: 'bad' }, { nonce: 'n1' });
        const nack = await b.next('cds');
        expect([nack.response_nonce, nack.version_info ?? '']).to.deep.equal(['n1', '']);
        await b.respond('cds', 'v2', { a: '1' }, { nonce: 'n2' });
        const ack = await b.next('cds');
        expect([ack.response_nonce, ack.version_info ?? 'v2']).to.deep.equal(['n2', 'v2']);
      });

      for (const kind of ['cds', 'lds'] as const)
        it(`3 legacy wildcard vs explicit * vs names, for ${kind.toUpperCase()}`, async () => {
          const all = b.subscribe(kind, 'wildcard', new RecordingWatcher());
          expect(namesIn(await b.next(kind))).to.deep.equal([]);
          const named = b.subscribe(kind, ['a'], new RecordingWatcher());
          expect(namesIn(await b.next(kind))).to.deep.equal(sotw ? ['*', 'a'] : ['a']);
          all.close();
          const without = await b.next(kind);
          if (sotw) expect(without.resource_names).to.deep.equal(['a']);
          else expect(without.resource_names_unsubscribe).to.deep.equal(['*']);
          // An empty list would not mean everything any more.
          b.subscribe(kind, 'wildcard', new RecordingWatcher());
          expect(namesIn(await b.next(kind))).to.include('*');
          named.close();
        });

      it('4 add and remove names while a response is in flight (stale nonce)', async () => {
        const watcher = new RecordingWatcher();
        const watch = b.subscribe('eds', ['a', 'b'], watcher);
        await b.next('eds');
        let go = () => {};
        b.types.eds.hold = new Promise((resolve) => {
          go = resolve;
        });
        await b.respond('eds', 'v1', { a: '1', b: '1' });
        await until(() => b.types.eds.judged.length > 0);
        watch.update(['b', 'c']);
        const change = await b.next('eds');
        expect(change.response_nonce).to.equal('');
        expect(namesIn(change)).to.deep.equal(sotw ? ['b', 'c'] : ['c']);
        go();
        const ack = await b.next('eds');
        expect(ack.response_nonce).to.equal('v1');
        // What was dropped meanwhile does not come back.
        expect(watcher.plain).to.deep.equal({ b: '1' });
        await b.respond('eds', 'v2', { b: '2', c: '2' });
        expect((await b.next('eds')).response_nonce).to.equal('v2');
        expect(watcher.plain).to.deep.equal({ b: '2', c: '2' });
      });

      for (const kind of kinds) {
        const names = kind === 'cds' || kind === 'lds' ? 'wildcard' : ['a', 'b'];

        it(`5 NACK keeps old version, fills error_detail, applies valid siblings: ${kind.toUpperCase()}`, async () => {
          const watcher = new RecordingWatcher();
          b.subscribe(kind, names, watcher);
          await b.next(kind);
          await b.respond(kind, 'v1', { a: '1', b: '1' });
          await b.next(kind);
          await b.respond(kind, 'v2', { a: 'bad', b: '2' });
          const nack = await b.next(kind);
          expect(nack.error_detail?.message).to.contain("a: value: must not be 'bad'");
          expect(nack.error_detail?.code).to.equal(13);
          if (sotw) expect(nack.version_info).to.equal('v1');
          expect(watcher.plain).to.deep.equal({ a: '1', b: '2' });
        });

        it(`6 NACK then fixed resource: ${kind.toUpperCase()}`, async () => {
          const watcher = new RecordingWatcher();
          b.subscribe(kind, names, watcher);
          await b.next(kind);
          await b.respond(kind, 'v1', { a: 'bad', b: '1' });
          expect((await b.next(kind)).error_detail).to.not.equal(null);
          await b.respond(kind, 'v2', sotw ? { a: '2', b: '1' } : { a: '2' });
          const ack = await b.next(kind);
          expect([ack.error_detail, ack.response_nonce]).to.deep.equal([null, 'v2']);
          expect(watcher.plain).to.deep.equal({ a: '2', b: '1' });
          expect([...b.client(kind).states(b.types[kind].typeUrl)].map((one) => one.status)).to.deep.equal([
            'active',
            'active',
          ]);
        });

        it(`7 NACK then disconnect then reconnect: ${kind.toUpperCase()}`, async () => {
          const watcher = new RecordingWatcher();
          b.subscribe(kind, names, watcher);
          await b.next(kind);
          await b.respond(kind, 'v1', { a: '1' });
          await b.next(kind);
          await b.respond(kind, 'v2', { a: 'bad', b: '2' });
          await b.next(kind);
          await b.reconnect(kind);
          const first = await b.next(kind);
          expect(namesIn(first)).to.deep.equal(names === 'wildcard' ? [] : names);
          expect([first.response_nonce, first.error_detail]).to.deep.equal(['', null]);
          if (sotw) expect(first.version_info).to.equal('v1');
          else expect(first.initial_resource_versions).to.deep.equal({ a: 'v1', b: 'v2' });
          await b.respond(kind, 'v3', { a: '3', b: '3' });
          expect((await b.next(kind)).error_detail).to.equal(null);
          expect(watcher.plain).to.deep.equal({ a: '3', b: '3' });
        });
      }

      it('8 unknown type_url answered, not ignored', async () => {
        b.subscribe('cds', 'wildcard', new RecordingWatcher());
        await b.next('cds');
        const stream = await b.stream('cds');
        await b.respond('cds', 'v1', {}, { typeUrl: 'type.googleapis.com/no.such.Type' });
        const nack = await stream.next();
        expect([nack.type_url, nack.response_nonce]).to.deep.equal(['type.googleapis.com/no.such.Type', 'v1']);
        expect(nack.error_detail?.message).to.contain('no.such.Type');
        await b.respond('cds', 'v2', { a: '1' });
        expect((await b.next('cds')).error_detail).to.equal(null);
      });

      const good = {
        name: 'good',
        any: { type_url: 'type.googleapis.com/envoy.config.cluster.v3.Cluster', value: bytesOf('good', '1') },
      };
      const any = (value: Buffer, typeUrl = good.any.type_url) => ({ type_url: typeUrl, value });
      const wrong: [title: string, entries: Parameters<Bench['respondWith']>[2], said: string][] = [
        [
          'wrong inner type',
          [{ name: 'a', any: any(bytesOf('a', '1'), 'type.googleapis.com/x.Y') }],
          "is of type 'type.googleapis.com/x.Y'",
        ],
        ['undecodable Any', [{ name: 'a', any: any(Buffer.from('{')) }], 'cannot be decoded'],
        [
          'duplicate names',
          [
            { name: 'a', any: any(bytesOf('a', '1')) },
            { name: 'a', any: any(bytesOf('a', '2')) },
          ],
          'more than once',
        ],
        ['empty name', [{ name: '', any: any(bytesOf('', '1')) }], 'has no name'],
      ];
      for (const [title, entries, said] of wrong)
        it(`9 ${title}`, async () => {
          const watcher = new RecordingWatcher();
          b.subscribe('cds', 'wildcard', watcher);
          await b.next('cds');
          await b.respondWith('cds', 'v1', [...entries, good]);
          expect((await b.next('cds')).error_detail?.message).to.contain(said);
          expect(watcher.plain).to.deep.equal({ good: '1' });
        });

      for (const kind of kinds)
        it(`10 omission deletes ${sotw ? 'LDS/CDS but not RDS/EDS' : 'nothing'}: ${kind.toUpperCase()}`, async () => {
          const watcher = new RecordingWatcher();
          const whole = kind === 'cds' || kind === 'lds';
          b.subscribe(kind, whole ? 'wildcard' : ['a', 'b'], watcher);
          await b.next(kind);
          await b.respond(kind, 'v1', { a: '1', b: '1' });
          await b.next(kind);
          await b.respond(kind, 'v2', { b: '2' });
          await b.next(kind);
          expect(watcher.plain).to.deep.equal(sotw && whole ? { b: '2' } : { a: '1', b: '2' });
        });

      if (!sotw)
        for (const kind of kinds)
          it(`11 removed_resources, never-seen names too: ${kind.toUpperCase()}`, async () => {
            const watcher = new RecordingWatcher();
            b.subscribe(kind, ['a', 'never'], watcher);
            await b.next(kind);
            await b.respond(kind, 'v1', { a: '1' }, { removed: ['never', 'unknown'] });
            expect((await b.next(kind)).error_detail).to.equal(null);
            expect(watcher.updates[0]?.removed).to.deep.equal(['never']);
            await b.respond(kind, 'v2', {}, { removed: ['a'] });
            expect((await b.next(kind)).error_detail).to.equal(null);
            expect(watcher.plain).to.deep.equal({});
            const states = [...b.client(kind).states(b.types[kind].typeUrl)];
            expect(states.map((one) => one.status)).to.deep.equal(['does_not_exist', 'does_not_exist']);
          });

      it('12 reconnect tells only what was accepted; a server that answers nothing leaves us ready', async () => {
        const watcher = new RecordingWatcher(1_000);
        b.subscribe('eds', ['a', 'b', 'c'], watcher);
        await b.next('eds');
        await b.respond('eds', 'v1', { a: '1', b: 'bad' });
        await b.next('eds');
        await b.reconnect('eds');
        const first = await b.next('eds');
        if (!sotw) expect(first.initial_resource_versions).to.deep.equal({ a: 'v1' });
        else expect(first.version_info).to.equal('');
        b.clock.advance(1_000);
        expect(watcher.updates.at(-1)).to.deep.include({ cause: 'initial_fetch_timeout', removed: ['c'] });
        expect(watcher.plain).to.deep.equal({ a: '1' });
      });

      it('13 second watcher of a cached resource gets it at once', async () => {
        b.subscribe('eds', ['a'], new RecordingWatcher());
        await b.next('eds');
        await b.respond('eds', 'v1', { a: '1' });
        await b.next('eds');
        const second = new RecordingWatcher();
        b.subscribe('eds', ['a'], second);
        await second.count(1);
        expect([second.plain, second.updates[0]?.cause]).to.deep.equal([{ a: '1' }, 'cache']);
        expect(await b.silent('eds')).to.equal(true);
      });

      it('14 unsubscribe then resubscribe', async () => {
        b.subscribe('eds', ['keep'], new RecordingWatcher());
        const first = b.subscribe('eds', ['a'], new RecordingWatcher());
        await b.next('eds');
        await b.respond('eds', 'v1', { a: '1', keep: '1' });
        await b.next('eds');
        first.close();
        await b.next('eds');
        const again = new RecordingWatcher();
        b.subscribe('eds', ['a'], again);
        expect(namesIn(await b.next('eds'))).to.include('a');
        // The server may send what it sent before.
        await b.respond('eds', 'v1', { a: '1', keep: '1' }, { nonce: 'n2' });
        await b.next('eds');
        expect(again.plain).to.deep.equal({ a: '1' });
      });

      it('15 resource timer: fires only when connected, configurable, cancelled by removal', async () => {
        b.subscribe('eds', ['known'], new RecordingWatcher());
        await b.next('eds');
        await b.respond('eds', 'v1', { known: '1' });
        await b.next('eds');
        const stream = await b.stream('eds');
        b.log.waits.length = 0;
        stream.end();
        await until(() => b.log.waits.length > 0);
        const watcher = new RecordingWatcher(100);
        b.subscribe('eds', ['a'], watcher);
        b.clock.advance(200);
        expect(watcher.updates).to.have.lengthOf(0);
        // 250 ms were announced.
        b.clock.advance(50);
        await b.server.streamOf(transport === 'ADS' ? 'ads' : 'eds').then((next) => next.next());
        b.clock.advance(99);
        expect(watcher.updates).to.have.lengthOf(0);
        b.clock.advance(1);
        expect(watcher.updates.map(({ cause }) => cause)).to.deep.equal(['initial_fetch_timeout']);
        const removed = new RecordingWatcher(100);
        b.subscribe('eds', ['b'], removed).close();
        b.clock.advance(100);
        expect(removed.updates).to.have.lengthOf(0);
      });

      it('16 back-off grows, resets after first good message, jitter', async () => {
        let random = 0.5;
        b.close();
        b = await Bench.start(variant, transport, { random: () => random });
        const { port } = b.server;
        b.server.stop();
        b.subscribe('cds', 'wildcard', new RecordingWatcher());
        const waits: number[] = [];
        for (let attempt = 0; attempt < 4; attempt++) {
          await until(() => b.log.waits.length > 0);
          waits.push(b.log.waits.pop() as number);
          random = 0.25;
          b.clock.advance(waits.at(-1) as number);
        }
        expect(waits).to.deep.equal([250, 250, 500, 1000]);
        await until(() => b.log.waits.length > 0);
        expect(b.server.port).to.equal(port);
        await b.server.start();
        b.clock.advance(b.log.waits.pop() as number);
        await b.next('cds');
        await b.respond('cds', 'v1', { a: '1' });
        await b.next('cds');
        (await b.stream('cds')).end();
        await until(() => b.log.waits.length > 0);
        expect(b.log.waits).to.deep.equal([125]);
      });

      it('17 stream closed by server age limit is not an error for watchers', async () => {
        const watcher = new RecordingWatcher();
        b.subscribe('cds', 'wildcard', watcher);
        await b.next('cds');
        await b.respond('cds', 'v1', { a: '1' });
        await b.next('cds');
        (await b.stream('cds')).fail(status.UNAVAILABLE, 'max connection age');
        await until(() => watcher.failures === 1);
        expect(watcher.updates).to.have.lengthOf(1);
        expect(watcher.plain).to.deep.equal({ a: '1' });
      });

      it('18 half-open connection found by keepalive', async () => {
        let dark = false;
        const sockets: Socket[] = [];
        const relay = createServer((socket) => {
          const upstream = connect(b.server.port, '127.0.0.1');
          sockets.push(socket, upstream);
          socket.on('data', (data) => dark || upstream.write(data)).on('error', () => {});
          upstream.on('data', (data) => dark || socket.write(data)).on('error', () => {});
        });
        await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve));
        const { port } = relay.address() as { port: number };
        const { server } = b;
        const half = await Bench.start(variant, transport, {
          clock: systemClock,
          channel: {
            connectTimeoutMs: 1_000,
            keepaliveTimeMs: 100,
            keepaliveTimeoutMs: 100,
            addresses: () => [`127.0.0.1:${port}`],
          },
        });
        half.subscribe('cds', 'wildcard', new RecordingWatcher());
        await (await server.nextStream()).next();
        dark = true;
        await until(() => !half.client('cds').connected);
        half.close();
        relay.close();
        for (const socket of sockets) socket.destroy();
      });

      it('19 read paused until applied', async () => {
        b.subscribe('cds', 'wildcard', new RecordingWatcher());
        await b.next('cds');
        let go = () => {};
        b.types.cds.hold = new Promise((resolve) => {
          go = resolve;
        });
        const stream = await b.stream('cds');
        const large = 'x'.repeat(1024 * 1024);
        for (let n = 0; n < 60; n++) await b.respond('cds', `v${n}`, { a: `${n}${large}` });
        // What the client does not read the server can't send, however long it waits.
        for (let before = Number.POSITIVE_INFINITY; stream.unsent > 50 || stream.unsent < before; ) {
          before = stream.unsent;
          await new Promise((resolve) => setTimeout(resolve, 300));
        }
        expect(stream.unsent).to.be.at.least(20);
        b.types.cds.hold = undefined;
        go();
        for (;;) if ((await b.next('cds')).response_nonce === 'v59') break;
      });

      const ttl = { seconds: 1 };
      const held = (name: string, value: string) => ({
        name,
        any: { type_url: 'type.googleapis.com/envoy.config.cluster.v3.Cluster', value: bytesOf(name, value) },
      });
      it('20 TTL and heartbeat', async () => {
        const watcher = new RecordingWatcher();
        b.subscribe('cds', 'wildcard', watcher);
        expect((await b.next('cds')).node?.client_features).to.include('xds.config.supports-resource-ttl');
        await b.respondWith('cds', 'v1', [
          { ...held('a', '1'), ttl },
          { ...held('b', '1'), ttl },
          held('for ever', '1'),
        ]);
        await b.next('cds');
        b.clock.advance(900);
        // Carries a name and a ttl, leaves others out, and deletes or empties nothing.
        await b.respondWith('cds', 'v1', [{ name: 'a', ttl }], { nonce: 'h1' });
        expect((await b.next('cds')).error_detail).to.equal(null);
        expect(watcher.plain).to.deep.equal({ a: '1', b: '1', 'for ever': '1' });
        b.clock.advance(100);
        await until(() => watcher.state.size === 2);
        expect(watcher.plain).to.deep.equal({ a: '1', 'for ever': '1' });
        expect(watcher.updates.at(-1)).to.deep.include({ cause: 'ttl', removed: ['b'] });
        expect(b.types.cds.judged).to.have.lengthOf(3);
        // It ends without a stream, too, and comes back with the next version.
        (await b.stream('cds')).end();
        await until(() => watcher.failures === 1);
        b.clock.advance(899);
        expect(watcher.state.has('a')).to.equal(true);
        b.clock.advance(1);
        await until(() => !watcher.state.has('a'));
      });

      it('20 TTL: a later version without one lives on, and a bad one renews what runs', async () => {
        const watcher = new RecordingWatcher();
        b.subscribe('cds', 'wildcard', watcher);
        await b.next('cds');
        await b.respondWith('cds', 'v1', [
          { ...held('a', '1'), ttl },
          { ...held('b', '1'), ttl },
        ]);
        await b.next('cds');
        b.clock.advance(900);
        await b.respondWith('cds', 'v2', [held('a', '1'), { ...held('b', 'bad'), ttl }]);
        expect((await b.next('cds')).error_detail?.message).to.contain('b: value');
        b.clock.advance(900);
        expect(watcher.plain).to.deep.equal({ a: '1', b: '1' });
        b.clock.advance(100);
        await until(() => !watcher.state.has('b'));
        b.clock.advance(100_000);
        expect(watcher.plain).to.deep.equal({ a: '1' });
        await b.reconnect('cds');
        const first = await b.next('cds');
        // A server that is told the version would have nothing to send.
        if (sotw) expect(first.version_info).to.equal('');
        else expect(first.initial_resource_versions).to.deep.equal({ a: 'v2' });
        await b.respondWith('cds', 'v2', [held('a', '1'), { ...held('b', '1'), ttl }], { nonce: 'n3' });
        await b.next('cds');
        expect(watcher.plain).to.deep.equal({ a: '1', b: '1' });
      });

      it('20 TTL: a bad version with one ends nothing', async () => {
        const watcher = new RecordingWatcher();
        b.subscribe('cds', 'wildcard', watcher);
        await b.next('cds');
        await b.respondWith('cds', 'v1', [held('a', '1')]);
        await b.next('cds');
        await b.respondWith('cds', 'v2', [{ ...held('a', 'bad'), ttl }]);
        expect((await b.next('cds')).error_detail).to.not.equal(null);
        b.clock.advance(100_000);
        expect(watcher.plain).to.deep.equal({ a: '1' });
        expect(watcher.updates).to.have.lengthOf(2);
      });

      it('21 resource larger than 4 MiB default', async () => {
        const watcher = new RecordingWatcher();
        b.subscribe('cds', 'wildcard', watcher);
        await b.next('cds');
        await b.respond('cds', 'v1', { a: 'x'.repeat(6 * 1024 * 1024) });
        expect((await b.next('cds')).error_detail).to.equal(null);
        expect(watcher.state.get('a')).to.have.lengthOf(6 * 1024 * 1024);
      });

      it('22 pause of EDS requests while a CDS batch is applied', async () => {
        b.subscribe('eds', ['known'], new RecordingWatcher());
        await b.next('eds');
        const watcher = new RecordingWatcher(0, async ({ changed }) => {
          for (const { name } of changed) {
            b.subscribe('eds', [name], new RecordingWatcher());
            await new Promise((resolve) => setTimeout(resolve, 2));
          }
        });
        b.subscribe('cds', 'wildcard', watcher);
        await b.next('cds');
        await b.respond('cds', 'v1', { a: '1', b: '1', c: '1' });
        await b.next('cds');
        const asked = await b.next('eds');
        expect(namesIn(asked).filter((name) => name !== 'known')).to.deep.equal(['a', 'b', 'c']);
        expect(await b.silent('eds')).to.equal(true);
      });

      it('23 fallback server used only when something is missing, or for long away; then the first again', async () => {
        const fallback = await GoXdsServer.start();
        const f = await Bench.start(variant, transport, {
          fallbacks: [{ ...channelDefaults, addresses: () => [fallback.address] }],
        });
        const fail = async () => {
          await until(() => f.log.waits.length > 0);
          f.clock.advance(f.log.waits.pop() as number);
        };
        const watcher = new RecordingWatcher();
        f.subscribe('eds', ['a'], watcher);
        await f.next('eds');
        await f.respond('eds', 'v1', { a: '1' });
        await f.next('eds');
        f.server.stop();
        // All is there: it waits for the first.
        for (let attempt = 0; attempt < 4; attempt++) await fail();
        expect(fallback.unclaimed).to.equal(0);
        f.subscribe('eds', ['b'], watcher);
        while (fallback.unclaimed === 0) {
          if (f.log.waits.length > 0) await fail();
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
        expect(f.clock.monotonic()).to.be.lessThan(patienceMs);
        const stream = await fallback.nextStream();
        const asked = await stream.next();
        expect(namesIn(asked)).to.deep.equal(['a', 'b']);
        // What versions the first gave says nothing to another, which may have other resources under the same ones.
        if (sotw) expect(asked.version_info).to.equal('');
        else expect(asked.initial_resource_versions).to.deep.equal({ a: '' });
        await f.server.start();
        // It is looked for from time to time; a stream that stays open for a second is proof.
        while (f.server.unclaimed === 0) {
          f.clock.advance(1_000);
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
        let served = await f.server.nextStream();
        f.clock.advance(1_000);
        await stream.closed;
        while (served.unread === 0) {
          if (f.server.unclaimed > 0) served = await f.server.nextStream();
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
        const again = await served.next();
        expect(namesIn(again)).to.deep.equal(['a', 'b']);
        // The fallback said nothing: what is held is still the first's.
        if (!sotw) expect(again.initial_resource_versions).to.deep.equal({ a: 'v1' });
        expect(watcher.plain).to.deep.equal({ a: '1' });
        f.close();
        fallback.stop();
      });

      it('24 a deletion is told as such, a bad version leaves the good one (there is no flag for either)', async () => {
        const watcher = new RecordingWatcher();
        b.subscribe('rds', ['a'], watcher);
        await b.next('rds');
        await b.respond('rds', 'v1', { a: '1' });
        await b.next('rds');
        await b.respond('rds', 'v2', { a: 'bad' });
        await b.next('rds');
        expect(watcher.updates.at(-1)?.rejected.map(({ name }) => name)).to.deep.equal(['a']);
        expect(watcher.plain).to.deep.equal({ a: '1' });
        if (sotw) return;
        await b.respond('rds', 'v3', {}, { removed: ['a'] });
        await b.next('rds');
        // Whoever uses it keeps it, as in Envoy: test/server/route-configs.test.ts, test/upstream.
        expect(watcher.updates.at(-1)?.removed).to.deep.equal(['a']);
      });

      it('25 a control plane that returns with fewer resources has deleted them (there is no snapshot on disk)', async () => {
        const watcher = new RecordingWatcher();
        b.subscribe('cds', 'wildcard', watcher);
        await b.next('cds');
        await b.respond('cds', 'v1', { a: '1', b: '1', c: '1' });
        await b.next('cds');
        await b.reconnect('cds');
        expect(watcher.plain).to.have.all.keys('a', 'b', 'c');
        await b.next('cds');
        // Delta servers know from initial_resource_versions what to remove.
        await b.respond('cds', 'v2', sotw ? { a: '1' } : {}, { removed: ['b', 'c'] });
        expect((await b.next('cds')).error_detail).to.equal(null);
        expect(watcher.plain).to.deep.equal({ a: '1' });
      });
    });
