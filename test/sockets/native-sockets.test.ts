import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { expect } from 'chai';
import { openSockets } from '../../src/sockets/open-sockets.js';
import type { AdoptSocket } from '../../src/sockets/stream-socket.js';
import { type Child, runChild, startChild } from '../support/child.js';
import { openWire, silentLog, Watched, type Wire, watchedPair } from './support.js';

const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 50));

interface Silent {
  readonly begin: () => Watched;
  readonly peer: Socket;
}

describe('native sockets', () => {
  let adopt: AdoptSocket;
  let wire: Wire;

  before(async () => {
    adopt = openSockets('checked', silentLog);
    wire = await openWire('tcp');
  });

  after(() => wire.close());

  const closeAll = async (...ends: (Watched | Socket)[]): Promise<void> => {
    for (const end of ends) {
      if (end instanceof Watched) end.socket.destroy();
      else end.destroy();
    }
    for (const end of ends) {
      if (!(end instanceof Watched)) continue;
      await end.until('the close', () => end.closed);
      expect(end.problems).to.deep.equal([]);
    }
  };

  /** Pairs of which nothing is read until `begin`, in the order in which the system finds them ready. */
  const silentPairs = async (count: number): Promise<Silent[]> => {
    const pairs: Silent[] = [];
    for (let i = 0; i < count; i++) {
      const [socket, peer] = await wire.connect(adopt, (other) => other.on('error', () => {}));
      pairs.push({ begin: () => new Watched(socket), peer });
    }
    return pairs;
  };

  it('are ours: Node has let go of them', async () => {
    const [kind, peer] = await wire.connect(
      (socket) => {
        const ours = adopt(socket);
        expect(socket.destroyed).to.equal(true);
        ours.destroy();
        return ours.constructor.name;
      },
      (other) => other,
    );
    peer.destroy();
    expect(kind).to.equal('NativeSocket');
  });

  it('wait for no other that always has more', async () => {
    const [flooded, quiet] = (await silentPairs(2)) as [Silent, Silent];
    flooded.peer.write(Buffer.alloc(4 * 1024 * 1024));
    quiet.peer.write('here');
    await settle();
    const flood = flooded.begin();
    const calm = quiet.begin();
    let before = -1;
    calm.also.onData = () => {
      before = flood.received;
    };
    await calm.until('the bytes', () => before >= 0);
    expect(before).to.be.at.most(256 * 1024);
    await closeAll(flood, calm, flooded.peer, quiet.peer);
  });

  it('tell what came in order, also when writing fails between reading and telling', async () => {
    const [first, second] = (await silentPairs(2)) as [Silent, Silent];
    const sent = Buffer.from(Uint8Array.from({ length: 120_000 }, (_, i) => (i * 31 + (i >> 8)) & 255));
    first.peer.write('go');
    await new Promise((resolve) => second.peer.write(sent, resolve));
    second.peer.resetAndDestroy();
    await settle();
    const one = first.begin();
    const other = second.begin();
    one.also.onData = () => other.socket.write(Buffer.from('into the void'));
    await other.until('the close', () => other.closed);
    expect(other.received).to.equal(sent.length);
    expect(Buffer.concat(other.pieces).equals(sent)).to.equal(true);
    expect(other.error?.code).to.equal('ECONNRESET');
    await closeAll(one, other, first.peer);
  });

  it('tell nothing of one that another closed, though its bytes had been read', async () => {
    const [first, second, third] = (await silentPairs(3)) as [Silent, Silent, Silent];
    for (const { peer } of [first, second, third]) peer.write('x');
    await settle();
    const ends = [first.begin(), second.begin(), third.begin()] as const;
    ends[0].also.onData = () => ends[1].socket.reset();
    await ends[2].until('the bytes', () => ends[2].received === 1);
    await ends[1].until('the close', () => ends[1].closed);
    expect(ends.map(({ received }) => received)).to.deep.equal([1, 0, 1]);
    await closeAll(...ends, first.peer, second.peer, third.peer);
  });

  it('read into the same memory again and again, which is overwritten when the turn is over', async () => {
    const [ours, peer] = await watchedPair(wire, adopt);
    const told: Buffer[] = [];
    ours.also.onData = (data) => told.push(data);
    for (const text of ['first', 'second']) {
      peer.write(text);
      await ours.until(text, () => ours.text.endsWith(text));
    }
    expect(ours.text).to.equal('firstsecond');
    expect(told.map((each) => each.buffer === told[0]?.buffer)).to.deep.equal([true, true]);
    expect(told.map((each) => each.toString('latin1'))).to.deep.equal(['\xdb'.repeat(5), '\xdb'.repeat(6)]);
    await closeAll(ours, peer);
  });

  describe('in a process', () => {
    let folder: string;

    before(() => {
      folder = mkdtempSync(join(tmpdir(), 'pontoon-native-sockets-'));
    });

    after(() => rmSync(folder, { recursive: true, force: true }));

    /** A program with `adopt`, `pair()` (two ends, of which nothing is read) and `say`. */
    const program = (body: string): string => {
      const path = join(folder, `${program.length}-${Math.random()}.mjs`);
      const modules = ['../../src/sockets/open-sockets.js', './support.js'].map(
        (each) => new URL(each, import.meta.url),
      );
      writeFileSync(
        path,
        `const [{ openSockets }, { openWire, silentLog, Watched }] = await Promise.all(${JSON.stringify(modules)}.map((each) => import(each)));
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readdirSync, readlinkSync } from 'node:fs';
const adopt = openSockets('checked', silentLog);
const wire = await openWire('tcp');
const pair = () => wire.connect((socket) => new Watched(adopt(socket)), (socket) => new Watched(adopt(socket)));
const say = (text) => process.stdout.write(text + '\\n');
${body}`,
      );
      return path;
    };
    const env = { NODE_V8_COVERAGE: '' };

    it('keep it alive until the last one is closed, and not longer', async () => {
      const child: Child = startChild(
        process.execPath,
        [
          program(`const [one, other] = await pair();
wire.close();
one.also.onData = () => one.socket.end();
one.also.onEnd = () => say('ended');
setTimeout(() => other.socket.end(), 300).unref();
setTimeout(() => other.socket.write(Buffer.from('x')), 200).unref();
other.also.onEnd = () => say('answered');
say('ready');`),
        ],
        env,
      );
      await child.outputs(/answered/);
      expect(await child.closed).to.equal(0);
      expect(child.stdout()).to.equal('ready\nanswered\nended\n');
    });

    it('are no obstacle to its exit', async () => {
      const { code, stderr } = await runChild(process.execPath, [program('await pair(); process.exit(7);')], env);
      expect({ code, stderr }).to.deep.equal({ code: 7, stderr: '' });
    });

    it('are not inherited by its children', async () => {
      const body = `await pair();
const links = (text) => text.split('\\n').filter((each) => each.startsWith('socket:'));
const mine = links(readdirSync('/proc/self/fd').map((fd) => { try { return readlinkSync('/proc/self/fd/' + fd); } catch { return ''; } }).join('\\n'));
const theirs = links(execFileSync('sh', ['-c', 'ls -l /proc/self/fd | grep -o socket:.*; true'], { stdio: ['ignore', 'pipe', 'ignore'] }).toString());
say(JSON.stringify([mine.length >= 3, theirs.filter((each) => mine.includes(each)).length]));
process.exit();`;
      const { stdout } = await runChild(process.execPath, [program(body)], env);
      expect(JSON.parse(stdout)).to.deep.equal([true, 0]);
    });

    it('are left to Node when there is no file descriptor for them', async () => {
      const body = `const files = [];
const taken = () => { try { for (;;) files.push(openSync('/dev/null')); } catch {} };
const both = await wire.connect(
  (socket) => { taken(); const ours = adopt(socket); for (const fd of files.splice(0)) closeSync(fd); return new Watched(ours); },
  (socket) => new Watched(adopt(socket)));
both[1].socket.write(Buffer.from('hello'));
await both[0].until('the bytes', () => both[0].received === 5);
both[0].socket.write(Buffer.from('hello'));
await both[1].until('the bytes', () => both[1].received === 5);
say(both.map(({ socket }) => socket.constructor.name).join());
process.exit();`;
      const { stdout, stderr } = await runChild(
        'sh',
        ['-c', 'ulimit -n 200; exec "$0" "$1"', process.execPath, program(body)],
        env,
      );
      expect({ stdout, stderr }).to.deep.equal({ stdout: 'NodeSocket,NativeSocket\n', stderr: '' });
    });

    it('are there once per thread, and end with it', async () => {
      const body = `const [one, other] = await pair();
other.socket.write(Buffer.from('hello'));
await one.until('the bytes', () => one.received === 5);
const { parentPort } = await import('node:worker_threads');
parentPort.postMessage(one.socket.constructor.name);
if (process.argv[2] === 'exit') process.exit(3);
one.socket.destroy();
other.socket.destroy();
wire.close();`;
      const path = program(body);
      for (const [how, expected] of [
        ['exit', 3],
        ['finish', 0],
      ] as const) {
        const worker = new Worker(path, { argv: [how] });
        const exited = once(worker, 'exit');
        expect(await once(worker, 'message')).to.deep.equal(['NativeSocket']);
        expect(await exited).to.deep.equal([expected]);
      }
      // Here they work as before.
      const [ours, peer] = await watchedPair(wire, adopt);
      peer.write('still');
      await ours.until('the bytes', () => ours.text === 'still');
      await closeAll(ours, peer);
    });
  });
});
