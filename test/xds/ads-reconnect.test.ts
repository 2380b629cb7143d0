import { connect, createServer, type Socket } from 'node:net';
import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { systemClock } from '../../src/clock.js';
import { channelDefaults } from '../../src/xds/ads-client.js';
import type { ScriptedStream } from '../support/scripted-xds-server.js';
import {
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
  describe(`xDS reconnects, ${variant}`, () => {
    let h: Harness;
    beforeEach(async () => {
      h = await createHarness(variant);
    });
    afterEach(() => h.close());

    async function reconnect(): Promise<ScriptedStream> {
      await until(() => waitOf(h) !== undefined);
      elapse(h);
      return await h.server.nextStream();
    }

    it('tells a new stream what it holds, and only what was accepted', async () => {
      const clusters = new RecordingWatcher();
      h.client.subscribe(h.cds, 'wildcard', clusters);
      h.client.subscribe(h.eds, ['e', 'f', 'g'], new RecordingWatcher());
      h.client.start();
      let stream = await h.server.nextStream();
      await stream.next();
      await stream.next();
      respond(stream, { version: 'v1', nonce: 'n1', resources: { a: '1', b: 'parked' } });
      await stream.next();
      respond(stream, { type: edsUrl, version: 'v2', nonce: 'n2', resources: { e: '1', f: 'bad' } });
      await stream.next();
      stream.end();
      stream = await reconnect();
      const [cds, eds] = [await stream.next(), await stream.next()];
      expect([cds.node?.id, eds.node]).to.deep.equal(['n1', null]);
      expect([cds.response_nonce, eds.response_nonce]).to.deep.equal(['', '']);
      expect([namesIn(cds), namesIn(eds)]).to.deep.equal([[], ['e', 'f', 'g']]);
      if (variant === 'SOTW') expect([cds.version_info, eds.version_info]).to.deep.equal(['v1', '']);
      else {
        expect(cds.initial_resource_versions).to.deep.equal({ a: 'v1', b: 'v1' });
        expect(eds.initial_resource_versions).to.deep.equal({ e: 'v2' });
      }
      // A server that finds nothing to add says nothing: everything goes on.
      expect(clusters.plain).to.deep.equal({ a: '1', b: 'parked' });
      expect(clusters.updates).to.have.lengthOf(1);
    });

    it('shows as rejected what the new stream brings again, and no more', async () => {
      h.client.subscribe(h.cds, 'wildcard', new RecordingWatcher());
      h.client.subscribe(h.eds, ['e'], new RecordingWatcher());
      h.client.start();
      let stream = await h.server.nextStream();
      await stream.next();
      await stream.next();
      respond(stream, { version: 'v1', nonce: 'n1', resources: { a: '1', b: '1' } });
      await stream.next();
      respond(stream, { version: 'v2', nonce: 'n2', resources: { a: 'bad', b: 'bad', c: 'bad' } });
      await stream.next();
      respond(stream, { type: edsUrl, version: 'v2', nonce: 'n3', resources: { e: 'bad' } });
      await stream.next();
      const shown = (type: string) => [...h.client.states(type)].map(({ name, status }) => `${name} ${status}`);
      stream.end();
      await until(() => !h.client.connected);
      expect(shown(cdsUrl)).to.deep.equal(['a rejected', 'b rejected', 'c rejected']);
      expect(shown(edsUrl)).to.deep.equal(['e rejected']);
      stream = await reconnect();
      await stream.next();
      await stream.next();
      // The control plane is back at a, still has the bad b, and c is gone: nobody says a word of a and c.
      expect(shown(cdsUrl)).to.deep.equal(['a active', 'b active']);
      expect(shown(edsUrl)).to.deep.equal(['e requested']);
      const judged = h.cds.judged.length;
      respond(stream, {
        version: 'v3',
        nonce: 'n1',
        resources: { ...(variant === 'SOTW' && { a: '1' }), b: 'bad' },
      });
      const nack = await stream.next();
      expect(nack.error_detail?.message).to.contain("b: value: must not be 'bad'");
      expect(shown(cdsUrl)).to.deep.equal(['a active', 'b rejected']);
      expect(h.cds.judged).to.have.lengthOf(judged);
    });

    it('does not ask for everything of a type that nobody wants any more', async () => {
      h.client.subscribe(h.cds, 'wildcard', new RecordingWatcher());
      const watch = h.client.subscribe(h.eds, ['e'], new RecordingWatcher());
      h.client.start();
      let stream = await h.server.nextStream();
      await stream.next();
      await stream.next();
      watch.close();
      expect(namesIn(await stream.next())).to.deep.equal([]);
      stream.end();
      stream = await reconnect();
      expect((await stream.next()).type_url).to.equal(cdsUrl);
      respond(stream, { version: 'v1', nonce: 'n1' });
      expect((await stream.next()).response_nonce).to.equal('n1');
    });

    it('keeps its resources and tells watchers of no error when the server ends the stream', async () => {
      const watcher = new RecordingWatcher();
      h.client.subscribe(h.cds, 'wildcard', watcher);
      h.client.start();
      let stream = await h.server.nextStream();
      await stream.next();
      respond(stream, { version: 'v1', nonce: 'n1', resources: { a: '1' } });
      await stream.next();
      stream.fail(status.UNAVAILABLE, 'max connection age');
      stream = await reconnect();
      await stream.next();
      expect(watcher.plain).to.deep.equal({ a: '1' });
      expect(watcher.updates).to.have.lengthOf(1);
      expect(watcher.failures).to.equal(1);
      expect(h.stats.counter('cluster_manager.cds.update_failure').value).to.equal(1);
      // Equal bytes are not judged again on the new stream.
      respond(stream, { version: 'v1', nonce: 'n1', resources: { a: '1' } });
      await stream.next();
      expect(h.cds.judged).to.deep.equal(['a']);
    });

    it('waits longer after each failure, up to 30 s, and starts over after a good message', async () => {
      h.client.subscribe(h.cds, 'wildcard', new RecordingWatcher());
      h.server.stop();
      h.client.start();
      const waits: number[] = [];
      for (let i = 0; i < 9; i++) {
        await until(() => waitOf(h) !== undefined);
        waits.push(elapse(h));
      }
      expect(waits).to.deep.equal([250, 500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000]);
      expect(h.stats.counter('cluster_manager.cds.update_failure').value).to.be.at.least(9);
      await h.server.start();
      const pending = async () => {
        while (!h.client.connected) {
          h.clock.advance(1_000);
          await new Promise((resolve) => setTimeout(resolve, 2));
        }
      };
      await pending();
      const stream = await h.server.nextStream();
      await stream.next();
      respond(stream, { nonce: 'n1', resources: { a: '1' } });
      await stream.next();
      stream.end();
      h.waits.length = 0;
      await until(() => waitOf(h) !== undefined);
      expect(elapse(h)).to.equal(250);
    });

    it('goes on when the server says nonsense', async () => {
      h.client.subscribe(h.cds, 'wildcard', new RecordingWatcher());
      h.client.start();
      const stream = await h.server.nextStream();
      stream.fail(status.INVALID_ARGUMENT, 'who are you?');
      await (await reconnect()).next();
      expect(h.log.lines.some((line) => line.includes('INVALID_ARGUMENT: who are you?'))).to.equal(true);
    });

    it('tries one address after the other, and waits for the first', async () => {
      const { server } = h;
      let addresses: string[] = [];
      const other = await createHarness(variant, {
        channel: { ...channelDefaults, addresses: () => addresses, authority: 'xds_cluster' },
      });
      other.client.subscribe(other.cds, 'wildcard', new RecordingWatcher());
      other.client.start();
      expect(other.log.lines[0]).to.contain('has no address');
      const dead = createServer();
      await new Promise<void>((resolve) => dead.listen(0, '127.0.0.1', resolve));
      const { port } = dead.address() as { port: number };
      await new Promise((resolve) => dead.close(resolve));
      addresses = [server.address, `127.0.0.1:${port}`];
      other.clock.advance(1_000);
      await until(() => other.clock.pending === 1 && other.log.lines.length === 2);
      expect(other.log.lines[1]).to.contain('ECONNREFUSED');
      other.clock.advance(1_000);
      const stream = await server.nextStream();
      await stream.next();
      other.close();
    });

    it('gives up a connection that does not come about', async () => {
      const sockets: Socket[] = [];
      const silent = createServer((socket) => void sockets.push(socket));
      await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
      const { port } = silent.address() as { port: number };
      const other = await createHarness(variant, {
        channel: { ...channelDefaults, connectTimeoutMs: 700, addresses: () => [`127.0.0.1:${port}`] },
      });
      const watcher = new RecordingWatcher(600);
      other.client.subscribe(other.cds, 'wildcard', watcher);
      other.client.start();
      await until(() => sockets.length === 1);
      other.clock.advance(699);
      expect(other.log.lines).to.deep.equal([]);
      other.clock.advance(1);
      expect(other.log.lines[0]).to.contain('no connection within 700 ms');
      expect(watcher.updates.map(({ cause }) => cause)).to.deep.equal(['initial_fetch_timeout']);
      other.close();
      silent.close();
      for (const socket of sockets) socket.destroy();
    });

    it('finds out by pings that the other end is gone', async () => {
      const { server } = h;
      let dark = false;
      const sockets: Socket[] = [];
      const relay = createServer((socket) => {
        const [host, port] = server.address.split(':') as [string, string];
        const upstream = connect(Number(port), host);
        sockets.push(socket, upstream);
        socket.on('data', (data) => dark || upstream.write(data)).on('error', () => {});
        upstream.on('data', (data) => dark || socket.write(data)).on('error', () => {});
      });
      await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve));
      const { port } = relay.address() as { port: number };
      const other = await createHarness(variant, {
        clock: systemClock,
        channel: {
          connectTimeoutMs: 1_000,
          keepaliveTimeMs: 100,
          keepaliveTimeoutMs: 100,
          addresses: () => [`127.0.0.1:${port}`],
        },
      });
      other.client.subscribe(other.cds, 'wildcard', new RecordingWatcher());
      other.client.start();
      await (await server.nextStream()).next();
      dark = true;
      await until(() => !other.client.connected);
      other.close();
      relay.close();
      for (const socket of sockets) socket.destroy();
    });

    it('applies what was being judged when the stream was lost, and answers it nowhere', async () => {
      const watcher = new RecordingWatcher();
      h.client.subscribe(h.cds, 'wildcard', watcher);
      h.client.start();
      let stream = await h.server.nextStream();
      await stream.next();
      let go = () => {};
      h.cds.hold = new Promise((resolve) => {
        go = resolve;
      });
      respond(stream, { version: 'v1', nonce: 'n1', resources: { a: '1' } });
      await until(() => h.cds.judged.length === 1);
      stream.end();
      stream = await reconnect();
      expect((await stream.next()).response_nonce).to.equal('');
      go();
      await watcher.count(1);
      expect(watcher.plain).to.deep.equal({ a: '1' });
      respond(stream, { version: 'v2', nonce: 'm1', resources: { a: '1' } });
      expect((await stream.next()).response_nonce).to.equal('m1');
      expect(h.cds.judged).to.deep.equal(['a']);
    });

    it('leaves nothing behind when closed', async () => {
      const watcher = new RecordingWatcher(1_000);
      h.client.subscribe(h.cds, 'wildcard', watcher);
      h.client.start();
      const stream = await h.server.nextStream();
      await stream.next();
      let go = () => {};
      h.cds.hold = new Promise((resolve) => {
        go = resolve;
      });
      respond(stream, { version: 'v1', nonce: 'n1', resources: { a: '1' } });
      await until(() => h.cds.judged.length === 1);
      h.client.close();
      await stream.closed;
      go();
      await until(() => h.cds.discarded.length === 1);
      expect([h.clock.pending, watcher.updates.length, h.client.connected]).to.deep.equal([0, 0, false]);
      expect(h.stats.gauge('control_plane.connected_state').value).to.equal(0);
    });

    it('closes while it waits and while it connects', async () => {
      h.server.stop();
      h.client.start();
      h.client.close();
      expect(h.clock.pending).to.equal(0);
      const other = await createHarness(variant, { channel: { ...channelDefaults, addresses: () => [] } });
      other.client.start();
      expect(other.clock.pending).to.equal(1);
      other.client.close();
      expect(other.clock.pending).to.equal(0);
      other.close();
    });
  });
}

/** The delay in the latest line about a lost stream. */
function waitOf(h: Harness): number | undefined {
  return h.waits.at(-1);
}

/** Lets the announced wait pass and returns it. */
function elapse(h: Harness): number {
  const wait = h.waits.pop() as number;
  h.clock.advance(wait);
  return wait;
}
