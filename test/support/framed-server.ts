import { type ServerConnection, startTcpServer, type TcpServer } from './tcp-server.js';

/** A frame of the length-prefixed protocol: 4 bytes of length, big-endian, then the payload. */
export function frame(payload: string | Buffer): Buffer {
  const body = Buffer.from(payload as string);
  const header = Buffer.alloc(4);
  header.writeUInt32BE(body.length);
  return Buffer.concat([header, body]);
}

/** A payload that begins with an id of 4 bytes. */
export function withId(id: number, rest: string | Buffer): Buffer {
  const header = Buffer.alloc(4);
  header.writeUInt32BE(id);
  return Buffer.concat([header, Buffer.from(rest as string)]);
}

/** A function that takes what comes in any pieces and calls with each payload. */
export function framesOf(onPayload: (payload: Buffer) => void): (data: Buffer) => void {
  let pieces: Buffer[] = [];
  let received = 0;
  let wanted = 4;
  return (data) => {
    pieces.push(data);
    received += data.length;
    while (received >= wanted) {
      const bytes = Buffer.concat(pieces);
      pieces = [bytes];
      wanted = 4 + bytes.readUInt32BE(0);
      if (received < wanted) return;
      onPayload(bytes.subarray(4, wanted));
      pieces = [bytes.subarray(wanted)];
      received -= wanted;
      wanted = 4;
    }
  };
}

/** Speaks frames on a free port. The handler gets each frame's payload. */
export async function startFramedTestServer(
  onPayload: (payload: Buffer, connection: ServerConnection) => void,
): Promise<TcpServer> {
  const readers = new WeakMap<ServerConnection, (data: Buffer) => void>();
  return startTcpServer({
    onConnection: (connection) =>
      void readers.set(
        connection,
        framesOf((payload) => onPayload(payload, connection)),
      ),
    onData: (connection, data) => readers.get(connection)?.(data),
    onEnd: ({ socket }) => void socket.end(),
  });
}
