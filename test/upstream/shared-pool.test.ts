import { expect } from 'chai';
import { openSockets, type SocketsName } from '../../src/sockets/open-sockets.js';
import { createStatsStore } from '../../src/stats/create-store.js';
import type { ConnectionShare, PoolFailure } from '../../src/upstream/connection.js';
import { createClusterManager } from '../../src/upstream/create-cluster-manager.js';
import type { FrameProtocol } from '../../src/upstream/frame-protocol.js';
import { FakeClock } from '../support/fake-clock.js';
import { testedSockets } from '../support/tested-sockets.js';
import {
  active,
  assignment,
  clusterModel,
  edsDiscovery,
  eventually,
  log,
  pinOf,
  pipeline,
  resource,
  startServer,
  type TestPipeline,
  type TestServer,
  turns,
} from './support.js';

/** Frames of two bytes, answered in order. */
const frames: FrameProtocol = {
  frameLength: (bytes) => (bytes.length < 2 ? undefined : 2),
  ids: undefined,
  stray: undefined,
  maxInFlight: 2,
  answerTimeoutMs: 10_000,
};

interface Taken {
  readonly events: string[];
  share: ConnectionShare | undefined;
  failure: PoolFailure | undefined;
  cancel(): void;
  end(): void;
}

const behaviour = (kind: SocketsName) => () => {
  let servers: TestServer[];
  let clock: FakeClock;
  let stats: ReturnType<typeof createStatsStore>;
  let manager: ReturnType<typeof createClusterManager<TestPipeline>>;

  const gauge = (name: string): number => stats.gauge(`cluster.echo.${name}`).value;
  const counter = (name: string): number => stats.counter(`cluster.echo.${name}`).value;

  beforeEach(async () => {
    servers = [await startServer((socket) => socket.on('end', () => socket.end())), await startServer()];
    clock = new FakeClock();
    stats = createStatsStore();
    const adoptSocket = openSockets(kind, log);
    manager = createClusterManager<TestPipeline>({
      stats,
      log,
      clock,
      adoptSocket,
      drainTimeMs: 1000,
      onEdsInterest() {},
    });
  });

  afterEach(async () => {
    const closed = manager.close();
    clock.advance(1000);
    await closed;
    await Promise.all(servers.map((server) => server.close()));
  });

  function setUp(limits = {}, connectTimeoutMs = 5000, maxInFlight = 2): TestPipeline {
    const pipe = Object.assign(pipeline(`${connectTimeoutMs}`), { frames: { ...frames, maxInFlight } });
    manager.setCluster(resource(clusterModel(edsDiscovery(), { limits, connectTimeoutMs }), pipe.id), pipe, 'dynamic');
    return pipe;
  }

  function setHosts(...indexes: number[]): void {
    manager.setLoadAssignment('echo', assignment(indexes.map((index) => ({ port: servers[index]?.port ?? 1 }))));
  }

  function take(options?: { freshOnly: boolean; exclusive: boolean }): Taken {
    const cluster = active(manager);
    const pin = pinOf();
    cluster.pin(pin);
    const taken: Taken = {
      events: [],
      share: undefined,
      failure: undefined,
      cancel: () => request.cancel(),
      end() {
        taken.share?.release(true);
        cluster.unpin(pin);
      },
    };
    const request = cluster.acquire(
      'default',
      {
        onReady(connection) {
          taken.share = connection as ConnectionShare;
          connection.setHandler({
            onData: (data) => taken.events.push(data.toString()),
            onEnd: () => taken.events.push('end'),
            onWritable: () => undefined,
            onClose: (reason) => taken.events.push(`close:${reason}`),
          });
        },
        onFailure(failure) {
          taken.failure = failure;
        },
      },
      options,
    );
    return taken;
  }

  const ready = (...taken: Taken[]) => eventually(() => taken.every(({ share }) => share !== undefined));
  const sockets = (index: number) => servers[index]?.sockets ?? [];

  it('a removed host: what runs finishes on it, nothing new goes there, and it is closed', async () => {
    setUp();
    setHosts(0);
    const running = take();
    await ready(running);
    running.share?.send([Buffer.from('ab')]);
    setHosts(1);
    const next = take();
    await ready(next);
    expect(next.share?.host.address).to.equal(servers[1]?.address);
    sockets(0)[0]?.write('AB');
    await eventually(() => running.events.length === 2);
    expect(running.events).to.deep.equal(['AB', 'end']);
    expect(gauge('upstream_cx_active')).to.equal(2);
    running.end();
    expect(gauge('upstream_cx_active')).to.equal(1);
    next.end();
  });

  it('who waits for a removed host goes to another one', async () => {
    setUp({ maxConnections: 1 });
    setHosts(0);
    const first = [take(), take()];
    await ready(...first);
    const waiting = take();
    expect(gauge('upstream_rq_pending_active')).to.equal(1);
    setHosts(1);
    await ready(waiting);
    expect(waiting.share?.host.address).to.equal(servers[1]?.address);
    for (const one of [...first, waiting]) one.end();
  });

  it('a host that comes back serves again, on a new connection', async () => {
    setUp();
    setHosts(0);
    const running = take();
    await ready(running);
    setHosts(1);
    setHosts(0);
    const next = take();
    await ready(next);
    expect(next.share?.localAddress).to.not.equal(running.share?.localAddress);
    running.end();
    next.end();
    expect(gauge('upstream_cx_active')).to.equal(1);
    expect(counter('upstream_cx_destroy_local')).to.equal(1);
  });

  it('a replaced version keeps its connection for what runs, and its pipeline', async () => {
    const old = setUp();
    setHosts(0);
    const [running, idle] = [take(), take()];
    await ready(running, idle);
    idle.end();
    setUp({}, 4000);
    setHosts(0);
    expect(old.released).to.equal(0);
    running.end();
    expect(old.released).to.equal(1);
    await eventually(() => sockets(0).length === 0);
  });

  it('a connect failure fails all who wait', async () => {
    setUp();
    await servers[0]?.close();
    setHosts(0);
    const waiting = [take(), take(), take()];
    await eventually(() => waiting.every(({ failure }) => failure !== undefined));
    expect(waiting.map(({ failure }) => failure?.kind)).to.deep.equal(Array(3).fill('connect_failure'));
    expect(counter('upstream_cx_connect_fail')).to.equal(2);
    expect(counter('upstream_rq_pending_failure_eject')).to.equal(3);
    expect(gauge('upstream_cx_active')).to.equal(0);
    for (const one of waiting) one.end();
    servers[0] = await startServer();
  });

  it('as many connections are made as those who wait need', async () => {
    setUp();
    setHosts(0);
    const waiting = Array.from({ length: 5 }, () => take());
    expect(gauge('upstream_cx_active')).to.equal(3);
    await ready(...waiting);
    expect(new Set(waiting.map(({ share }) => share?.localAddress)).size).to.equal(3);
    for (const one of waiting) one.end();
    expect(gauge('upstream_rq_active')).to.equal(0);
  });

  describe('in order', () => {
    const places = (taken: readonly Taken[]): number[] => {
      const seen = [...new Set(taken.map(({ share }) => share?.localAddress))];
      return seen.map((address) => taken.filter(({ share }) => share?.localAddress === address).length);
    };

    async function takeOneByOne(count: number): Promise<Taken[]> {
      const taken: Taken[] = [];
      for (let i = 0; i < count; i++) {
        taken.push(take());
        await ready(...taken);
        await eventually(() => gauge('upstream_cx_active') === servers[0]?.sockets.length);
        await turns();
      }
      return taken;
    }

    it('not more than eight wait for each other while there are few connections', async () => {
      setUp({}, 5000, 100);
      setHosts(0);
      const taken = await takeOneByOne(40);
      expect(gauge('upstream_cx_active')).to.equal(4);
      expect(places(taken)).to.have.length(4);
      expect(Math.max(...places(taken))).to.be.at.most(11);
      for (const one of taken) one.end();
    });

    it('without another connection all wait on the one', async () => {
      setUp({ maxConnections: 1 }, 5000, 100);
      setHosts(0);
      const taken = await takeOneByOne(12);
      expect(places(taken)).to.deep.equal([12]);
      for (const one of taken) one.end();
    });

    it('others go elsewhere while the next answer takes long', async () => {
      setUp({}, 5000, 100);
      setHosts(0);
      const stuck = take();
      await ready(stuck);
      stuck.share?.send([Buffer.from('ab')]);
      await eventually(() => counter('upstream_cx_tx_bytes_total') === 2);
      clock.advance(21);
      const spread = take();
      await ready(spread);
      await eventually(() => gauge('upstream_cx_active') === 2);
      await turns();
      const next = take();
      await ready(next);
      expect(next.share?.localAddress).to.not.equal(stuck.share?.localAddress);
      for (const one of [stuck, spread, next]) one.end();
    });
  });

  it('a connection that nobody waits for any more serves the next', async () => {
    setUp();
    setHosts(0);
    const gone = take();
    gone.cancel();
    await eventually(() => servers[0]?.accepted === 1);
    await turns();
    const next = take();
    await ready(next);
    expect(servers[0]?.accepted).to.equal(1);
    expect(counter('upstream_rq_cancelled')).to.equal(1);
    gone.end();
    next.end();
  });

  it('fresh ones wait for a new connection, unless there may be none', async () => {
    setUp({ maxConnections: 2 });
    setHosts(0);
    const first = take();
    await ready(first);
    const fresh = take({ freshOnly: true, exclusive: false });
    await ready(fresh);
    expect(fresh.share?.localAddress).to.not.equal(first.share?.localAddress);
    const third = take({ freshOnly: true, exclusive: false });
    await ready(third);
    expect(servers[0]?.accepted).to.equal(2);
    for (const one of [first, fresh, third]) one.end();
  });

  it('nothing is told while an exchange does not read, not even the end', async () => {
    setUp();
    setHosts(0);
    const one = take();
    await ready(one);
    one.share?.send([Buffer.from('ab')]);
    await eventually(() => counter('upstream_cx_tx_bytes_total') === 2);
    one.share?.pauseReading();
    sockets(0)[0]?.write('AB');
    await eventually(() => counter('upstream_cx_rx_bytes_total') === 2);
    await turns();
    expect(one.events).to.deep.equal([]);
    one.share?.resumeReading();
    expect(one.events).to.deep.equal(['AB', 'end']);
    one.end();
  });

  it('pausing within the last piece keeps the end back', async () => {
    setUp();
    setHosts(0);
    const one = take();
    await ready(one);
    one.share?.setHandler({
      onData: () => one.share?.pauseReading(),
      onEnd: () => one.events.push('end'),
      onWritable: () => undefined,
      onClose: () => undefined,
    });
    one.share?.send([Buffer.from('ab')]);
    await eventually(() => counter('upstream_cx_tx_bytes_total') === 2);
    sockets(0)[0]?.write('AB');
    await eventually(() => counter('upstream_cx_rx_bytes_total') === 2);
    expect(one.events).to.deep.equal([]);
    one.share?.resumeReading();
    expect(one.events).to.deep.equal(['end']);
    one.end();
  });

  it('exclusive ones have connections of their own, which drain with the pool', async () => {
    setUp();
    setHosts(0);
    const [shared, alone] = [take(), take({ freshOnly: false, exclusive: true })];
    await ready(shared, alone);
    expect([shared.share?.shared, alone.share?.shared]).to.deep.equal([true, false]);
    shared.end();
    alone.end();
    expect(gauge('upstream_cx_active')).to.equal(2);
    setHosts(1);
    expect(gauge('upstream_cx_active')).to.equal(0);
  });
};

for (const kind of testedSockets) describe(`SharedPool, sockets ${kind}`, behaviour(kind));
