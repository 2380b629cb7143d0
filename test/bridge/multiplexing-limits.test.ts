import { expect } from 'chai';
import { FakeClock } from '../support/fake-clock.js';
import { frame, withId } from '../support/framed-server.js';
import { eventually, Recorder, type Sent, turns } from './harness.js';
import { configured, leftOver, type Sharing, type SharingOptions, share, textOf } from './sharing.js';

const byId = { correlation: 'id' };
const inOrder = { correlation: 'in_order' };
const wide = { maxConnections: 1024, maxPendingRequests: 1024, maxRequests: 1024, maxRetries: 3 };

describe('limits of shared connections', () => {
  let sharing: Sharing;

  async function setUp(config: unknown, options?: SharingOptions, limits: Partial<typeof wide> = {}): Promise<void> {
    const circuitBreakers = { default: { ...wide, ...limits }, high: wide };
    sharing = await share(configured(config), { ...options, overrides: { circuitBreakers, ...options?.overrides } });
  }

  const counter = (name: string): number => sharing.harness.clusterStat(name);
  const answerAll = (): void => {
    for (const one of sharing.asked) one.answer();
  };
  const ended = (sent: readonly Sent[]) => Promise.all(sent.map((one) => one.ended()));

  afterEach(async () => {
    await sharing.close();
    expect(leftOver(sharing)).to.deep.equal({});
  });

  it('a connection takes so many exchanges, and then another one is made', async () => {
    await setUp({ ...byId, max_in_flight: 3 });
    const sent = Array.from({ length: 7 }, (_, i) => sharing.send(`${i}`));
    await sharing.askedFor(7);
    expect(
      sharing.server.connections.map((one) => sharing.asked.filter((a) => a.connection === one).length),
    ).to.have.members([3, 3, 1]);
    answerAll();
    await ended(sent);
    expect(sent.map((one) => textOf(one))).to.deep.equal(['0', '1', '2', '3', '4', '5', '6']);
    const next = sharing.send('next');
    await sharing.askedFor(8);
    expect(sharing.asked[7]?.connection).to.equal(sharing.server.connections[0]);
    sharing.asked[7]?.answer();
    await next.ended();
    expect(sharing.server.connections).to.have.length(3);
  });

  it('max_connections: those that find no room wait, in order', async () => {
    await setUp({ ...byId, max_in_flight: 2 }, {}, { maxConnections: 1 });
    const sent = Array.from({ length: 5 }, (_, i) => sharing.send(`${i}`));
    await sharing.askedFor(2);
    await turns();
    expect(sharing.harness.clusterStat('upstream_rq_pending_active')).to.equal(3);
    sharing.asked[0]?.answer();
    await sharing.askedFor(3);
    expect(sharing.asked[2]?.text).to.equal('2');
    for (let done = 1; done < 5; done++) {
      await sharing.askedFor(Math.min(5, done + 2));
      sharing.asked[done]?.answer();
    }
    await ended(sent);
    expect(sent.map((one) => textOf(one))).to.deep.equal(['0', '1', '2', '3', '4']);
    expect(counter('upstream_cx_total')).to.equal(1);
    expect(counter('upstream_cx_overflow')).to.be.above(0);
  });

  it('max_requests and max_pending_requests count exchanges, as with HTTP/2', async () => {
    await setUp(byId, {}, { maxRequests: 2, maxPendingRequests: 3 });
    const pending = ['a', 'b', 'c', 'd'].map((text) => sharing.send(text));
    await ended(pending.slice(2));
    expect(pending.slice(2).map(({ result }) => result.summary)).to.deep.equal(['failure pool', 'failure pool']);
    await sharing.askedFor(2);
    const third = sharing.send('third');
    await third.ended();
    expect(third.result.failure).to.have.nested.property('failure.kind', 'overflow');
    expect(counter('upstream_rq_pending_overflow')).to.equal(3);
    answerAll();
    await ended(pending.slice(0, 2));
  });

  it('an idle connection is closed after the idle timeout', async () => {
    const clock = new FakeClock();
    await setUp(byId, { clock, overrides: { idleTimeoutMs: 5000 }, onAsked: (one) => one.answer() });
    await sharing.send('a').ended();
    clock.advance(3000);
    await sharing.send('b').ended();
    clock.advance(4999);
    expect(counter('upstream_cx_active')).to.equal(0 + 1);
    clock.advance(1);
    expect(sharing.harness.clusterStat('upstream_cx_active')).to.equal(0);
    expect(counter('upstream_cx_idle_timeout')).to.equal(1);
    expect(counter('upstream_cx_destroy_with_active_rq')).to.equal(0);
  });

  describe('a stuck exchange', () => {
    it('by id: the others go on', async () => {
      await setUp(byId, { onAsked: (one) => one.text === 'stuck' || one.answer() });
      const stuck = sharing.send('stuck');
      for (let i = 0; i < 20; i++) {
        const sent = sharing.send(`${i}`);
        await sent.ended();
        expect(textOf(sent)).to.equal(`${i}`);
      }
      stuck.cancel();
    });

    it('in order: those behind it wait, until the connection is closed for it', async () => {
      const clock = new FakeClock();
      await setUp({ ...inOrder, answer_timeout_ms: 3000 }, { clock });
      const first = sharing.send('first');
      await sharing.askedFor(1);
      sharing.asked[0]?.answer();
      await first.ended();
      const sent = [sharing.send('stuck'), sharing.send('post'), sharing.send('put', { method: 'PUT' })];
      await sharing.askedFor(4);
      clock.advance(2999);
      expect(counter('upstream_cx_active') + sharing.openConnections()).to.equal(2);
      clock.advance(1);
      await ended(sent.slice(0, 2));
      for (const { result } of sent.slice(0, 2))
        expect(result.failure).to.deep.equal({ kind: 'upstream_closed', reason: 'no answer within 3000 ms' });
      await sharing.askedFor(5);
      sharing.asked[4]?.answer();
      await ended(sent);
      expect(textOf(sent[2] as Sent)).to.equal('put');
      expect(counter('multiplexing.answer_timeouts')).to.equal(1);
      expect(clock.pending, 'timers').to.be.below(4);
    });

    it('in order: each answer has that time, from the one before', async () => {
      const clock = new FakeClock();
      await setUp({ ...inOrder, answer_timeout_ms: 3000 }, { clock });
      const sent = ['a', 'b', 'c'].map((text) => sharing.send(text));
      await sharing.askedFor(3);
      for (const [i, one] of sharing.asked.entries()) {
        clock.advance(2500);
        one.answer();
        await sent[i]?.ended();
      }
      expect(sent.map((one) => textOf(one))).to.deep.equal(['a', 'b', 'c']);
      clock.advance(10_000);
      expect(sharing.harness.clusterStat('upstream_cx_active')).to.equal(1);
    });

    for (const config of [byId, inOrder]) {
      it(`${config.correlation}: a silent connection gets no new exchanges where there may be another one`, async () => {
        const clock = new FakeClock();
        await setUp(config, { clock, onAsked: (one) => one.text === 'stuck' || one.answer() });
        const stuck = sharing.send('stuck');
        await sharing.askedFor(1);
        clock.advance(1001);
        const next = sharing.send('next');
        await next.ended();
        expect(textOf(next)).to.equal('next');
        expect(sharing.server.connections).to.have.length(2);
        stuck.cancel();
        expect(counter('upstream_cx_destroy_local')).to.equal(1);
      });

      it(`${config.correlation}: and where there may not, it serves`, async () => {
        const clock = new FakeClock();
        await setUp(config, { clock }, { maxConnections: 1 });
        const slow = sharing.send('slow');
        await sharing.askedFor(1);
        clock.advance(5000);
        const next = sharing.send('next');
        await sharing.askedFor(2);
        answerAll();
        await ended([slow, next]);
        expect(textOf(next)).to.equal('next');
      });
    }

    it('the last exchange that leaves a silent connection takes it with it', async () => {
      const clock = new FakeClock();
      await setUp(byId, { clock });
      const sent = sharing.send('lost');
      await sharing.askedFor(1);
      clock.advance(1001);
      sent.cancel();
      expect(counter('upstream_cx_destroy_local')).to.equal(1);
    });

    it('a connection where most answers never came is not used any more', async () => {
      await setUp({ ...byId, max_in_flight: 4 }, { onAsked: (one) => one.text !== 'lost' && one.answer() });
      const lost = ['lost', 'lost', 'lost'].map((text) => sharing.send(text));
      const slow = sharing.send('lost');
      await sharing.askedFor(4);
      for (const one of lost) one.cancel();
      const next = sharing.send('next');
      await next.ended();
      expect(sharing.server.connections).to.have.length(2);
      expect(sharing.openConnections()).to.equal(2);
      slow.cancel();
      expect(counter('upstream_cx_destroy_local')).to.equal(1);
    });
  });

  describe('a server that does not read', () => {
    it('a large request holds up nobody: others get another connection', async () => {
      await setUp(byId, { onAsked: (one) => one.answer() });
      await sharing.send('first').ended();
      sharing.server.connections[0]?.socket.pause();
      const large = sharing.harness.send({ body: [withId(1, Buffer.alloc(15 * 1024 * 1024))] });
      await turns();
      const small = Array.from({ length: 10 }, (_, i) => sharing.send(`${i}`));
      await ended(small);
      expect(sharing.server.connections).to.have.length(2);
      expect(large.result.outcome).to.equal(undefined);
      sharing.server.connections[0]?.socket.resume();
      await large.ended();
      expect(large.result.body).to.have.length(15 * 1024 * 1024 + 4);
      expect(counter('upstream_flow_control_backed_up_total')).to.be.above(0);
    });

    it('those that wait behind it can leave, and go out when it reads again', async () => {
      await setUp(byId, { onAsked: (one) => one.text.length < 100 && one.answer() }, { maxConnections: 1 });
      await sharing.send('first').ended();
      const socket = sharing.server.connections[0]?.socket;
      socket?.pause();
      const body = (id: number) => [withId(id, Buffer.alloc(8 * 1024 * 1024))];
      const large = [sharing.harness.send({ body: body(1) })];
      await turns();
      large.push(sharing.harness.send({ body: body(2) }));
      const [leaves, stays] = [sharing.send('leaves'), sharing.send('stays')];
      await turns();
      leaves.cancel();
      socket?.resume();
      await stays.ended();
      expect(sharing.asked.map(({ text }) => text.slice(0, 10))).to.not.include('leaves');
      // The small one passed the second large one.
      expect(sharing.asked.filter(({ text }) => text.length > 100).length).to.be.below(2);
      for (const one of large) one.cancel();
    });
  });

  it('a request that waits behind a large one is taken back when its client leaves', async () => {
    await setUp(byId, { onAsked: (one) => one.text.length < 100 && one.answer() });
    const [leaves, stays] = [sharing.send('leaves', { more: true }), sharing.send('stays', { more: true })];
    await sharing.send('first').ended();
    const socket = sharing.server.connections[0]?.socket;
    socket?.pause();
    const large = sharing.harness.send({ body: [withId(1, Buffer.alloc(15 * 1024 * 1024))] });
    await turns();
    for (const one of [leaves, stays]) one.exchange.onRequestData(Buffer.alloc(0), true);
    await turns();
    leaves.cancel();
    socket?.resume();
    await stays.ended();
    expect(sharing.asked.map(({ text }) => text.slice(0, 6))).to.not.include('leaves');
    expect(sharing.server.connections).to.have.length(1);
    large.cancel();
  });

  describe('a client that does not read', () => {
    const answer = 4 * 1024 * 1024;
    const slow = (): Recorder => {
      const recorder = new Recorder();
      recorder.writable = false;
      return recorder;
    };
    const large = (): string => 'x'.repeat(answer);

    it('holds up nobody, and gets all when it reads again', async () => {
      await setUp(byId);
      const stuck = sharing.send('stuck', { recorder: slow() });
      const other = sharing.send('other');
      await sharing.askedFor(2);
      sharing.asked[0]?.reply(large());
      sharing.asked[1]?.answer();
      await other.ended();
      expect(textOf(other)).to.equal('other');
      expect(stuck.result.outcome).to.equal(undefined);
      stuck.result.writable = true;
      stuck.exchange.onDownstreamWritable();
      await stuck.ended();
      expect(stuck.result.body).to.have.length(answer + 4);
      expect(sharing.server.connections).to.have.length(1);
    });

    it('alone on its connection it stops the server, and others get another one', async () => {
      await setUp({ ...byId, max_frame_size: 2 ** 31 - 1 });
      const stuck = sharing.send('stuck', { recorder: slow() });
      await sharing.askedFor(1);
      sharing.asked[0]?.reply('x'.repeat(64 * 1024 * 1024 - 4));
      const paused = (): boolean => counter('upstream_flow_control_paused_reading_total') > 0;
      await eventually(paused);
      const other = sharing.send('other');
      await sharing.askedFor(2);
      sharing.asked[1]?.answer();
      await other.ended();
      expect(sharing.server.connections).to.have.length(2);
      stuck.result.writable = true;
      stuck.exchange.onDownstreamWritable();
      await stuck.ended();
      expect(stuck.result.body).to.have.length(64 * 1024 * 1024);
    });

    it('gets all of a whole answer, also when the connection has ended meanwhile', async () => {
      await setUp(byId);
      const stuck = sharing.send('stuck', { recorder: slow() });
      const other = sharing.send('other');
      await sharing.askedFor(2);
      sharing.asked[0]?.reply(large());
      sharing.asked[1]?.answer();
      await other.ended();
      sharing.server.connections[0]?.socket.destroy();
      await eventually(() => counter('upstream_cx_destroy') === 1);
      stuck.result.writable = true;
      stuck.exchange.onDownstreamWritable();
      await stuck.ended();
      expect(stuck.result.outcome).to.equal('response');
      expect(stuck.result.body).to.have.length(answer + 4);
    });

    it('gets what came before the connection failed, then the failure', async () => {
      await setUp(byId);
      const stuck = sharing.send('stuck', { recorder: slow() });
      const leaves = sharing.send('leaves', { recorder: slow() });
      await sharing.askedFor(2);
      const half = (index: number) =>
        frame(Buffer.concat([sharing.asked[index]?.payload ?? Buffer.alloc(0), Buffer.alloc(300_000)])).subarray(
          0,
          200_000,
        );
      sharing.server.connections[0]?.socket.end(half(0));
      await eventually(() => counter('upstream_cx_destroy') === 1);
      expect(leaves.result.summary).to.equal('failure upstream_closed');
      expect(stuck.result.outcome).to.equal(undefined);
      stuck.result.writable = true;
      stuck.exchange.onDownstreamWritable();
      await stuck.ended();
      expect(stuck.result.body).to.have.length(200_000 - 4);
      expect(stuck.result.failure).to.have.property(
        'reason',
        'protocol error: the server closed in the middle of a frame',
      );
    });

    it('can leave when its connection has failed', async () => {
      await setUp(byId);
      const stuck = sharing.send('stuck', { recorder: slow() });
      // For which reading goes on.
      const other = sharing.send('other');
      await sharing.askedFor(2);
      sharing.server.connections[0]?.socket.end(
        frame(Buffer.concat([sharing.asked[0]?.payload ?? Buffer.alloc(0), Buffer.alloc(300_000)])).subarray(
          0,
          200_000,
        ),
      );
      await eventually(() => counter('upstream_cx_destroy') === 1);
      await other.ended();
      stuck.cancel();
      expect(sharing.harness.clusterStat('multiplexing.abandoned')).to.equal(0);
    });

    it('is ended when too much waits for it and others wait behind it', async () => {
      await setUp({ ...byId, max_frame_size: 2 ** 31 - 1 });
      const stuck = sharing.send('stuck', { recorder: slow() });
      const other = sharing.send('other');
      await sharing.askedFor(2);
      sharing.asked[0]?.reply('x'.repeat(40 * 1024 * 1024));
      sharing.asked[1]?.answer();
      await ended([stuck, other]);
      expect(textOf(other)).to.equal('other');
      expect(stuck.result.failure).to.deep.equal({
        kind: 'upstream_closed',
        reason: 'the client reads too slowly for a shared connection',
      });
      expect(counter('multiplexing.slow_readers')).to.equal(1);
      expect(sharing.openConnections()).to.equal(1);
    });
  });
});
