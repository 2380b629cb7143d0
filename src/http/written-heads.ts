import type { HeaderMap } from '../bridge/header-map.js';

/** Few responses differ at a time but for their bodies: in the second that `date` tells, and by how long the server took. */
const mostWritten = 8;

/** A longer head is written anew each time. */
const longestWritten = 1024;

interface Entry {
  readonly protocol: string;
  /** name, value, name, value … */
  readonly pairs: readonly string[];
  readonly bytes: Buffer;
}

/** The heads that were written lately, as bytes, for responses whose head is the same. */
export class WrittenHeads {
  /** The latest first. */
  readonly #entries: Entry[] = [];
  /** Heads in a row that were not among them. */
  #others = 0;

  /** The bytes of a response's head; undefined: it must be written. */
  find(protocol: string, headers: HeaderMap): Buffer | undefined {
    const entries = this.#entries;
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[i] as Entry;
      if (entry.protocol !== protocol || !isSame(headers, entry.pairs)) continue;
      this.#others = 0;
      return entry.bytes;
    }
    return undefined;
  }

  /** Whether a head that was not found is to be kept: where all differ, fewer and fewer. */
  isWanted(): boolean {
    const others = ++this.#others;
    return (others & (others - 1)) === 0;
  }

  /** @param text of the head, bytes as latin1 @returns its bytes */
  keep(protocol: string, headers: HeaderMap, text: string): Buffer {
    const bytes = Buffer.from(text, 'latin1');
    if (bytes.length > longestWritten) return bytes;
    if (this.#entries.length === mostWritten) this.#entries.pop();
    this.#entries.unshift({ protocol, pairs: headers.pairs, bytes });
    return bytes;
  }
}

function isSame(headers: HeaderMap, pairs: readonly string[]): boolean {
  const { size } = headers;
  if (2 * size !== pairs.length) return false;
  for (let i = 0; i < size; i++)
    if (headers.nameAt(i) !== pairs[2 * i] || headers.valueAt(i) !== pairs[2 * i + 1]) return false;
  return true;
}
