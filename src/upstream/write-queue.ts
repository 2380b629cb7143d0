import type { KeptBytes } from '../kept-bytes.js';

/** A whole frame that waits to be written. */
export interface QueuedFrame {
  /** Whoever writes it takes them. */
  readonly bytes: KeptBytes;
  /** Of all of it, bytes. */
  readonly size: number;
  /** Its place, as `WriteQueue` set it. */
  place: number;
  /** It goes out now; false: it must not any more. */
  onWrite(): boolean;
  /** Told when it is with the kernel. */
  readonly whenWritten: (() => void) | undefined;
}

/** Below so many bytes all that waits goes out at once, and the order does not matter. */
const orderMatters = 262_144;
/** So many slots without a frame are given back. */
const mostSlots = 1024;

/**
 * The frames that wait for a shared connection, in fair order: each is placed as many bytes behind what went before it as it is long. So small frames pass a large
 * one that came before them, but none that comes when as many bytes have gone meanwhile as the large one has.
 */
export class WriteQueue {
  /** Those from `#begin` up to `#end`; the slots stay: a new array for each turn would be garbage. */
  #frames: (QueuedFrame | undefined)[] = [];
  #begin = 0;
  #end = 0;
  #bytes = 0;
  /** Of all that were taken, bytes. */
  #gone = 0;

  get bytes(): number {
    return this.#bytes;
  }

  add(frame: QueuedFrame): void {
    frame.place = this.#gone + frame.size;
    this.#bytes += frame.size;
    this.#frames[this.#end++] = frame;
  }

  /** The next one, which leaves the queue. */
  take(): QueuedFrame | undefined {
    const index = this.#bytes < orderMatters ? this.#begin : this.#first();
    if (index === this.#end) return undefined;
    const frame = this.#frames[index] as QueuedFrame;
    this.#removeAt(index);
    this.#bytes -= frame.size;
    this.#gone += frame.size;
    return frame;
  }

  /** Makes what waits independent of this turn's memory. */
  keep(): void {
    for (let i = this.#begin; i < this.#end; i++) (this.#frames[i] as QueuedFrame).bytes.keep();
  }

  /** False: it isn't there. */
  remove(frame: QueuedFrame): boolean {
    const index = this.#frames.indexOf(frame, this.#begin);
    if (index < 0) return false;
    this.#removeAt(index);
    this.#bytes -= frame.size;
    return true;
  }

  clear(): void {
    for (let i = this.#begin; i < this.#end; i++) (this.#frames[i] as QueuedFrame).bytes.clear();
    this.#frames = [];
    this.#begin = 0;
    this.#end = 0;
    this.#bytes = 0;
  }

  #first(): number {
    const frames = this.#frames;
    let first = this.#begin;
    for (let i = first + 1; i < this.#end; i++) {
      if ((frames[i] as QueuedFrame).place < (frames[first] as QueuedFrame).place) first = i;
    }
    return first;
  }

  #removeAt(index: number): void {
    if (index === this.#begin) {
      this.#frames[index] = undefined;
      this.#begin++;
    } else {
      this.#frames.splice(index, 1);
      this.#end--;
    }
    if (this.#begin === this.#end) {
      this.#begin = 0;
      this.#end = 0;
      if (this.#frames.length > mostSlots) this.#frames = [];
    } else if (this.#begin === mostSlots) {
      this.#frames.splice(0, this.#begin);
      this.#end -= this.#begin;
      this.#begin = 0;
    }
  }
}
