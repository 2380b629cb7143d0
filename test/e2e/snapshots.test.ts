import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { expect } from 'chai';
import { decodeSnapshot, encodeSnapshot } from '../../src/snapshot/format.js';
import { adsBootstrap } from '../support/ads-bootstrap.js';
import { GoControlPlane } from '../support/go-control-plane.js';
import { type Pontoon, startPontoon } from '../support/pontoon.js';
import { bridgeClusterResource, endpointsResource, listenerResource, routesResource } from '../support/resources.js';
import { startTcpServer, type TcpServer } from '../support/tcp-server.js';
import { until } from '../support/until.js';

const library = 'test/fixtures/plugins/recorded.ts';
const nodeId = 'kept/node';
/** Machines that have other work are slow. */
const patienceMs = 30_000;

interface Status {
  readonly in_use: boolean;
  readonly stale_resources: number;
  readonly loaded?: { readonly resources: number };
  readonly load_problems?: readonly string[];
  readonly last_write?: { readonly resources: number };
  readonly last_failure?: { readonly reason: string };
}

describe('a snapshot of the last good configuration', function () {
  this.timeout(120_000);
  let controlPlane: GoControlPlane;
  let server: TcpServer;
  let folder: string;
  const running: Pontoon[] = [];

  before(async function () {
    GoControlPlane.require(this);
    server = await startTcpServer({ onData: ({ socket }, data) => socket.write(`served ${data}`) });
    controlPlane = await GoControlPlane.start();
  });
  after(async () => {
    await controlPlane?.close();
    await server?.close();
  });
  beforeEach(() => {
    folder = join(mkdtempSync(join(tmpdir(), 'pontoon-snapshots-')), 'kept');
  });
  afterEach(async () => {
    for (const pontoon of running.splice(0)) await pontoon.stop('SIGKILL');
    await controlPlane.startGrpc().catch(() => undefined);
    rmSync(join(folder, '..'), { recursive: true, force: true });
  });

  const cluster = (name: string) => bridgeClusterResource({ name, library, plugin: 'simple', config: {} });
  const all = {
    clusters: [cluster('kept'), cluster('gone')],
    endpoints: () => [endpointsResource('kept', [server.port]), endpointsResource('gone', [server.port])],
    listeners: [listenerResource('in', 'in', 'routes'), listenerResource('second', 'second', 'routes')],
    routes: [routesResource('routes', { '/kept': 'kept', '/gone': 'gone' })],
  };
  const publishAll = (version: string) =>
    controlPlane.putSnapshot({ version, nodeId, resources: { ...all, endpoints: all.endpoints() } });

  async function start(variant: 'SOTW' | 'DELTA', ...args: string[]): Promise<Pontoon> {
    const pontoon = await startPontoon({
      bootstrap: adsBootstrap({ variant, address: controlPlane.address, nodeId }),
      args: ['--snapshot-dir', folder, '--snapshot-wait-s', '1', '--snapshot-interval-s', '0', ...args],
    });
    running.push(pontoon);
    return pontoon;
  }
  const status = async (pontoon: Pontoon) => JSON.parse(await pontoon.get('/snapshot')) as Status;
  const written = (pontoon: Pontoon, resources: number) =>
    until(
      `a snapshot of ${resources} resources`,
      async () => ((await status(pontoon)).last_write?.resources === resources ? true : undefined),
      patienceMs,
    );
  const serves = (pontoon: Pontoon, path = '/kept') =>
    until(
      `an answer to ${path}`,
      async () => {
        const response = await fetch(`${await pontoon.listener('in')}${path}`);
        return (await response.text()) === `served ${path}\n` ? true : undefined;
      },
      patienceMs,
    );
  const live = (pontoon: Pontoon) =>
    until('LIVE', async () => ((await pontoon.get('/ready')) === 'LIVE\n' ? true : undefined), patienceMs);
  const file = () => join(folder, readdirSync(folder).find((name) => name.endsWith('.snapshot')) ?? 'none');

  /** Snapshot files that instances left, by how they were told. */
  const left = new Map<string, { readonly name: string; readonly bytes: Buffer }>();

  /** A snapshot as an instance leaves it that had seven resources. */
  async function leaveSnapshot(variant: 'SOTW' | 'DELTA' = 'SOTW'): Promise<void> {
    const known = left.get(variant);
    await publishAll('1');
    if (known === undefined) {
      const first = await start(variant);
      await serves(first);
      await written(first, 7);
      await first.stop('SIGKILL');
      left.set(variant, { name: basename(file()), bytes: readFileSync(file()) });
    } else {
      mkdirSync(folder, { mode: 0o700 });
      writeFileSync(join(folder, known.name), known.bytes, { mode: 0o600 });
    }
    await controlPlane.stopGrpc();
  }

  for (const variant of ['SOTW', 'DELTA'] as const)
    it(`serves without a control plane, and goes over to it without failing a request: ${variant}`, async () => {
      await leaveSnapshot(variant);
      expect(statSync(folder).mode & 0o777).to.equal(0o700);
      expect(statSync(file()).mode & 0o777).to.equal(0o600);

      const pontoon = await start(variant);
      await live(pontoon);
      await serves(pontoon);
      await serves(pontoon, '/gone');
      expect(await status(pontoon)).to.deep.include({ in_use: true, stale_resources: 7 });
      expect(await pontoon.stat('server.snapshot.stale_resources')).to.equal(7);
      const dump = await pontoon.get('/config_dump?include_eds');
      expect(dump.match(/stale: from a snapshot/g)).to.have.length(7);

      const listener = await pontoon.listener('in');
      let stopped = false;
      const answers = { good: 0, bad: [] as string[] };
      const load = (async () => {
        while (!stopped) {
          const response = await fetch(`${listener}/kept`).then(
            async (answer) => `${answer.status} ${await answer.text()}`,
            (error: Error) => error.message,
          );
          if (response === '200 served /kept\n') answers.good++;
          else answers.bad.push(response);
        }
      })();
      let made = 0;
      try {
        await controlPlane.putSnapshot({
          version: '2',
          nodeId,
          resources: {
            clusters: [cluster('kept')],
            endpoints: [endpointsResource('kept', [server.port])],
            listeners: [listenerResource('in', 'in', 'routes')],
            routes: [routesResource('routes', { '/kept': 'kept' })],
          },
        });
        made = await pontoon.stat('cluster_manager.cluster_modified');
        await controlPlane.startGrpc();
        await until(
          'only what the control plane has',
          async () => {
            const { in_use: inUse } = await status(pontoon);
            const clusters = await pontoon.get('/clusters');
            const listeners = await pontoon.get('/listeners');
            return !inUse && !clusters.includes('gone::') && !listeners.includes('second::') ? true : undefined;
          },
          40_000,
        );
      } finally {
        // Also when it failed: it would ask for ever.
        stopped = true;
        await load;
      }
      expect(answers.bad).to.deep.equal([]);
      expect(answers.good).to.be.greaterThan(0);
      expect(await pontoon.stat('cluster_manager.cluster_modified')).to.equal(made);
      expect(await pontoon.get('/config_dump?include_eds')).not.to.include('stale: ');
      await written(pontoon, 4);
      expect(await pontoon.stop()).to.equal(0);
    });

  it('goes on without one that is torn, with the one before that', async () => {
    await leaveSnapshot();
    const second = await start('SOTW');
    await live(second);
    await second.stop('SIGKILL');
    await controlPlane.startGrpc();
    const third = await start('SOTW');
    await written(third, 7);
    await third.stop('SIGKILL');
    await controlPlane.stopGrpc();
    expect(existsSync(`${file()}.previous`)).to.equal(true);
    truncateSync(file(), statSync(file()).size - 10);

    const pontoon = await start('SOTW');
    await live(pontoon);
    await serves(pontoon);
    expect((await status(pontoon)).load_problems?.[0]).to.match(/is not whole: its end is missing$/);
    expect(await pontoon.stat('server.snapshot.load_failure')).to.equal(1);
    await until('the log', () => pontoon.log().includes('a snapshot cannot be used') || undefined);
  });

  const damages: readonly { readonly what: string; readonly says: RegExp; damage(path: string): void }[] = [
    {
      what: 'with another checksum',
      says: /is damaged: its checksum does not match$/,
      damage(path) {
        const bytes = readFileSync(path);
        const middle = bytes.length >> 1;
        bytes.writeUInt8(bytes.readUInt8(middle) ^ 1, middle);
        writeFileSync(path, bytes);
      },
    },
    {
      what: 'of another node',
      says: /is of another node: id 'other', cluster 'test'$/,
      damage(path) {
        const { owner, ...rest } = decodeSnapshot(readFileSync(path));
        const other = { ...rest, owner: { ...owner, nodeId: 'other' } };
        writeFileSync(path, Buffer.concat([...encodeSnapshot(other)]));
      },
    },
    {
      what: 'in a newer format',
      says: /has format 2, and this version of Pontoon reads format 1$/,
      damage(path) {
        writeFileSync(path, readFileSync(path, 'latin1').replace('pontoon-snapshot 1', 'pontoon-snapshot 2'), 'latin1');
      },
    },
    {
      what: 'in a folder that is open to others',
      says: /is open to others \(mode 755\).*chmod 700/,
      damage: (path) => chmodSync(dirname(path), 0o755),
    },
  ];
  for (const { what, says, damage } of damages)
    it(`does not use one ${what}, and starts as without`, async () => {
      await leaveSnapshot();
      damage(file());
      await controlPlane.startGrpc();
      const pontoon = await start('SOTW');
      await serves(pontoon);
      const { load_problems: problems, loaded } = await status(pontoon);
      expect(problems?.join()).to.match(says);
      expect(loaded).to.equal(undefined);
    });

  it('serves and keeps the one before where the disk is full', async function () {
    // It limits what a process may write to a file.
    if (process.platform !== 'linux') this.skip();
    await leaveSnapshot();
    const before = readFileSync(file());
    const pontoon = await start('SOTW', '--log-path', '/dev/null');
    // A file may grow to 1 KiB, and a write that goes on fails, as on a full disk: before there is anything new to write.
    execFileSync('prlimit', ['--pid', String(pontoon.child.pid), '--fsize=1024']);
    await controlPlane.startGrpc();
    await publishAll('2');
    await serves(pontoon);
    const { last_failure: failure } = await until('a write that fails', async () => {
      const now = await status(pontoon);
      return now.last_failure ? now : undefined;
    });
    expect(failure?.reason).to.match(/EFBIG/);
    expect(await pontoon.stat('server.snapshot.write_failure')).to.be.greaterThan(0);
    expect(readFileSync(file()).equals(before)).to.equal(true);
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).to.deep.equal([]);
    await serves(pontoon);
  });

  it('is written by the main process and serves workers', async () => {
    await leaveSnapshot();
    const pontoon = await start('SOTW', '--concurrency', '2');
    await live(pontoon);
    await serves(pontoon);
    expect(await status(pontoon)).to.include({ in_use: true, stale_resources: 7 });
    await controlPlane.startGrpc();
    await written(pontoon, 7);
  });

  it('is not overwritten by an instance that knows less', async () => {
    await leaveSnapshot();
    const before = readFileSync(file());
    const pontoon = await start('SOTW');
    await live(pontoon);
    await serves(pontoon);
    expect(await pontoon.stop()).to.equal(0);
    expect(readFileSync(file()).equals(before)).to.equal(true);
  });
});
