import { Socket } from 'node:net';
import { type ConnectionOptions, connect } from 'node:tls';
import type { ClientSession } from '../tls/client-tls.js';
import type { Host } from './host.js';
import type { ConnectionContext } from './pooled-connection.js';

/** A socket on its way, and how it is encrypted: usable after 'connect', with TLS after 'secureConnect' and a check. */
export interface ConnectingSocket {
  readonly socket: Socket;
  readonly tls: ClientSession | undefined;
}

/** Connects. Whatever is wrong shows as an 'error' of the socket. */
export function connectSocket(
  host: Host,
  { bufferLimitBytes, tlsOf }: Pick<ConnectionContext, 'bufferLimitBytes' | 'tlsOf'>,
): ConnectingSocket {
  const { socketAddress: address } = host;
  const target = address.kind === 'pipe' ? { path: address.path } : { host: address.address, port: address.port };
  const clientTls = tlsOf(host);
  const tls = clientTls?.session(host.hostname);
  try {
    // Never in plain text instead.
    if (clientTls && tls === undefined) throw new Error('TLS_error: secrets are not ready');
    // allowHalfOpen: after the server's FIN the rest of the request can still be written.
    if (tls) {
      // Node knows these options of sockets here, its types do not.
      const options: ConnectionOptions & { allowHalfOpen: boolean; highWaterMark: number } = {
        ...tls.options,
        ...target,
        allowHalfOpen: true,
        highWaterMark: Math.max(1, bufferLimitBytes),
      };
      return { socket: connect(options), tls };
    }
    const socket = new Socket({ allowHalfOpen: true });
    socket.connect(target);
    return { socket, tls };
  } catch (error) {
    // An impossible path or port is one more way not to be connected. 'error' comes later.
    return { socket: new Socket().destroy(error as Error), tls: undefined };
  }
}
