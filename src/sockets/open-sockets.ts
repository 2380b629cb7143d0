import type { Logger } from '../log.js';
import { openAddon } from '../native-addon.js';
import { type AcceptNext, createAcceptNext, leaveToNode } from './accept.js';
import { createNativeSockets } from './native-sockets.js';
import { adoptNodeSocket } from './node-socket.js';
import type { SocketsAddon } from './socket-loop.js';
import type { AdoptSocket } from './stream-socket.js';

/** `own`: the native part, where there is one. `checked`: the same, overwriting what was read when its turn is over, which shows who has kept it without asking. */
export const socketsNames = ['own', 'node', 'checked'] as const;
export type SocketsName = (typeof socketsNames)[number];

interface NativePart {
  readonly adopt: AdoptSocket;
  readonly acceptNext: AcceptNext;
  check(): void;
}

/** A thread has one event loop, and the native part is in it once. */
let opened: NativePart | undefined;

/** What reads and writes the connections of this process. Without the native part it's Node: slower, and otherwise the same. */
export function openSockets(name: SocketsName, log: Logger): AdoptSocket {
  if (name === 'node') return adoptNodeSocket;
  opened ??= openNative(log);
  // For good, whatever others ask for.
  if (name === 'checked') opened.check();
  return opened.adopt;
}

/** What takes new connections beside Node, which takes one per turn. */
export function openAccept(name: SocketsName, log: Logger): AcceptNext {
  if (name === 'node') return leaveToNode;
  opened ??= openNative(log);
  return opened.acceptNext;
}

function openNative(log: Logger): NativePart {
  const native = tryNative();
  if (typeof native !== 'string') return native;
  log.info(
    { reason: native },
    'Node reads and writes connections, which costs more processor time; "pontoon --version" builds the native part, or says why it can not',
  );
  return { adopt: adoptNodeSocket, acceptNext: leaveToNode, check: () => {} };
}

/** Or why not. */
function tryNative(): NativePart | string {
  const found = openAddon('pontoon_sockets');
  if (!('exports' in found)) return found.reason;
  const addon = found.exports as SocketsAddon;
  try {
    return { adopt: createNativeSockets(addon), acceptNext: createAcceptNext(addon), check: () => addon.check() };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
