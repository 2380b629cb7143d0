import type { Logger } from '../log.js';
import { openAddon } from '../native-addon.js';
import { youngCollector } from '../young-generation.js';
import { createNativeSockets } from './native-sockets.js';
import { adoptNodeSocket } from './node-socket.js';
import type { SocketsAddon } from './socket-loop.js';
import type { AdoptSocket } from './stream-socket.js';

/** `own`: the native part, where there is one. */
export const socketsNames = ['own', 'node'] as const;
export type SocketsName = (typeof socketsNames)[number];

/** A thread has one event loop, and the native part is in it once. */
let opened: AdoptSocket | undefined;

/** What reads and writes the connections of this process. Without the native part it's Node: slower, and otherwise the same. */
export function openSockets(name: SocketsName, log: Logger): AdoptSocket {
  if (name === 'node') return adoptNodeSocket;
  opened ??= openNative(log);
  return opened;
}

function openNative(log: Logger): AdoptSocket {
  const native = tryNative();
  if (typeof native === 'function') return native;
  log.info(
    { reason: native },
    'Node reads and writes connections, which costs more processor time; "pontoon --version" builds the native part, or says why it can not',
  );
  return adoptNodeSocket;
}

/** Or why not. */
function tryNative(): AdoptSocket | string {
  const addon = openAddon('pontoon_sockets');
  if (!('exports' in addon)) return addon.reason;
  try {
    return createNativeSockets(addon.exports as SocketsAddon, youngCollector());
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
