import { createServer, type Socket } from 'node:net';

/** One connection as a TCP server of a test sees it. */
export interface ServerConnection {
  readonly socket: Socket;
  /** All bytes that came, as one. */
  received(): Buffer;
  /** The client closed its sending side. */
  ended: boolean;
  /** Nothing goes either way any more. */
  closed: boolean;
}

export interface TcpServer {
  readonly port: number;
  readonly address: string;
  /** In the order of their coming, closed ones included. */
  readonly connections: readonly ServerConnection[];
  close(): Promise<void>;
}

export interface TcpServerHandler {
  onConnection?(connection: ServerConnection): void;
  onData?(connection: ServerConnection, data: Buffer): void;
  onEnd?(connection: ServerConnection): void;
}

/** A TCP server on a free port of 127.0.0.1. It does nothing by itself: it doesn't even answer a FIN. */
export async function startTcpServer(handler: TcpServerHandler = {}): Promise<TcpServer> {
  const connections: ServerConnection[] = [];
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    const pieces: Buffer[] = [];
    const connection: ServerConnection = { socket, received: () => Buffer.concat(pieces), ended: false, closed: false };
    connections.push(connection);
    socket.on('error', () => undefined);
    socket.on('close', () => {
      connection.closed = true;
    });
    socket.on('end', () => {
      connection.ended = true;
      handler.onEnd?.(connection);
    });
    handler.onConnection?.(connection);
    socket.on('data', (data: Buffer) => {
      pieces.push(data);
      handler.onData?.(connection, data);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const bound = server.address();
  if (typeof bound !== 'object' || bound === null) throw new Error('not bound');
  return {
    port: bound.port,
    address: `127.0.0.1:${bound.port}`,
    connections,
    async close() {
      for (const { socket } of connections) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
