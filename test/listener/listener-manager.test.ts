import { mkdtemp, rm, stat } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { AccessLogManager } from '../../src/access-log/access-logger.js';
import type { DownstreamStream } from '../../src/bridge/stream.js';
import type { Clock } from '../../src/clock.js';
import { systemClock } from '../../src/clock.js';
import { createListenerManager, type ListenerManager } from '../../src/listener/listener-manager.js';
import type { ListenerStatus } from '../../src/listener/listener-status.js';
import type { RouteProvider } from '../../src/listener/route-provider.js';
import { createLocalServing } from '../../src/listener/serving.js';
import type { SocketAddress } from '../../src/model/endpoint.js';
import type { Listener } from '../../src/model/listener.js';
import type { Resource, Verdict } from '../../src/model/verdict.js';
import { createStatsStore } from '../../src/stats/create-store.js';
import { Client, hcm, RecordingHandler, respond, silentLog, waitUntil } from '../http/harness.js';
import { FakeClock } from '../support/fake-clock.js';

const tcp = (port = 0, address = '127.0.0.1'): SocketAddress => ({ kind: 'tcp', address, port });

function listener(name: string, changes: Partial<Listener> = {}, hcmChanges: Parameters<typeof hcm>[0] = {}): Listener {
  return {
    name,
    statPrefix: '',
    addresses: [tcp()],
    perConnectionBufferLimitBytes: 1024 * 1024,
    backlog: 128,
    ipv4Compat: false,
    filterChains: [{ name: '', match: undefined, httpConnectionManager: hcm(hcmChanges) }],
    ...changes,
  };
}

let versions = 0;
function resource(
  model: Listener,
  verdict: Verdict<Listener> = { kind: 'active', model, warnings: [] },
): Resource<Listener> {
  return { name: model.name, version: `v${++versions}`, bytes: new Uint8Array(), verdict };
}

const hasIpv6 = Object.values(networkInterfaces()).some((one) => one?.some(({ address }) => address === '::1'));

const get = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

