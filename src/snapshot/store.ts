import { createHash, randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, link, lstat, mkdir, open, readdir, rename, rm, stat, unlink, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import {
  decodeSnapshot,
  encodeSnapshot,
  largestSnapshot,
  type Snapshot,
  SnapshotError,
  type SnapshotOwner,
  type UnsavedSnapshot,
} from './format.js';

/** What a folder had for its owner. */
export interface LoadedSnapshot {
  /** undefined: there is none that can be used. */
  readonly snapshot: Snapshot | undefined;
  readonly path: string;
  /** What was wrong with files that are there, as `PATH is damaged: …`. */
  readonly problems: readonly string[];
}

/** The snapshots of one node in a folder. */
export interface SnapshotStore {
  readonly path: string;
  /** The newest one that is whole. Never rejects. */
  load(): Promise<LoadedSnapshot>;
  /**
   * Puts it in the place of the one before, whole or not at all. Every turn is short, however large it is.
   *
   * @returns the size, bytes
   * @throws Error of the file system, and SnapshotError: the one before stays
   */
  save(snapshot: UnsavedSnapshot): Promise<number>;
  /** It is still the newest: it does not count as left behind. */
  touch(): Promise<void>;
  /** Removes what processes that ended in the middle left, and files of nodes that have been away for 30 days. */
  clean(): Promise<void>;
}

const dayMs = 24 * 60 * 60 * 1000;
/** Nobody has written it for so long: its node is gone. */
const leftBehindMs = 30 * dayMs;
/** A draft that is older is nobody's, whatever process has the number that wrote it. */
const oldestDraftMs = 10 * 60 * 1000;

const extension = '.snapshot';
const draftPattern = /\.snapshot\.(\d+)-[0-9a-f]{8}\.tmp$/;
const ownPattern = /\.snapshot(\.previous)?$/;

/** The file's name: what of the node's id a name may have, to find it by eye, and a digest of the owner, to tell owners apart. */
export function snapshotFileName({ nodeId, nodeCluster }: SnapshotOwner): string {
  const readable = nodeId
    .replace(/[^A-Za-z0-9._-]/g, '_')
    .replace(/^\.+/, '')
    .slice(0, 64);
  const digest = createHash('sha256')
    .update(JSON.stringify([nodeId, nodeCluster]))
    .digest('hex')
    .slice(0, 16);
  return `${readable}-${digest}${extension}`;
}

/**
 * Reads one file.
 *
 * @throws SnapshotError with its path for a file that can't be used
 */
export async function readSnapshotFile(path: string): Promise<Snapshot> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const { size } = await file.stat();
    if (size > largestSnapshot) throw new SnapshotError(`is larger than ${largestSnapshot} bytes`);
    return decodeSnapshot(await file.readFile());
  } finally {
    await file.close();
  }
}

/**
 * Whoever could write into the folder could choose which clusters and libraries are run, and private keys are in there.
 *
 * @throws Error that says what to do
 */
async function checkFolder(folder: string): Promise<void> {
  const { mode, uid } = await stat(folder);
  const self = process.geteuid?.();
  if (self === undefined) return;
  if (uid !== self && uid !== 0) throw new Error(`${folder} belongs to user ${uid}; it must belong to user ${self}`);
  if ((mode & 0o077) !== 0)
    throw new Error(
      `${folder} is open to others (mode ${(mode & 0o777).toString(8)}), and private keys may be in it: chmod 700 it, or name a folder that does not exist yet`,
    );
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';

export function createSnapshotStore(folder: string, owner: SnapshotOwner): SnapshotStore {
  const fileName = snapshotFileName(owner);
  const path = join(folder, fileName);
  const previous = `${path}.previous`;
  /** The one before is kept only where it is known to be good: a damaged file must not push out a whole one. */
  let isWhole = false;
  const drafts = new Set<string>();

  /** Of the two generations one. */
  async function loadOne(file: string): Promise<Snapshot | string | undefined> {
    try {
      const snapshot = await readSnapshotFile(file);
      const { nodeId, nodeCluster } = snapshot.owner;
      if (nodeId === owner.nodeId && nodeCluster === owner.nodeCluster) return snapshot;
      return `${file} is of another node: id '${nodeId}', cluster '${nodeCluster}'`;
    } catch (error) {
      if (isMissing(error)) return undefined;
      const message = error instanceof Error ? error.message : String(error);
      return error instanceof SnapshotError ? `${file} ${message}` : message;
    }
  }

  async function writeDraft(draft: FileHandle, snapshot: UnsavedSnapshot): Promise<number> {
    let size = 0;
    for (const piece of encodeSnapshot(snapshot)) {
      await draft.writeFile(piece);
      size += piece.length;
    }
    // Before the rename: a name must never be there before what it names.
    await draft.sync();
    return size;
  }

  /** Keeps the one before under another name. A file system without hard links has one generation. */
  async function keepPrevious(draftName: string): Promise<void> {
    if (!isWhole) return;
    const name = `${draftName}.link`;
    try {
      await link(path, name);
      await rename(name, previous);
    } catch {
      await rm(name, { force: true });
    }
  }

  async function removeIfLeft(name: string, now: number): Promise<void> {
    const file = join(folder, name);
    const draft = draftPattern.exec(name.replace(/\.link$/, ''));
    if (draft === null && !ownPattern.test(name)) return;
    if (drafts.has(file) || file === path || file === previous) return;
    const age = now - (await lstat(file)).mtimeMs;
    const pid = Number(draft?.[1]);
    const left = draft ? age > oldestDraftMs || pid === process.pid || !isAlive(pid) : age > leftBehindMs;
    if (left) await unlink(file);
  }

  return {
    path,
    async load() {
      try {
        await checkFolder(folder);
      } catch (error) {
        return { snapshot: undefined, path, problems: isMissing(error) ? [] : [(error as Error).message] };
      }
      const problems: string[] = [];
      for (const file of [path, previous]) {
        const found = await loadOne(file);
        if (typeof found === 'string') problems.push(found);
        else if (found !== undefined) {
          isWhole = file === path;
          return { snapshot: found, path: file, problems };
        }
      }
      return { snapshot: undefined, path, problems };
    },
    async save(snapshot) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await checkFolder(folder);
      const draft = `${path}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`;
      drafts.add(draft);
      try {
        const handle = await open(draft, 'wx', 0o600);
        let size: number;
        try {
          size = await writeDraft(handle, snapshot);
        } finally {
          await handle.close();
        }
        await keepPrevious(draft);
        await rename(draft, path);
        isWhole = true;
        await syncFolder(folder);
        return size;
      } catch (error) {
        await rm(draft, { force: true }).catch(() => undefined);
        throw error;
      } finally {
        drafts.delete(draft);
      }
    },
    async touch() {
      const now = new Date();
      await utimes(path, now, now);
    },
    async clean() {
      const now = Date.now();
      const names = await readdir(folder).catch(() => []);
      // Somebody else may clean at the same time.
      for (const name of names) await removeIfLeft(name, now).catch(() => undefined);
    },
  };
}
