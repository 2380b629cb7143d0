import { type FSWatcher, watch } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { Clock, Timer } from '../src/clock.js';
import type { Schema } from '../src/protobuf/schema.js';
import { type FileProblem, type ParseResult, parseText } from './parse.js';
import { kindOfPath } from './resource-kind.js';
import type { Resource } from './snapshot.js';

const maxFileBytes = 16 * 1024 * 1024;
const maxFiles = 20_000;
const maxDepth = 8;
/** Editors write a file in several steps: a change counts when this long nothing followed. */
const quietMs = 100;
/** File systems that don't report changes (network mounts) are looked at so often. */
const pollMs = 2_000;

interface FoundFile {
  readonly path: string;
  /** Differs when the content may differ. */
  readonly stamp: string;
}

/** What a folder holds, before anything is read. */
export interface Listing {
  readonly files: readonly FoundFile[];
  readonly folders: readonly string[];
}

/** A folder of resource files: reads it as a whole, remembering what it read of files that didn't change. */
export class ResourceFolder {
  readonly #read = new Map<string, { stamp: string; result: ParseResult }>();

  constructor(
    readonly path: string,
    readonly schema: Schema,
  ) {}

  /**
   * All resources, or all that is wrong.
   */
  async load({ files }: Listing): Promise<ParseResult> {
    const results: ParseResult[] = [];
    for (const file of files) results.push(await this.#parse(file));
    const present = new Set(files.map((file) => file.path));
    for (const path of this.#read.keys()) if (!present.has(path)) this.#read.delete(path);
    const resources = results.flatMap((result) => result.resources);
    const problems = results.flatMap((result) => result.problems);
    return { resources, problems: [...problems, ...duplicates(resources)] };
  }

  /**
   * Files with a YAML or JSON ending, in a fixed order; names that begin with a dot are skipped.
   * @throws when the folder can't be read
   */
  async list(): Promise<Listing> {
    const files: FoundFile[] = [];
    const folders: string[] = [];
    const visit = async (folder: string, depth: number): Promise<void> => {
      folders.push(folder);
      for (const name of (await readdir(folder)).sort()) {
        if (name.startsWith('.')) continue;
        const path = join(folder, name);
        const info = await stat(path).catch(() => undefined); // gone since it was listed, or a dangling link
        if (info?.isDirectory() && depth < maxDepth) await visit(path, depth + 1);
        if (!info?.isFile() || !/\.(ya?ml|json)$/i.test(name)) continue;
        files.push({ path, stamp: `${info.ino}:${info.size}:${info.mtimeMs}` });
        if (files.length > maxFiles) throw new Error(`${this.path}: more than ${maxFiles} files`);
      }
    };
    await visit(this.path, 0);
    return { files, folders };
  }

  async #parse({ path, stamp }: FoundFile): Promise<ParseResult> {
    const known = this.#read.get(path);
    if (known?.stamp === stamp) return known.result;
    const source = relative(this.path, path);
    const failure = (message: string): ParseResult => ({
      resources: [],
      problems: [{ source, line: 0, column: 0, message }],
    });
    try {
      if ((await stat(path)).size > maxFileBytes) return failure(`larger than ${maxFileBytes} bytes`);
      const result = parseText(this.schema, await readFile(path, 'utf8'), source, kindOfPath(source));
      this.#read.set(path, { stamp, result });
      return result;
    } catch (error) {
      return failure(error instanceof Error ? error.message : String(error));
    }
  }
}

/** A name given twice in a folder: which one counts would depend on chance. */
function duplicates(resources: readonly Resource[]): FileProblem[] {
  const first = new Map<string, Resource>();
  const problems: FileProblem[] = [];
  for (const resource of resources) {
    const key = `${resource.kind.typeUrl} ${resource.name}`;
    const other = first.get(key);
    if (!other) {
      first.set(key, resource);
      continue;
    }
    problems.push({
      source: resource.source,
      line: 0,
      column: 0,
      message: `${resource.kind.group} "${resource.name}" is in ${other.source} too; remove one of them`,
    });
  }
  return problems;
}

/**
 * Calls `onLoad` with everything in the folder whenever something differs from `known`, what was listed before; one load at a time.
 * Returns a function that stops.
 */
export function watchFolder(
  folder: ResourceFolder,
  known: Listing,
  clock: Clock,
  onLoad: (result: ParseResult) => void,
): () => Promise<void> {
  let watchers: FSWatcher[] = [];
  let stamp = JSON.stringify(known);
  let timer: Timer | undefined;
  let running: Promise<void> | undefined;
  let changedMeanwhile = false;
  let stopped = false;

  const changed = () => {
    changedMeanwhile = true;
    if (!running) schedule(quietMs);
  };
  const schedule = (ms: number) => {
    timer?.cancel();
    if (!stopped) timer = clock.setTimeout(check, ms);
  };
  const rewatch = (folders: readonly string[]) => {
    for (const watcher of watchers) watcher.close();
    watchers = folders.flatMap((path) => {
      try {
        // Polling finds what a failing watcher doesn't tell.
        return [watch(path, { persistent: false }, changed).on('error', () => undefined)];
      } catch {
        return [];
      }
    });
  };
  const scan = async () => {
    try {
      const listing = await folder.list();
      const next = JSON.stringify(listing);
      if (next === stamp || stopped) return;
      rewatch(listing.folders);
      stamp = next;
      onLoad(await folder.load(listing));
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (stamp === message || stopped) return;
      stamp = message;
      onLoad({ resources: [], problems: [{ source: folder.path, line: 0, column: 0, message }] });
    }
  };
  const check = () => {
    changedMeanwhile = false;
    running = scan().finally(() => {
      running = undefined;
      schedule(changedMeanwhile ? quietMs : pollMs);
    });
  };
  rewatch(known.folders);
  // What changed between the listing and the watchers.
  schedule(0);
  return async () => {
    stopped = true;
    timer?.cancel();
    for (const watcher of watchers) watcher.close();
    await running;
  };
}
