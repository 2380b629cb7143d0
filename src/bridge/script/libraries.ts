import { realpathSync, statSync } from 'node:fs';
import { createRequire, isBuiltin } from 'node:module';
import { oncePerTurn } from '../library/once-per-turn.js';
import type { Trust } from '../library/trust.js';
import type { CallMark } from '../prepared-bridge.js';
import { type Bundle, BundleError, bundle } from './bundle.js';
import { evaluateLibrary, type Library, type SharedLibrary } from './library.js';

/** The libraries that run, by real path; and how to get the one that the file holds now. Paths are resolved ones. */
export interface Libraries {
  /** Throws an Error for people: not trusted, not to be bundled, failed while it was loaded. */
  load(path: string, mark: CallMark): Promise<Library>;
  /** The hash that `load` would give now. Throws when the file can't be read or bundled. */
  currentHash(path: string): Promise<string>;
}

export interface LibrariesOptions {
  readonly trust: Trust;
  readonly timeLimitMs: number;
  /** How long a library that has no user is kept for the next one. */
  readonly keepMs: number;
}

/** What a library's files looked like when they were read. */
interface Fingerprint {
  readonly inputs: readonly string[];
  readonly text: string;
  /** A file was so new that it may have changed again without its times showing it. */
  readonly uncertain: boolean;
}

interface Build {
  readonly source: Bundle;
  readonly seen: Fingerprint;
}

interface Known {
  readonly hash: string;
  readonly seen: Fingerprint;
}

/** Coarser than any file system's clock. */
const timestampSlackMs = 1_000;
/** Of how many files it is remembered what they looked like. */
const mostKnown = 1_000;

export function createLibraries({ trust, timeLimitMs, keepMs }: LibrariesOptions): Libraries {
  const loaded = new Map<string, SharedLibrary>();
  const known = new Map<string, Known>();
  const building = new Map<string, Promise<Build>>();

  /** A build that began after this call: one that runs already may have read the files before they changed. */
  async function build(path: string): Promise<Build> {
    await building.get(path)?.catch(() => undefined);
    let running = building.get(path);
    if (running === undefined) {
      running = bundle(path)
        .then((source) => {
          const seen = fingerprint(source.inputs);
          remember(path, { hash: source.hash, seen });
          return { source, seen };
        })
        .finally(() => building.delete(path));
      building.set(path, running);
    }
    return running;
  }

  function remember(path: string, what: Known): void {
    known.delete(path);
    known.set(path, what);
    const [oldest] = known.keys();
    if (known.size > mostKnown && oldest !== undefined) known.delete(oldest);
  }

  const look = oncePerTurn(lookAt);

  /** The hash of a file that has not changed since it was bundled. */
  function unchangedHash(path: string): string | undefined {
    const last = known.get(path);
    if (last === undefined || last.seen.uncertain) return undefined;
    try {
      return last.seen.text === last.seen.inputs.map(look).join(' ') ? last.hash : undefined;
    } catch {
      return undefined;
    }
  }

  function forgetUnused(path: string): void {
    if (loaded.get(path)?.inUse === false) loaded.delete(path);
  }

  function create(source: Bundle, mark: CallMark): SharedLibrary {
    const { path } = source;
    const onUnused = (): void => {
      if (keepMs === 0) forgetUnused(path);
      else setTimeout(forgetUnused, keepMs, path).unref();
    };
    const library = evaluateLibrary(source, { timeLimitMs, mark, onUnused });
    loaded.set(path, library);
    return library;
  }

  async function load(path: string, mark: CallMark): Promise<Library> {
    const running = loaded.get(path);
    if (running !== undefined && running.hash === unchangedHash(path)) return running.retain();
    const { source } = await build(path);
    for (const file of [...source.inputs, ...packageFiles(source)]) {
      const distrust = trust.check(file);
      if (distrust !== undefined) throw new BundleError(distrust);
    }
    // Another call may have loaded it meanwhile.
    const latest = loaded.get(path);
    return (latest?.hash === source.hash ? latest : create(source, mark)).retain();
  }

  return {
    load,
    currentHash: async (path) => unchangedHash(path) ?? (await build(path)).source.hash,
  };
}

/** Where the packages lie that it will require: node_modules is looked for in every folder further up, also in those of strangers. */
function packageFiles({ path, packages }: Bundle): string[] {
  const require = createRequire(path);
  const files: string[] = [];
  for (const name of packages) {
    if (isBuiltin(name)) continue;
    try {
      files.push(realpathSync.native(require.resolve(name)));
    } catch {
      // Not there: the library finds out by itself, and may have an answer to it.
    }
  }
  return files;
}

/** Taken after the files were read: a change in between is recent, so it is uncertain. */
function fingerprint(inputs: readonly string[]): Fingerprint {
  const now = Date.now();
  const uncertain = inputs.some((input) => {
    const { mtimeMs, ctimeMs } = statSync(input);
    return Math.max(mtimeMs, ctimeMs) > now - timestampSlackMs;
  });
  return { inputs, text: inputs.map(lookAt).join(' '), uncertain };
}

function lookAt(path: string): string {
  const { ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
  return `${ino}:${size}:${mtimeNs}:${ctimeNs}`;
}
