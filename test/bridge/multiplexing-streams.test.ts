import { expect } from 'chai';
import fc from 'fast-check';
import type { Multiplexing } from '../../src/bridge/api.js';
import type { Clock } from '../../src/clock.js';
import { FakeClock } from '../support/fake-clock.js';
import { frame, withId } from '../support/framed-server.js';
import { eventually, Recorder, type Sent, type TestPlugin, turns } from './harness.js';
import {
  type Asked,
  configured,
  framesById,
  leftOver,
  type Sharing,
  type SharingOptions,
  share,
  textOf,
} from './sharing.js';

const size = 300_000;
const letters = (letter: string, count: number): Buffer => Buffer.alloc(count, letter);
const answers = (one: Asked): void => one.answer();

describe('large requests on shared connections', () => {
  let sharing: Sharing;
  let before: number;

  async function setUp(
    plugin: TestPlugin,
    onAsked?: SharingOptions['onAsked'],
    maxConnections = 1024,
    clock?: Clock,
  ): Promise<void> {
    const limits = { maxConnections, maxPendingRequests: 1024, maxRequests: 1024, maxRetries: 3 };
    const overrides = { circuitBreakers: { default: limits, high: limits } };
    sharing = await share(plugin, { overrides, ...(onAsked && { onAsked }), ...(clock && { clock }) });
    before = 0;
  }

  afterEach(async () => {
    await sharing.close();
    expect(leftOver(sharing)).to.deep.equal({});
  });

  const announced = { headers: { 'content-length': String(size) } };
  /** Its first `sent` bytes; `rest` sends the others. */
  const begin = (sent = 100_000, id = 7): Sent =>
    sharing.harness.send({ ...announced, body: [withId(id, letters('x', sent - 4))], more: true });
  const rest = (one: Sent, from = 100_000): void => one.exchange.onRequestData(letters('x', size - from), true);
  const socket = (index: number) => sharing.server.connections[index]?.socket;
  /** That came on one of the server's connections, without those of `first`. */
  const bytesOn = (index: number): number => (socket(index)?.bytesRead ?? 0) - (index === 0 ? before : 0);
  const first = async (): Promise<void> => {
    await sharing.send('first').ended();
    before = socket(0)?.bytesRead ?? 0;
  };

  for (const config of [{ correlation: 'id' }, { correlation: 'in_order' }]) {
    describe(`length_prefixed, ${config.correlation}`, () => {
      const plugin = configured(config);

      it('are written as they come, on a connection that others have before and after', async () => {
        await setUp(plugin, answers);
        await first();
        const large = begin();
        await eventually(() => bytesOn(0) === 100_004);
        rest(large);
        await large.ended();
        expect(large.result.body).to.equal(`\0\0\0\x07${'x'.repeat(size - 4)}`);
        const after = sharing.send('after');
        await after.ended();
        expect(textOf(after)).to.equal('after');
        expect(sharing.server.connections).to.have.length(1);
      });

      it('hold up nobody while they come slowly: others have another connection', async () => {
        await setUp(plugin, answers);
        await first();
        const large = begin();
        await eventually(() => bytesOn(0) === 100_004);
        const small = Array.from({ length: 20 }, (_, i) => sharing.send(`${i}`));
        await Promise.all(small.map((one) => one.ended()));
        expect(small.map(textOf)).to.deep.equal(small.map((_, i) => `${i}`));
        expect(sharing.server.connections).to.have.length(2);
        expect(bytesOn(0)).to.equal(100_004);
        rest(large);
        await large.ended();
        expect(large.result.body).to.have.length(size);
      });

      it('that are begun while others run have a connection of their own, too', async () => {
        await setUp(plugin);
        const running = sharing.send('running');
        await sharing.askedFor(1);
        const uploads = [begin(100_000, 1), begin(100_000, 2)];
        await eventually(() => sharing.server.connections.length === 3);
        for (const one of uploads) rest(one);
        await sharing.askedFor(3);
        for (const one of sharing.asked) one.answer();
        await Promise.all([running, ...uploads].map((one) => one.ended()));
        expect(uploads.map(({ result }) => result.body.slice(0, 5))).to.deep.equal(['\0\0\0\x01x', '\0\0\0\x02x']);
        expect(textOf(running)).to.equal('running');
      });

      it('are kept until they are whole where there may be no other connection for others', async () => {
        await setUp(plugin, answers, 1);
        await first();
        const large = begin();
        await sharing.send('small').ended();
        expect(bytesOn(0)).to.be.below(100);
        rest(large);
        await large.ended();
        expect(large.result.body).to.have.length(size);
        expect(sharing.server.connections).to.have.length(1);
      });

      it('have all connections but one', async () => {
        await setUp(plugin, answers, 3);
        await first();
        const uploads = Array.from({ length: 5 }, () => begin());
        await eventually(() => sharing.server.connections.length === 3);
        await sharing.send('small').ended();
        for (const one of uploads) rest(one);
        await Promise.all(uploads.map((one) => one.ended()));
        for (const one of uploads) expect(one.result.body).to.have.length(size);
        expect(sharing.server.connections).to.have.length(3);
      });

      it('that stop half-way fail alone, and end their connection', async () => {
        await setUp(plugin);
        const others = [sharing.send('a'), sharing.send('b')];
        await sharing.askedFor(2);
        const large = begin();
        await eventually(() => sharing.server.connections.length === 2);
        await eventually(() => bytesOn(1) > 0);
        large.cancel();
        await eventually(() => sharing.openConnections() === 1);
        for (const one of sharing.asked) one.answer();
        await Promise.all(others.map((one) => one.ended()));
        expect(others.map(textOf)).to.deep.equal(['a', 'b']);
        expect(sharing.harness.clusterStat('multiplexing.abandoned')).to.equal(0);
        expect(sharing.asked).to.have.length(2);
      });

      it('that leave before a byte was written keep their connection for others', async () => {
        await setUp(plugin, answers);
        await first();
        const large = sharing.harness.send({ ...announced, more: true });
        // In order the header is enough to begin.
        if (config.correlation === 'id') await turns();
        large.cancel();
        await sharing.send('next').ended();
        expect(sharing.openConnections()).to.equal(1);
        expect(sharing.server.connections).to.have.length(1);
      });

      it('whose clients leave before the answer leave it to nobody', async () => {
        await setUp(plugin, (one) => one.text.length < 100 && one.answer());
        await first();
        const large = begin();
        rest(large);
        await sharing.askedFor(2);
        large.cancel();
        const next = sharing.send('next');
        expect(sharing.harness.clusterStat('multiplexing.abandoned')).to.equal(1);
        sharing.asked[1]?.answer();
        await next.ended();
        expect(textOf(next)).to.equal('next');
        await eventually(() => sharing.harness.clusterStat('multiplexing.late_answers') === 1);
      });

      it('wait for a server that does not read, and so do their clients', async () => {
        await setUp(plugin, answers);
        await first();
        socket(0)?.pause();
        const large = sharing.harness.send({ headers: { 'content-length': String(50 * size) }, more: true });
        await turns();
        for (let i = 0; i < 50 && !large.result.paused; i++) {
          const piece = i === 0 ? withId(7, letters('x', size - 4)) : letters('x', size);
          large.exchange.onRequestData(piece, false);
          await turns(1);
        }
        expect(large.result.paused).to.equal(true);
        await sharing.send('other').ended();
        socket(0)?.resume();
        await eventually(() => !large.result.paused);
        large.cancel();
      });

      it('fail with their connection, and are not begun again once bytes are gone', async () => {
        await setUp(plugin, answers);
        await first();
        const large = begin();
        const other = sharing.send('other', { more: true });
        await eventually(() => bytesOn(0) > 0);
        socket(0)?.resetAndDestroy();
        await large.ended();
        expect(large.result.summary).to.equal('failure upstream_closed');
        other.exchange.onRequestData(Buffer.alloc(0), true);
        await other.ended();
        expect(textOf(other)).to.equal('other');
        expect(sharing.harness.stat('connections_replaced')).to.equal(0);
      });

      it('are answered before they are whole: their connection is closed, as nothing can follow', async () => {
        await setUp(plugin);
        const large = begin();
        await eventually(() => sharing.server.connections.length === 1);
        await eventually(() => bytesOn(0) > 0);
        socket(0)?.write(frame(withId(config.correlation === 'id' ? 1 : 7, 'too large')));
        await large.ended();
        expect(textOf(large)).to.equal('too large');
        await eventually(() => sharing.openConnections() === 0);
      });

      it('of a version that is replaced finish on their connection', async () => {
        await setUp(plugin, answers);
        await first();
        const large = begin();
        await eventually(() => bytesOn(0) > 0);
        const { manager, cluster, bridge } = sharing.harness;
        const model = { ...cluster.config, connectTimeoutMs: 1 };
        const verdict = { kind: 'active' as const, model, warnings: [] };
        manager.setCluster(
          { name: model.name, version: '2', bytes: new Uint8Array(), verdict },
          { ...bridge, release: () => undefined },
          'static',
        );
        rest(large);
        await large.ended();
        expect(large.result.body).to.have.length(size);
        await eventually(() => sharing.openConnections() === 0);
      });

      it('of unknown length, and small ones, are written when they are whole', async () => {
        await setUp(plugin, answers);
        await first();
        const unknown = sharing.harness.send({ body: [withId(7, letters('x', 99_996))], more: true });
        const small = sharing.harness.send({
          headers: { 'content-length': '50000' },
          body: [withId(7, 'x')],
          more: true,
        });
        await turns();
        expect(bytesOn(0)).to.equal(0);
        rest(unknown);
        small.exchange.onRequestData(letters('y', 49_995), true);
        await Promise.all([unknown.ended(), small.ended()]);
        expect(sharing.server.connections).to.have.length(1);
      });
    });
  }

  it('in order: the time that the answer takes counts from the end of the request', async () => {
    const clock = new FakeClock();
    await setUp(configured({ correlation: 'in_order', answer_timeout_ms: 3_000 }), answers, 1024, clock);
    await first();
    const large = begin();
    await eventually(() => bytesOn(0) > 0);
    clock.advance(10_000);
    rest(large);
    await large.ended();
    expect(large.result.body).to.have.length(size);
    expect(sharing.harness.clusterStat('multiplexing.answer_timeouts')).to.equal(0);
  });

  describe('of a plugin that', () => {
    const multiplexing =
      (more: Partial<Multiplexing> = {}) =>
      (): Multiplexing => ({ ...framesById, streamAbove: 1000, ...more });
    const head = withId(size, withId(7, ''));

    it('announces fewer bytes than it writes, or more, has a fault, and its connection is closed', async () => {
      for (const [wrong, reason] of [
        [size - 1, /longer than its frame/],
        [size + 1, /ended before its frame/],
      ] as const) {
        await setUp({
          multiplexing: multiplexing(),
          createBridge: () => ({
            encodeHeaders(_headers, data) {
              data.set(withId(wrong, ''));
              return 0;
            },
            encodeData: () => 0,
          }),
        });
        const large = begin();
        await eventually(() => sharing.server.connections.length === 1);
        rest(large);
        await large.ended();
        expect(large.result.summary).to.equal('failure plugin_error');
        expect(sharing.harness.log.lines.at(-1)?.text).to.match(reason);
        if (wrong > size) await eventually(() => sharing.openConnections() === 0);
        await sharing.close();
        expect(leftOver(sharing)).to.deep.equal({});
      }
    });

    it('keeps it after all shares its connection', async () => {
      await setUp(
        {
          multiplexing: multiplexing(),
          createBridge: () => ({
            encodeHeaders: () => 1,
            encodeData(data, end) {
              if (end) data.prepend(withId(data.len(), ''));
              return end ? 0 : 1;
            },
            onUpstreamData: (_headers, _data, end) => (end ? 2 : 1),
          }),
        },
        answers,
      );
      await sharing.send('first').ended();
      const large = begin();
      await turns();
      await sharing.send('small').ended();
      expect(sharing.server.connections).to.have.length(1);
      rest(large);
      await large.ended();
      expect(large.result.body).to.have.length(size + 4);
    });

    it('answers heartbeats does so behind the request that is being written', async () => {
      const heartbeat = 0xffff_ffff;
      const pong = frame(withId(heartbeat, 'pong'));
      await setUp(
        {
          multiplexing: multiplexing({
            isStrayFrame: (bytes) => (bytes.length < 8 ? undefined : bytes.readUInt32BE(4) === heartbeat),
            onStrayFrame: () => ({ reply: pong }),
          }),
          createBridge: () => ({
            encodeHeaders(_headers, data) {
              data.set(withId(size, ''));
              return 0;
            },
            encodeData: () => 0,
            onUpstreamData: (_headers, _data, end) => (end ? 2 : 1),
          }),
        },
        (one) => one.text !== 'pong' && one.answer(),
      );
      const large = begin();
      await eventually(() => bytesOn(0) === 100_004);
      socket(0)?.write(frame(withId(heartbeat, 'ping')));
      await eventually(() => sharing.harness.clusterStat('multiplexing.stray_frames') === 1);
      await turns();
      expect(bytesOn(0)).to.equal(100_004);
      rest(large);
      await large.ended();
      await sharing.askedFor(2);
      expect(sharing.asked.map(({ text }) => text.length)).to.deep.equal([size - 4, 4]);
    });

    it('does not tell the length of the frame has a fault', async () => {
      await setUp({
        multiplexing: multiplexing({ frameLength: () => undefined }),
        createBridge: () => ({ encodeData: () => 0 }),
      });
      const large = begin();
      await large.ended();
      expect(large.result.summary).to.equal('failure plugin_error');
      expect(sharing.harness.log.lines.at(-1)?.text).to.contain('do not tell the length of its frame');
    });

    it('speaks for the connection, or wants no answer, must say so before', async () => {
      await setUp({
        multiplexing: multiplexing(),
        createBridge: (_config, callbacks) => ({
          encodeHeaders(_headers, data) {
            data.set(head.subarray(0, 4));
            return 0;
          },
          encodeData(_data, end) {
            if (end) callbacks.setSelfHalfCloseForUpstreamConn(true);
            return 0;
          },
        }),
      });
      const large = begin();
      await eventually(() => sharing.server.connections.length === 1);
      rest(large);
      await large.ended();
      expect(large.result.summary).to.equal('failure plugin_error');
      expect(sharing.harness.log.lines.at(-1)?.text).to.contain('before the first bytes');
    });
  });
});

