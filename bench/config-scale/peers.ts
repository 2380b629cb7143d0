import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { envoyVersion, installEnvoy } from '../../test/support/envoy.js';
import { compile } from '../side-by-side/tools/compile.js';
import { launch } from '../side-by-side/tools/launch.js';
import { projectRoot } from '../side-by-side/tools/paths.js';
import { type Bridge, moduleBridge, scriptBridge } from './resources.js';
import type { Heartbeat, PeerName } from './results.js';

export interface Peer {
  readonly name: PeerName;
  readonly title: string;
  readonly bridge: Bridge;
  /** Paths of the admin interface that are asked under load. */
  readonly dumps: readonly string[];
  /** Starts it. Its admin interface answers soon after. */
  start(bootstrap: string, cpus: string, heartbeat: boolean): Promise<Running>;
}

export interface Running {
  readonly pid: number;
  /** GET from the admin interface; '' while there is none. */
  get(path: string): Promise<string>;
  /** Since it was last asked; undefined for Envoy. */
  heartbeat(): Promise<Heartbeat | undefined>;
  log(): string;
  stop(): Promise<void>;
}

interface Program {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

async function start(
  bootstrap: string,
  cpus: string,
  program: (folder: string) => Program,
  heartbeat: (pid: number, folder: string) => Promise<Heartbeat | undefined>,
): Promise<Running> {
  const folder = mkdtempSync(join(tmpdir(), 'pontoon-config-scale-'));
  const file = join(folder, 'bootstrap.json');
  writeFileSync(file, bootstrap);
  const { command, args, env } = program(folder);
  const flags = ['-c', file, '--admin-address-path', join(folder, 'admin'), '-l', 'error'];
  const child = launch(command, [...args, ...flags], { cpus, env });
  return {
    pid: child.pid,
    log: child.stderr,
    async get(path) {
      if (child.hasEnded()) throw new Error(`${command} ended:\n${child.stderr()}`);
      let address: string;
      try {
        address = readFileSync(join(folder, 'admin'), 'utf8').trim();
      } catch {
        return '';
      }
      const response = await fetch(`http://${address}${path}`).catch(() => undefined);
      return response ? response.text() : '';
    },
    heartbeat: () => heartbeat(child.pid, folder),
    async stop() {
      await child.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const dumps = ['/stats', '/stats/prometheus', '/clusters', '/clusters?format=json', '/config_dump?include_eds'];

export const envoy: Peer = {
  name: 'Envoy',
  title: `Envoy ${envoyVersion}`,
  bridge: moduleBridge,
  dumps,
  async start(bootstrap, cpus) {
    const command = await installEnvoy();
    const module = await compile('peers/envoy_bridge.c', 'libbench_bridge.so');
    const env = { ENVOY_DYNAMIC_MODULES_SEARCH_PATH: dirname(module) };
    const args = ['--concurrency', '1', '--disable-hot-restart'];
    return start(
      bootstrap,
      cpus,
      () => ({ command, args, env }),
      async () => undefined,
    );
  },
};

export const pontoon: Peer = {
  name: 'Pontoon',
  title: 'Pontoon',
  bridge: scriptBridge,
  dumps,
  start: (bootstrap, cpus, heartbeat) => startPontoon(bootstrap, cpus, heartbeat, () => []),
};

/** Writes a snapshot as soon as it may. */
export const pontoonWithSnapshots: Peer = {
  ...pontoon,
  name: 'Pontoon, with snapshots',
  title: 'Pontoon with --snapshot-dir',
  dumps: [],
  start: (bootstrap, cpus, heartbeat) =>
    startPontoon(bootstrap, cpus, heartbeat, (folder) => [
      '--snapshot-dir',
      join(folder, 'snapshots'),
      '--snapshot-interval-s',
      '0',
    ]),
};

function startPontoon(
  bootstrap: string,
  cpus: string,
  heartbeat: boolean,
  flags: (folder: string) => readonly string[],
): Promise<Running> {
  const preload = new URL('./heartbeat.js', import.meta.url).href;
  const cli = join(projectRoot, 'dist', 'program', 'cli.js');
  const args = [...extraNodeFlags(), ...(heartbeat ? ['--import', preload] : []), cli, '--plugin-root', projectRoot];
  const program = (folder: string) => ({
    command: process.execPath,
    args: [...args, ...flags(folder)],
    env: { PONTOON_BENCH_HEARTBEAT: join(folder, 'heartbeat') },
  });
  return start(bootstrap, cpus, program, readHeartbeat);
}

/** For a profile: `PONTOON_BENCH_NODE_FLAGS="--cpu-prof --cpu-prof-dir=/tmp/profile"`. */
const extraNodeFlags = () => (process.env.PONTOON_BENCH_NODE_FLAGS ?? '').split(' ').filter((flag) => flag !== '');

async function readHeartbeat(pid: number, folder: string): Promise<Heartbeat> {
  const file = join(folder, 'heartbeat');
  rmSync(file, { force: true });
  process.kill(pid, 'SIGUSR2');
  for (;;) {
    try {
      return JSON.parse(readFileSync(file, 'utf8')) as Heartbeat;
    } catch {
      await sleep(5);
    }
  }
}
