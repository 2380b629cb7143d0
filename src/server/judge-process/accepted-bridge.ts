import type { JudgedBridge, StoredLibrary } from '../../bridge/prepared-bridge.js';
import type { BridgeConfig } from '../../model/cluster.js';
import type { Problem } from '../../model/verdict.js';
import type { Judged } from './messages.js';

/** A bridge that the judge's process found good: this process knows all of it but the code, which workers load from `library`. */
export interface AcceptedBridge extends JudgedBridge {
  readonly library: StoredLibrary;
  /** What a worker writes in its call mark while this plugin's code runs: equal for equal ids, never 0. */
  readonly number: number;
  /**
   * One more use, to be released by itself: the library's copy stays for as long as there is one. A `spare` is only kept to be gone back to:
   * it does not count for the limit of Go libraries until it is retained in turn.
   *
   * @throws Error when this one was released
   */
  retain(as?: 'spare'): AcceptedBridge;
}

/** What ran when a worker left this number in its call mark. */
export interface RunningPlugin {
  /** The file that the library came from. */
  readonly libraryPath: string;
  readonly libraryHash: string;
  readonly pluginName: string;
}

export type Acceptance =
  | { readonly ok: true; readonly bridge: AcceptedBridge }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** All bridges that this process has accepted, and which of them it refuses. */
export interface AcceptedBridges {
  accept(config: BridgeConfig, judged: Judged): Acceptance;
  /** From now on this bridge is refused; one with another content of its library, or another configuration, has another id. */
  block(bridgeId: string, why: string): void;
  isBlocked(bridgeId: string): boolean;
  /** undefined: there never was one of that number, or it is long gone. */
  pluginOf(number: number): RunningPlugin | undefined;
  /** `StoredLibrary.file` of all that are in use. */
  filesInUse(): ReadonlySet<string>;
}

export interface AcceptedBridgesOptions {
  /** `--max-go-libraries`: how many contents of Go libraries may be in use at the same time. */
  readonly maxGoLibraries: number;
  /** The last use of a library's copy has ended. */
  readonly onUnused: () => void;
}

/** A worker may still run for a while what was released here. */
const mostReleased = 1_000;
const mostBlocked = 1_000;
const largestNumber = 0xffff_ffff;

interface Numbered {
  readonly number: number;
  readonly plugin: RunningPlugin;
  uses: number;
}

export function createAcceptedBridges({ maxGoLibraries, onUnused }: AcceptedBridgesOptions): AcceptedBridges {
  const numbers = createNumbers();
  const files = createUses();
  const goLibraries = createUses();
  const blocked = new Map<string, string>();

  function use(config: BridgeConfig, judged: Judged, as: 'use' | 'spare'): AcceptedBridge {
    const { id, libraryHash, library } = judged;
    const countsAsGo = as === 'use' && library.kind === 'go';
    const { number } = numbers.add(id, {
      libraryPath: library.path,
      libraryHash,
      pluginName: config.pluginName,
    });
    files.add(library.file);
    if (countsAsGo) goLibraries.add(libraryHash);
    let released = false;
    return {
      ...judged,
      config,
      number,
      retain(more) {
        if (released) throw new Error(`bridge ${config.pluginName} of ${library.path} was released already`);
        return use(config, judged, more ?? 'use');
      },
      release() {
        if (released) return;
        released = true;
        numbers.remove(id);
        if (countsAsGo) goLibraries.remove(libraryHash);
        if (files.remove(library.file)) onUnused();
      },
    };
  }

  function problemOf({ id, libraryHash, library }: Judged): string | undefined {
    const why = blocked.get(id);
    if (why !== undefined) return why;
    if (library.kind !== 'go' || goLibraries.has(libraryHash) || goLibraries.size < maxGoLibraries) return undefined;
    return `${library.path} would be one Go library too many: ${goLibraries.size} are in use, and --max-go-libraries allows ${maxGoLibraries}, because each takes memory and threads: remove clusters whose libraries are not needed any more, or raise the limit`;
  }

  return {
    accept(config, judged) {
      const message = problemOf(judged);
      if (message !== undefined) return { ok: false, problems: [{ path: 'library_path', message }] };
      return { ok: true, bridge: use(config, judged, 'use') };
    },
    block(bridgeId, why) {
      blocked.delete(bridgeId);
      blocked.set(bridgeId, why);
      forgetOldest(blocked, mostBlocked);
    },
    isBlocked: (bridgeId) => blocked.has(bridgeId),
    pluginOf: (number) => numbers.pluginOf(number),
    filesInUse: () => files.keys(),
  };
}

/** Gives bridges their numbers, and remembers for a while those that are gone. */
function createNumbers() {
  const byId = new Map<string, Numbered>();
  const byNumber = new Map<number, RunningPlugin>();
  const released = new Map<string, Numbered>();
  let last = 0;

  function next(): number {
    do last = last === largestNumber ? 1 : last + 1;
    while (byNumber.has(last));
    return last;
  }

  return {
    add(id: string, plugin: RunningPlugin): Numbered {
      const numbered = byId.get(id) ?? released.get(id) ?? { number: next(), plugin, uses: 0 };
      numbered.uses += 1;
      released.delete(id);
      byId.set(id, numbered);
      byNumber.set(numbered.number, numbered.plugin);
      return numbered;
    },
    remove(id: string): void {
      const numbered = byId.get(id);
      if (numbered === undefined || --numbered.uses > 0) return;
      byId.delete(id);
      released.set(id, numbered);
      const forgotten = forgetOldest(released, mostReleased);
      if (forgotten) byNumber.delete(forgotten.number);
    },
    pluginOf: (number: number) => byNumber.get(number),
  };
}

function createUses() {
  const uses = new Map<string, number>();
  return {
    get size() {
      return uses.size;
    },
    has: (key: string) => uses.has(key),
    keys: (): ReadonlySet<string> => new Set(uses.keys()),
    add: (key: string): unknown => uses.set(key, (uses.get(key) ?? 0) + 1),
    /** Says whether that was the last one. */
    remove(key: string): boolean {
      const left = (uses.get(key) ?? 0) - 1;
      if (left > 0) uses.set(key, left);
      else uses.delete(key);
      return left <= 0;
    },
  };
}

/** Drops the first of more than `most`, and gives it. */
function forgetOldest<K, V>(map: Map<K, V>, most: number): V | undefined {
  if (map.size <= most) return undefined;
  const [oldest] = map;
  if (oldest === undefined) return undefined;
  map.delete(oldest[0]);
  return oldest[1];
}
