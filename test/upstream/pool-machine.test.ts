import { expect } from 'chai';
import fc from 'fast-check';
import { createStatsStore } from '../../src/stats/create-store.js';
import { createClusterManager } from '../../src/upstream/create-cluster-manager.js';
import { FakeClock } from '../support/fake-clock.js';
import {
  type Attempt,
  active,
  assignment,
  attempt,
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

const step = fc.record({
  what: fc.constantFrom(
    'acquire',
    'acquire',
    'acquire',
    'acquire fresh',
    'cancel',
    'release',
    'release',
    'close',
    'half-close',
    'write',
    'pause',
    'server data',
    'server end',
    'server reset',
    'remove host',
    'add host',
    'new version',
    'remove cluster',
    'turn',
    'turn',
  ),
  which: fc.nat(100),
});

/** Exchanges of one random run: what is open, and what the statistics must say about it. */
class Run {
  readonly clock = new FakeClock();
  readonly stats = createStatsStore();
  readonly pipes: TestPipeline[] = [];
  readonly open: { readonly attempt: Attempt; readonly unpin: () => void }[] = [];
  ended = 0;
  readonly manager = createClusterManager<TestPipeline>({
    stats: this.stats,
    log,
    clock: this.clock,
    drainTimeMs: 60_000,
    onEdsInterest() {},
  });
  readonly servers: readonly TestServer[];

  constructor(servers: readonly TestServer[]) {
    this.servers = servers;
    this.newVersion();
    this.setHosts(2);
  }

  gauge(name: string): number {
    return this.stats.gauge(`cluster.echo.${name}`).value;
  }

  setHosts(count: number): void {
    const endpoints = this.servers.slice(0, count).map(({ port }) => ({ port }));
    this.manager.setLoadAssignment('echo', assignment(endpoints));
  }

  newVersion(): void {
    const pipe = pipeline(`${this.pipes.length}`);
    this.pipes.push(pipe);
    const limits = { maxConnections: 3, maxPendingRequests: 4, maxRequests: 4 };
    this.manager.setCluster(resource(clusterModel(edsDiscovery(), { limits }), pipe.id), pipe, 'dynamic');
    this.setHosts(2);
  }

  acquire(freshOnly: boolean): void {
    if (this.manager.lookup('echo').kind !== 'active') return;
    const cluster = active(this.manager);
    const exchange = pinOf();
    cluster.pin(exchange);
    this.open.push({
      attempt: attempt(cluster, 'default', undefined, { freshOnly }),
      unpin: () => cluster.unpin(exchange),
    });
  }

  /** Takes an exchange out of the run; its connection must have been dealt with. */
  end(index: number, how: (made: Attempt) => void): void {
    const [exchange] = this.open.splice(index % Math.max(1, this.open.length), 1);
    if (!exchange) return;
    how(exchange.attempt);
    exchange.unpin();
    this.ended++;
  }

  with(index: number, then: (made: Attempt) => void): void {
    const exchange = this.open[index % Math.max(1, this.open.length)];
    if (exchange) then(exchange.attempt);
  }

  async step(what: string, which: number): Promise<void> {
    const sockets = this.servers.flatMap((server) => server.sockets);
    const socket = sockets[which % Math.max(1, sockets.length)];
    const finish = (reusable: boolean) => (made: Attempt) => {
      if (made.connection) made.connection.release(reusable);
      else made.cancel();
    };
    switch (what) {
      case 'acquire':
        return this.acquire(false);
      case 'acquire fresh':
        return this.acquire(true);
      case 'cancel':
        return this.end(which, (made) => (made.connection ? made.connection.release(true) : made.cancel()));
      case 'release':
        return this.end(which, finish(true));
      case 'close':
        return this.end(which, finish(false));
      case 'half-close':
        return this.with(which, (made) => made.connection?.halfClose());
      case 'write':
        return this.with(which, (made) => void made.connection?.write(Buffer.alloc(100_000), false));
      case 'pause':
        return this.with(which, (made) => made.connection?.pauseReading());
      case 'server data':
        return void socket?.write('x'.repeat(50));
      case 'server end':
        return void socket?.end();
      case 'server reset':
        // Node leaks the handle of a socket that is reset while its FIN is on its way.
        if (!socket?.writableEnded) socket?.resetAndDestroy();
        return;
      case 'remove host':
        return this.setHosts(which % 2);
      case 'add host':
        return this.setHosts(2);
      case 'new version':
        return this.newVersion();
      case 'remove cluster':
        return this.manager.removeCluster('echo');
      default:
        return turns(1 + (which % 3));
    }
  }

  checkCounts(): void {
    const gauges = ['upstream_rq_active', 'upstream_cx_active', 'upstream_rq_pending_active'].map((name) =>
      this.gauge(name),
    );
    expect(Math.min(...gauges), 'no gauge is negative').to.be.at.least(0);
    const [requests = 0, connections = 0, pending = 0] = gauges;
    expect(requests, 'one exchange per connection').to.be.at.most(connections);
    expect(requests + pending, 'no more than there are exchanges').to.be.at.most(this.open.length);
    // While the cluster is known its scope is one and the same.
    if (this.manager.lookup('echo').kind === 'active') expect(this.gauge('upstream_rq_active')).to.equal(requests);
  }

  async quiesce(): Promise<void> {
    while (this.open.length > 0) {
      this.end(0, (made) => (made.connection ? made.connection.release(false) : made.cancel()));
    }
    await turns(2);
    expect(this.gauge('upstream_rq_active')).to.equal(0);
    expect(this.gauge('upstream_rq_pending_active')).to.equal(0);
    await this.manager.close();
    const left = [...this.stats.gauges.values()].filter(({ value }) => value !== 0).map(({ name }) => name);
    // What is asked for by name after its scope is gone is made anew, as zero.
    expect(left).to.deep.equal([]);
    expect(this.pipes.map(({ released }) => released)).to.deep.equal(this.pipes.map(() => 1));
    expect(this.clock.pending, 'timers').to.equal(0);
    await eventually(() =>
      this.servers.every((server) => server.sockets.every((socket) => socket.readableEnded || socket.destroyed)),
    );
    for (const server of this.servers) for (const socket of [...server.sockets]) socket.destroy();
  }
}

describe('connection pool, any sequence of events', () => {
  let servers: TestServer[];
  before(async () => {
    servers = [await startServer(), await startServer()];
  });
  after(async () => {
    for (const server of servers) await server.close();
  });

  it('keeps its counts, tells each exchange its end at most once, and ends with nothing', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const run = new Run(servers);
        const all: Attempt[] = [];
        for (const { what, which } of steps) {
          await run.step(what, which);
          for (const { attempt: made } of run.open) if (!all.includes(made)) all.push(made);
          run.checkCounts();
        }
        await run.quiesce();
        const seen = all.map(({ events }) => events.length);
        for (const { events } of all) {
          const ends = events.filter((event) => event.startsWith('close:'));
          expect(ends.length).to.be.at.most(1);
          if (ends.length > 0) expect(events.at(-1)).to.equal(ends[0]);
          expect(events.filter((event) => event === 'ready').length).to.be.at.most(1);
        }
        await turns(2);
        expect(
          all.map(({ events }) => events.length),
          'no event after the end',
        ).to.deep.equal(seen);
      }),
      { numRuns: 150, interruptAfterTimeLimit: 8000 },
    );
  }).timeout(20_000);
});
