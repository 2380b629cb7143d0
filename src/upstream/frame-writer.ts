import { copyPart } from '../copy-part.js';
import { markTurnMemory } from '../turn-memory.js';
import type { Lease } from './lease.js';
import { type QueuedFrame, WriteQueue } from './write-queue.js';

/** Frames up to this size are joined for one write, which costs less than a system call for each; larger ones are written as they are. */
const largestJoined = 65_536;
/** So many bytes are handed to the socket at a time. */
const batchSize = 262_144;
/** What a large frame begins with goes out in one piece of at least so many bytes. */
const firstPiece = 4096;

/** All writers join in the same memory: what the system does not take is copied by the socket. */
const joined = Buffer.allocUnsafeSlow(batchSize);
markTurnMemory(joined.buffer);

/** What is needed of the connection. */
type Target = Pick<Lease, 'write' | 'awaitWritten' | 'afterWrites'>;

/** Writes frames to a shared connection, those of one turn of the event loop together. While the server is slow they wait, in fair order. */
export class FrameWriter {
  readonly #lease: Target;
  readonly #queue = new WriteQueue();
  /** A part of it is written. */
  #begun: QueuedFrame | undefined;
  #scheduled: 'no' | 'after this turn' | 'in this turn' = 'no';
  /** The system has not taken all that was written. */
  #blocked = false;
  #stopped = false;

  constructor(lease: Target) {
    this.#lease = lease;
  }

  get blocked(): boolean {
    return this.#blocked;
  }

  /** What waits. */
  get bytes(): number {
    return this.#queue.bytes + (this.#begun?.bytes.length ?? 0);
  }

  add(frame: QueuedFrame): void {
    this.#queue.add(frame);
    if (this.#blocked) frame.bytes.keep();
    else if (this.#scheduled !== 'in this turn') this.#schedule(frame);
  }

  /** As late as possible: what the requests of all sockets that were readable became goes out in one write. */
  #schedule(frame: QueuedFrame): void {
    if (frame.bytes.endsWithTurn) {
      this.#scheduled = 'in this turn';
      process.nextTick(flush, this);
    } else if (this.#scheduled === 'no') {
      this.#scheduled = 'after this turn';
      setImmediate(flush, this);
    }
  }

  remove(frame: QueuedFrame): void {
    this.#queue.remove(frame);
  }

  stop(): void {
    this.#stopped = true;
    this.#begun?.bytes.clear();
    this.#begun = undefined;
    this.#queue.clear();
  }

  /** Somebody writes a frame past it: what comes meanwhile waits until `resume`. */
  pause(): void {
    this.#blocked = true;
  }

  resume(): void {
    this.#blocked = this.#lease.awaitWritten();
    this.flush();
  }

  onWritable(): void {
    this.#blocked = false;
    this.flush();
  }

  flush(): void {
    this.#scheduled = 'no';
    while (!this.#blocked && !this.#stopped) {
      if (this.#begun !== undefined) this.#continue(this.#begun);
      else if (!this.#writeNext()) return;
    }
    this.#begun?.bytes.keep();
    this.#queue.keep();
  }

  /** Those whose turn it is, as many as go out together. False: none waits. */
  #writeNext(): boolean {
    let size = 0;
    let told: (() => void)[] | undefined;
    while (size <= batchSize - largestJoined && !this.#stopped) {
      const frame = this.#queue.take();
      if (frame === undefined) break;
      if (!frame.onWrite()) continue;
      if (frame.size > largestJoined) {
        this.#begun = frame;
        break;
      }
      for (const piece of frame.bytes.take()) size += copyPart(piece, joined, size);
      if (frame.whenWritten === undefined) continue;
      told ??= [];
      told.push(frame.whenWritten);
    }
    if (size === 0) return this.#begun !== undefined;
    this.#write(joined.subarray(0, size));
    if (told !== undefined) for (const tell of told) this.#lease.afterWrites(tell);
    return true;
  }

  #continue(frame: QueuedFrame): void {
    const { bytes, whenWritten } = frame;
    bytes.head(firstPiece);
    while (!this.#blocked && !this.#stopped) {
      const piece = bytes.shift();
      if (piece === undefined) break;
      this.#write(piece);
    }
    if (bytes.length > 0 || this.#stopped) return;
    this.#begun = undefined;
    if (whenWritten !== undefined) this.#lease.afterWrites(whenWritten);
  }

  #write(bytes: Buffer): void {
    this.#lease.write(bytes, false);
    this.#blocked = this.#lease.awaitWritten();
  }
}

function flush(writer: FrameWriter): void {
  writer.flush();
}
