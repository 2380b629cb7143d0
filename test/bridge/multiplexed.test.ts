import { expect } from 'chai';
import { frame, withId } from '../support/framed-server.js';
import type { TcpServer } from '../support/tcp-server.js';
import { eventually, type Harness, type Sent, type TestPlugin, turns } from './harness.js';
import { type Asked, configured, leftOver, type Sharing, share, textOf } from './sharing.js';

describe('exchanges on shared connections', () => {
  let sharing: Sharing;
  let server: TcpServer;
  let harness: Harness;
  let asked: readonly Asked[];

  /** Without `onAsked` the test answers. */
  async function setUp(given: TestPlugin, onAsked?: (one: Asked) => void): Promise<void> {
    sharing = await share(given, onAsked && { onAsked });
    ({ server, harness, asked } = sharing);
  }

  afterEach(async () => {
    await sharing.close();
    expect(leftOver(sharing)).to.deep.equal({});
  });

  const byId = { correlation: 'id' };
  const inOrder = { correlation: 'in_order' };
  const send: Sharing['send'] = (...request) => sharing.send(...request);
  const askedFor = (count: number): Promise<void> => sharing.askedFor(count);
  const openConnections = (): number => sharing.openConnections();

  for (const config of [byId, inOrder]) {
    describe(`length_prefixed, ${config.correlation}`, () => {
      it('one connection serves all, and every answer keeps the id of its request', async () => {
        await setUp(configured(config), (one) => one.answer());
        const sent = Array.from({ length: 50 }, (_, i) => harness.send({ body: [withId(1000 + i, `request ${i}`)] }));
        for (const [i, one] of sent.entries()) {
          await one.ended();
          expect(one.result.body).to.equal(withId(1000 + i, `request ${i}`).toString('latin1'));
          expect(one.info.upstreamHost).to.equal(server.address);
          expect(one.info.upstreamLocalAddress).to.match(/^127\.0\.0\.1:/);
          expect(one.info.firstUpstreamRxByte).to.be.at.least(one.info.lastUpstreamTxByte ?? 0);
        }
        expect(server.connections).to.have.length(1);
        expect(harness.clusterStat('upstream_cx_total')).to.equal(1);
        expect(harness.clusterStat('upstream_rq_total')).to.equal(50);
        expect(harness.clusterStat('upstream_cx_destroy')).to.equal(0);
      });

      it('the requests of a turn go out in one write', async () => {
        await setUp(configured(config), (one) => one.answer());
        await send('first').ended();
        let reads = 0;
        server.connections[0]?.socket.on('data', () => reads++);
        const sent = Array.from({ length: 20 }, (_, i) => send(`request ${i}`));
        await Promise.all(sent.map((one) => one.ended()));
        expect(reads).to.equal(1);
      });

      it('a client that goes away hurts nobody, and its late answer is dropped', async () => {
        await setUp(configured(config));
        const [gone, stays] = [send('gone'), send('stays')];
        await askedFor(2);
        gone.cancel();
        expect(harness.clusterStat('multiplexing.abandoned')).to.equal(1);
        expect(harness.clusterStat('upstream_rq_active')).to.equal(1);
        for (const one of asked) one.answer();
        await stays.ended();
        expect(textOf(stays)).to.equal('stays');
        await eventually(() => harness.clusterStat('multiplexing.late_answers') === 1);
        expect(harness.clusterStat('multiplexing.abandoned')).to.equal(0);
        const next = send('next');
        await askedFor(3);
        asked[2]?.answer();
        await next.ended();
        expect(openConnections()).to.equal(1);
      });

      it('a client that goes away in the middle of its answer', async () => {
        await setUp(configured(config));
        const large = Buffer.alloc(200_000, 'x');
        const [gone, stays] = [send('gone'), send('stays')];
        await askedFor(2);
        const whole = frame(Buffer.concat([asked[0]?.payload.subarray(0, 4) as Buffer, large]));
        server.connections[0]?.socket.write(whole.subarray(0, 100_000));
        await eventually(() => gone.result.pieces.length > 0);
        gone.cancel();
        server.connections[0]?.socket.write(whole.subarray(100_000));
        asked[1]?.answer();
        await stays.ended();
        expect(textOf(stays)).to.equal('stays');
        expect(gone.result.violations).to.deep.equal([]);
        expect(openConnections()).to.equal(1);
      });

      it('a client that goes away before its request is whole', async () => {
        await setUp(configured(config), (one) => one.answer());
        const [gone, stays] = [send('gone', { more: true }), send('stays')];
        await stays.ended();
        gone.cancel();
        expect(harness.clusterStat('multiplexing.abandoned')).to.equal(0);
        await turns();
        expect(asked).to.have.length(1);
      });

      it('large answers stream, and small ones come in any pieces', async () => {
        await setUp(configured(config));
        const large = Buffer.alloc(1 << 20, 'x');
        const [one, two] = [send('one'), send('two')];
        await askedFor(2);
        const idOf = (index: number) => asked[index]?.payload.subarray(0, 4) as Buffer;
        const bytes = Buffer.concat([
          frame(Buffer.concat([idOf(0), large])),
          frame(Buffer.concat([idOf(1), Buffer.from('small')])),
        ]);
        for (let at = 0; at < bytes.length; ) {
          const size = at < bytes.length - 40 ? 65_537 : 1;
          const end = Math.min(at + size, at < bytes.length - 40 ? bytes.length - 40 : bytes.length);
          server.connections[0]?.socket.write(bytes.subarray(at, end));
          at = end;
          await turns(1);
        }
        await one.ended();
        await two.ended();
        expect(one.result.body).to.equal(`\0\0\0\x07${large.toString()}`);
        expect(one.result.pieces.length).to.be.above(2);
        expect(textOf(two)).to.equal('small');
      });

      it('a large request goes out whole', async () => {
        await setUp(configured(config), (one) => one.answer());
        const pieces = Array.from({ length: 16 }, (_, i) => Buffer.alloc(100_000, String.fromCharCode(97 + i)));
        const large = harness.send({ body: [withId(9, ''), ...pieces] });
        const small = send('small');
        await Promise.all([large.ended(), small.ended()]);
        expect(large.result.body).to.equal(`\0\0\0\x09${Buffer.concat(pieces).toString()}`);
        expect(textOf(small)).to.equal('small');
      });

      it('the loss of a connection fails exactly its exchanges', async () => {
        await setUp(configured({ ...config, max_in_flight: 2 }));
        const sent = ['a', 'b', 'c', 'd'].map((text) => send(text));
        await askedFor(4);
        expect(server.connections).to.have.length(2);
        server.connections[0]?.socket.resetAndDestroy();
        await Promise.all([sent[0]?.ended(), sent[1]?.ended()]);
        expect(sent[0]?.result.summary).to.equal('failure upstream_closed');
        expect(sent[1]?.result.failure).to.have.property('reason', 'ECONNRESET');
        for (const one of asked) if (one.connection === server.connections[1]) one.answer();
        await Promise.all([sent[2]?.ended(), sent[3]?.ended()]);
        expect(sent.slice(2).map((one) => textOf(one))).to.deep.equal(['c', 'd']);
        expect(harness.clusterStat('upstream_cx_destroy_remote_with_active_rq')).to.equal(1);
      });

      it('idempotent requests move to another connection, once; so do those that were not sent', async () => {
        await setUp(configured(config));
        const first = send('first');
        await askedFor(1);
        asked[0]?.answer();
        await first.ended();
        const sent = [send('get', { method: 'PUT' }), send('post'), send('unsent', { more: true })];
        await askedFor(3);
        server.connections[0]?.socket.resetAndDestroy();
        await sent[1]?.ended();
        expect(sent[1]?.result.summary).to.equal('failure upstream_closed');
        await askedFor(4);
        sent[2]?.exchange.onRequestData(Buffer.alloc(0), true);
        await askedFor(5);
        for (const one of asked.slice(3)) one.answer();
        await Promise.all(sent.map((one) => one.ended()));
        expect([sent[0], sent[2]].map((one) => textOf(one as Sent))).to.deep.equal(['get', 'unsent']);
        expect(server.connections).to.have.length(2);
        expect(harness.stat('connections_replaced')).to.equal(2);
      });

      it('a FIN fails what waits for an answer', async () => {
        await setUp(configured(config));
        const sent = send('a');
        await askedFor(1);
        server.connections[0]?.socket.end();
        await sent.ended();
        expect(sent.result.failure).to.deep.equal({
          kind: 'upstream_closed',
          reason: 'the server closed the connection',
        });
        await eventually(() => openConnections() === 0);
      });

      it('no exchange ever gets an answer that nobody asked for: the connection is closed', async () => {
        await setUp(configured(config));
        const first = send('first');
        await askedFor(1);
        asked[0]?.answer();
        await first.ended();
        asked[0]?.answer();
        await eventually(() => openConnections() === 0);
        expect(harness.clusterStat('upstream_cx_protocol_error')).to.equal(1);
        const next = send('next');
        await askedFor(2);
        asked[1]?.answer();
        await next.ended();
        expect(textOf(next)).to.equal('next');
      });

      it('what is no frame closes the connection', async () => {
        await setUp(configured({ ...config, max_frame_size: 1000 }));
        const sent = [send('a'), send('b')];
        await askedFor(2);
        server.connections[0]?.socket.write(Buffer.from([255, 255, 255, 255, 0, 0, 0, 1]));
        await Promise.all(sent.map((one) => one.ended()));
        for (const { result } of sent)
          expect(result.failure).to.deep.equal({
            kind: 'protocol_error',
            reason: 'protocol error: frameLength: a frame with a payload of 4294967295 bytes; allowed are 0-996',
          });
        expect(harness.stat('protocol_errors')).to.equal(2);
        expect(harness.stat('upstream_closed')).to.equal(0);
      });

      it('what is no frame moves those that were not sent, and none that a server has read', async () => {
        await setUp(configured({ ...config, max_frame_size: 1000 }));
        const first = send('first');
        await askedFor(1);
        asked[0]?.answer();
        await first.ended();
        const [sent, unsent] = [send('sent', { method: 'PUT' }), send('unsent', { more: true })];
        await askedFor(2);
        server.connections[0]?.socket.write(Buffer.from([255, 255, 255, 255, 0, 0, 0, 1]));
        await sent.ended();
        expect(sent.result.summary).to.equal('failure protocol_error');
        unsent.exchange.onRequestData(Buffer.alloc(0), true);
        await askedFor(3);
        asked[2]?.answer();
        await unsent.ended();
        expect(textOf(unsent)).to.equal('unsent');
        expect(harness.stat('connections_replaced')).to.equal(1);
      });

      it('half-closed and PROXY exchanges have a connection to themselves', async () => {
        await setUp(configured(config), (one) => one.answer());
        const [shared, named] = [send('shared'), send('named', { preface: frame('PROXY') })];
        await Promise.all([shared.ended(), named.ended()]);
        expect(server.connections).to.have.length(2);
        await eventually(() => server.connections.filter(({ ended }) => ended).length === 1);
      });

      it('a replaced version finishes what is in flight on its connection, and takes nothing new', async () => {
        await setUp(configured(config));
        const [running, unsent] = [send('running'), send('unsent', { more: true })];
        await askedFor(1);
        harness.manager.removeCluster('cluster_0');
        const { config: model } = harness.cluster;
        // Static clusters stay; a changed one replaces them.
        harness.manager.setCluster(
          {
            name: model.name,
            version: '2',
            bytes: new Uint8Array(),
            verdict: { kind: 'active', model: { ...model, connectTimeoutMs: 1 }, warnings: [] },
          },
          { ...harness.bridge, release: () => undefined },
          'static',
        );
        expect(harness.bridge.released).to.equal(false);
        unsent.exchange.onRequestData(Buffer.alloc(0), true);
        await askedFor(2);
        asked[0]?.answer();
        await running.ended();
        expect(openConnections()).to.equal(1);
        asked[1]?.answer();
        await unsent.ended();
        expect(server.connections).to.have.length(1);
        await eventually(() => openConnections() === 0);
        expect(harness.bridge.released).to.equal(true);
      });

      it('is reset when the drain time of its version is over', async () => {
        await setUp(configured(config));
        const sent = send('stuck');
        await askedFor(1);
        await harness.manager.close();
        expect(sent.result.summary).to.equal('failure drain_timeout');
      });
    });
  }
});
