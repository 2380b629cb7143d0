import { createHash } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';

/** A library's bytes, and their sha256 in hex. */
export interface LibraryFile {
  readonly path: string;
  readonly bytes: Buffer;
  readonly hash: string;
}

/** Bytes. */
const maxSize = 512 * 1024 * 1024;
/** Of how many files the hash is remembered. */
const mostKnown = 1_000;
/** Coarser than any file system's clock. */
const timestampSlackMs = 1_000;

/** Reads libraries, and remembers the hashes of files that have not changed since. Paths are resolved ones. */
export interface LibraryFiles {
  /** Throws an Error for people. */
  read(path: string): Promise<LibraryFile>;
  /** The hash that `read` would give now. */
  hash(path: string): Promise<string>;
}

export function createLibraryFiles(): LibraryFiles {
  const known = new Map<string, { readonly seen: string; readonly hash: string }>();

  async function read(path: string): Promise<LibraryFile> {
    // Told apart before it is opened: opening a FIFO would wait for somebody to write.
    if (!(await stat(path)).isFile()) throw new Error(`${path} is not a file`);
    const file = await open(path, 'r');
    try {
      const { size } = await file.stat();
      if (size > maxSize) throw new Error(`${path} has ${size} bytes; a library may have up to ${maxSize}`);
      const seen = await lookAt(path);
      const bytes = await file.readFile();
      const hash = createHash('sha256').update(bytes).digest('hex');
      known.delete(path);
      if (seen.certain) known.set(path, { seen: seen.text, hash });
      const [oldest] = known.keys();
      if (known.size > mostKnown && oldest !== undefined) known.delete(oldest);
      return { path, bytes, hash };
    } finally {
      await file.close();
    }
  }

  return {
    read,
    async hash(path) {
      const last = known.get(path);
      if (last !== undefined && last.seen === (await lookAt(path)).text) return last.hash;
      return (await read(path)).hash;
    },
  };
}

/** A change that came after a file's times were looked at may not show in them when they are recent. */
async function lookAt(path: string): Promise<{ readonly text: string; readonly certain: boolean }> {
  const { ino, size, mtimeNs, ctimeNs, mtimeMs, ctimeMs } = await stat(path, { bigint: true });
  const latest = Math.max(Number(mtimeMs), Number(ctimeMs));
  return { text: `${ino}:${size}:${mtimeNs}:${ctimeNs}`, certain: latest < Date.now() - timestampSlackMs };
}

/**
 * Writes a private copy, in a new folder under `parent`, whose name has the hash in it, and gives its path to `use`; the copy is gone when that has ended. The loader takes a path, and a file, that
 * it knows for the library that it has open, and a file that is overwritten changes under those who have it open: so neither is ever opened itself.
 */
export async function withCopy<T>(
  { path, bytes, hash }: LibraryFile,
  parent: string,
  use: (copy: string) => T | Promise<T>,
): Promise<T> {
  const folder = mkdtempSync(join(parent, 'pontoon-go-'));
  try {
    const copy = join(folder, `${hash.slice(0, 32)}-${basename(path)}`);
    writeFileSync(copy, bytes, { mode: 0o600 });
    chmodSync(copy, 0o500);
    return await use(copy);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
