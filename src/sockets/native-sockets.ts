import type { Socket } from 'node:net';
import { getSystemErrorName } from 'node:util';
import { NodeSocket } from './node-socket.js';
import type { AdoptSocket, SocketHandler, StreamSocket } from './stream-socket.js';

/** The add-on, native/sockets.cc, which describes its functions. Numbers below 0 are errors of the system. */
export interface SocketsAddon {
  start(onEvents: (count: number) => void, events: Buffer): number;
  newSlab(): Buffer | undefined;
  rewind(at: number): void;
  duplicate(fd: number): number;
  watch(fd: number, interest: number, known: boolean): number;
  write(fd: number, data: Buffer, from: number): number;
  read(fd: number, into: Buffer): number;
  finish(fd: number): number;
  close(fd: number, reset: boolean): void;
  keepAlive(active: boolean): void;
}

/** Of `native/sockets.cc`. */
const read = 1;
const write = 2;
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
/** So much may be kept of what came before a connection failed. It is more than the system holds, unless told otherwise. */
const mostUnread = 8 * 1024 * 1024;

/** So many slabs are used between two collections of what is young, 2 MB: they cost less than a full collection that begins because memory seems to grow. */
const mostSlabs = 32;

const again = -11;

/**
 * Reads and writes sockets by the add-on: one call per turn of the event loop for all that came, and no objects per read but the bytes.
 * Once per process. Connecting, accepting and TLS stay Node's.
 * @param collectYoung frees what nobody holds of the youngest objects, and the bytes behind them
 * @throws Error when the system refuses
 */
export function createNativeSockets(addon: SocketsAddon, collectYoung: () => void): AdoptSocket {
  const loop = new SocketLoop(addon, collectYoung);
  return (socket) => {
    const fd = descriptorOf(socket);
    const own = fd === undefined ? -1 : addon.duplicate(fd);
    return own < 0 ? new NodeSocket(socket) : new NativeSocket(loop, addon, own, socket);
  };
}

/** Of a plain socket of which nothing has been read; Node has no public name for it. */
function descriptorOf(socket: Socket): number | undefined {
  if (socket.destroyed || socket.bytesRead > 0 || 'encrypted' in socket) return undefined;
  const { _handle: handle } = socket as unknown as { readonly _handle?: { readonly fd?: unknown } };
  return typeof handle?.fd === 'number' && handle.fd >= 0 ? handle.fd : undefined;
}

/** What came on all sockets, in turn. */
class SocketLoop {
  readonly #addon: SocketsAddon;
  readonly #events = new Int32Array(fields * mostEvents);
  readonly #sockets: (NativeSocket | undefined)[] = [];
  #open = 0;
  #slab: Buffer;
  #slabStart = 0;
  readonly #collectYoung: () => void;
  #slabsUsed = 0;
  /** Events of this turn are being told: their descriptors must go on meaning what they meant. */
  #telling = false;
  readonly #closing: { readonly fd: number; readonly reset: boolean }[] = [];

