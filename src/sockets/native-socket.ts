import type { Socket } from 'node:net';
import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { kept } from '../turn-memory.js';
import { slice } from './slice.js';
import type { SocketEvents, SocketLoop, SocketsAddon } from './socket-loop.js';
import type { SocketHandler, StreamSocket } from './stream-socket.js';

/** What the system is asked to tell, by bits; see `native/sockets.cc`. */
const read = 1;
const write = 2;
const unwatched = -1;

const again = -constants.errno.EAGAIN;
const brokenPipe = -constants.errno.EPIPE;

/** So much may be kept of what came before a connection failed. It is more than the system holds, unless told otherwise. */
const mostUnread = 8 * 1024 * 1024;
const readSize = 64 * 1024;

/** Over a descriptor that is ours alone. */
export class NativeSocket implements StreamSocket, SocketEvents {
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
  #interest = unwatched;
  #paused = false;
  #readEnded = false;
  /** `end` was called. */
  #ending = false;
  /** And FIN is out. */
  #finished = false;
  /** Nothing goes either way any more. */
  #hungUp = false;
  #failing = false;
  #queue: Buffer[] = [];
  /** Of the first in the queue so many bytes are gone. */
  #gone = 0;
  #unread: Buffer[] = [];
  /** Bytes that waited and were taken by the system. */
  #taken = 0;
  /** Called when so many are taken. */
  #waiters: { readonly at: number; readonly then: () => void }[] = [];
  #error: NodeJS.ErrnoException | undefined;

  /** @param fd a descriptor of `socket`'s connection that nobody else has */
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

  write(data: Buffer, start = 0, end = data.length): void {
    if (!this.writable || start === end) return;
    if (this.waiting > 0) {
      this.#queue.push(kept(slice(data, start, end)));
      this.waiting += end - start;
      return;
    }
    const sent = this.#addon.write(this.#fd, data, start, end);
    if (sent === end - start) return;
    if (sent < 0 && sent !== again) {
      this.#fail(sent);
      return;
    }
    const rest = kept(slice(data, sent > 0 ? start + sent : start, end));
    this.#queue = [rest];
    this.#gone = 0;
    this.waiting = rest.length;
    this.#watch();
  }

  afterWrites(then: () => void): void {
    if (!this.writable) return;
    if (this.waiting > 0) this.#waiters.push({ at: this.#taken + this.waiting, then });
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
    if (this.#paused || this.#failing || this.#unread.length > 0) this.#unread.push(kept(data));
    else this.#handler?.onData(data);
  }

  onReadEnd(result: number): void {
    if (result < 0) {
      this.#fail(result);
      return;
    }
    // It will be told again: an end is there until it is looked at.
    if (this.#paused || this.#failing || this.#unread.length > 0 || this.#readEnded) return;
    this.#readEnded = true;
    this.#watch();
    if (this.#finished) process.nextTick(destroy, this);
    this.#handler?.onEnd();
  }

  onHungUp(error: number): void {
    if (error < 0 || this.waiting > 0) {
      this.#fail(error < 0 ? error : brokenPipe);
      return;
    }
    this.#hungUp = true;
    this.#watch();
  }

  onWritable(): void {
    const before = this.waiting;
    while (this.waiting > 0) {
      const first = this.#queue[0] as Buffer;
      const sent = this.#addon.write(this.#fd, first, this.#gone, first.length);
      if (sent === again) break;
      if (sent < 0) {
        this.#fail(sent);
        return;
      }
      this.#take(first, sent);
    }
    if (this.waiting === before) return;
    if (this.waiting === 0) {
      if (this.#ending) this.#finish();
      this.#watch();
    }
    this.#handler?.onProgress();
  }

  #take(first: Buffer, sent: number): void {
    this.waiting -= sent;
    this.#taken += sent;
    this.#gone += sent;
    if (this.#gone === first.length) {
      this.#queue.shift();
      this.#gone = 0;
    }
    while ((this.#waiters[0]?.at ?? Infinity) <= this.#taken)
      process.nextTick(this.#waiters.shift()?.then as () => void);
  }

  /** Tells the system what we want to know of it. */
  #watch(): void {
    if (this.destroyed || this.#handler === undefined) return;
    const wantsRead = !this.#paused && !this.#readEnded && !this.#failing && this.#unread.length === 0;
    let interest = (wantsRead ? read : 0) | (this.waiting > 0 ? write : 0);
    // The system would tell it again and again.
    if (interest === 0 && this.#hungUp) interest = unwatched;
    const before = this.#interest;
    if (interest === before) return;
    this.#interest = interest;
    const result = this.#addon.watch(this.#fd, interest, before);
    if (result < 0) this.#fail(result);
  }

  deliverUnread(): void {
    try {
      this.#handOn();
    } finally {
      // The handler threw.
      if (this.#unread.length > 0 && !this.#paused && !this.destroyed) process.nextTick(deliverUnread, this);
      this.#watch();
    }
  }

  #handOn(): void {
    while (!this.#paused && !this.destroyed) {
      const data = this.#unread.shift();
      if (data === undefined) break;
      this.#handler?.onData(data);
    }
  }

  #finish(): void {
    this.#finished = true;
    // It fails where the connection is gone, which reading tells, too.
    this.#addon.finish(this.#fd);
    if (this.#readEnded) process.nextTick(destroy, this);
  }

  /** It ends as soon as what came before was told. */
  #fail(result: number): void {
    if (this.#failing || this.destroyed) return;
    this.#failing = true;
    this.#error = systemError(result);
    this.#dropWrites();
    // Not before the loop has told what it has read already.
    process.nextTick(finishFailure, this);
  }

  finishFailure(): void {
    if (this.destroyed) return;
    try {
      this.#readRest();
      this.#handOn();
    } finally {
      this.destroy();
    }
  }

  /** What the system still has, into `#unread`. */
  #readRest(): void {
    for (let room = mostUnread; room > 0 && !this.#readEnded; ) {
      const into = Buffer.allocUnsafeSlow(readSize);
      const got = this.#addon.read(this.#fd, into);
      if (got <= 0) return;
      // As large as it is: it may be kept for long.
      this.#unread.push(Buffer.from(into.subarray(0, got)));
      room -= got;
    }
  }

  #close(reset: boolean): void {
    if (this.destroyed) return;
    this.destroyed = true;
    this.#dropWrites();
    this.#loop.close(this.#fd, reset);
    process.nextTick(tellClose, this);
  }

  #dropWrites(): void {
    this.waiting = 0;
    this.#queue = [];
    this.#waiters = [];
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
