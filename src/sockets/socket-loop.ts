import { getSystemErrorName } from 'node:util';

/** The add-on, native/sockets.cc, which describes its functions. Numbers below 0 are errors of the system. */
export interface SocketsAddon {
  start(onEvents: (count: number) => void, events: Buffer): number;
  newSlab(): Buffer | undefined;
  rewind(at: number): void;
  duplicate(fd: number): number;
  watch(fd: number, interest: number, before: number): number;
  write(fd: number, data: Buffer, from: number): number;
  read(fd: number, into: Buffer): number;
  finish(fd: number): number;
  close(fd: number, reset: boolean): void;
  keepAlive(active: boolean): void;
}

/** What the loop tells a socket. */
export interface SocketEvents {
  onRead(data: Buffer): void;
  /** @param result 0: FIN; else an error */
  onReadEnd(result: number): void;
  onWritable(): void;
  /** Nothing goes either way any more, and nobody reads. @param error 0: both sides have ended */
  onHungUp(error: number): void;
}

/** Of `native/sockets.cc`. */
const writable = -1;
const hungUp = -2;
const mostEvents = 128;
const fields = 3;

/** Of the add-on's slabs, where bytes are read to; the pieces that are handed on lie in them. */
const slabSize = 64 * 1024;
/** With less room a new one is taken, so that messages of some kilobytes come in one piece. */
const leastRoom = 20 * 1024;
/** Pieces up to this size are copied out, so that somebody who keeps one does not keep the slab. */
const longestCopied = 2048;
/** So many slabs are used between two collections of what is young, 2 MB: they cost less than a full collection that begins because memory seems to grow. */
const mostSlabs = 32;

/** What came on all sockets, in turn. */
export class SocketLoop {
  readonly #addon: SocketsAddon;
  readonly #events = new Int32Array(fields * mostEvents);
  /** By descriptor. */
  readonly #sockets: (SocketEvents | undefined)[] = [];
  #open = 0;
  #slab: Buffer;
  #slabStart = 0;
  readonly #collectYoung: () => void;
  #slabsUsed = 0;

  /**
   * @param collectYoung frees what nobody holds of the youngest objects, and the bytes behind them
   * @throws Error when the system refuses
   */
  constructor(addon: SocketsAddon, collectYoung: () => void) {
    this.#addon = addon;
    this.#collectYoung = collectYoung;
    const result = addon.start((count) => this.#onEvents(count), Buffer.from(this.#events.buffer));
    if (result < 0) throw new Error(`sockets cannot be watched: ${getSystemErrorName(result)}`);
    this.#slab = this.#newSlab();
  }

  add(fd: number, socket: SocketEvents): void {
    this.#sockets[fd] = socket;
    if (this.#open++ === 0) this.#addon.keepAlive(true);
  }

  close(fd: number, reset: boolean): void {
    this.#sockets[fd] = undefined;
    if (--this.#open === 0) this.#addon.keepAlive(false);
    this.#addon.close(fd, reset);
  }

  #onEvents(count: number): void {
    const events = this.#events;
    let used = this.#slabStart;
    for (let i = 0; i < count * fields; i += fields) {
      const socket = this.#sockets[events[i] as number];
      const at = events[i + 1] as number;
      const size = events[i + 2] as number;
      if (size > longestCopied) used = at + size;
      // It was closed by what another was told.
      if (socket === undefined) continue;
      try {
        if (size > 0) socket.onRead(this.#piece(at, size));
        else if (at === writable) socket.onWritable();
        else if (at === hungUp) socket.onHungUp(size);
        else socket.onReadEnd(size);
      } catch (error) {
        process.nextTick(rethrow, error);
      }
    }
    this.#prepare(used);
  }

  #piece(at: number, size: number): Buffer {
    if (size > longestCopied) return this.#slab.subarray(at, at + size);
    const piece = Buffer.allocUnsafe(size);
    this.#slab.copy(piece, 0, at, at + size);
    return piece;
  }

  #newSlab(): Buffer {
    const slab = this.#addon.newSlab();
    if (slab === undefined) throw new Error('out of memory');
    return slab;
  }

  #prepare(used: number): void {
    if (slabSize - used < leastRoom) {
      if (++this.#slabsUsed % mostSlabs === 0) this.#collectYoung();
      this.#slab = this.#newSlab();
      this.#slabStart = 0;
    } else {
      this.#slabStart = used;
      this.#addon.rewind(used);
    }
  }
}

function rethrow(error: unknown): void {
  throw error;
}
