import { FrameError, type FrameProtocol, longestHead } from './frame-protocol.js';

export interface FrameSink {
  /**
   * A frame of `length` bytes begins; `start` is what has come of it, never more than it. False: it can't be told yet whose it is;
   * called again when more has come. Throws a FrameError.
   */
  onFrame(start: Buffer, length: number): boolean;
  /** More of the frame that `onFrame` took. */
  onRest(piece: Buffer, last: boolean): void;
}

/** The largest frame whose length only its end tells. */
const longestUntold = 16 * 1024 * 1024;
const smallestBlock = 512;
/** As many more bytes of a frame are looked at, at least. */
const shortHead = 256;
const none = Buffer.alloc(0);

/** Cuts what comes on a connection into frames. Nothing is copied but the beginnings of frames that come in pieces. */
export class FrameReader {
  readonly #protocol: FrameProtocol;
  readonly #sink: FrameSink;
  /** Bytes of a frame that nobody took yet, in room of our own. */
  #block = none;
  #blockEnd = 0;
  /** What is still to come of the frame that was taken. */
  #remaining = 0;
  /** Bytes of the frame before. */
  #lastLength = 0;
  #stopped = false;

  constructor(protocol: FrameProtocol, sink: FrameSink) {
    this.#protocol = protocol;
    this.#sink = sink;
  }

  /** Nothing more is cut, also not of the chunk that is being read. */
  stop(): void {
    this.#stopped = true;
    this.#block = none;
  }

  /** Throws a FrameError; then the connection is of no use any more. */
  read(chunk: Buffer): void {
    for (let at = 0; at < chunk.length && !this.#stopped; ) {
      let taken: number;
      if (this.#blockEnd > 0) taken = this.#resume(from(chunk, at));
      else if (this.#remaining > 0) taken = this.#passOn(from(chunk, at));
      else taken = this.#beginAt(chunk, at);
      if (taken === 0) {
        this.#keep(from(chunk, at));
        return;
      }
      at += taken;
    }
  }

  /** As `#begin`. Many frames are as long as the one before them: a view of so much is all that is made of such a frame. */
  #beginAt(chunk: Buffer, at: number): number {
    const guess = this.#lastLength;
    if (guess > 0 && at + guess < chunk.length) {
      const bytes = chunk.subarray(at, at + guess);
      const length = this.#protocol.frameLength(bytes);
      if (length !== undefined) return this.#take(length === guess ? bytes : chunk.subarray(at, at + length), length);
    }
    return this.#begin(from(chunk, at));
  }

  /** Goes on with the frame whose beginning is kept; how many of `bytes` were taken. Not more are copied than it needs to be told whose it is. */
  #resume(bytes: Buffer): number {
    const before = this.#blockEnd;
    const count = Math.min(bytes.length, Math.max(before, shortHead));
    const start = this.#keep(count === bytes.length ? bytes : bytes.subarray(0, count));
    const taken = this.#begin(start);
    if (taken === 0) return count;
    this.#blockEnd = 0;
    this.#block = none;
    if (taken > before) return taken - before;
    // Only what came behind it told where the frame ends.
    this.read(Buffer.concat([start.subarray(taken), bytes.subarray(count)]));
    return bytes.length;
  }

  #passOn(bytes: Buffer): number {
    const count = Math.min(bytes.length, this.#remaining);
    this.#remaining -= count;
    this.#sink.onRest(count === bytes.length ? bytes : bytes.subarray(0, count), this.#remaining === 0);
    return count;
  }

  /** How many bytes were taken; 0: more must come first. */
  #begin(bytes: Buffer): number {
    const length = this.#protocol.frameLength(bytes);
    if (length === undefined) {
      if (bytes.length >= longestUntold) throw new FrameError(`${bytes.length} bytes without the end of a frame`);
      return 0;
    }
    return this.#take(bytes, length);
  }

  #take(bytes: Buffer, length: number): number {
    const count = Math.min(bytes.length, length);
    if (!this.#sink.onFrame(count === bytes.length ? bytes : bytes.subarray(0, count), length)) {
      if (count === length) throw new FrameError(`a frame of ${length} bytes does not say whose it is`);
      if (count >= longestHead) throw new FrameError(`${count} bytes of a frame do not say whose it is`);
      return 0;
    }
    this.#remaining = length - count;
    this.#lastLength = length;
    return count;
  }

  /** Room doubles, so that a frame of many pieces is copied twice at most. */
  #keep(bytes: Buffer): Buffer {
    const end = this.#blockEnd + bytes.length;
    if (end > this.#block.length) {
      const block = Buffer.allocUnsafeSlow(Math.max(smallestBlock, 2 * end));
      this.#block.copy(block, 0, 0, this.#blockEnd);
      this.#block = block;
    }
    bytes.copy(this.#block, this.#blockEnd);
    this.#blockEnd = end;
    return this.#block.subarray(0, end);
  }
}

function from(chunk: Buffer, at: number): Buffer {
  return at === 0 ? chunk : chunk.subarray(at);
}
