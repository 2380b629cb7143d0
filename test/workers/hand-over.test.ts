import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { until } from '../support/until.js';
import { type Client, createTestFleet, type TestFleet } from './test-fleet.js';

interface Received {
  readonly pid: number;
  readonly bytes: number;
  readonly hash: string;
  readonly target: unknown;
}

const hashOf = (bytes: Buffer): string => createHash('sha1').update(bytes).digest('hex');

describe('connections of workers', () => {
  let workers: TestFleet;

  beforeEach(async () => {
    workers = await createTestFleet();
  });

  afterEach(() => workers.close());

  const connections = (): Promise<number> =>
    new Promise((resolve, reject) =>
      workers.server.getConnections((error, count) => (error ? reject(error) : resolve(count))),
    );

  async function connectMany(count: number): Promise<readonly Client[]> {
    const clients: Client[] = [];
    // No more at once than wait for accept(2): the others would be repeated by their system after seconds.
    while (clients.length < count) {
      const next = Math.min(100, count - clients.length);
      clients.push(...(await Promise.all(Array.from({ length: next }, () => workers.connect()))));
    }
    return clients;
  }

  it('reach a worker with what was said of them, and are closed here without a trace', async () => {
    await workers.fleet.start();
    const client = await workers.connect();
    const pid = await client.ask('hello');
    await until('the own descriptor closed', async () => (await connections()) === 0 || undefined);
    expect(await client.ask('again')).to.equal(pid);
    client.socket.end();
    const received = JSON.parse((await client.ended).split('\n')[2] as string) as Received;
    expect(received.target).to.deep.equal({ port: workers.port });
    expect(received.bytes).to.equal('hello\nagain\n'.length);
  });

  it('are shared evenly', async () => {
    await workers.fleet.start();
    const clients: Client[] = [];
    const pids: string[] = [];
    const connectOne = async (): Promise<string> => {
      const client = await workers.connect();
      clients.push(client);
      return client.ask('hello');
    };
    for (let i = 0; i < 64; i++) pids.push(await connectOne());
    expect(new Set(pids).size).to.equal(2);
    expect(pids.filter((pid) => pid === pids[0])).to.have.length(32);
    // Those that come when one worker's have gone go to that one.
    for (const [index, client] of clients.entries()) if (pids[index] === pids[0]) client.socket.destroy();
    await until('the count', () => workers.fleet.connections === 32 || undefined);
    for (let i = 0; i < 10; i++) expect(await connectOne()).to.equal(pids[0]);
  });

  it('that come at once are shared, too', async () => {
    await workers.fleet.start();
    const clients = await connectMany(64);
    const pids = await Promise.all(clients.map((client) => client.ask('hello')));
    const first = pids.filter((pid) => pid === pids[0]).length;
    // Less evenly when a worker gets no processor.
    expect(Math.min(first, 64 - first)).to.be.greaterThan(10);
  });

  for (const size of [0, 10, 3_000_000]) {
    it(`lose nothing of ${size} bytes and an end that came before a worker took them`, async () => {
      const bytes = Buffer.alloc(size, 'pontoon');
      const client = await workers.connect({ allowHalfOpen: true });
      client.socket.end(bytes);
      if (size < 100) await once(client.socket, 'finish');
      await until('it waits', () => workers.gauge('connections_waiting') === 1 || undefined);
      await workers.fleet.start();
      const received = JSON.parse(await client.ended) as Received;
      expect([received.bytes, received.hash]).to.deep.equal([size, hashOf(bytes)]);
    });
  }

  it('may be ended by the client while the worker goes on', async () => {
    await workers.fleet.start();
    const client = await workers.connect({ allowHalfOpen: true });
    client.socket.end('hello\n');
    const text = await client.ended;
    expect(text).to.match(/^\d+ hello\n\{.*"bytes":6/);
  });

  it('that their client closed meanwhile do no harm', async () => {
    const clients = await connectMany(20);
    await until('they wait', () => workers.gauge('connections_waiting') === 20 || undefined);
    for (const [index, { socket }] of clients.entries()) {
      if (index % 2 === 0) socket.destroy();
      else socket.resetAndDestroy();
    }
    await workers.fleet.start();
    const client = await workers.connect();
    await client.ask('hello');
    await until('all taken', async () => (await connections()) === 0 || undefined);
    await until(
      'all closed',
      async () => (await workers.answers()).reduce((sum, each) => sum + each.connections, 0) === 1 || undefined,
    );
    expect(workers.ends).to.deep.equal([]);
  });

  it('that a worker did not take before it ended go to another', async () => {
    await workers.fleet.start();
    workers.configure({ exitAt: 'connection' });
    const [first, second] = await workers.answers();
    await workers.fleet.replace(first?.worker as number, 'test');
    workers.configure({});
    // About half of them go to the one that ends.
    const clients = await connectMany(20);
    const pids = await Promise.all(clients.map((client) => client.ask('hello')));
    expect(pids).to.contain(String(second?.pid));
    expect(workers.ends.map(({ worker, detail }) => [worker, detail])).to.deep.include([3, 'exit code 10']);
    expect(workers.counter('connections_dropped')).to.equal(0);
  });

  it('are given up when no worker survives them', async () => {
    workers.configure({ exitAt: 'connection' });
    await workers.fleet.start();
    const client = await workers.connect();
    await client.ended.catch(() => undefined);
    workers.configure({});
    expect(workers.counter('connections_dropped')).to.equal(1);
    expect(workers.counter('crashed')).to.equal(3);
  });

  it('wait while no worker lives, within a bound', async () => {
    await workers.close();
    workers = await createTestFleet({ count: 1 });
    const clients = await connectMany(1_030);
    await until('the rest dropped', () => workers.counter('connections_dropped') === 6 || undefined, 30_000);
    expect(workers.gauge('connections_waiting')).to.equal(1_024);
    await workers.fleet.start();
    let served = 0;
    let closed = 0;
    await Promise.all(
      clients.map((client) =>
        client.ask('hello').then(
          () => {
            served += 1;
          },
          () => {
            closed += 1;
          },
        ),
      ),
    );
    expect([served, closed]).to.deep.equal([1_024, 6]);
    expect(workers.gauge('connections_waiting')).to.equal(0);
    for (const { socket } of clients) socket.destroy();
  }).timeout(60_000);

  it('of a worker that crashes are lost, those of the others are not, and the next one is served', async () => {
    await workers.fleet.start();
    const clients = await connectMany(10);
    const pids = await Promise.all(clients.map((client) => client.ask('hello')));
    const victim = pids[0];
    clients[0]?.socket.write('exit\n');
    for (const [index, client] of clients.entries()) {
      if (pids[index] === victim) await client.ended.catch(() => undefined);
      else expect(await client.ask('still there')).to.equal(pids[index]);
    }
    await (await workers.connect()).ask('hello');
  });

  it('go to others while a worker hangs', async () => {
    await workers.close();
    workers = await createTestFleet({ silenceMs: 3_000 });
    await workers.fleet.start();
    const hanging = await workers.connect();
    const pid = await hanging.ask('hello');
    await hanging.ask('hang');
    // The first ones may be given to it before it is known to be late.
    const first = await connectMany(4);
    const taken = until('what the other one has', () => workers.fleet.connections >= 3 || undefined);
    await Promise.all([taken, new Promise((resolve) => setTimeout(resolve, 150))]);
    const later = await connectMany(20);
    for (const client of later) expect(await client.ask('hello')).not.to.equal(pid);
    expect(workers.ends, 'all this while it hangs').to.deep.equal([]);
    for (const client of first) await client.ask('hello');
  });

  it('are served without a gap while all workers are replaced', async () => {
    await workers.fleet.start();
    let running = true;
    let served = 0;
    const traffic = Array.from({ length: 8 }, async () => {
      while (running) {
        const client = await workers.connect({ allowHalfOpen: true });
        client.socket.end(`${served}\n`);
        expect(await client.ended).to.contain('"bytes":');
        served += 1;
      }
    });
    await workers.fleet.replaceAll('test');
    await workers.fleet.replaceAll('test');
    running = false;
    await Promise.all(traffic);
    expect(served).to.be.greaterThan(50);
    expect(workers.counter('replaced')).to.equal(4);
    expect(workers.counter('crashed')).to.equal(0);
  });

  it('of a worker that is replaced live on until they end', async () => {
    await workers.fleet.start();
    const clients = await connectMany(4);
    const pids = await Promise.all(clients.map((client) => client.ask('hello')));
    const replaced = workers.fleet.replaceAll('test');
    await until('a successor in service', () => workers.counter('replaced') === 1 || undefined);
    for (const [index, client] of clients.entries()) expect(await client.ask('still there')).to.equal(pids[index]);
    for (const { socket } of clients) socket.end();
    await replaced;
    expect(workers.ends.map(({ detail }) => detail)).to.deep.equal(['it had drained', 'it had drained']);
  });

  it('may come over a Unix domain socket', async () => {
    await workers.fleet.start();
    const path = join(workers.folder, 'socket');
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) =>
      workers.fleet.dispatch(socket, 'unix'),
    );
    server.listen(path);
    await once(server, 'listening');
    const socket = connect(path);
    socket.end('hello\n');
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).to.match(/^\d+ hello\n/);
    server.close();
  });

  it('leave nothing behind here', async () => {
    await workers.fleet.start();
    for (let round = 0; round < 20; round++) {
      const clients = await connectMany(20);
      await Promise.all(clients.map((client) => client.ask('hello')));
      for (const { socket } of clients) socket.destroy();
    }
    await until('the descriptors', async () => (await connections()) === 0 || undefined);
    await until('the reports', () => workers.fleet.connections === 0 || undefined);
    workers.server.close();
    await once(workers.server, 'close');
  });
});
