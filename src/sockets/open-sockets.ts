import type { Logger } from '../log.js';
import { openAddon } from '../native-addon.js';
import { youngCollector } from '../young-generation.js';
import { createNativeSockets, type SocketsAddon } from './native-sockets.js';
import { adoptNodeSocket } from './node-socket.js';
import type { AdoptSocket } from './stream-socket.js';

/** `own`: the native part, where there is one. */
export const socketsNames = ['own', 'node'] as const;
export type SocketsName = (typeof socketsNames)[number];

/** A process has one event loop, and the native part is in it once. */
let opened: AdoptSocket | undefined;

/** What reads and writes the connections of this process. Without the native part it's Node: slower, and otherwise the same. */
export function openSockets(name: SocketsName, log: Logger): AdoptSocket {
  if (name === 'node') return adoptNodeSocket;
  opened ??= openNative(log);
  return opened;
}

function openNative(log: Logger): AdoptSocket {
  const addon = openAddon('pontoon_sockets');
  if ('exports' in addon) return createNativeSockets(addon.exports as SocketsAddon, youngCollector());
  log.info({ reason: addon.reason }, 'connections are read and written by Node, which costs more processor time');
  return adoptNodeSocket;
}
