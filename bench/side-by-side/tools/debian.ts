import { spawnSync } from 'node:child_process';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run, Unavailable } from './commands.js';
import { cache } from './paths.js';

/** A program, how to start it, and what it says of its version. */
export interface Tool {
  readonly command: string;
  readonly env: NodeJS.ProcessEnv;
  readonly version: string;
}

/** What to unpack beside the program itself: libraries that a small system lacks. */
const packages: Readonly<Record<ToolName, readonly string[]>> = {
  wrk: ['wrk', 'libluajit-5.1-2', 'libluajit-5.1-common'],
  nginx: ['nginx', 'libpcre2-8-0'],
  haproxy: ['haproxy', 'liblua5.3-0', 'libopentracing-c-wrapper0', 'libopentracing1', 'libpcre2-8-0'],
};

export type ToolName = 'wrk' | 'nginx' | 'haproxy';

/**
 * The program as installed, or else from Debian's packages: downloaded by apt and unpacked into the cache, without root and without installing anything.
 * @throws Unavailable with what to install
 */
export async function debianTool(name: ToolName): Promise<Tool> {
  const folder = join(cache, `debian-${name}`);
  for (const tool of [installed(name), unpacked(name, folder)]) {
    const version = versionOf(tool);
    if (version !== undefined) return { ...tool, version };
  }
  try {
    await unpack(name, folder);
  } catch (error) {
    throw new Unavailable(
      `${name} is not installed (apt-get install ${name}), and Debian's package could not be fetched: ${(error as Error).message}`,
    );
  }
  const tool = unpacked(name, folder);
  const version = versionOf(tool);
  if (version === undefined)
    throw new Unavailable(`Debian's package of ${name} does not run here; install it: apt-get install ${name}`);
  return { ...tool, version };
}

const installed = (name: ToolName) => ({
  command: name,
  env: { PATH: `${process.env.PATH}:/usr/local/sbin:/usr/sbin:/sbin` },
});

function unpacked(name: ToolName, folder: string): Omit<Tool, 'version'> {
  const triplet = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu';
  const libraries = [join(folder, 'usr/lib', triplet), join(folder, 'lib', triplet)].join(':');
  return {
    command: join(folder, 'usr', name === 'wrk' ? 'bin' : 'sbin', name),
    env: { PATH: process.env.PATH, LD_LIBRARY_PATH: libraries },
  };
}

/** undefined when it does not run. All three print their name and version; wrk then exits with 1. */
function versionOf({ command, env }: Omit<Tool, 'version'>): string | undefined {
  const { stdout, stderr } = spawnSync(command, ['-v'], { env, encoding: 'utf8' });
  return /^(?:wrk |nginx version: nginx\/|HAProxy version )[a-z/]*(\d+\.\d+(?:\.\d+)?)/m.exec(
    `${stdout}\n${stderr}`,
  )?.[1];
}

async function unpack(name: ToolName, folder: string): Promise<void> {
  console.error(`fetching ${name} from Debian's packages …`);
  const draft = `${folder}.${process.pid}`;
  const debs = join(draft, 'debs');
  await mkdir(debs, { recursive: true });
  try {
    await download(packages[name], debs, join(draft, 'apt'));
    for (const file of await readdir(debs)) {
      if (file.endsWith('.deb')) await run('dpkg', ['-x', join(debs, file), draft]);
    }
    await rm(debs, { recursive: true });
    await rm(join(draft, 'apt'), { recursive: true, force: true });
    await rm(folder, { recursive: true, force: true });
    await rename(draft, folder);
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

/** With the machine's package lists, and when they are missing or old, with fresh ones of its own. */
async function download(names: readonly string[], debs: string, state: string): Promise<void> {
  try {
    await run('apt-get', ['download', ...names], { cwd: debs });
  } catch {
    await mkdir(join(state, 'lists', 'partial'), { recursive: true });
    await mkdir(join(state, 'cache', 'archives', 'partial'), { recursive: true });
    await writeFile(join(state, 'status'), await readFile('/var/lib/dpkg/status').catch(() => ''));
    const own = [
      `Dir::State=${state}`,
      `Dir::State::lists=${join(state, 'lists')}`,
      `Dir::State::status=${join(state, 'status')}`,
      `Dir::Cache=${join(state, 'cache')}`,
    ];
    const flags = own.flatMap((option) => ['-o', option]);
    await run('apt-get', [...flags, 'update']);
    await run('apt-get', [...flags, 'download', ...names], { cwd: debs });
  }
}
