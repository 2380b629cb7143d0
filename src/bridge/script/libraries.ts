import { realpathSync, statSync } from 'node:fs';
import { createRequire, isBuiltin } from 'node:module';
import { describe } from '../plugin-error.js';
import { type Bundle, BundleError, bundle } from './bundle.js';
import { evaluate } from './evaluate.js';
import { oncePerTurn } from './once-per-turn.js';
import { placeOf, type StackMapper, stackMapper } from './stack.js';
import type { Trust } from './trust.js';

/** A library whose top level has run. All users of the same file and content share it. */
export interface Library {
  readonly path: string;
  readonly hash: string;
  readonly exports: unknown;
  /** Once, by whoever `load` gave it to; the last one's forgets it. */
  release(): void;
  /** A stack trace with the places in the source files instead of those in the bundle. */
  mapStack(stack: string): string;
}

/** The libraries that run, by real path; and how to get the one that the file holds now. Paths are resolved ones. */
export interface Libraries {
  /** Throws an Error for people: not trusted, not to be bundled, failed while it was loaded. */
  load(path: string): Promise<Library>;
  /** The hash that `load` would give now. Throws when the file can't be read or bundled. */
  currentHash(path: string): Promise<string>;
}

interface Loaded extends Library {
  /** What its files looked like when they were read. */
  seen: Fingerprint;
  /** Adds a use. */
  retain(): Library;
}

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

/** Coarser than any file system's clock. */
const timestampSlackMs = 1_000;

export function createLibraries(trust: Trust, timeLimitMs: number): Libraries {
  const loaded = new Map<string, Loaded>();
  const building = new Map<string, Promise<Build>>();

  /** A build that began after this call: one that runs already may have read the files before they changed. */
  async function build(path: string): Promise<Build> {
    await building.get(path)?.catch(() => undefined);
    let running = building.get(path);
    if (running === undefined) {
      running = bundle(path)
        .then((source) => ({ source, seen: fingerprint(source.inputs) }))
        .finally(() => building.delete(path));
      building.set(path, running);
    }
    return running;
  }

  const look = oncePerTurn(lookAt);

  function isUnchanged({ seen }: Loaded): boolean {
    if (seen.uncertain) return false;
    try {
      return seen.text === seen.inputs.map(look).join(' ');
    } catch {
      return false;
    }
  }

  function create(source: Bundle, seen: Fingerprint): Loaded {
    let uses = 0;
    const mapStack = stackMapper(source);
    const library: Loaded = {
      path: source.path,
      hash: source.hash,
      exports: run(source, timeLimitMs, mapStack),
      mapStack,
      seen,
      retain() {
        uses += 1;
        return library;
      },
      release() {
        uses -= 1;
        if (uses === 0 && loaded.get(source.path) === library) loaded.delete(source.path);
      },
    };
    loaded.set(source.path, library);
    return library;
  }

  async function load(path: string): Promise<Library> {
    const known = loaded.get(path);
    if (known !== undefined && isUnchanged(known)) return known.retain();
    const { source, seen } = await build(path);
    for (const file of [...source.inputs, ...packageFiles(source)]) {
      const distrust = trust.check(file);
      if (distrust !== undefined) throw new BundleError(distrust);
    }
    // Another call may have loaded it meanwhile.
    const latest = loaded.get(path);
    if (latest?.hash !== source.hash) return create(source, seen).retain();
    latest.seen = seen;
    return latest.retain();
  }

  async function currentHash(path: string): Promise<string> {
    const known = loaded.get(path);
    if (known !== undefined && isUnchanged(known)) return known.hash;
    const { source, seen } = await build(path);
    if (known?.hash === source.hash) known.seen = seen;
    return source.hash;
  }

  return { load, currentHash };
}

function run(source: Bundle, timeLimitMs: number, mapStack: StackMapper): unknown {
  try {
    return evaluate(source, timeLimitMs);
  } catch (thrown) {
    throw new BundleError(`${placeOf(thrown, source.path, mapStack)}: ${describe(thrown)}`);
  }
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
