import { createServer, type Socket } from 'node:net';

/** Longer frames end the connection: nobody who tries the demo sends them. */
const maxPayload = 16 * 1024 * 1024;
const headerSize = 4;

/** A TCP server that knows nothing of HTTP. */
export interface FramedServer {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Starts a server on 127.0.0.1 that speaks frames: 4 bytes of length, big-endian, then that many bytes. Each frame is answered with one that
 * holds `NAME: `, the same bytes, and a line break.
 *
 * @throws when the port can't be bound
 */
export async function startFramedServer(name: string, port: number): Promise<FramedServer> {
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    answerFrames(socket, name);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error(`${name} has no port`);
  return {
    port: address.port,
    close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      return closed;
    },
  };
}

function answerFrames(socket: Socket, name: string): void {
  let pieces: Buffer[] = [];
  let received = 0;
  let wanted = headerSize;
  socket.on('data', (data: Buffer) => {
    pieces.push(data);
    received += data.length;
    // Looked at as a whole only when something can be complete, so that large frames are not copied again with each piece.
    while (received >= wanted) {
      const bytes = Buffer.concat(pieces);
      const length = bytes.readUInt32BE(0);
      if (length > maxPayload) return void socket.destroy();
      if (received >= headerSize + length) {
        socket.write(frame(Buffer.from(`${name}: `), bytes.subarray(headerSize, headerSize + length)));
        pieces = [bytes.subarray(headerSize + length)];
        received -= headerSize + length;
        wanted = headerSize;
      } else {
        pieces = [bytes];
        wanted = headerSize + length;
      }
    }
  });
}

function frame(prefix: Buffer, payload: Buffer): Buffer {
  const header = Buffer.alloc(headerSize);
  header.writeUInt32BE(prefix.length + payload.length + 1);
  return Buffer.concat([header, prefix, payload, Buffer.from('\n')]);
}
