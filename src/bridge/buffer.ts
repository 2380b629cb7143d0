import { asBuffer } from '../as-buffer.js';
import { copyPart } from '../copy-part.js';
import { endsWithTurn, kept } from '../turn-memory.js';
import type { BufferInstance, Bytes } from './api.js';

const empty = Buffer.alloc(0);

/** Of all empty queues: nothing is ever put into it. */
const noPieces: Buffer[] = [];

/** Pieces up to this size are copied together, so that a sender of single bytes can't make us keep an object for each. */
const smallPiece = 2048;
const minBlock = 4096;
const maxBlock = 65_536;

/**
 * Bytes in order, kept as the pieces they came in. Nothing is copied until somebody wants them in one: a body that only passes through never is,
 * and one that is looked at after every piece (StopAndBuffer) is copied into room that doubles, so that the cost stays linear.
 * A piece may be there until the end of the turn only: whoever leaves bytes in the queue for longer calls `keep`.
 */
export class ByteQueue {
  #pieces = noPieces;
  #length = 0;
  /** The memory behind the last piece, when it is ours and has room after `#blockEnd`. */
  #block: Buffer | undefined;
  #blockEnd = 0;
  #joins = 0;

  get length(): number {
    return this.#length;
  }

  /** What is in it, uncopied. */
  get pieces(): readonly Buffer[] {
    return this.#pieces;
  }

