import { spawn } from 'node:child_process';
import { accessSync, existsSync, constants as fsConstants, lstatSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { constants, homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { packageFolder } from './own-files.js';
import { version } from './version.js';

const nativeFolder = join(packageFolder, 'dist', 'native');
/** What `.build/native.mjs` builds. */
export type AddonName = 'pontoon_go' | 'pontoon_sockets';
const anyFile = 'pontoon_go.node';
/** More than its compiler and its lock may take. */
const buildLimitMs = 300_000;
/** After a build that failed the next one is tried when the reason may be gone. */
const retryAfterMs = 60_000;
const mostErrorText = 4_096;

/** The add-on's exports; or, for people, why there are none, and the folders with one that can't be loaded. */
export type OpenedAddon =
  | { readonly exports: unknown }
  | { readonly reason: string; readonly unusable: readonly string[] };

/** Opens one that was built, in the package or in this user's folder. */
export function openAddon(name: AddonName): OpenedAddon {
  let reason = 'their native part has not been built';
  const unusable: string[] = [];
  for (const folder of [nativeFolder, cacheFolder()]) {
    if (folder === undefined) continue;
    const file = join(folder, `${name}.node`);
    if (!existsSync(file)) {
      reason = whyNotBuilt(folder) ?? reason;
      continue;
    }
    try {
      if (folder !== nativeFolder) checkPrivate(folder);
      const module: { exports: unknown } = { exports: {} };
      process.dlopen(module, file, constants.dlopen.RTLD_NOW | constants.dlopen.RTLD_GLOBAL);
      return { exports: module.exports };
    } catch (error) {
      reason = messageOf(error);
      unusable.push(folder);
    }
  }
  return { reason, unusable };
}

/**
 * Builds the add-ons with the machine's compiler, into the package where it may be written to, else into a folder of this user. Many who ask at once share a
 * build, also those in other processes. What is in an `unusable` folder is built anew: it came from another system. Gives the reason when nothing was built;
 * never rejects.
 */
export async function buildAddon(unusable: readonly string[]): Promise<string | undefined> {
  if (last === undefined || performance.now() - last.at > retryAfterMs)
    last = { at: performance.now(), done: build(unusable) };
  return last.done;
}

let last: { readonly at: number; readonly done: Promise<string | undefined> } | undefined;

async function build(unusable: readonly string[]): Promise<string | undefined> {
  try {
    const folder = isWritable(nativeFolder) ? nativeFolder : preparedCacheFolder();
    if (unusable.includes(folder)) rmSync(join(folder, 'stamp.txt'), { force: true });
    const failure = await runBuilder(folder);
    return existsSync(join(folder, anyFile)) ? undefined : (whyNotBuilt(folder) ?? failure);
  } catch (error) {
    return `their native part cannot be built: ${messageOf(error)}`;
  }
}

/** What went wrong with the builder itself. */
function runBuilder(folder: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [join(packageFolder, '.build', 'native.mjs'), packageFolder, folder], {
      stdio: ['ignore', 'ignore', 'pipe'],
      // A group of its own: the compiler is ended with it.
      detached: true,
    });
    let text = '';
    child.stderr.on('data', (data: Buffer) => {
      if (text.length < mostErrorText) text += data.toString();
    });
    const limit = setTimeout(() => {
      resolve(`building their native part took more than ${buildLimitMs / 1000} s`);
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    }, buildLimitMs);
    child.once('error', (error) => {
      clearTimeout(limit);
      resolve(`their native part cannot be built: ${error.message}`);
    });
    child.once('close', () => {
      clearTimeout(limit);
      resolve(/unavailable \((.*)\)/s.exec(text)?.[1] ?? text.trim());
    });
  });
}

function isWritable(folder: string): boolean {
  try {
    mkdirSync(folder, { recursive: true });
    accessSync(folder, fsConstants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** The user's own (https://specifications.freedesktop.org/basedir-spec/latest/); undefined: this user has no home. */
function cacheFolder(): string | undefined {
  const { XDG_CACHE_HOME: configured } = process.env;
  try {
    const base = configured !== undefined && isAbsolute(configured) ? configured : join(homedir(), '.cache');
    return join(base, `pontoon-${version}-${process.versions.modules}-${process.arch}`);
  } catch {
    return undefined;
  }
}

function preparedCacheFolder(): string {
  const folder = cacheFolder();
  if (folder === undefined) {
    throw new Error(`${nativeFolder} cannot be written to, and this user has no home: set XDG_CACHE_HOME`);
  }
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  checkPrivate(folder);
  return folder;
}

/** What is loaded from there runs as us. */
function checkPrivate(folder: string): void {
  const { uid, mode } = lstatSync(folder);
  if (uid === process.getuid?.() && (mode & 0o170077) === 0o040000) return;
  throw new Error(`${folder} must be a folder that belongs to this user and that nobody else may enter: remove it`);
}

/** What the builder has written down. */
function whyNotBuilt(folder: string): string | undefined {
  try {
    return readFileSync(join(folder, 'unavailable.txt'), 'utf8').trim();
  } catch {
    return undefined;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
