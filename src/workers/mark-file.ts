import { closeSync, openSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { endianness } from 'node:os';

/** One page: the smallest piece of memory that can be mapped. */
const markFileSize = 4_096;

/**
 * Makes the file that a worker maps as shared memory, to leave there whose code it runs.
 * @throws Error of the file system
 */
export function createMarkFile(path: string): void {
  writeFileSync(path, Buffer.alloc(markFileSize), { mode: 0o600 });
}

/** The number at its beginning, in the machine's byte order. 0 when it can't be read: then nobody is to blame. */
export function readMark(path: string): number {
  const bytes = Buffer.alloc(4);
  try {
    const file = openSync(path, 'r');
    try {
      readSync(file, bytes, 0, 4, 0);
    } finally {
      closeSync(file);
    }
  } catch {
    return 0;
  }
  return endianness() === 'LE' ? bytes.readUInt32LE() : bytes.readUInt32BE();
}

export function removeMarkFile(path: string): void {
  rmSync(path, { force: true });
}
