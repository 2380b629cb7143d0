import type { Socket } from 'node:net';
import { kept } from '../turn-memory.js';
import { slice } from './slice.js';
import type { AdoptSocket, SocketHandler, StreamSocket } from './stream-socket.js';
import { throwLater } from './throw-later.js';

/** For sockets that Node reads and writes. */
export const adoptNodeSocket: AdoptSocket = (socket) => new NodeSocket(socket);

/** Over a socket of Node's: TCP, a Unix domain socket, or TLS. */
export class NodeSocket implements StreamSocket {
  readonly #socket: Socket;
  #handler: SocketHandler | undefined;
  #blocked = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  get remoteAddress(): string | undefined {
    return this.#socket.remoteAddress;
  }

  get remotePort(): number | undefined {
    return this.#socket.remotePort;
  }

  get localAddress(): string | undefined {
    return this.#socket.localAddress;
  }

  get localPort(): number | undefined {
    return this.#socket.localPort;
  }

  get writable(): boolean {
    return !this.#socket.destroyed && !this.#socket.writableEnded;
  }

  get destroyed(): boolean {
    return this.#socket.destroyed;
  }

  get waiting(): number {
    return this.#socket.destroyed ? 0 : this.#socket.writableLength;
  }

  get unread(): number {
    return this.#socket.readableLength;
  }

  setHandler(handler: SocketHandler): void {
    this.#handler = handler;
    const socket = this.#socket;
    socket.on('data', (data: Buffer) => {
      // Node hands on what it has read also after `destroy`.
      if (socket.destroyed) return;
      try {
        handler.onData(data);
      } catch (error) {
        // It would leave Node's stream half done.
        throwLater(error);
      }
    });
    socket.on('end', () => {
      if (socket.destroyed) return;
      try {
        handler.onEnd();
      } catch (error) {
        throwLater(error);
      }
    });
    socket.on('error', (error: NodeJS.ErrnoException) => this.#onGone(error));
    socket.on('close', () => this.#onGone(undefined));
  }

  write(data: Buffer, start = 0, end = data.length): void {
    const socket = this.#socket;
    // Node would take writing behind the end for an error.
    if (!this.writable || start === end) return;
    socket.write(kept(slice(data, start, end)), this.#onTaken);
    if (socket.writableLength > 0) this.#blocked = true;
  }

  afterWrites(then: () => void): void {
    if (!this.writable) return;
    const socket = this.#socket;
    socket.write(nothing, (error) => {
      if (!error && !socket.destroyed) then();
    });
  }

  end(then?: () => void): void {
    if (!this.writable) return;
    this.#socket.end((error?: Error | null) => {
      if (!error) then?.();
    });
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  takeUnread(): Buffer[] {
    const unread: Buffer[] = [];
    for (let data = this.#socket.read(); data !== null; data = this.#socket.read()) unread.push(data as Buffer);
    return unread;
  }

  destroy(): void {
    this.#socket.destroy();
  }

  reset(): void {
    const socket = this.#socket;
    // Node resets none of these: a Unix domain socket, which has no port; what is under TLS; one whose FIN is just on its way.
    const finishing = socket.writableEnded && socket.writableLength === 0 && !socket.writableFinished;
    if (socket.localPort === undefined || 'encrypted' in socket || finishing) socket.destroy();
    else socket.resetAndDestroy();
  }

  readonly #onTaken = (): void => {
    if (!this.#blocked || this.#socket.destroyed) return;
    if (this.#socket.writableLength === 0) this.#blocked = false;
    this.#handler?.onProgress();
  };

  /** 'error', and then 'close': the first of them counts. */
  #onGone(error: NodeJS.ErrnoException | undefined): void {
    const handler = this.#handler;
    this.#handler = undefined;
    handler?.onClose(error);
  }
}

const nothing = Buffer.alloc(0);