describe('the listener manager', () => {
  const open: { manager: ListenerManager; servers: Server[]; folder: string | undefined } = {
    manager: undefined as never,
    servers: [],
    folder: undefined,
  };
  const clients: Client[] = [];
  let stats: ReturnType<typeof createStatsStore>;
  /** Providers in the order of their making, with what became of them. */
  let providers: { server: string; closed: number; makeReady: () => void; fail: (error: Error) => void }[];
  let loggers: { closed: number; lines: number }[];
  let streams: DownstreamStream[];
  let rds: boolean;
  let hold: boolean;

  /** Each provider answers with the server_name of its version, or keeps the stream when `hold`. */
  const routes = (config: Listener): RouteProvider => {
    const server = config.filterChains[0]?.httpConnectionManager.serverName ?? '';
    const record = { server, closed: 0, makeReady: () => {}, fail: (_error: Error) => {} };
    const ready = rds
      ? new Promise<void>((resolve, reject) => {
          record.makeReady = resolve;
          record.fail = reject;
        })
      : undefined;
    providers.push(record);
    return {
      ready,
      chains: [
        {
          handle: (stream) => {
            expect(record.closed).to.equal(0);
            streams.push(stream);
            stream.start(new RecordingHandler());
            if (!hold) respond(stream, 200, `by ${server};`);
          },
        },
      ],
      close: () => void record.closed++,
    };
  };

  const accessLogs = {
    createLogger() {
      const record = { closed: 0, lines: 0 };
      loggers.push(record);
      return {
        log: () => {
          expect(record.closed, 'a line for a closed log').to.equal(0);
          record.lines++;
        },
        close: () => void record.closed++,
      };
    },
  } as unknown as AccessLogManager;

  const create = (clock: Clock = systemClock, drainTimeMs = 60_000): ListenerManager => {
    const serving = createLocalServing({ stats, log: silentLog, clock, accessLogs, http1Codec: 'own' });
    open.manager = createListenerManager({ stats, log: silentLog, clock, serving, routes, drainTimeMs });
    return open.manager;
  };

  const status = (name: string): ListenerStatus => {
    const found = open.manager.snapshot().find((one) => one.name === name);
    if (!found) throw new Error(`no listener ${name}`);
    return found;
  };
  const portOf = (name: string, index = 0): number => {
    const address = status(name).active?.localAddresses[index];
    if (address?.kind !== 'tcp') throw new Error(`listener ${name} has no port`);
    return address.port;
  };
  const client = (port: number): Client => {
    const one = new Client(port);
    clients.push(one);
    return one;
  };
  const gauge = (name: string): number => stats.gauge(`listener_manager.total_listeners_${name}`).value;
  const counter = (name: string): number => stats.counter(`listener_manager.listener_${name}`).value;
  const ask = async (port: number): Promise<string> => {
    const one = client(port).write(get);
    const text = await one.receive(/by [^;]*;$/);
    one.socket.destroy();
    return /by ([^;]*);/.exec(text)?.[1] ?? '';
  };

  beforeEach(() => {
    stats = createStatsStore();
    providers = [];
    loggers = [];
    streams = [];
    rds = false;
    hold = false;
  });

  afterEach(async () => {
    for (const one of clients.splice(0)) one.socket.destroy();
    await open.manager.close();
    for (const server of open.servers.splice(0)) server.close();
    if (open.folder) await rm(open.folder, { recursive: true, force: true });
    open.folder = undefined;
    expect(
      providers.map(({ closed }) => closed),
      'every route provider is closed once',
    ).to.deep.equal(providers.map(() => 1));
    expect(
      loggers.map(({ closed }) => closed),
      'every access log is closed once',
    ).to.deep.equal(loggers.map(() => 1));
    expect(gauge('active') + gauge('warming') + gauge('draining')).to.equal(0);
  });

  it('adds, answers, shows and removes', async () => {
    const manager = create();
    expect(await manager.apply({ changed: [resource(listener('one'))], removed: [] }, 'static')).to.deep.equal([]);
    const port = portOf('one');
    expect(await ask(port)).to.equal('envoy');
    expect(status('one')).to.include({ origin: 'static', warming: undefined, parked: undefined, failed: undefined });
    expect([gauge('active'), counter('added'), counter('create_success')]).to.deep.equal([1, 1, 1]);
    await waitUntil(
      () => stats.counter('listener.127.0.0.1_0.downstream_cx_destroy').value === 1,
      () => 'connection',
    );
    expect(stats.counter('listener.127.0.0.1_0.downstream_cx_total').value).to.equal(1);
    await manager.apply({ changed: [], removed: ['one', 'never there'] }, 'static');
    expect(manager.snapshot()).to.deep.equal([]);
    expect(counter('removed')).to.equal(1);
    expect(await refused(port)).to.equal('ECONNREFUSED');
  });

  it('binds several addresses, IPv6 and Unix domain sockets', async () => {
    open.folder = await mkdtemp(join(tmpdir(), 'pontoon-listener-'));
    const path = join(open.folder, 'socket');
    // What a process left behind that was killed.
    await leaveStaleSocket(path);
    const manager = create();
    const config = listener('many', {
      addresses: [tcp(), tcp(0, hasIpv6 ? '::1' : '127.0.0.1'), { kind: 'pipe', path }],
      statPrefix: 'many',
    });
    expect(await manager.apply({ changed: [resource(config)], removed: [] }, 'static')).to.deep.equal([]);
    const addresses = status('many').active?.localAddresses ?? [];
    expect(addresses.map(({ kind }) => kind)).to.deep.equal(['tcp', 'tcp', 'pipe']);
    for (const address of addresses) {
      const socket = address.kind === 'pipe' ? connect(address.path) : connect(address.port, address.address);
      socket.write(get);
      const [data] = await new Promise<Buffer[]>((resolve, reject) => {
        socket.once('data', (one: Buffer) => resolve([one]));
        socket.once('error', reject);
      });
      expect(String(data)).to.match(/^HTTP\/1\.1 200 OK/);
      socket.destroy();
    }
    expect(stats.counter('listener.many.downstream_cx_total').value).to.equal(3);
  });

  it('takes IPv4 on an IPv6 socket with ipv4_compat, as IPv4', async function () {
    if (!hasIpv6) this.skip();
    const manager = create();
    await manager.apply(
      { changed: [resource(listener('six', { addresses: [tcp(0, '::')], ipv4Compat: true }))], removed: [] },
      'static',
    );
    expect(await ask(portOf('six'))).to.equal('envoy');
    expect(streams[0]?.info.downstreamRemoteAddress).to.match(/^127\.0\.0\.1:/);
  });

  it('reports an address that can not be bound, and tries again when the listener comes again', async () => {
    const taken = await occupy(open.servers);
    const manager = create();
    const config = listener('late', { addresses: [tcp(), tcp(taken)] });
    const failures = await manager.apply(
      { changed: [resource(config), resource(listener('good'))], removed: [] },
      'dynamic',
    );
    expect(failures).to.have.length(1);
    expect(failures[0]?.name).to.equal('late');
    expect(failures[0]?.message).to.match(
      new RegExp(`listener late: cannot bind 127\\.0\\.0\\.1:${taken}: .*EADDRINUSE`),
    );
    expect(status('late').active).to.equal(undefined);
    expect(status('late').failed?.message).to.equal(failures[0]?.message);
    expect(await ask(portOf('good'))).to.equal('envoy');
    expect(counter('create_failure')).to.equal(1);
    await new Promise((resolve) => open.servers.pop()?.close(resolve));
    expect(await manager.apply({ changed: [resource(config)], removed: [] }, 'dynamic')).to.deep.equal([]);
    expect(status('late').failed).to.equal(undefined);
    expect(await ask(taken)).to.equal('envoy');
  });

  it('tries again by itself until the address is free, and not what was replaced meanwhile', async () => {
    const taken = await occupy(open.servers);
    const clock = new FakeClock();
    const manager = create(clock);
    const late = listener('late', { addresses: [tcp(taken)] });
    const gone = listener('gone', { addresses: [tcp(taken)] });
    await manager.apply({ changed: [resource(late), resource(gone)], removed: [] }, 'dynamic');
    expect(clock.pending).to.equal(2);
    await manager.apply({ changed: [], removed: ['gone'] }, 'dynamic');
    expect(clock.pending).to.equal(1);
    clock.advance(1_000);
    await waitUntil(
      () => counter('create_failure') === 3,
      () => 'no second failure',
    );
    await new Promise((resolve) => open.servers.pop()?.close(resolve));
    clock.advance(1_999);
    expect(status('late').active).to.equal(undefined);
    clock.advance(1);
    await waitUntil(
      () => status('late').active !== undefined,
      () => 'never active',
    );
    expect(status('late').failed).to.equal(undefined);
    expect(clock.pending).to.equal(0);
    expect(await ask(taken)).to.equal('envoy');
  });

  it('keeps the version that serves when the next one can not be bound', async () => {
    const taken = await occupy(open.servers);
    const manager = create();
    await manager.apply({ changed: [resource(listener('one'))], removed: [] }, 'dynamic');
    const port = portOf('one');
    const next = listener('one', { addresses: [tcp(taken)] }, { serverName: 'next' });
    expect(await manager.apply({ changed: [resource(next)], removed: [] }, 'dynamic')).to.have.length(1);
    expect(portOf('one')).to.equal(port);
    expect(await ask(port)).to.equal('envoy');
  });

  it('refuses an address that another listener has', async () => {
    const manager = create();
    const port = await freePort();
    await manager.apply({ changed: [resource(listener('one', { addresses: [tcp(port)] }))], removed: [] }, 'dynamic');
    const other = listener('two', { addresses: [tcp(port)] });
    const failures = await manager.apply({ changed: [resource(other)], removed: [] }, 'dynamic');
    expect(failures[0]?.message).to.match(/listener two: has the address of listener one/);
    expect(await ask(port)).to.equal('envoy');
  });

  it('parks what is not ours to run, and never binds it', async () => {
    const manager = create();
    const model = listener('parked');
    const parked = resource(model, { kind: 'parked', model, reason: 'codec_type HTTP2' });
    await manager.apply({ changed: [parked], removed: [] }, 'dynamic');
    expect(status('parked')).to.deep.include({ active: undefined, connections: 0 });
    expect(status('parked').parked?.reason).to.equal('codec_type HTTP2');
    expect(providers).to.deep.equal([]);
    await manager.apply({ changed: [resource(model)], removed: [] }, 'dynamic');
    const port = portOf('parked');
    expect(status('parked').parked).to.equal(undefined);
    await manager.apply({ changed: [parked], removed: [] }, 'dynamic');
    expect(status('parked').active).to.equal(undefined);
    expect(await refused(port)).to.equal('ECONNREFUSED');
  });

  describe('a changed listener', () => {
    it('keeps its sockets and its connections; the next request sees the new version', async () => {
      const manager = create();
      await manager.apply({ changed: [resource(listener('one'))], removed: [] }, 'dynamic');
      const port = portOf('one');
      const one = client(port).write(get);
      await one.receive(/by envoy;$/);
      await manager.apply({ changed: [resource(listener('one', {}, { serverName: 'next' }))], removed: [] }, 'dynamic');
      expect(portOf('one')).to.equal(port);
      await one.write(get).receive(/by next;$/);
      expect(one.received)
        .to.match(/server: next/)
        .and.not.to.match(/connection: close/);
      expect(await ask(port)).to.equal('next');
      expect([counter('modified'), counter('in_place_updated')]).to.deep.equal([1, 1]);
      expect(providers.map(({ closed }) => closed)).to.deep.equal([1, 0]);
    });

    it('lets requests finish on the version that they began on', async () => {
      const manager = create();
      hold = true;
      await manager.apply({ changed: [resource(listener('one'))], removed: [] }, 'dynamic');
      const one = client(portOf('one')).write(get + get);
      await waitUntil(
        () => streams.length === 1,
        () => 'no request',
      );
      await manager.apply({ changed: [resource(listener('one', {}, { serverName: 'next' }))], removed: [] }, 'dynamic');
      expect(providers[0]?.closed).to.equal(0);
      respond(streams[0] as DownstreamStream, 200, 'first;');
      await one.receive(/server: envoy\r\n.*first;$/s);
      expect(providers[0]?.closed).to.equal(1);
      await waitUntil(
        () => streams.length === 2,
        () => 'no second request',
      );
      respond(streams[1] as DownstreamStream, 200, 'second;');
      await one.receive(/server: next\r\n.*second;$/s);
      expect(loggers.map(({ lines }) => lines)).to.deep.equal([1, 1]);
    });

    it('with another address: binds it, asks the connections of the old one to leave', async () => {
      const manager = create();
      await manager.apply(
        { changed: [resource(listener('one', { addresses: [tcp(), tcp()] }))], removed: [] },
        'dynamic',
      );
      const [stays, goes] = [portOf('one', 0), portOf('one', 1)];
      const onStaying = client(stays).write(get);
      await onStaying.receive(/by envoy;$/);
      const onGoing = connect(goes, '127.0.0.1');
      let received = '';
      onGoing.on('data', (data: Buffer) => {
        received += data;
      });
      onGoing.write(get);
      await waitUntil(
        () => received.endsWith('by envoy;'),
        () => received,
      );
      await manager.apply({ changed: [resource(listener('one', { addresses: [tcp()] }))], removed: [] }, 'dynamic');
      expect(portOf('one')).to.equal(stays);
      onGoing.write(get);
      await waitUntil(
        () => /connection: close/.test(received),
        () => received,
      );
      await onStaying.write(get).receive(/by envoy;.*by envoy;$/s);
      expect(onStaying.received).not.to.match(/connection: close/);
      onGoing.destroy();
    });

    it('of the same meaning changes nothing but what is shown', async () => {
      const manager = create();
      await manager.apply({ changed: [resource(listener('one'))], removed: [] }, 'dynamic');
      const again = resource(listener('one'));
      await manager.apply({ changed: [again], removed: [] }, 'dynamic');
      expect(status('one').active?.resource.version).to.equal(again.version);
      expect(providers).to.have.length(1);
      expect(counter('modified')).to.equal(0);
    });

    it('refuses no connection while versions change', async () => {
      const manager = create();
      await manager.apply({ changed: [resource(listener('one'))], removed: [] }, 'dynamic');
      const port = portOf('one');
      let changing = true;
      let answers = 0;
      const load = Promise.all(
        Array.from({ length: 4 }, async () => {
          while (changing) {
            await ask(port);
            answers++;
          }
        }),
      );
      for (let i = 0; i < 30; i++) {
        await manager.apply(
          { changed: [resource(listener('one', {}, { serverName: `v${i}` }))], removed: [] },
          'dynamic',
        );
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      changing = false;
      await load;
      expect(answers).to.be.greaterThan(30);
    });
  });

  describe('a listener that waits for its routes', () => {
    it('is bound only when they are there', async () => {
      rds = true;
      const manager = create();
      const port = await freePort();
      await manager.apply({ changed: [resource(listener('one', { addresses: [tcp(port)] }))], removed: [] }, 'dynamic');
      expect([gauge('warming'), gauge('active')]).to.deep.equal([1, 0]);
      expect(status('one').warming).not.to.equal(undefined);
      expect(await refused(port)).to.equal('ECONNREFUSED');
      providers[0]?.makeReady();
      await waitUntil(
        () => status('one').active !== undefined,
        () => 'not active',
      );
      expect(await ask(port)).to.equal('envoy');
      expect([gauge('warming'), gauge('active')]).to.deep.equal([0, 1]);
    });

    it('lets the version before it serve; only the last of several gets there', async () => {
      const manager = create();
      await manager.apply({ changed: [resource(listener('one'))], removed: [] }, 'dynamic');
      const port = portOf('one');
      rds = true;
      for (const serverName of ['second', 'third']) {
        await manager.apply({ changed: [resource(listener('one', {}, { serverName }))], removed: [] }, 'dynamic');
      }
      expect(await ask(port)).to.equal('envoy');
      expect(providers.map(({ closed }) => closed)).to.deep.equal([0, 1, 0]);
      providers[1]?.makeReady();
      providers[2]?.makeReady();
      await waitUntil(
        () => status('one').warming === undefined,
        () => 'still warming',
      );
      expect(await ask(port)).to.equal('third');
    });

    it('is given up when the version that serves comes again', async () => {
      const manager = create();
      await manager.apply({ changed: [resource(listener('one'))], removed: [] }, 'dynamic');
      rds = true;
      await manager.apply({ changed: [resource(listener('one', {}, { serverName: 'next' }))], removed: [] }, 'dynamic');
      await manager.apply({ changed: [resource(listener('one'))], removed: [] }, 'dynamic');
      expect(status('one').warming).to.equal(undefined);
      expect(await ask(portOf('one'))).to.equal('envoy');
    });

    it('fails with them, and the version before it goes on', async () => {
      const manager = create();
      await manager.apply({ changed: [resource(listener('one'))], removed: [] }, 'dynamic');
      rds = true;
      await manager.apply({ changed: [resource(listener('one', {}, { serverName: 'next' }))], removed: [] }, 'dynamic');
      providers[1]?.fail(new Error('no such routes'));
      await waitUntil(
        () => status('one').failed !== undefined,
        () => 'did not fail',
      );
      expect(status('one').failed?.message).to.equal('listener one: its routes failed: no such routes');
      expect(await ask(portOf('one'))).to.equal('envoy');
    });

    it('may be removed meanwhile', async () => {
      rds = true;
      const manager = create();
      await manager.apply({ changed: [resource(listener('one'))], removed: [] }, 'dynamic');
      await manager.apply({ changed: [], removed: ['one'] }, 'dynamic');
      providers[0]?.makeReady();
      await new Promise((resolve) => setTimeout(resolve, 10));
      expect(manager.snapshot()).to.deep.equal([]);
    });
  });

  describe('a removed listener', () => {
    it('lets requests finish, and says connection: close', async () => {
      hold = true;
      const manager = create();
      await manager.apply({ changed: [resource(listener('one'))], removed: [] }, 'dynamic');
      const port = portOf('one');
      const one = client(port).write(get);
      await waitUntil(
        () => streams.length === 1,
        () => 'no request',
      );
      await manager.apply({ changed: [], removed: ['one'] }, 'dynamic');
      expect(await refused(port)).to.equal('ECONNREFUSED');
      expect(status('one')).to.deep.include({ active: undefined, connections: 1, draining: 1 });
      expect(gauge('draining')).to.equal(1);
      respond(streams[0] as DownstreamStream, 200, 'last;');
      expect(await one.receiveAll()).to.match(/connection: close.*last;$/s);
      one.socket.end();
      await waitUntil(
        () => gauge('draining') === 0,
        () => 'still draining',
      );
    });

    it('closes idle connections after the drain timeout, and cuts the rest after the drain time', async () => {
      const clock = new FakeClock();
      const manager = create(clock, 20_000);
      await manager.apply({ changed: [resource(listener('one'))], removed: [] }, 'dynamic');
      const port = portOf('one');
      const idle = client(port).write(get);
      await idle.receive(/by envoy;$/);
      hold = true;
      const busy = client(port).write(get);
      await waitUntil(
        () => streams.length === 2,
        () => 'no request',
      );
      const handler = new RecordingHandler();
      streams[1]?.start(handler);
      await manager.apply({ changed: [], removed: ['one'] }, 'dynamic');
      clock.advance(4_999);
      await new Promise((resolve) => setTimeout(resolve, 10));
      expect(idle.ended).to.equal(false);
      clock.advance(1);
      await idle.receiveAll();
      idle.socket.end();
      clock.advance(14_999);
      await new Promise((resolve) => setTimeout(resolve, 10));
      expect(busy.ended).to.equal(false);
      clock.advance(1);
      await busy.until(() => busy.closed, 'closed');
      expect(busy.error?.code).to.equal('ECONNRESET');
      expect(handler.resets).to.deep.equal(['draining']);
      await waitUntil(
        () => clock.pending === 0,
        () => `${clock.pending} timers are left`,
      );
    });

    it('cuts connections of a Unix domain socket, too', async () => {
      open.folder = await mkdtemp(join(tmpdir(), 'pontoon-listener-'));
      const path = join(open.folder, 'socket');
      const clock = new FakeClock();
      const manager = create(clock, 20_000);
      hold = true;
      await manager.apply(
        { changed: [resource(listener('one', { addresses: [{ kind: 'pipe', path }] }))], removed: [] },
        'static',
      );
      const socket = connect(path);
      const closed = new Promise((resolve) => socket.once('close', resolve));
      socket.write(get);
      await waitUntil(
        () => streams.length === 1,
        () => 'no request',
      );
      await manager.apply({ changed: [], removed: ['one'] }, 'static');
      clock.advance(20_000);
      await closed;
    });

    it('hands its socket to a listener at the same address', async () => {
      const manager = create();
      const port = await freePort();
      await manager.apply({ changed: [resource(listener('old', { addresses: [tcp(port)] }))], removed: [] }, 'dynamic');
      const before = client(port).write(get);
      await before.receive(/by envoy;$/);
      const next = listener('new', { addresses: [tcp(port)] }, { serverName: 'next' });
      expect(await manager.apply({ changed: [resource(next)], removed: ['old'] }, 'dynamic')).to.deep.equal([]);
      expect(await ask(port)).to.equal('next');
      expect(await before.write(get).receiveAll()).to.match(/connection: close/);
    });
  });

  it('announces the end of connections while the process drains', async () => {
    const manager = create();
    await manager.apply({ changed: [resource(listener('one'))], removed: [] }, 'static');
    manager.setDraining(true);
    expect(await client(portOf('one')).write(get).receiveAll()).to.match(/connection: close/);
    manager.setDraining(false);
    expect(
      await client(portOf('one'))
        .write(get)
        .receive(/by envoy;$/),
    ).not.to.match(/connection: close/);
  });

  it('closes: waits for the requests that run', async () => {
    hold = true;
    const manager = create();
    await manager.apply({ changed: [resource(listener('one'))], removed: [] }, 'static');
    const one = client(portOf('one')).write(get);
    await waitUntil(
      () => streams.length === 1,
      () => 'no request',
    );
    let over = false;
    const closed = manager.close().then(() => {
      over = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(over).to.equal(false);
    respond(streams[0] as DownstreamStream, 200, 'last;');
    await one.receive(/last;$/);
    one.socket.end();
    await closed;
    expect(await manager.apply({ changed: [resource(listener('two'))], removed: [] }, 'static')).to.deep.equal([]);
    expect(manager.snapshot()).to.deep.equal([]);
  });
});

function refused(port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => {
      socket.destroy();
      resolve(undefined);
    });
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code));
  });
}

async function occupy(servers: Server[]): Promise<number> {
  const server = createServer();
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

async function freePort(): Promise<number> {
  const servers: Server[] = [];
  const port = await occupy(servers);
  await new Promise((resolve) => servers[0]?.close(resolve));
  return port;
}

/** A socket file that no one listens on. */
async function leaveStaleSocket(path: string): Promise<void> {
  const { spawnSync } = await import('node:child_process');
  const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
  spawnSync(process.execPath, ['-e', script]);
  expect((await stat(path)).isSocket()).to.equal(true);
}
