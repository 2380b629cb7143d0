import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogging } from '../../src/log.js';
import type { AdoptSocket, SocketHandler, StreamSocket } from '../../src/sockets/stream-socket.js';
import { kept } from '../../src/turn-memory.js';
import { testedSockets } from '../support/tested-sockets.js';
import { until } from '../support/until.js';

export const transports = ['tcp', 'unix'] as const;
export type Transport = (typeof transports)[number];

export const silentLog = createLogging('off').logger('test');

/** All combinations that must behave alike. */
export const combinations = testedSockets.flatMap((sockets) => transports.map((transport) => ({ sockets, transport })));

/** A socket, what it told, and whether it kept to the contract. */
export class Watched implements SocketHandler {
  readonly socket: StreamSocket;
  /** `data` stands for any number of them in a row, `progress` also. */
  readonly events: string[] = [];
  readonly problems: string[] = [];
  readonly pieces: Buffer[] = [];
  received = 0;
  ended = false;
  closed = false;
  error: NodeJS.ErrnoException | undefined;
  readonly unread: Buffer[] = [];
  /** Whether `pieces` are kept. */
  keep = true;
  /** Called behind what is kept of an event. */
  also: Partial<SocketHandler> = {};
  #calls = 0;
  #gone = false;
  #paused = false;

  constructor(socket: StreamSocket) {
    this.socket = socket;
    for (const call of ['write', 'afterWrites', 'end', 'pause', 'resume', 'destroy', 'reset', 'setHandler'] as const) {
      const original = socket[call].bind(socket) as (...given: unknown[]) => void;
      Object.defineProperty(socket, call, {
        value: (...given: unknown[]) => {
          if (call === 'destroy' || call === 'reset') this.#gone = true;
          if (call === 'pause' || call === 'resume') this.#paused = call === 'pause';
          this.#calls++;
          original(...given);
          this.#calls--;
        },
      });
    }
    socket.setHandler(this);
  }

  onData(data: Buffer): void {
    this.#note('data');
    if (this.#paused) this.problems.push('data while paused');
    if (data.length === 0) this.problems.push('no data');
    if (this.keep) this.pieces.push(kept(data));
    this.received += data.length;
    this.also.onData?.(data);
  }

  onEnd(): void {
    this.#note('end');
    if (this.#paused && this.socket.unread > 0) this.problems.push('end before data');
    if (this.ended) this.problems.push('a second end');
    this.ended = true;
    this.also.onEnd?.();
  }

  onProgress(): void {
    this.#note('progress');
    this.also.onProgress?.();
  }

  onClose(error: NodeJS.ErrnoException | undefined): void {
    this.#gone = false;
    this.#note('close');
    if (!this.socket.destroyed) this.problems.push('closed and not destroyed');
    if (this.socket.waiting !== 0) this.problems.push('closed and something waits');
    this.closed = true;
    this.error = error;
    this.unread.push(...this.socket.takeUnread());
    this.also.onClose?.(error);
  }

  get text(): string {
    return Buffer.concat(this.pieces).toString();
  }

  #note(event: string): void {
    if (this.#calls > 0) this.problems.push(`${event} from within a call`);
    if (this.closed) this.problems.push(`${event} behind the close`);
    if (this.#gone) this.problems.push(`${event} behind destroy`);
    if (this.ended && event === 'data') this.problems.push('data behind the end');
    if (this.events.at(-1) !== event || event === 'close') this.events.push(event);
  }

  until(what: string, probe: () => boolean, ms?: number): Promise<unknown> {
    return until(`${what}; so far: ${this.events} ${this.received}`, () => probe() || undefined, ms);
  }
}

export interface Wire {
  /** Connects two sockets, which `accepted` and `connected` get before anything is read of them. One at a time. */
  connect<A, C>(accepted: (socket: Socket) => A, connected: (socket: Socket) => C): Promise<readonly [A, C]>;
  close(): void;
}

export async function openWire(transport: Transport): Promise<Wire> {
  const folder = mkdtempSync(join(tmpdir(), 'pontoon-sockets-'));
  const server = createServer({ allowHalfOpen: true, noDelay: true });
  const path = join(folder, 'socket');
  if (transport === 'unix') server.listen(path);
  else server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address() as AddressInfo | string;
  const target = typeof address === 'string' ? { path } : { port: address.port, host: '127.0.0.1' };
  return {
    connect: async (accepted, connected) => {
      const one = new Promise<ReturnType<typeof accepted>>((resolve) => {
        server.once('connection', (socket) => resolve(accepted(socket)));
      });
      const client = connect({ ...target, noDelay: true, allowHalfOpen: true });
      const other = new Promise<ReturnType<typeof connected>>((resolve, reject) => {
        client.once('error', reject);
        client.once('connect', () => {
          client.off('error', reject);
          resolve(connected(client));
        });
      });
      return [await one, await other];
    },
    close: () => {
      server.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** One's own end of a connection, watched, and Node's at the other. */
export async function watchedPair(wire: Wire, adopt: AdoptSocket): Promise<readonly [Watched, Socket]> {
  return wire.connect(
    (socket) => new Watched(adopt(socket)),
    (peer) => peer.on('error', () => {}),
  );
}

/** How many descriptors this process has. */
export function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}
