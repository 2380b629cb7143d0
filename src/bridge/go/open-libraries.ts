import type { Logger } from '../../log.js';
import type { StatsStore } from '../../stats/store.js';
import { PluginProblem } from '../library/problem.js';

/** Copies of libraries that are open in this process, and those of them that no prepared bridge uses. */
export interface GoLibraryCounts {
  readonly open: number;
  readonly retired: number;
}

export interface OpenLibrary {
  /** The host's number of it. */
  readonly number: number;
  /** Once. */
  release(): void;
}

/** The libraries that are open in this process, by content. */
export interface OpenLibraries {
  /** Adds a use; undefined: it is not open. */
  use(hash: string): OpenLibrary | undefined;
  /** Throws a PluginProblem when one more library may not be opened. */
  checkRoom(path: string): void;
  /** Opens it, unless it is open by now, and adds a use. `open` gives the host's number. Throws as `checkRoom`, and what `open` throws. */
  open(hash: string, path: string, open: () => number): OpenLibrary;
  counts(): GoLibraryCounts;
}

export interface OpenLibrariesOptions {
  readonly log: Logger;
  readonly stats: StatsStore;
  /** How many different libraries may be open. */
  readonly limit: number;
}

interface Entry {
  readonly number: number;
  uses: number;
}

/** They stay for as long as the process lives, because Go's runtime can't be taken out again: whoever asks next must know of them. */
const entries = new Map<string, Entry>();

/** From so many on a warning is logged. */
const manyRetired = 8;

export function createOpenLibraries({ log, stats, limit }: OpenLibrariesOptions): OpenLibraries {
  const openGauge = stats.gauge('bridge.go_libraries');
  const retiredGauge = stats.gauge('bridge.go_libraries_retired');

  function counts(): GoLibraryCounts {
    let retired = 0;
    for (const { uses } of entries.values()) if (uses === 0) retired += 1;
    return { open: entries.size, retired };
  }

  function report(): GoLibraryCounts {
    const now = counts();
    openGauge.value = now.open;
    retiredGauge.value = now.retired;
    return now;
  }

  function addUse(entry: Entry): OpenLibrary {
    entry.uses += 1;
    report();
    let released = false;
    return {
      number: entry.number,
      release() {
        if (released) return;
        released = true;
        entry.uses -= 1;
        const { open, retired } = report();
        if (entry.uses > 0 || retired < manyRetired) return;
        log.warn(
          { open, retired },
          `${retired} Go libraries that nothing uses any more are still open, because they cannot be unloaded: each costs about 5 MB and 5 threads until this process is restarted; with --isolate that is done without losing a request`,
        );
      },
    };
  }

  function checkRoom(path: string): void {
    if (entries.size < limit) return;
    throw new PluginProblem(
      'library_path',
      `${path} would be Go library number ${entries.size + 1} in this process, and ${limit} may be open: those that nothing uses any more (${counts().retired}) cannot be unloaded. Restart Pontoon, run it with --isolate (then a worker process with old libraries is replaced), or raise --max-go-libraries`,
    );
  }

  return {
    use(hash) {
      const entry = entries.get(hash);
      return entry && addUse(entry);
    },
    checkRoom,
    open(hash, path, open) {
      let entry = entries.get(hash);
      if (entry === undefined) {
        checkRoom(path);
        entry = { number: open(), uses: 0 };
        entries.set(hash, entry);
      }
      return addUse(entry);
    },
    counts,
  };
}
