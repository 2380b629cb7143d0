import type { StreamSocket } from './stream-socket.js';

/** Pieces that together are no longer than this are joined in memory, which costs less than a system call for each. */
const longestJoined = 64 * 1024;

/** In a turn that writes more than that, pieces from here on go to the system as they are. */
const worthACall = 16 * 1024;

/** A longer text is worth a call into native code. */
const shortText = 64;

/** An array that grew longer is given back. */
const mostSlots = 64;

/**
 * What waits longer than the peer needs to read it only takes memory, which is old then and dear to free: with more than this who writes should be told to stop,
 * whatever the configured limit.
 */
const mostWaiting = 256 * 1024;

/** All writers join in the same memory. What the system has not taken at once stays there, and others write behind it. */
let joined = Buffer.allocUnsafeSlow(longestJoined);
let joinedStart = 0;

/** The writers that were given something in this turn: they need one call at its end, not one each. */
let due: TurnWriter[] = [];

/** Writes to a socket what was given to it in one turn of the event loop at the end of that turn, by one system call where that is little. */
export class TurnWriter {
  readonly #socket: StreamSocket;
  readonly #onFlushed: () => void;
  /** The first `#count` of them; the rest is empty. */
  #pieces: (Buffer | string)[] = [];
  #count = 0;
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
    if (this.#count === 0 && due.push(this) === 1) process.nextTick(flushDue);
    this.#pieces[this.#count++] = piece;
    this.#length += piece.length;
  }

  /** Writes what waits for the end of the turn, now. */
  flush(): void {
    if (this.#count === 0) return;
    const socket = this.#socket;
    if (socket.writable) this.#writeAll();
    this.#forget();
    if (socket.waiting === 0) this.#onFlushed();
  }

  #writeAll(): void {
    const pieces = this.#pieces;
    const count = this.#count;
    for (let from = 0; from < count; ) {
      const first = pieces[from] as Buffer | string;
      let end = from + 1;
      let length = first.length;
      // A piece that is worth a call goes with others only where all of them fit.
      if (this.#length <= longestJoined || length < worthACall) {
        for (; end < count; end++) {
          const next = (pieces[end] as Buffer | string).length;
          if (length + next > longestJoined || (this.#length > longestJoined && next >= worthACall)) break;
          length += next;
        }
      }
      if (end === from + 1 && typeof first !== 'string') this.#socket.write(first);
      else this.#writeJoined(from, end, length);
      from = end;
    }
  }

  #writeJoined(from: number, end: number, length: number): void {
    if (joined.length - joinedStart < length) {
      joined = Buffer.allocUnsafeSlow(Math.max(length, longestJoined));
      joinedStart = 0;
    }
    let at = joinedStart;
    for (let i = from; i < end; i++) {
      const piece = this.#pieces[i] as Buffer | string;
      at += typeof piece === 'string' ? writeText(piece, at) : piece.copy(joined, at);
    }
    this.#socket.write(joined, joinedStart, at);
    if (this.#socket.waiting > 0) joinedStart = at;
  }

  /** The slots stay: a new array for each turn would be garbage. */
  #forget(): void {
    if (this.#count > mostSlots) this.#pieces = [];
    else for (let i = 0; i < this.#count; i++) this.#pieces[i] = '';
    this.#count = 0;
    this.#length = 0;
  }
}

/** Into `joined`. */
function writeText(text: string, at: number): number {
  if (text.length > shortText) return joined.write(text, at, 'latin1');
  for (let i = 0; i < text.length; i++) joined[at + i] = text.charCodeAt(i);
  return text.length;
}

function flushDue(): void {
  const writers = due;
  due = [];
  let i = 0;
  try {
    for (; i < writers.length; i++) (writers[i] as TurnWriter).flush();
  } finally {
    // One threw: the others are not to suffer for it.
    if (i < writers.length) {
      due = [...writers.slice(i + 1), ...due];
      process.nextTick(flushDue);
    }
  }
}
