import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe } from '../plugin-error.js';
import type { StoredLibrary } from '../prepared-bridge.js';
import { PluginProblem } from './problem.js';

/** Where judged libraries are kept for the processes that run them: one file per content, written once. */
export interface LibraryStore {
  /** Keeps a content under its hash; `read` gives it when it is not there yet. Rejects with a PluginProblem when it can't be written. */
  put(library: Omit<StoredLibrary, 'file'>, read: () => Uint8Array | Promise<Uint8Array>): Promise<StoredLibrary>;
}

const extensions = { script: '.json', go: '.so' } as const;
/** Nobody changes a file that others have open; a shared object must also be executable where that is asked for. */
const modes = { script: 0o400, go: 0o500 } as const;

/** `folder` must be there, private, and used for nothing else: see `removeUnusedLibraries`. */
export function createLibraryStore(folder: string): LibraryStore {
  return {
    async put(library, read) {
      const { kind, hash } = library;
      const file = join(folder, `${hash}${extensions[kind]}`);
      if (existsSync(file)) return { ...library, file };
      const content = await read();
      try {
        await writeOnce(file, content, modes[kind]);
      } catch (error) {
        throw new PluginProblem('library_path', `${library.path} cannot be copied to ${folder}: ${describe(error)}`);
      }
      return { ...library, file };
    },
  };
}

/** The file has its name only when all of it is there. Two who write the same content at once don't disturb each other. */
async function writeOnce(file: string, content: Uint8Array, mode: number): Promise<void> {
  const temporary = `${file}.${randomBytes(8).toString('hex')}`;
  try {
    const handle = await open(temporary, 'wx', 0o600);
    try {
      await handle.writeFile(content);
      await handle.chmod(mode);
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/**
 * Removes what is in a store but not `inUse` (`StoredLibrary.file`), also what a process that died has left half-written. Only while nothing is being judged: a
 * judgement that is under way may name a file that nobody has used so far. Those who have a removed library open keep it.
 */
export function removeUnusedLibraries(folder: string, inUse: ReadonlySet<string>): void {
  for (const name of readdirSync(folder)) {
    const file = join(folder, name);
    if (!inUse.has(file)) rmSync(file, { recursive: true, force: true });
  }
}
