import { lstat, unlink } from 'node:fs/promises';
import { createServer, isIPv6, type Server, type Socket } from 'node:net';
import { formatAddress, type SocketAddress } from '../model/endpoint.js';
import type { AcceptNext } from '../sockets/accept.js';

/** A socket that listens. Whose connections they are may change: a listener hands its sockets to the next one at the same address. */
export interface BoundSocket {
  /** As configured: the port may be 0. */
  readonly address: SocketAddress;
  /** As bound. */
  readonly localAddress: SocketAddress;
  /** Gets every connection from now on. */
  onConnection: (socket: Socket) => void;
  /** Stops accepting; accepted connections live on. */
  close(): void;
}

export interface BindOptions {
  readonly backlog: number;
  /** An IPv6 socket takes IPv4 connections, too. */
  readonly ipv4Compat: boolean;
  /** Nothing is read from accepted connections: for those that are given to other processes. */
  readonly pauseOnConnect: boolean;
  readonly acceptNext: AcceptNext;
}

/** So many connections are accepted at once, before those that are open get their turn. */
const mostAccepted = 32;

/**
 * Binds and listens.
 * @throws Error whose message says which address and why
 */
export async function bindSocket(address: SocketAddress, options: BindOptions): Promise<BoundSocket> {
  const bound: { onConnection: (socket: Socket) => void } = { onConnection: (socket) => socket.destroy() };
  const { pauseOnConnect, acceptNext } = options;
  const kind = { allowHalfOpen: true, noDelay: true, pauseOnConnect };
  const server = createServer(kind, (first) => {
    let socket: Socket | undefined = first;
    for (let accepted = 1; socket !== undefined; accepted++) {
      bound.onConnection(socket);
      socket = accepted < mostAccepted ? acceptNext(server, kind) : undefined;
    }
  });
  try {
    await listen(server, address, options);
  } catch (error) {
    throw new Error(`cannot bind ${formatAddress(address)}: ${explainBindError(error as NodeJS.ErrnoException)}`);
  }
  // An error while accepting (out of file descriptors) passes; the socket goes on listening.
  server.on('error', () => {});
  return {
    address,
    localAddress: boundAddress(server, address),
    get onConnection() {
      return bound.onConnection;
    },
    set onConnection(take) {
      bound.onConnection = take;
    },
    close: () => void server.close(),
  };
}

async function listen(server: Server, address: SocketAddress, { backlog, ipv4Compat }: BindOptions): Promise<void> {
  if (address.kind === 'pipe') await removeStaleSocket(address.path);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(
      address.kind === 'pipe'
        ? { path: address.path.replace(/^@/, '\0'), backlog }
        : { host: address.address, port: address.port, backlog, ipv6Only: isIPv6(address.address) && !ipv4Compat },
      () => {
        server.off('error', reject);
        resolve();
      },
    );
  });
}

/** What a process that ended without cleaning up left behind; as Envoy, which unlinks the path before it binds. */
export async function removeStaleSocket(path: string): Promise<void> {
  const stats = path.startsWith('@') ? undefined : await lstat(path).catch(() => undefined);
  if (stats?.isSocket()) await unlink(path).catch(() => {});
}

function boundAddress(server: Server, address: SocketAddress): SocketAddress {
  const bound = server.address();
  if (bound === null || typeof bound === 'string') return address;
  return { kind: 'tcp', address: bound.address, port: bound.port };
}

/** Why an address can't be bound and what to do, for people. */
export function explainBindError({ code, message }: NodeJS.ErrnoException): string {
  switch (code) {
    case 'EADDRINUSE':
      return 'the address is in use (EADDRINUSE); stop what listens there or choose another port';
    case 'EACCES':
      return 'permission denied (EACCES); ports below 1024 need CAP_NET_BIND_SERVICE, a socket path a writable folder';
    case 'EADDRNOTAVAIL':
      return 'this machine does not have that address (EADDRNOTAVAIL)';
    default:
      return message;
  }
}
