import { giveBlock, takeBlock } from './block-pool.js';
import { endsWithTurn } from './turn-memory.js';

/** Pieces up to this size are copied together, so that a sender of single bytes can't make us keep an object for each. */
const smallPiece = 2048;
const smallestRoom = 512;
/** More gets blocks of the pool. */
const largestRoom = 8192;
/** Where there is none: nothing is ever put into it. */
const noPieces: Buffer[] = [];

/**
 * Bytes in order that may have to wait for longer than a turn of the event loop: then they are copied, once, to memory that is used again for others when they leave.
 * So what leaves is there until the end of the turn in which it leaves.
 */
export class KeptBytes {
  #pieces: Buffer[];
  #length = 0;
  /** Those of the pool, in the order of the bytes in them. */
  #blocks: Buffer[] | undefined;
  /** Where the last piece lies, with room behind it from `#roomStart` on. */
  #room: Buffer | undefined;
  #roomStart = 0;
  /** So many pieces, from the first, can stay. */
  #kept = 0;

  /** Takes over the pieces. */
  constructor(pieces: Buffer[] = noPieces) {
    this.#pieces = pieces;
    for (let i = 0; i < pieces.length; i++) this.#length += (pieces[i] as Buffer).length;
  }

  get length(): number {
    return this.#length;
  }

  /** As they are, not copied. */
  get pieces(): readonly Buffer[] {
    return this.#pieces;
  }

  /** Whether some of it would be gone after this turn. */
  get endsWithTurn(): boolean {
    for (let i = this.#kept; i < this.#pieces.length; i++) if (endsWithTurn(this.#pieces[i] as Buffer)) return true;
    return false;
  }

  /** Takes over `piece`, which must not change any more. */
  append(piece: Buffer): void {
    if (piece.length === 0) return;
    this.#length += piece.length;
    // As a literal: an array that grows from nothing has room for seventeen.
    if (this.#pieces.length === 0) this.#pieces = [piece];
    else this.#pieces.push(piece);
  }

  /** Copies what would be gone after this turn. */
  keep(): void {
    if (this.#kept === this.#pieces.length) return;
    const added = this.#pieces.splice(this.#kept);
    for (const piece of added) {
      if (piece.length <= smallPiece || endsWithTurn(piece)) this.#copy(piece);
      else this.#push(piece);
    }
    this.#kept = this.#pieces.length;
  }

  /** The first piece, made as long as `wanted` where there are so many bytes. */
  head(wanted: number): Buffer | undefined {
    const pieces = this.#pieces;
    const [first] = pieces;
    if (first === undefined || first.length >= wanted || pieces.length === 1) return first;
    const head = Buffer.allocUnsafe(Math.min(wanted, this.#length));
    let count = 0;
    let size = 0;
    for (; size < head.length; count++) {
      const piece = pieces[count] as Buffer;
      piece.copy(head, size);
      size += piece.length;
    }
    const last = pieces[count - 1] as Buffer;
    const rest = size - head.length;
    const lastKept = this.#kept >= count;
    if (rest === 0) pieces.splice(0, count, head);
    else pieces.splice(0, count, head, last.subarray(last.length - rest));
    this.#room = undefined;
    this.#kept = lastKept ? this.#kept - count + (rest === 0 ? 1 : 2) : 1;
    return head;
  }

  /** The first piece leaves. */
  shift(): Buffer | undefined {
    const piece = this.#pieces.shift();
    if (piece === undefined) return undefined;
    this.#length -= piece.length;
    if (this.#kept > 0) this.#kept--;
    if (this.#length === 0) this.#giveBlocks();
    else if (piece.buffer !== this.#pieces[0]?.buffer && piece.buffer === this.#blocks?.[0]?.buffer) this.#giveFirst();
    return piece;
  }

  /** All leave. */
  take(): Buffer[] {
    if (this.#length === 0) return [];
    const pieces = this.#pieces;
    this.clear();
    return pieces;
  }

  clear(): void {
    this.#pieces = noPieces;
    this.#length = 0;
    this.#kept = 0;
    this.#giveBlocks();
  }

  #push(piece: Buffer): void {
    this.#pieces.push(piece);
    // A block must not have bytes of before and behind it: it is given back with the last piece in it.
    this.#room = undefined;
  }

  #copy(piece: Buffer): void {
    for (let at = 0; at < piece.length; ) {
      const added = this.#room === undefined || this.#roomStart === this.#room.length;
      const room = added ? this.#newRoom() : (this.#room as Buffer);
      const start = this.#roomStart;
      const count = piece.copy(room, start, at);
      at += count;
      this.#roomStart = start + count;
      if (start === 0) this.#pieces.push(room.subarray(0, count));
      else this.#lengthenLast(room);
    }
  }

  /** By what was just copied behind it. */
  #lengthenLast(room: Buffer): void {
    const last = this.#pieces.length - 1;
    const begin = (this.#pieces[last] as Buffer).byteOffset - room.byteOffset;
    this.#pieces[last] = room.subarray(begin, this.#roomStart);
  }

  #newRoom(): Buffer {
    let room: Buffer;
    if (this.#length > largestRoom) {
      room = takeBlock();
      this.#blocks ??= [];
      this.#blocks.push(room);
    } else {
      room = Buffer.allocUnsafeSlow(Math.max(smallestRoom, this.#length));
    }
    this.#room = room;
    this.#roomStart = 0;
    return room;
  }

  #giveFirst(): void {
    const block = this.#blocks?.shift() as Buffer;
    if (this.#room === block) this.#room = undefined;
    giveBlock(block);
  }

  #giveBlocks(): void {
    this.#room = undefined;
    if (this.#blocks === undefined) return;
    for (const block of this.#blocks) giveBlock(block);
    this.#blocks = undefined;
  }
}
