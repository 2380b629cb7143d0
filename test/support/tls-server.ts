import { createServer, type SecureContextOptions, type TLSSocket, type TlsOptions } from 'node:tls';

/** A server of the length-prefixed protocol (4 bytes of length, big endian) over TLS, which answers with what it got. */
export interface TlsEchoServer {
  readonly port: number;
  /** Those that have shaken hands, in the order of their coming. */
  readonly sockets: readonly TLSSocket[];
  /** Certificates and authorities for handshakes from now on. */
  rotate(options: SecureContextOptions): void;
  close(): Promise<void>;
}

export async function startTlsEchoServer(options: TlsOptions): Promise<TlsEchoServer> {
  const sockets: TLSSocket[] = [];
  const server = createServer(options, (socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    let held = Buffer.alloc(0);
    socket.on('data', (data: Buffer) => {
      held = Buffer.concat([held, data]);
      while (held.length >= 4 && held.length >= 4 + held.readUInt32BE(0)) {
        const size = 4 + held.readUInt32BE(0);
        socket.write(held.subarray(0, size));
        held = held.subarray(size);
      }
    });
  });
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const bound = server.address();
  if (typeof bound !== 'object' || bound === null) throw new Error('not bound');
  return {
    port: bound.port,
    sockets,
    rotate: (next) => server.setSecureContext(next),
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
