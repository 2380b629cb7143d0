import type { Socket } from 'node:net';
import { descriptorOf } from './descriptor.js';
import { NativeSocket } from './native-socket.js';
import { NodeSocket } from './node-socket.js';
import { SocketLoop, type SocketsAddon } from './socket-loop.js';
import type { AdoptSocket } from './stream-socket.js';

/**
 * Reads and writes sockets by the add-on: one call per turn of the event loop for all that came, and no objects per read but the bytes.
 * Once per process. Connecting and TLS stay Node's; so does a socket for which there is no file descriptor left.
 * @throws Error when the system refuses
 */
export function createNativeSockets(addon: SocketsAddon): AdoptSocket {
  const loop = new SocketLoop(addon);
  return (socket) => {
    const fd = untouchedDescriptor(socket);
    const own = fd === undefined ? -1 : addon.duplicate(fd);
    return own < 0 ? new NodeSocket(socket) : new NativeSocket(loop, addon, own, socket);
  };
}

/** Of a plain socket of which nothing has been read. */
function untouchedDescriptor(socket: Socket): number | undefined {
  return socket.destroyed || socket.bytesRead > 0 || 'encrypted' in socket ? undefined : descriptorOf(socket);
}
