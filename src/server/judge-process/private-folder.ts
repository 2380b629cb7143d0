import { createHash } from 'node:crypto';
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  utimesSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeUnusedLibraries } from '../../bridge/library/store.js';
import type { Clock, Timer } from '../../clock.js';
import type { Logger } from '../../log.js';

/** A folder that only this user can look into: made when it is first needed, gone with the process. */
export interface PrivateFolder {
  /**
   * Its path.
   *
   * @throws Error for people, when it can't be made
   */
  path(): string;
  /** The folder in it for the copies of judged libraries. Throws as `path`. */
  libraries(): string;
  /** Removes the copies that are not in use; see `removeUnusedLibraries` for when. */
  removeUnused(): void;
  close(): void;
}

export interface PrivateFolderOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly filesInUse: () => ReadonlySet<string>;
  /** Where the folder is made; the system's folder for temporary files unless set. */
  readonly parent?: string;
}

const prefix = 'pontoon-private-';
const libraries = 'libraries';
/** Systems remove what lies untouched among their temporary files, after ten days or so (systemd's tmpfiles.d). */
const touchEveryMs = 60 * 60 * 1000;
/** A folder of somebody who can't be asked for is left over when it was not touched for so long. */
const abandonedMs = 24 * touchEveryMs;

export function createPrivateFolder(options: PrivateFolderOptions): PrivateFolder {
  const { clock, log, filesInUse, parent = tmpdir() } = options;
  let path: string | undefined;
  let timer: Timer | undefined;

  function make(): string {
    try {
      removeLeftovers(parent, clock.now(), log);
      const made = mkdtempSync(join(parent, `${prefix}${placeOfPids()}-${process.pid}-`));
      mkdirSync(join(made, libraries));
      return made;
    } catch (error) {
      throw new Error(
        `no private folder can be made in ${parent}: ${(error as Error).message}: make room there, or let TMPDIR name a folder that can be written`,
      );
    }
  }

  function keepTouching(folder: string): void {
    timer = clock.setTimeout(() => {
      const now = new Date(clock.now());
      for (const file of [folder, join(folder, libraries), ...filesInUse()]) {
        try {
          utimesSync(file, now, now);
        } catch (error) {
          log.error(
            { file, err: error },
            'the copy of a library is gone: workers that start from now on cannot run it; reload it (POST /bridges/reload) after its file was changed, or restart',
          );
        }
      }
      keepTouching(folder);
    }, touchEveryMs);
  }

  function pathOf(): string {
    if (path === undefined) {
      path = make();
      keepTouching(path);
    }
    return path;
  }

  return {
    path: pathOf,
    libraries: () => join(pathOf(), libraries),
    removeUnused() {
      if (path === undefined) return;
      try {
        removeUnusedLibraries(join(path, libraries), filesInUse());
      } catch (error) {
        log.warn({ folder: path, err: error }, 'copies of libraries that nobody uses cannot be removed');
      }
    },
    close() {
      timer?.cancel();
      if (path === undefined) return;
      try {
        rmSync(path, { recursive: true, force: true });
      } catch (error) {
        log.warn({ folder: path, err: error }, 'the private folder cannot be removed');
      }
      path = undefined;
    },
  };
}

/** Removes the folders of processes of this user that were ended before they could do it. */
function removeLeftovers(parent: string, now: number, log: Logger): void {
  for (const name of readdirSync(parent)) {
    if (!name.startsWith(prefix)) continue;
    const folder = join(parent, name);
    try {
      const entry = lstatSync(folder);
      if (!entry.isDirectory() || entry.uid !== process.getuid?.()) continue;
      if (!isLeftOver(name.slice(prefix.length), now - entry.mtimeMs)) continue;
      rmSync(folder, { recursive: true, force: true });
      log.info({ folder }, 'removed what an earlier process has left');
    } catch (error) {
      log.debug({ folder, err: error }, 'what an earlier process has left cannot be removed');
    }
  }
}

function isLeftOver(name: string, untouchedMs: number): boolean {
  const [place, pid] = name.split('-');
  // Another container, or before the machine was started anew: its processes can't be seen from here.
  if (place !== placeOfPids()) return untouchedMs > abandonedMs;
  return !isRunning(Number(pid));
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/** Tells apart the places where the same pid means another process. */
function placeOfPids(): string {
  const parts = [hostname()];
  try {
    parts.push(readFileSync('/proc/sys/kernel/random/boot_id', 'utf8'), readlinkSync('/proc/self/ns/pid'));
  } catch {
    // No Linux: there the host's name has to do.
  }
  return createHash('sha256').update(parts.join('\n')).digest('hex').slice(0, 12);
}