  /** Takes over `data`: the caller must not change it afterwards. */
  append(data: Buffer): void {
    if (data.length === 0) return;
    this.#length += data.length;
    if (this.#block !== undefined && this.#block.length - this.#blockEnd >= data.length) {
      this.#fill(this.#block, data);
    } else if (this.#pieces.length === 0) {
      // As a literal: an array that grows from nothing has room for seventeen.
      this.#block = undefined;
      this.#pieces = [data];
    } else if (data.length <= smallPiece) {
      const block = Buffer.allocUnsafeSlow(Math.min(Math.max(minBlock, this.#length), maxBlock));
      this.#block = block;
      this.#blockEnd = data.copy(block);
      this.#pieces.push(block.subarray(0, this.#blockEnd));
    } else {
      this.#block = undefined;
      this.#pieces.push(data);
    }
  }

  /** Takes over `data`, like `append`. */
  prepend(data: Buffer): void {
    if (data.length === 0) return;
    if (this.#pieces.length === 0) this.#block = undefined;
    this.#length += data.length;
    // As literals: an array that grows from nothing has room for seventeen.
    const [first] = this.#pieces;
    if (first === undefined) this.#pieces = [data];
    else if (this.#pieces.length === 1) this.#pieces = [data, first];
    else this.#pieces.unshift(data);
  }

  /** Makes the queue's own what would be gone after this turn, with room for what may come. */
  keep(): void {
    if (this.#length === 0) return;
    const pieces = this.#pieces;
    const last = pieces.length - 1;
    for (let i = 0; i < last; i++) pieces[i] = kept(pieces[i] as Buffer);
    const piece = pieces[last];
    if (piece === undefined || !endsWithTurn(piece)) return;
    const room = Math.min(Math.max(minBlock, this.#length), maxBlock);
    this.#block = Buffer.allocUnsafeSlow(piece.length + room);
    this.#blockEnd = piece.copy(this.#block);
    pieces[last] = this.#block.subarray(0, this.#blockEnd);
  }

  /** All bytes as one, for whoever may keep them; a view of them when they are in one place already. */
  bytes(): Buffer {
    if (this.#pieces.length > 1) this.#join();
    const first = this.#pieces[0];
    if (first === undefined) return empty;
    return endsWithTurn(first) ? this.#own(first) : first;
  }

  /** A copy of some of the bytes, fewer where the queue ends before. */
  copy(start: number, length: number): Buffer {
    const size = Math.max(0, Math.min(length, this.#length - start));
    const copy = Buffer.allocUnsafe(size);
    let skip = start;
    let end = 0;
    for (const piece of this.#pieces) {
      if (end === size) break;
      if (skip < piece.length) end += copyPart(piece, copy, end, skip, skip + size - end);
      skip = Math.max(0, skip - piece.length);
    }
    return copy;
  }

  /** As UTF-8. */
  toString(): string {
    const [first = empty] = this.#pieces;
    return (this.#pieces.length > 1 ? this.bytes() : first).toString();
  }

  /** Removes the first `count` bytes, or all when there are fewer. */
  drain(count: number): void {
    if (count >= this.#length) {
      this.clear();
      return;
    }
    let whole = 0;
    let rest = count;
    for (let piece = this.#pieces[0]; piece !== undefined && rest >= piece.length; piece = this.#pieces[whole]) {
      rest -= piece.length;
      whole += 1;
    }
    if (whole > 0) this.#pieces.splice(0, whole);
    const first = this.#pieces[0];
    if (rest > 0 && first !== undefined) this.#pieces[0] = first.subarray(rest);
    this.#length -= count;
  }

  clear(): void {
    this.#pieces = noPieces;
    this.#length = 0;
    this.#block = undefined;
    this.#joins = 0;
  }

  /** Hands all bytes over, as the pieces they are in; the queue is empty then. */
  take(): Buffer[] {
    if (this.#length === 0) return [];
    const pieces = this.#pieces;
    this.clear();
    return pieces;
  }

  /** Hands all bytes over as one. */
  takeBytes(): Buffer {
    const bytes = this.bytes();
    this.clear();
    return bytes;
  }

  /** Copies the only piece. */
  #own(piece: Buffer): Buffer {
    const own = kept(piece);
    this.#block = undefined;
    this.#pieces = [own];
    return own;
  }

  #fill(block: Buffer, data: Buffer): void {
    const last = this.#pieces.length - 1;
    const piece = this.#pieces[last] as Buffer;
    data.copy(block, this.#blockEnd);
    this.#blockEnd += data.length;
    this.#pieces[last] = block.subarray(piece.byteOffset - block.byteOffset, this.#blockEnd);
  }

  #join(): void {
    // The first join is often the only one (a whole request body); from the second on there will be more.
    const block = Buffer.allocUnsafeSlow(this.#joins === 0 ? this.#length : this.#length * 2);
    this.#joins += 1;
    let end = 0;
    for (const piece of this.#pieces) end += piece.copy(block, end);
    this.#block = block;
    this.#blockEnd = end;
    this.#pieces = [block.subarray(0, end)];
  }
}

/** Whether one of the plugin's calls is on the stack: what a call hands out works only then. */
export interface CallScope {
  active: boolean;
}

/** What is behind a PluginBuffer, for runtimes that move bytes without copying them in JavaScript. Throws outside of a call. */
export let queueOf: (buffer: BufferInstance) => ByteQueue;

/** The plugin's side of a ByteQueue. Bytes that it hands in are copied, because it may go on using its own array. */
export class PluginBuffer implements BufferInstance {
  static {
    queueOf = (buffer) => (buffer as PluginBuffer).#open();
  }
  readonly #queue: ByteQueue;
  readonly #scope: CallScope;

  constructor(queue: ByteQueue, scope: CallScope) {
    this.#queue = queue;
    this.#scope = scope;
  }

  len(): number {
    return this.#open().length;
  }

  bytes(): Buffer {
    return this.#open().bytes();
  }

  toString(): string {
    return this.#open().toString();
  }

  copyOut(start: number, length: number): Buffer {
    const queue = this.#open();
    if (!(start >= 0 && length >= 0)) throw new TypeError('copyOut(start, length): both must be numbers of bytes');
    return queue.copy(Math.trunc(start), Math.trunc(length));
  }

  set(data: Bytes): void {
    const queue = this.#open();
    // The usual way to cut a frame, `buffer.set(buffer.bytes().subarray(4))`, needs no copy.
    const own = typeof data !== 'string' && isViewOf(data, queue.bytes()) ? asBuffer(data) : copyOf(data);
    queue.clear();
    queue.append(own);
  }

  append(data: Bytes): void {
    this.#open().append(copyOf(data));
  }

  prepend(data: Bytes): void {
    this.#open().prepend(copyOf(data));
  }

  drain(n: number): void {
    const queue = this.#open();
    if (typeof n !== 'number' || Number.isNaN(n)) throw new TypeError('drain(n): n must be a number of bytes');
    if (n > 0) queue.drain(Math.trunc(n));
  }

  reset(): void {
    this.#open().clear();
  }

  #open(): ByteQueue {
    if (!this.#scope.active) throw new Error('the buffer was used after the call that it belongs to had returned');
    return this.#queue;
  }
}

function isViewOf(data: Uint8Array, whole: Buffer): boolean {
  return (
    ArrayBuffer.isView(data) &&
    data.buffer === whole.buffer &&
    data.byteOffset >= whole.byteOffset &&
    data.byteOffset + data.byteLength <= whole.byteOffset + whole.byteLength
  );
}

/** Throws a TypeError when `data` is neither a string nor bytes. */
export function copyOf(data: Bytes): Buffer {
  if (typeof data === 'string') return Buffer.from(data);
  if (ArrayBuffer.isView(data)) {
    const bytes = asBuffer(data);
    const copy = Buffer.allocUnsafe(bytes.length);
    copyPart(bytes, copy, 0);
    return copy;
  }
  throw new TypeError('expected a string or bytes (Uint8Array)');
}
