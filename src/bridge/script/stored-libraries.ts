import { readFile } from 'node:fs/promises';
import type { CallMark, StoredLibrary } from '../prepared-bridge.js';
import { type Bundle, BundleError } from './bundle.js';
import { evaluateLibrary, type Library, type SharedLibrary } from './library.js';

/** What is stored of a library: all that running it takes. */
export function serializeBundle({ code, map, hash }: Bundle): Buffer {
  return Buffer.from(JSON.stringify({ code, map, hash }));
}

/** The libraries that run from what another process has judged and stored. */
export interface StoredLibraries {
  /** Throws an Error for people: it is gone, or failed while it was loaded. */
  load(library: StoredLibrary, mark: CallMark): Promise<Library>;
}

export function createStoredLibraries(timeLimitMs: number): StoredLibraries {
  // By content and path: what a library requires is looked for beside its path.
  const loaded = new Map<string, SharedLibrary>();
  return {
    async load(stored, mark) {
      const key = `${stored.hash} ${stored.path}`;
      const known = loaded.get(key);
      if (known !== undefined) return known.retain();
      const source = await readBundle(stored);
      // Another call may have loaded it meanwhile.
      const latest = loaded.get(key);
      if (latest !== undefined) return latest.retain();
      const onUnused = (): void => {
        loaded.delete(key);
      };
      const library = evaluateLibrary(source, { timeLimitMs, mark, onUnused });
      loaded.set(key, library);
      return library.retain();
    },
  };
}

async function readBundle({ path, file, hash }: StoredLibrary): Promise<Bundle> {
  const bundle = JSON.parse(await readFile(file, 'utf8')) as Pick<Bundle, 'code' | 'map' | 'hash'>;
  if (bundle.hash !== hash) throw new BundleError(`${file} is not the copy of ${path} that was judged`);
  return { ...bundle, path, inputs: [], packages: [] };
}
