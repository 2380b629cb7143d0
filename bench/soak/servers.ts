import { createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { answerOf, type Instruction } from './protocol.js';

/** TCP servers that do what their requests say. */
export interface SoakServers {
  readonly ports: readonly number[];
  /** Ends every connection, so that what still holds one shows. */
  dropConnections(): void;
}

export async function startServers(count: number): Promise<SoakServers> {
  const sockets = new Set<Socket>();
  const listen = () =>
    new Promise<Server>((resolve) => {
      const server = createServer({ noDelay: true }, (socket) => {
        sockets.add(socket);
        socket.on('close', () => sockets.delete(socket));
        socket.on('error', () => undefined);
        serve(socket);
      });
      server.listen(0, '127.0.0.1', () => resolve(server));
    });
  const servers = await Promise.all(Array.from({ length: count }, listen));
  return {
    ports: servers.map((server) => (server.address() as { port: number }).port),
    dropConnections() {
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** One request frame after the other; the next one is looked at when the last is answered. */
function serve(socket: Socket): void {
  let received: Buffer = Buffer.alloc(0);
  /** Of the request that is on its way: bytes of its frame that are still to come. */
  let missing = 0;
  let busy = false;
  async function next(): Promise<void> {
    if (busy) return;
    const skipped = Math.min(missing, received.length);
    missing -= skipped;
    received = received.subarray(skipped);
    if (missing > 0 || received.length < 4) return;
    const size = 4 + received.readUInt32BE();
    const lineEnd = received.indexOf('\n', 4);
    if (lineEnd < 0) return;
    const instruction = JSON.parse(received.toString('utf8', 4, lineEnd)) as Instruction;
    if (instruction.act !== 'early' && received.length < size) return;
    missing = size;
    busy = true;
    await obey(socket, instruction);
    busy = false;
    await next();
  }
  socket.on('data', (data: Buffer) => {
    received = received.length === 0 ? data : Buffer.concat([received, data]);
    void next();
  });
}

async function obey(socket: Socket, instruction: Instruction): Promise<void> {
  const { act, size, delay, pieces } = instruction;
  if (delay > 0) await sleep(delay);
  const head = Buffer.alloc(4);
  head.writeUInt32BE(size);
  const frame = Buffer.concat([head, answerOf(instruction)]);
  switch (act) {
    case 'fin':
      socket.end();
      return;
    case 'reset':
      socket.resetAndDestroy();
      return;
    case 'cut-header':
      socket.end(frame.subarray(0, 2));
      return;
    case 'cut-fin':
      socket.end(frame.subarray(0, 4 + Math.floor(size / 2)));
      return;
    case 'cut-reset':
      socket.write(frame.subarray(0, 4 + Math.floor(size / 2)));
      if (delay > 0) await sleep(delay);
      socket.resetAndDestroy();
      return;
    case 'trailing-bytes':
      socket.write(Buffer.concat([frame, Buffer.from('unasked')]));
      return;
    case 'close-after':
      await writePieces(socket, frame, pieces, delay);
      socket.end();
      return;
    case 'answer':
    case 'early':
      await writePieces(socket, frame, pieces, delay);
  }
}

async function writePieces(socket: Socket, frame: Buffer, pieces: number, delay: number): Promise<void> {
  const size = Math.ceil(frame.length / pieces);
  for (let at = 0; at < frame.length && !socket.destroyed; at += size) {
    if (at > 0) await sleep(delay);
    // A slow reader at the other end: one frame at a time is in memory here.
    if (!socket.write(frame.subarray(at, at + size))) {
      await new Promise<void>((resolve) => {
        socket.once('drain', resolve);
        socket.once('close', () => resolve());
      });
    }
  }
}
