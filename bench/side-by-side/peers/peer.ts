import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { probe } from '../load/probe.js';
import { Unavailable } from '../tools/commands.js';
import { type LaunchOptions, launch } from '../tools/launch.js';
import type { UpstreamKind } from '../upstream/upstream.js';

/** What stands between the load and the server, or in the proxy's place. */
export interface Peer {
  readonly title: string;
  /** The server behind it. */
  readonly upstream: UpstreamKind | 'none';
  /** Clients send a text in JSON instead of mere bytes. */
  readonly json?: boolean;
  /** @throws Unavailable where it can't be had */
  start(site: Site): Promise<RunningPeer>;
}

export interface Site {
  /** For taskset. */
  readonly cpus: string;
  /** Of the server behind; 0 for a peer without one. */
  readonly upstreamPort: number;
  /** For its files, of its own. */
  readonly folder: string;
}

export interface RunningPeer {
  /** The root of its process tree. */
  readonly pid: number;
  /** Of its HTTP listener. */
  readonly port: number;
  readonly version: string;
  /** From the start of the process to the first answer through it. */
  readonly startUpMs: number;
  /** Where its configuration can change while it runs. */
  readonly config?: ChangingConfig;
  /** Where it counts by itself what it answered. */
  readonly counts?: () => Promise<{ readonly answers: number; readonly bytes: number }>;
  stop(): Promise<void>;
}

export interface ChangingConfig {
  /** Gives it another configuration. */
  change(): void;
  /** How many changes have been taken over. */
  applied(): Promise<number>;
}

/** A port that is free now, for programs that can't choose one themselves. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return address.port;
}

/** A statistic of Pontoon or Envoy, whose admin address is in the file `admin` of the folder. */
export async function readStat(folder: string, name: string): Promise<number> {
  const admin = readFileSync(join(folder, 'admin'), 'utf8').trim();
  const response = await fetch(`http://${admin}/stats?filter=^${name.replaceAll('.', '\\.')}$`);
  return Number((await response.text()).split(':').pop());
}

const startLimitMs = 60_000;

/**
 * Starts a proxy and waits for the first answer through it.
 * @throws Unavailable with the end of its log when it ends, or does not answer within a minute
 */
export async function startProxy(
  command: string,
  args: readonly string[],
  options: LaunchOptions & { readonly port: number; readonly json?: boolean },
): Promise<Omit<RunningPeer, 'version'>> {
  const started = performance.now();
  const child = launch(command, args, options);
  for (;;) {
    try {
      await probe(options.port, 128, options.json ? 'json' : 'bytes');
      break;
    } catch (error) {
      const late = performance.now() - started > startLimitMs;
      if (late || child.hasEnded()) {
        await child.stop();
        throw new Unavailable(
          `${basename(command)} does not serve (${(error as Error).message}):\n${child.stdout().slice(-2_000)}${child.stderr()}`,
        );
      }
      await sleep(5);
    }
  }
  return { pid: child.pid, port: options.port, startUpMs: performance.now() - started, stop: child.stop };
}
