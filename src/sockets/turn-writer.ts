import type { StreamSocket } from './stream-socket.js';

/** What is written in a turn and is no longer than this is joined in memory, which costs less than a system call for each piece. */
const longestJoined = 64 * 1024;

/**
 * What waits longer than the peer needs to read it only takes memory, which is old then and dear to free: with more than this who writes should be told to stop,
 * whatever the configured limit.
 */
const mostWaiting = 256 * 1024;

/** All writers join in the same memory. What the system has not taken at once stays there, and others write behind it. */
let joined = Buffer.allocUnsafeSlow(longestJoined);
let joinedStart = 0;

/** Writes to a socket what was given to it in one turn of the event loop at the end of that turn, by one system call. */
export class TurnWriter {
  readonly #socket: StreamSocket;
  readonly #onFlushed: () => void;
  #pieces: (Buffer | string)[] = [];
  #length = 0;

  /** @param onFlushed all that was given to it is with the system */
  constructor(socket: StreamSocket, onFlushed: () => void) {
    this.#socket = socket;
    this.#onFlushed = onFlushed;
  }

  /** Whether so much waits that who writes should stop. @param limit as configured, bytes */
  isAbove(limit: number): boolean {
    const { waiting } = this;
    return waiting > 0 && waiting >= Math.min(limit, mostWaiting);
  }

  /** Bytes that the system has not taken. */
  get waiting(): number {
    return this.#length + this.#socket.waiting;
  }

  /** @param piece a string is bytes as latin1; a buffer must not change afterwards */
  write(piece: Buffer | string): void {
    if (piece.length === 0) return;
    if (this.#pieces.push(piece) === 1) process.nextTick(flush, this);
    this.#length += piece.length;
  }

  /** Writes what waits for the end of the turn, now. */
  flush(): void {
    const pieces = this.#pieces;
    if (pieces.length === 0) return;
    const socket = this.#socket;
    if (socket.writable) {
      const first = pieces[0] as Buffer | string;
      if (pieces.length === 1 && typeof first !== 'string') socket.write(first);
      else if (this.#length <= longestJoined && socket.waiting === 0) this.#writeJoined();
      else this.#writePieces();
    }
    this.#pieces = [];
    this.#length = 0;
    if (socket.waiting === 0) this.#onFlushed();
  }

  #writePieces(): void {
    for (const piece of this.#pieces)
      this.#socket.write(typeof piece === 'string' ? Buffer.from(piece, 'latin1') : piece);
  }

  #writeJoined(): void {
    if (longestJoined - joinedStart < this.#length) {
      joined = Buffer.allocUnsafeSlow(longestJoined);
      joinedStart = 0;
    }
    let at = joinedStart;
    for (const piece of this.#pieces) {
      at += typeof piece === 'string' ? joined.write(piece, at, 'latin1') : piece.copy(joined, at);
    }
    this.#socket.write(joined.subarray(joinedStart, at));
    if (this.#socket.waiting > 0) joinedStart = at;
  }
}

function flush(writer: TurnWriter): void {
  writer.flush();
}
