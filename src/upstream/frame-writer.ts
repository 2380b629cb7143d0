import { joinSmall } from './join-small.js';
import type { Lease } from './lease.js';
import { type QueuedFrame, WriteQueue } from './write-queue.js';

/** So many bytes are handed to the socket at a time. */
const batchSize = 65_536;

/** Writes frames to a shared connection, those of one turn of the event loop together. While the server is slow they wait, in fair order. */
export class FrameWriter {
  readonly #lease: Lease;
  readonly #queue = new WriteQueue();
  #scheduled = false;
  /** The socket is above its watermark. */
  #blocked = false;
  #stopped = false;

  constructor(lease: Lease) {
    this.#lease = lease;
  }

  get blocked(): boolean {
    return this.#blocked;
  }

  /** What waits. */
  get bytes(): number {
    return this.#queue.bytes;
  }

  add(frame: QueuedFrame): void {
    this.#queue.add(frame);
    if (this.#scheduled || this.#blocked) return;
    this.#scheduled = true;
    // After all sockets that were readable in this turn: what their requests became goes out in one write.
    setImmediate(flush, this);
  }

  remove(frame: QueuedFrame): void {
    this.#queue.remove(frame);
  }

  stop(): void {
    this.#stopped = true;
  }

  onWritable(): void {
    this.#blocked = false;
    this.flush();
  }

  flush(): void {
    this.#scheduled = false;
    while (!this.#blocked && !this.#stopped) {
      const batch: Buffer[] = [];
      let told: (() => void)[] | undefined;
      let size = 0;
      while (size < batchSize) {
        const frame = this.#queue.take();
        if (frame === undefined) break;
        if (!frame.onWrite()) continue;
        size += frame.size;
        for (const piece of frame.pieces) batch.push(piece);
        if (frame.whenWritten === undefined) continue;
        told ??= [];
        told.push(frame.whenWritten);
      }
      if (size === 0) return;
      this.#write(joinSmall(batch));
      for (const tell of told ?? []) this.#lease.afterWrites(tell);
    }
  }

  #write(pieces: readonly Buffer[]): void {
    const last = pieces.length - 1;
    for (let i = 0; i <= last; i++) if (!this.#lease.write(pieces[i] as Buffer, i < last)) this.#blocked = true;
  }
}

function flush(writer: FrameWriter): void {
  writer.flush();
}
