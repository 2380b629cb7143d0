import { expect } from 'chai';
import { openSockets, type SocketsName } from '../../src/sockets/open-sockets.js';
import { createStatsStore } from '../../src/stats/create-store.js';
import type { ClusterManager } from '../../src/upstream/cluster-manager.js';
import { createClusterManager } from '../../src/upstream/create-cluster-manager.js';
import { countingSockets } from '../support/counted-socket.js';
import { FakeClock } from '../support/fake-clock.js';
import { testedSockets } from '../support/tested-sockets.js';
import {
  active,
  attempt,
  clusterModel,
  connected,
  eventually,
  log,
  pipeline,
  resource,
  startServer,
  type TestEndpoint,
  type TestPipeline,
  type TestServer,
  turns,
} from './support.js';

const behaviour = (sockets: SocketsName) => () => {
  const counts = { reads: 0, writes: 0 };
  let server: TestServer;
  let clock: FakeClock;
  let stats: ReturnType<typeof createStatsStore>;
  let manager: ClusterManager<TestPipeline>;

  beforeEach(async () => {
    server = await startServer();
    clock = new FakeClock();
    stats = createStatsStore();
    const adoptSocket = countingSockets(openSockets(sockets, log), counts);
    const options = { stats, log, clock, drainTimeMs: 1000, onEdsInterest() {}, random: () => 0 };
    manager = createClusterManager({ ...options, adoptSocket });
  });
  afterEach(async () => {
    const closing = manager.close();
    clock.advance(1000);
    await closing;
    await server.close();
    expect(clock.pending, 'timers left').to.equal(0);
  });

  const counter = (name: string) => stats.counter(`cluster.echo.${name}`).value;
  const gauge = (name: string) => stats.gauge(`cluster.echo.${name}`).value;

  function setUp(overrides: Parameters<typeof clusterModel>[1] = {}, endpoints?: readonly TestEndpoint[]) {
    const model = clusterModel(endpoints ?? [{ port: server.port }], overrides);
    manager.setCluster(resource(model), pipeline(), 'static');
    return active(manager);
  }

  async function restart(onSocket: Parameters<typeof startServer>[0]) {
    await server.close();
    server = await startServer(onSocket);
  }

  describe('reuse', () => {
    it('gives a released connection to the next, the last released first', async () => {
      const cluster = setUp();
      const [a, b] = await Promise.all([connected(cluster), connected(cluster)]);
      expect(a.connection.reused).to.equal(false);
      const [portA, portB] = [a.connection.localAddress, b.connection.localAddress];
      expect(portA)
        .to.match(/^127\.0\.0\.1:\d+$/)
        .and.not.equal(portB);
      a.connection.release(true);
      b.connection.release(true);
      const again = await connected(cluster);
      expect(again.connection.localAddress).to.equal(portB);
      expect(again.connection.reused).to.equal(true);
      await eventually(() => server.accepted === 2);
      expect([counter('upstream_cx_total'), counter('upstream_rq_total'), gauge('upstream_rq_active')]).to.deep.equal([
        2, 3, 1,
      ]);
    });

    it('a late call of an exchange that gave its connection back does nothing to the next one', async () => {
      const cluster = setUp();
      const first = await connected(cluster);
      first.connection.release(true);
      const second = await connected(cluster);
      expect(second.connection.reused).to.equal(true);
      first.connection.release(false);
      expect(first.connection.write(Buffer.from('old'), false)).to.equal(false);
      first.connection.halfClose();
      first.connection.pauseReading();
      let seen = '';
      server.sockets[0]?.on('data', (data) => {
        seen += data;
      });
      second.connection.write(Buffer.from('new'), false);
      await eventually(() => seen !== '');
      expect(seen).to.equal('new');
      server.sockets[0]?.write('answer');
      await eventually(() => second.events.includes('answer'));
      expect(first.events).to.deep.equal(['ready']);
    });

    const spoilt: readonly {
      what: string;
      spoil: (made: Awaited<ReturnType<typeof connected>>) => void | Promise<void>;
    }[] = [
      { what: 'the exchange says so', spoil: () => {} },
      { what: 'our side is half-closed', spoil: ({ connection }) => connection.halfClose() },
      { what: 'reading is paused', spoil: ({ connection }) => connection.pauseReading() },
      {
        what: 'the server has sent its FIN',
        spoil: async ({ events }) => {
          server.sockets[0]?.end();
          await eventually(() => events.includes('end'));
        },
      },
    ];
    for (const { what, spoil } of spoilt) {
      it(`closes a released connection when ${what}`, async () => {
        const cluster = setUp();
        const made = await connected(cluster);
        await spoil(made);
        made.connection.release(what !== 'the exchange says so');
        await eventually(() => server.sockets.every((socket) => socket.readableEnded || socket.destroyed));
        expect(gauge('upstream_cx_active')).to.equal(0);
        expect(made.events.filter((event) => event.startsWith('close'))).to.deep.equal([]);
        expect((await connected(cluster)).connection.reused).to.equal(false);
        expect(counter('upstream_cx_destroy_local_with_active_rq')).to.equal(1);
      });
    }

    const unwanted: readonly { what: string; send: () => void; errors: number }[] = [
      { what: 'bytes', send: () => server.sockets[0]?.write('x'), errors: 1 },
      { what: 'a FIN', send: () => server.sockets[0]?.end(), errors: 0 },
      { what: 'a reset', send: () => server.sockets[0]?.resetAndDestroy(), errors: 0 },
    ];
    for (const { what, send, errors } of unwanted) {
      it(`drops an idle connection on which ${what} arrives`, async () => {
        const cluster = setUp();
        (await connected(cluster)).connection.release(true);
        send();
        await eventually(() => gauge('upstream_cx_active') === 0);
        expect(counter('upstream_cx_protocol_error')).to.equal(errors);
        expect((await connected(cluster)).connection.reused).to.equal(false);
        expect(counter('upstream_cx_destroy_with_active_rq')).to.equal(0);
      });
    }

    it('closes connections that were idle for the idle timeout, and only those', async () => {
      const cluster = setUp({ idleTimeoutMs: 1000 });
      const [a, b] = await Promise.all([connected(cluster), connected(cluster)]);
      a.connection.release(true);
      clock.advance(600);
      b.connection.release(true);
      clock.advance(400);
      expect(gauge('upstream_cx_active')).to.equal(1);
      const again = await connected(cluster);
      expect(again.connection.localAddress).to.equal(b.connection.localAddress);
      clock.advance(5000);
      expect(gauge('upstream_cx_active')).to.equal(1);
      // From its release, not from its connect.
      again.connection.release(true);
      clock.advance(999);
      expect(gauge('upstream_cx_active')).to.equal(1);
      clock.advance(1);
      expect(gauge('upstream_cx_active')).to.equal(0);
      expect(counter('upstream_cx_idle_timeout')).to.equal(2);
    });

    it('gives no used connection to a request that must have a fresh one', async () => {
      const cluster = setUp({ limits: { maxConnections: 2 } });
      const [a, b] = await Promise.all([connected(cluster), connected(cluster)]);
      a.connection.release(true);
      // The limit is reached: what is idle makes room.
      const first = attempt(cluster, 'default', undefined, { freshOnly: true });
      await first.result;
      expect(first.connection?.reused).to.equal(false);
      expect(gauge('upstream_cx_active')).to.equal(2);
      // So does what is given back, after those who can use it.
      const second = attempt(cluster, 'default', undefined, { freshOnly: true });
      const easy = attempt(cluster);
      b.connection.release(true);
      await easy.result;
      expect(easy.connection?.reused).to.equal(true);
      expect(second.events).to.deep.equal([]);
      easy.connection?.release(true);
      await second.result;
      expect(second.connection?.reused).to.equal(false);
      expect(gauge('upstream_cx_active')).to.equal(2);
    });

    it('keeps no timer for a host without connections', async () => {
      const cluster = setUp();
      const one = await connected(cluster);
      one.connection.release(true);
      expect(clock.pending).to.equal(1);
      server.sockets[0]?.destroy();
      await eventually(() => gauge('upstream_cx_active') === 0);
      expect(clock.pending).to.equal(0);
    });

    it('keeps idle connections for ever when the idle timeout is 0', async () => {
      const cluster = setUp({ idleTimeoutMs: 0 });
      (await connected(cluster)).connection.release(true);
      expect(clock.pending).to.equal(0);
      clock.advance(1e9);
      expect((await connected(cluster)).connection.reused).to.equal(true);
    });
  });

  describe('bytes', () => {
    it('joins the writes of one turn and keeps their order, the FIN last', async () => {
      const chunks: string[] = [];
      let ended = false;
      await restart((socket) =>
        socket
          .on('data', (data) => chunks.push(data.toString()))
          .on('end', () => {
            ended = true;
            socket.end('bye');
          }),
      );
      const made = await connected(setUp());
      const before = counts.writes;
      for (const part of ['one ', 'two ', 'three']) made.connection.write(Buffer.from(part), true);
      await turns(1);
      expect(counts.writes - before).to.equal(1);
      made.connection.halfClose();
      expect(made.connection.write(Buffer.from('lost'), false)).to.equal(true);
      expect(made.connection.bytesWritten).to.equal(13 + 4);
      await eventually(() => made.events.includes('end'));
      expect(ended).to.equal(true);
      expect(chunks).to.deep.equal(['one two three']);
      expect(made.events.slice(0, 3)).to.deep.equal(['ready', 'bye', 'end']);
      made.connection.release(false);
    });

    it('goes on writing after the server has sent its FIN', async () => {
      let seen = '';
      await restart((socket) => {
        socket.on('data', (data) => {
          seen += data;
        });
        socket.end('early');
      });
      const made = await connected(setUp());
      await eventually(() => made.events.includes('end'));
      made.connection.write(Buffer.from('rest'), false);
      await eventually(() => seen === 'rest');
      made.connection.release(false);
      expect(made.events).to.deep.equal(['ready', 'early', 'end']);
    });

    it('tells when too much is buffered, and when it has gone', async () => {
      await restart((socket) => setImmediate(() => socket.pause()));
      const made = await connected(setUp({ perConnectionBufferLimitBytes: 65_536 }));
      await turns();
      const piece = Buffer.alloc(65_536);
      const writable = () => made.events.filter((event) => event === 'writable').length;
      let drained = -1;
      while (writable() > drained) {
        drained = writable();
        while (made.connection.write(piece, false));
        await turns(20);
      }
      expect(gauge('upstream_cx_tx_bytes_buffered')).to.be.greaterThan(0);
      server.sockets[0]?.resume();
      await eventually(() => writable() > drained);
      expect(gauge('upstream_cx_tx_bytes_buffered')).to.equal(0);
      expect(counter('upstream_flow_control_backed_up_total')).to.equal(counter('upstream_flow_control_drained_total'));
      expect(counter('upstream_cx_tx_bytes_total')).to.equal(made.connection.bytesWritten);
      made.connection.release(false);
    });

    it('reads nothing while paused; then all of it, in order', async () => {
      const total = 2 << 20;
      const sent = Buffer.from(Array.from({ length: total }, (_, index) => (index * 7 + (index >> 8)) & 255));
      await restart((socket) => socket.end(sent));
      const cluster = setUp();
      const made = attempt(cluster, 'default', (connection) => connection.pauseReading());
      await made.result;
      while (!made.events.includes('end')) {
        const before = made.received.length;
        await turns(2);
        expect(made.received.length - before).to.be.at.most(1);
        made.connection?.resumeReading();
        await turns(1);
      }
      expect(Buffer.concat(made.received).equals(sent)).to.equal(true);
      expect(counter('upstream_cx_rx_bytes_total')).to.equal(total);
      made.connection?.release(false);
    });

    it('tells a reset after the data that came before it, also when reading was paused', async () => {
      await restart((socket) => setImmediate(() => socket.pause()));
      const made = attempt(setUp(), 'default', (connection) => connection.pauseReading());
      await made.result;
      await turns();
      // A socket that is closed with bytes unread resets its connection.
      made.connection?.write(Buffer.alloc(1 << 20), false);
      server.sockets[0]?.write(Buffer.alloc(30_000, 'a'));
      await eventually(() => made.received.length > 0);
      const first = made.received.length;
      // Little enough that Node reads on behind the pause, and so sees the reset.
      server.sockets[0]?.write(Buffer.alloc(5000, 'b'), () => setTimeout(() => server.sockets[0]?.destroy(), 20));
      await eventually(() => server.sockets.length === 0);
      await turns(20);
      expect(made.received.length).to.equal(first);
      expect(made.events.filter((event) => event.startsWith('close'))).to.deep.equal([]);
      while (!made.events.some((event) => event.startsWith('close'))) {
        made.connection?.resumeReading();
        await turns(1);
      }
      expect(Buffer.concat(made.received).length).to.equal(35_000);
      expect(made.events.at(-1)).to.equal('close:ECONNRESET');
      expect(gauge('upstream_rq_active')).to.equal(0);
    });

    it('tells of a reset once, and nothing after it', async () => {
      const made = await connected(setUp());
      server.sockets[0]?.resetAndDestroy();
      await eventually(() => made.events.length > 1);
      made.connection.release(true);
      made.connection.resumeReading();
      await turns();
      expect(made.events).to.deep.equal(['ready', 'close:ECONNRESET']);
      expect(counter('upstream_cx_destroy_remote_with_active_rq')).to.equal(1);
      expect(gauge('upstream_cx_active')).to.equal(0);
    });

    it('loses only the connection when a handler throws', async () => {
      const cluster = setUp();
      const bad = attempt(cluster, 'default', () => {
        throw new Error('bug');
      });
      await bad.result;
      server.sockets[0]?.write('x');
      await eventually(() => bad.events.includes('close:internal error'));
      expect((await connected(cluster)).connection.reused).to.equal(false);
      cluster.acquire('default', {
        onReady() {
          throw new Error('bug');
        },
        onFailure() {},
      });
      await eventually(() => gauge('upstream_rq_active') === 1);
    });
  });

  describe('connecting', () => {
    it('never answers from within acquire', async () => {
      const cluster = setUp();
      (await connected(cluster)).connection.release(true);
      const made = attempt(cluster);
      expect(made.events).to.deep.equal([]);
      await made.result;
      manager.removeCluster('none');
    });

    it('says what failed, to all who wait, and counts it', async () => {
      const { port } = server;
      await server.close();
      const cluster = setUp({ limits: { maxConnections: 1 } }, [{ port }]);
      const both = [attempt(cluster), attempt(cluster)];
      for (const made of both) {
        expect(await made.result).to.include({ kind: 'connect_failure', reason: 'ECONNREFUSED' });
      }
      expect(counter('upstream_cx_connect_fail')).to.equal(1);
      expect(counter('upstream_rq_pending_failure_eject')).to.equal(2);
      expect(manager.snapshot()[0]?.hosts[0]?.stats).to.include({ cxConnectFail: 1, cxTotal: 1, cxActive: 0 });
      server = await startServer();
    });

    it('gives up after the connect timeout', async () => {
      const made = attempt(setUp({ connectTimeoutMs: 250 }));
      clock.advance(249);
      expect(gauge('upstream_cx_active')).to.equal(1);
      // In the turn of `acquire`, so that the server's answer can't have come.
      clock.advance(1);
      expect(await made.result).to.include({ kind: 'connect_timeout' });
      expect(counter('upstream_cx_connect_timeout')).to.equal(1);
      expect(counter('upstream_cx_connect_fail')).to.equal(1);
    });

    it('an impossible path fails like any other connection', async () => {
      const model = clusterModel({
        type: 'STATIC',
        loadAssignment: {
          clusterName: 'echo',
          overprovisioningFactor: 140,
          localities: [
            {
              locality: { region: '', zone: '', subZone: '' },
              priority: 0,
              weight: undefined,
              endpoints: [
                {
                  address: { kind: 'pipe', path: `/${'x'.repeat(300)}` },
                  hostname: '',
                  weight: 1,
                  healthStatus: 'UNKNOWN',
                },
              ],
            },
          ],
        },
      });
      manager.setCluster(resource(model), pipeline(), 'static');
      expect(await attempt(active(manager)).result).to.include({ kind: 'connect_failure' });
    });

    it('a cluster without hosts says so', async () => {
      expect(await attempt(setUp({}, [])).result).to.deep.equal({ kind: 'no_healthy_upstream' });
      expect(counter('upstream_cx_none_healthy')).to.equal(1);
    });

    it('keeps the connection whose request was cancelled, for the next', async () => {
      const cluster = setUp();
      const cancelled = attempt(cluster);
      cancelled.cancel();
      expect([gauge('upstream_rq_pending_active'), counter('upstream_rq_cancelled')]).to.deep.equal([0, 1]);
      await eventually(() => server.accepted === 1);
      await turns();
      expect((await connected(cluster)).connection.reused).to.equal(false);
      expect(server.accepted).to.equal(1);
      expect(cancelled.events).to.deep.equal([]);
    });

    it('a request that is cancelled between the decision and the callback gives its connection back', async () => {
      const cluster = setUp();
      (await connected(cluster)).connection.release(true);
      const made = attempt(cluster);
      made.cancel();
      made.cancel();
      await turns();
      expect(made.events).to.deep.equal([]);
      expect([gauge('upstream_rq_active'), gauge('upstream_cx_active')]).to.deep.equal([0, 1]);
      expect((await connected(cluster)).connection.reused).to.equal(true);
    });
  });

  describe('circuit breakers', () => {
    it('max_connections makes requests wait, first come first served', async () => {
      const cluster = setUp({ limits: { maxConnections: 1 } });
      const first = await connected(cluster);
      const waiting = [attempt(cluster), attempt(cluster), attempt(cluster)];
      waiting[1]?.cancel();
      expect(gauge('upstream_rq_pending_active')).to.equal(2);
      expect(gauge('circuit_breakers.default.cx_open')).to.equal(1);
      expect(gauge('circuit_breakers.default.remaining_cx')).to.equal(0);
      expect(counter('upstream_cx_overflow')).to.equal(3);
      first.connection.release(true);
      await waiting[0]?.result;
      expect(waiting[2]?.events).to.deep.equal([]);
      waiting[0]?.connection?.release(false);
      await waiting[2]?.result;
      expect(waiting[2]?.connection?.reused).to.equal(false);
      expect(server.accepted).to.equal(2);
    });

    it('allows each host its first connection', async () => {
      const other = await startServer();
      const cluster = setUp({ limits: { maxConnections: 1 } }, [{ port: server.port }, { port: other.port }]);
      const both = await Promise.all([connected(cluster), connected(cluster)]);
      expect(both.map(({ connection }) => connection.host.address)).to.have.members([server.address, other.address]);
      for (const { connection } of both) connection.release(false);
      await other.close();
    });

    it('max_pending_requests', async () => {
      const cluster = setUp({ limits: { maxPendingRequests: 1 } });
      const [first, second] = [attempt(cluster), attempt(cluster)];
      expect(gauge('circuit_breakers.default.rq_pending_open')).to.equal(1);
      expect(await second.result)
        .to.deep.include({ kind: 'overflow' })
        .and.have.property('host');
      expect(await first.result).to.have.property('host');
      expect(counter('upstream_rq_pending_overflow')).to.equal(1);
      expect(gauge('circuit_breakers.default.rq_pending_open')).to.equal(0);
    });

    it('max_requests, of each priority alone', async () => {
      const cluster = setUp({ limits: { maxRequests: 1 } });
      const only = await connected(cluster);
      expect(gauge('circuit_breakers.default.rq_open')).to.equal(1);
      expect(await attempt(cluster).result).to.deep.include({ kind: 'overflow' });
      expect(gauge('circuit_breakers.high.rq_open')).to.equal(0);
      const urgent = attempt(cluster, 'high');
      await urgent.result;
      expect(urgent.connection).not.to.equal(undefined);
      only.connection.release(true);
      expect(gauge('circuit_breakers.default.rq_open')).to.equal(0);
      expect((await connected(cluster)).connection.reused).to.equal(true);
    });
  });
};

for (const sockets of testedSockets) describe(`connection pool, sockets ${sockets}`, behaviour(sockets));
