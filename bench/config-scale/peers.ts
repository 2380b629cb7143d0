import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { envoyVersion, installEnvoy } from '../../test/support/envoy.js';
import { compile } from '../side-by-side/tools/compile.js';
import { launch } from '../side-by-side/tools/launch.js';
import { projectRoot } from '../side-by-side/tools/paths.js';
import { type Bridge, moduleBridge, scriptBridge } from './resources.js';

export interface Peer {
  readonly name: 'Envoy' | 'Pontoon';
  readonly title: string;
  readonly bridge: Bridge;
  /** Starts it. Its admin interface answers soon after. */
  start(bootstrap: string, cpus: string, heartbeat: boolean): Promise<Running>;
}

/** Milliseconds for which the event loop did nothing else, as far as the process had a CPU. */
export interface Heartbeat {
  /** How many took more than 10 ms. */
  readonly stretches: number;
  readonly longestMs: number;
  /** Without the garbage collector. */
  readonly longestOwnMs: number;
  /** The garbage collector in one of them. */
  readonly longestGcMs: number;
  /** By the clock: others may have had the CPU. */
  readonly longestWaitMs: number;
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

export const envoy: Peer = {
  name: 'Envoy',
  title: `Envoy ${envoyVersion}`,
  bridge: moduleBridge,
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
  start(bootstrap, cpus, heartbeat) {
    const preload = new URL('./heartbeat.js', import.meta.url).href;
    const cli = join(projectRoot, 'dist', 'program', 'cli.js');
    const args = [...extraNodeFlags(), ...(heartbeat ? ['--import', preload] : []), cli, '--plugin-root', projectRoot];
    const program = (folder: string) => ({
      command: process.execPath,
      args,
      env: { PONTOON_BENCH_HEARTBEAT: join(folder, 'heartbeat') },
    });
    return start(bootstrap, cpus, program, readHeartbeat);
  },
};

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
