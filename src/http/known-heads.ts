import type { RequestFraming } from './request-framing.js';
import type { KnownHead, RequestHead } from './request-parser.js';

/** A longer head is read anew each time. */
const longestKnown = 1024;

/** So many connections of a codec have a known head at most: some MiB, whatever their number. */
const mostKnown = 1024;

/** A head that is known by its bytes, and what they mean. */
interface Entry extends KnownHead {
  readonly bytes: Buffer;
  readonly head: RequestHead;
  readonly framing: RequestFraming;
}

/** The heads that the connections of one codec know. */
export class KnownHeads {
  readonly #places: (LastHead | undefined)[] = [];
  #next = 0;

  /** @internal A place for one more; who has had it for longest loses it. */
  take(owner: LastHead): number {
    const place = this.#next;
    this.#next = (place + 1) % mostKnown;
    this.#places[place]?.forget();
    this.#places[place] = owner;
    return place;
  }

  /** @internal */
  release(place: number): void {
    this.#places[place] = undefined;
  }
}

/**
 * A head that came on one connection: clients that keep a connection often send the same again and again, byte for byte, which then need not be read anew. No other
 * connection's head is ever compared with it.
 */
export class LastHead {
  readonly #all: KnownHeads;
  #place = -1;
  #entry: Entry | undefined;
  /** Heads in a row that were not the known one. */
  #others = 0;

  constructor(all: KnownHeads) {
    this.#all = all;
  }

  /** What is known of the head that begins at `at`; undefined: it is another one, or not all of it is there. */
  find(data: Buffer, at: number): Entry | undefined {
    const entry = this.#entry;
    if (entry === undefined || !beginsWith(data, at, entry.bytes)) return undefined;
    this.#others = 0;
    return entry;
  }

  /**
   * A head came that is not known. Of clients whose heads all differ fewer and fewer are kept, and of those that send one request none.
   * @param start of its bytes in `data`, which may be turn memory; and `end` the first one behind it
   * @returns undefined: it is not kept
   */
  offer(data: Buffer, start: number, end: number, head: RequestHead, framing: RequestFraming): KnownHead | undefined {
    const others = ++this.#others;
    if (end - start > longestKnown || others === 1 || (others & (others - 1)) !== 0) return undefined;
    if (this.#entry === undefined) this.#place = this.#all.take(this);
    this.#entry = { bytes: ownCopy(data, start, end), head, framing, prepared: undefined };
    return this.#entry;
  }

  /** @internal Its place is another's. */
  forget(): void {
    this.#entry = undefined;
  }

  destroy(): void {
    if (this.#entry !== undefined) this.#all.release(this.#place);
    this.#entry = undefined;
  }
}

/** Not out of a larger block, which it would keep alive. */
function ownCopy(data: Buffer, start: number, end: number): Buffer {
  const copy = Buffer.allocUnsafeSlow(end - start);
  data.copy(copy, 0, start, end);
  return copy;
}

function beginsWith(data: Buffer, at: number, bytes: Buffer): boolean {
  const { length } = bytes;
  return data.length - at >= length && bytes.compare(data, at, at + length) === 0;
}