describe('large requests among others, whatever clients do', function () {
  this.timeout(60_000);

  const request = fc.record({
    wait: fc.nat(6),
    /** Sizes of the pieces that it comes in, with so many turns before each. */
    pieces: fc.array(fc.record({ size: fc.integer({ min: 1, max: 90_000 }), wait: fc.nat(3) }), {
      minLength: 1,
      maxLength: 8,
    }),
    /** Told before. */
    announced: fc.boolean(),
    /** Pieces after which the client goes away; nothing: it stays. */
    abortAfter: fc.option(fc.nat(8), { freq: 5 }),
    slowReader: fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
  });
  const scenario = fc.record({
    correlation: fc.constantFrom('id', 'in_order'),
    maxConnections: fc.integer({ min: 1, max: 4 }),
    maxInFlight: fc.integer({ min: 1, max: 6 }),
    requests: fc.array(request, { minLength: 2, maxLength: 16 }),
    drops: fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 1 }),
  });

  it('each gets the answer to all that it sent, or a failure, and nothing is left', async () => {
    let responses = 0;
    await fc.assert(
      fc.asyncProperty(scenario, async ({ correlation, maxConnections, maxInFlight, requests, drops }) => {
        const limits = { maxConnections, maxPendingRequests: 1024, maxRequests: 1024, maxRetries: 3 };
        let asked = 0;
        const sharing = await share(configured({ correlation, max_in_flight: maxInFlight }), {
          onAsked: (one) => (drops.includes(asked++) ? one.connection.socket.destroy() : one.answer()),
          overrides: { circuitBreakers: { default: limits, high: limits } },
        });
        await Promise.all(
          requests.map(async ({ wait, pieces, announced, abortAfter, slowReader }, index) => {
            await turns(wait);
            const bodies = pieces.map((piece, i) => letters(String.fromCharCode(97 + ((index + i) % 26)), piece.size));
            const payload = Buffer.concat([withId(index + 1000, ''), ...bodies]);
            const recorder = new Recorder();
            recorder.writable = !slowReader;
            const headers: Record<string, string> = announced ? { 'content-length': String(payload.length) } : {};
            const sent = sharing.harness.send({ headers, body: [payload.subarray(0, 4)], more: true, recorder });
            for (const [i, body] of bodies.entries()) {
              await turns(pieces[i]?.wait);
              if (abortAfter === i && recorder.outcome === undefined) return sent.cancel();
              sent.exchange.onRequestData(body, i === bodies.length - 1);
            }
            for (let i = 0; i < 2000 && recorder.outcome === undefined; i++) {
              await turns(1);
              if (!slowReader || i < 4) continue;
              recorder.writable = true;
              sent.exchange.onDownstreamWritable();
            }
            expect(recorder.violations).to.deep.equal([]);
            expect(recorder.outcome, `${index} ends`).to.be.oneOf(['response', 'failure']);
            const body = Buffer.concat(recorder.pieces);
            expect(payload.subarray(0, body.length).equals(body), `${index} got bytes of its own`).to.equal(true);
            if (recorder.outcome === 'response') expect(body.length).to.equal(payload.length);
            else expect(drops.length, `${index} failed: ${recorder.summary.slice(-60)}`).to.be.above(0);
            responses += recorder.outcome === 'response' ? 1 : 0;
          }),
        );
        await sharing.close();
        await eventually(() => sharing.harness.bridge.released);
        expect(leftOver(sharing)).to.deep.equal({});
      }),
      { numRuns: 150 },
    );
    expect(responses).to.be.above(300);
  });
});
