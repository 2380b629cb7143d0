import type { Socket } from 'node:net';

/** What is written in a turn and is no longer than this is joined in memory, which costs less than handing the system a list of pieces. */
const longestJoined = 32 * 1024;

/** All writers join in the same memory, as long as the system takes what is written at once. */
let joined = Buffer.allocUnsafeSlow(longestJoined);

/** Writes to a socket what was given to it in one turn of the event loop at the end of that turn, by one system call. */
export class TurnWriter {
  readonly #socket: Socket;
  readonly #onFlushed: () => void;
  #pieces: (Buffer | string)[] = [];
  #length = 0;

  /** @param onFlushed the system took what was written; called once or several times per turn */
  constructor(socket: Socket, onFlushed: () => void) {
    this.#socket = socket;
    this.#onFlushed = onFlushed;
  }

  /** Bytes that the system has not taken. */
  get waiting(): number {
    return this.#length + this.#socket.writableLength;
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
    if (!socket.destroyed && !socket.writableEnded) {
      if (pieces.length > 1 && this.#length <= longestJoined && socket.writableLength === 0) this.#writeJoined();
      else this.#writePieces();
    }
    this.#pieces = [];
    this.#length = 0;
  }

  #writePieces(): void {
    const socket = this.#socket;
    if (this.#pieces.length > 1) socket.cork();
    for (const piece of this.#pieces) {
      if (typeof piece === 'string') socket.write(piece, 'latin1', this.#onFlushed);
      else socket.write(piece, this.#onFlushed);
    }
    socket.uncork();
  }

  #writeJoined(): void {
    let at = 0;
    for (const piece of this.#pieces) {
      at += typeof piece === 'string' ? joined.write(piece, at, 'latin1') : piece.copy(joined, at);
    }
    this.#socket.write(joined.subarray(0, at), this.#onFlushed);
    // A slow client: the memory is the socket's until it has been sent.
    if (this.#socket.writableLength > 0) joined = Buffer.allocUnsafeSlow(longestJoined);
  }
}

function flush(writer: TurnWriter): void {
  writer.flush();
}
