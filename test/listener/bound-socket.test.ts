import { mkdtempSync, rmSync } from 'node:fs';
import { connect, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { type BoundSocket, bindSocket } from '../../src/listener/bound-socket.js';
import type { SocketAddress } from '../../src/model/endpoint.js';
import { createAcceptNext, leaveToNode } from '../../src/sockets/accept.js';
import { openAccept } from '../../src/sockets/open-sockets.js';
import { silentLog } from '../sockets/support.js';
import { until } from '../support/until.js';

describe('a bound socket', () => {
  const open: { destroy(): void }[] = [];
  let folder: string;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'pontoon-bound-'));
  });

  afterEach(() => {
    for (const each of open.splice(0)) each.destroy();
  });

  after(() => rmSync(folder, { recursive: true, force: true }));

  const bind = async (address: SocketAddress, pauseOnConnect = false, acceptNext = openAccept('own', silentLog)) => {
    const bound = await bindSocket(address, { backlog: 511, ipv4Compat: false, pauseOnConnect, acceptNext });
    open.push({ destroy: () => bound.close() });
    return bound;
  };

  /** The system has made the connections when this returns: they wait to be accepted. */
  const connectTo = ({ localAddress }: BoundSocket, count: number): Socket[] =>
    Array.from({ length: count }, () => {
      const socket =
        localAddress.kind === 'pipe'
          ? connect(localAddress.path)
          : connect({ host: localAddress.address, port: localAddress.port });
      open.push(socket.on('error', () => {}));
      return socket;
    });

  /** How many of `count` that wait are accepted in each turn of the event loop. */
  const turnsOf = async (bound: BoundSocket, count: number): Promise<number[]> => {
    const turns: number[] = [];
    let fresh = true;
    bound.onConnection = (socket) => {
      open.push(socket.on('error', () => {}));
      if (fresh) setImmediate(() => (fresh = true));
      if (fresh) turns.push(0);
      fresh = false;
      turns.push((turns.pop() ?? 0) + 1);
    };
    connectTo(bound, count);
    await until('all connections', () => turns.reduce((sum, each) => sum + each, 0) === count || undefined);
    return turns;
  };

  const addresses: readonly { readonly name: string; readonly address: () => SocketAddress }[] = [
    { name: 'TCP', address: () => ({ kind: 'tcp', address: '127.0.0.1', port: 0 }) },
    { name: 'Unix domain', address: () => ({ kind: 'pipe', path: join(folder, 'socket') }) },
  ];
  for (const { name, address } of addresses) {
    it(`accepts many connections in a turn, and not all: ${name}`, async () => {
      expect(await turnsOf(await bind(address()), 70)).to.deep.equal([32, 32, 6]);
    });

    it(`hands over connections that are all alike: ${name}`, async () => {
      const bound = await bind(address());
      const lines: string[] = [];
      bound.onConnection = (socket) => {
        open.push(socket);
        const { remoteAddress, localPort, allowHalfOpen } = socket;
        socket.once('data', (data) => {
          lines.push(`${data} ${remoteAddress} ${localPort} ${allowHalfOpen}`);
          socket.write('heard');
        });
      };
      const heard: string[] = [];
      for (const socket of connectTo(bound, 3)) socket.on('data', (data) => heard.push(String(data))).write('hello');
      await until('the answers', () => heard.length === 3 || undefined);
      expect(heard).to.deep.equal(['heard', 'heard', 'heard']);
      const [line] = lines;
      const { localAddress } = bound;
      const ends = localAddress.kind === 'pipe' ? 'undefined undefined' : `127.0.0.1 ${localAddress.port}`;
      expect(line).to.equal(`hello ${ends} true`);
      expect(new Set(lines).size).to.equal(1);
    });

    it(`reads nothing from any connection when they are handed over: ${name}`, async () => {
      const bound = await bind(address(), true);
      const accepted: Socket[] = [];
      bound.onConnection = (socket) => {
        open.push(socket);
        accepted.push(socket);
      };
      for (const socket of connectTo(bound, 3)) socket.write('hello');
      await until('all connections', () => accepted.length === 3 || undefined);
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(accepted.map(({ bytesRead }) => bytesRead)).to.deep.equal([0, 0, 0]);
      let read = 0;
      for (const socket of accepted) socket.on('data', () => read++).resume();
      await until('what they sent', () => read === 3 || undefined);
    });
  }

  it('leaves those that wait when it is closed while it accepts', async () => {
    const bound = await bind({ kind: 'tcp', address: '127.0.0.1', port: 0 });
    let accepted = 0;
    bound.onConnection = (socket) => {
      open.push(socket);
      if (++accepted === 2) bound.close();
    };
    const clients = connectTo(bound, 5);
    let gone = 0;
    for (const client of clients) client.on('close', () => gone++);
    await until('the resets', () => gone === 3 || undefined);
    expect(accepted).to.equal(2);
  });

  it('lets Node accept one in a turn where there is no native part', async () => {
    const bound = await bind({ kind: 'tcp', address: '127.0.0.1', port: 0 }, false, leaveToNode);
    expect(await turnsOf(bound, 3)).to.deep.equal([1, 1, 1]);
  });

  it('closes a descriptor that Node can not use', async () => {
    const closed: [number, boolean][] = [];
    const addon = { accept: () => 1_000_000, close: (...given: [number, boolean]) => void closed.push(given) };
    const bound = await bind({ kind: 'tcp', address: '127.0.0.1', port: 0 }, false, createAcceptNext(addon));
    const accepted: Socket[] = [];
    bound.onConnection = (socket) => {
      open.push(socket);
      accepted.push(socket);
    };
    connectTo(bound, 1);
    await until('the connection', () => accepted.length === 1 || undefined);
    expect(accepted[0]).to.be.instanceOf(Socket);
    expect(closed).to.deep.equal([[1_000_000, true]]);
  });
});
