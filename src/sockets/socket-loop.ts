import { getSystemErrorName } from 'node:util';
import { markTurnMemory } from '../turn-memory.js';
import { throwLater } from './throw-later.js';

/** The add-on, native/sockets.cc, which describes its functions. Numbers below 0 are errors of the system. */
export interface SocketsAddon {
  start(onEvents: (count: number) => void, events: Buffer, memory: Buffer): number;
  /** From now on what was read is overwritten when its turn is over. */
  check(): void;
  duplicate(fd: number): number;
  watch(fd: number, interest: number, before: number): number;
  write(fd: number, data: Buffer, from: number, to: number): number;
  read(fd: number, into: Buffer): number;
  accept(fd: number): number;
  finish(fd: number): number;
  close(fd: number, reset: boolean): void;
  keepAlive(active: boolean): void;
}

/** What the loop tells a socket. */
export interface SocketEvents {
  /** @param data there until the end of the turn: see turn-memory.ts */
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

/** What is read in one call into JavaScript, and the most that is read from one socket at once: large bodies need few calls, and the processor's cache holds it. */
const memorySize = 256 * 1024;

/** What came on all sockets, in turn. */
export class SocketLoop {
  readonly #addon: SocketsAddon;
  readonly #events = new Int32Array(fields * mostEvents);
  /** By descriptor. */
  readonly #sockets: (SocketEvents | undefined)[] = [];
  /** What is read goes here, again and again. */
  readonly #memory = Buffer.allocUnsafeSlow(memorySize);
  #open = 0;

  /** @throws Error when the system refuses */
  constructor(addon: SocketsAddon) {
    this.#addon = addon;
    markTurnMemory(this.#memory.buffer);
    const events = Buffer.from(this.#events.buffer);
    const result = addon.start((count) => this.#onEvents(count), events, this.#memory);
    if (result < 0) throw new Error(`sockets cannot be watched: ${getSystemErrorName(result)}`);
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
    for (let i = 0; i < count * fields; i += fields) {
      const socket = this.#sockets[events[i] as number];
      const at = events[i + 1] as number;
      const size = events[i + 2] as number;
      // It was closed by what another was told.
      if (socket === undefined) continue;
      try {
        if (size > 0) socket.onRead(this.#memory.subarray(at, at + size));
        else if (at === writable) socket.onWritable();
        else if (at === hungUp) socket.onHungUp(size);
        else socket.onReadEnd(size);
      } catch (error) {
        throwLater(error);
      }
    }
  }
}