  constructor(addon: SocketsAddon, collectYoung: () => void) {
    this.#addon = addon;
    this.#collectYoung = collectYoung;
    const result = addon.start((count) => this.#onEvents(count), Buffer.from(this.#events.buffer));
    if (result < 0) throw new Error(`sockets cannot be watched: ${getSystemErrorName(result)}`);
    this.#slab = this.#newSlab();
  }

  add(fd: number, socket: NativeSocket): void {
    this.#sockets[fd] = socket;
    if (this.#open++ === 0) this.#addon.keepAlive(true);
  }

  close(fd: number, reset: boolean): void {
    this.#sockets[fd] = undefined;
    if (--this.#open === 0) this.#addon.keepAlive(false);
    if (this.#telling) this.#closing.push({ fd, reset });
    else this.#addon.close(fd, reset);
  }

  #onEvents(count: number): void {
    const events = this.#events;
    let used = this.#slabStart;
    this.#telling = true;
    for (let i = 0; i < count * fields; i += fields) {
      const socket = this.#sockets[events[i] as number];
      const at = events[i + 1] as number;
      const size = events[i + 2] as number;
      if (size > longestCopied) used = at + size;
      if (socket === undefined) continue;
      try {
        if (size > 0) socket.onRead(this.#piece(at, size));
        else if (at === writable) socket.onWritable();
        else if (at === hungUp) socket.onHungUp();
        else socket.onReadEnd(size);
      } catch (error) {
        process.nextTick(rethrow, error);
      }
    }
    this.#telling = false;
    for (const { fd, reset } of this.#closing) this.#addon.close(fd, reset);
    this.#closing.length = 0;
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
      if (this.#slabsUsed++ % mostSlabs === 0) this.#collectYoung();
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

class NativeSocket implements StreamSocket {
  readonly remoteAddress: string | undefined;
  readonly remotePort: number | undefined;
  readonly localAddress: string | undefined;
  readonly localPort: number | undefined;
  waiting = 0;
  destroyed = false;
  readonly #loop: SocketLoop;
  readonly #addon: SocketsAddon;
  readonly #fd: number;
  #handler: SocketHandler | undefined;
  #interest = -1;
  #paused = false;
  #readEnded = false;
  #ending = false;
  #finished = false;
  #failing = false;
  #queue: Buffer[] = [];
  /** Of the first in the queue so many bytes are gone. */
  #gone = 0;
  #unread: Buffer[] = [];
  /** Called when so many more bytes are gone. */
  #waiters: { left: number; readonly then: () => void }[] = [];
  #error: NodeJS.ErrnoException | undefined;

  constructor(loop: SocketLoop, addon: SocketsAddon, fd: number, socket: Socket) {
    this.#loop = loop;
    this.#addon = addon;
    this.#fd = fd;
    this.remoteAddress = socket.remoteAddress;
    this.remotePort = socket.remotePort;
    this.localAddress = socket.localAddress;
    this.localPort = socket.localPort;
    loop.add(fd, this);
    socket.on('error', () => {});
    // The connection is ours by a descriptor of its own.
    socket.destroy();
  }

  get writable(): boolean {
    return !this.destroyed && !this.#ending && !this.#failing;
  }

  get unread(): number {
    let sum = 0;
    for (const piece of this.#unread) sum += piece.length;
    return sum;
  }

  setHandler(handler: SocketHandler): void {
    this.#handler = handler;
    this.#watch();
  }

  write(data: Buffer): void {
    if (!this.writable || data.length === 0) return;
    if (this.waiting > 0) {
      this.#queue.push(data);
      this.waiting += data.length;
      return;
    }
    const sent = this.#addon.write(this.#fd, data, 0);
    if (sent === data.length) return;
    if (sent < 0 && sent !== again) {
      this.#fail(sent);
      return;
    }
    this.#queue = [data];
    this.#gone = Math.max(sent, 0);
    this.waiting = data.length - this.#gone;
    this.#watch();
  }

  afterWrites(then: () => void): void {
    if (!this.writable) return;
    if (this.waiting > 0) this.#waiters.push({ left: this.waiting, then });
    else process.nextTick(() => this.destroyed || this.#failing || then());
  }

  end(then?: () => void): void {
    if (!this.writable) return;
    if (then) this.afterWrites(then);
    this.#ending = true;
    if (this.waiting === 0) this.#finish();
  }

  pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#watch();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    if (this.#unread.length > 0) process.nextTick(deliverUnread, this);
    this.#watch();
  }

  takeUnread(): Buffer[] {
    const unread = this.#unread;
    this.#unread = [];
    return unread;
  }

  destroy(): void {
    this.#close(false);
  }

  reset(): void {
    this.#close(true);
  }

  // From the loop.

  onRead(data: Buffer): void {
    if (this.#paused || this.#failing || this.#unread.length > 0) this.#unread.push(data);
    else this.#handler?.onData(data);
  }

  /** @param result 0: FIN; else an error */
  onReadEnd(result: number): void {
    if (result < 0) {
      this.#fail(result);
      return;
    }
    // It will be told again: an end is there until it is looked at.
    if (this.#paused || this.#failing || this.#unread.length > 0 || this.#readEnded) return;
    this.#readEnded = true;
    this.#watch();
    this.#handler?.onEnd();
    if (this.#finished) this.destroy();
  }

  /** The connection is gone, and nobody reads. */
  onHungUp(): void {
    this.#fail(0);
  }

  onWritable(): void {
    while (this.waiting > 0) {
      const first = this.#queue[0] as Buffer;
      const sent = this.#addon.write(this.#fd, first, this.#gone);
      if (sent === again) break;
      if (sent < 0) {
        this.#fail(sent);
        return;
      }
      this.#take(first, sent);
    }
    this.#handler?.onProgress();
    if (this.waiting > 0) return;
    if (this.#ending && !this.destroyed) this.#finish();
    this.#watch();
  }

  #take(first: Buffer, sent: number): void {
    this.waiting -= sent;
    this.#gone += sent;
    if (this.#gone === first.length) {
      this.#queue.shift();
      this.#gone = 0;
    }
    if (this.#waiters.length === 0) return;
    for (const waiter of this.#waiters) waiter.left -= sent;
    while ((this.#waiters[0]?.left ?? 1) <= 0) process.nextTick(this.#waiters.shift()?.then as () => void);
  }

  deliverUnread(): void {
    while (!this.#paused && !this.destroyed) {
      const data = this.#unread.shift();
      if (data === undefined) break;
      this.#handler?.onData(data);
    }
    this.#watch();
  }

  /** Tells the system what we want to know of it. */
  #watch(): void {
    if (this.destroyed || this.#handler === undefined) return;
    const wantsRead = !this.#paused && !this.#readEnded && !this.#failing && this.#unread.length === 0;
    const interest = (wantsRead ? read : 0) | (this.waiting > 0 ? write : 0);
    if (interest === this.#interest) return;
    const known = this.#interest >= 0;
    this.#interest = interest;
    const result = this.#addon.watch(this.#fd, interest, known);
    if (result < 0) this.#fail(result);
  }

  #finish(): void {
    this.#finished = true;
    this.#addon.finish(this.#fd);
    if (this.#readEnded) process.nextTick(destroy, this);
  }

  /** It ends as soon as what came before was told. */
  #fail(result: number): void {
    if (this.#failing || this.destroyed) return;
    this.#failing = true;
    this.#queue = [];
    this.waiting = 0;
    this.#waiters = [];
    const last = this.#readRest();
    const cause = result < 0 ? result : last;
    if (cause < 0) this.#error = systemError(cause);
    process.nextTick(finishFailure, this);
  }

  /** What the system still has, into `#unread`. Gives what it said at the end: 0 for FIN, or an error. */
  #readRest(): number {
    for (let room = mostUnread; room > 0; ) {
      const into = Buffer.allocUnsafeSlow(slabSize);
      const got = this.#readEnded ? 0 : this.#addon.read(this.#fd, into);
      if (got <= 0) return got === again ? 0 : got;
      // As large as it is: it may be kept for long.
      this.#unread.push(Buffer.from(into.subarray(0, got)));
      room -= got;
    }
    return 0;
  }

  finishFailure(): void {
    while (!this.#paused && !this.destroyed) {
      const data = this.#unread.shift();
      if (data === undefined) break;
      this.#handler?.onData(data);
    }
    this.destroy();
  }

  #close(reset: boolean): void {
    if (this.destroyed) return;
    this.destroyed = true;
    this.waiting = 0;
    this.#queue = [];
    this.#waiters = [];
    this.#loop.close(this.#fd, reset);
    process.nextTick(tellClose, this);
  }

  tellClose(): void {
    const handler = this.#handler;
    this.#handler = undefined;
    handler?.onClose(this.#error);
    this.#unread = [];
  }
}

function deliverUnread(socket: NativeSocket): void {
  socket.deliverUnread();
}

function destroy(socket: NativeSocket): void {
  socket.destroy();
}

function finishFailure(socket: NativeSocket): void {
  socket.finishFailure();
}

function tellClose(socket: NativeSocket): void {
  socket.tellClose();
}

function systemError(result: number): NodeJS.ErrnoException {
  const code = getSystemErrorName(result);
  return Object.assign(new Error(code), { code, errno: result });
}
