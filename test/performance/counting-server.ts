/**
 * A process with one HTTP/1 listener that counts: what is measured must not hold the client that loads it. Says `{ port }` when it listens,
 * and answers each message with a `Counts`.
 */

import { HeaderMap } from '../../src/bridge/header-map.js';
import type { DownstreamStream } from '../../src/bridge/stream.js';
import { createLogging } from '../../src/log.js';
import { openSockets } from '../../src/sockets/open-sockets.js';
import { kept } from '../../src/turn-memory.js';
import { startServer } from '../http/harness.js';
import { countingSockets } from '../support/counted-socket.js';

export interface Counts {
  /** Since the process began. */
  readonly reads: number;
  readonly writes: number;
  readonly requests: number;
  /** Bytes; without garbage after `collect`. */
  readonly heap: number;
}

const counts = { reads: 0, writes: 0, requests: 0 };

/** Answers with the body that came, in a later turn, as when a server had to be asked; at once where the path says so. */
function answer(stream: DownstreamStream): void {
  counts.requests++;
  const respond = (body: Buffer): void => {
    stream.sendHeaders(new HeaderMap([':status', '200', 'content-length', String(body.length)]), body.length === 0);
    if (body.length > 0) stream.sendData(body, true);
  };
  if (stream.requestEndStream) {
    if (stream.requestHeaders.get(':path') === '/at-once') respond(Buffer.from('here'));
    else setImmediate(respond, Buffer.from('later'));
    return;
  }
  const pieces: Buffer[] = [];
  stream.start({
    onData(data, endStream) {
      pieces.push(kept(data));
      if (endStream) setImmediate(respond, Buffer.concat(pieces));
    },
    onWritable() {},
    onReset() {},
  });
}

const server = await startServer({
  handle: answer,
  accessLogger: { log() {}, close() {} },
  adoptSocket: countingSockets(openSockets('own', createLogging('off').logger('sockets')), counts),
});
process.on('message', (message) => {
  if (message === 'collect') global.gc?.();
  process.send?.({ ...counts, heap: process.memoryUsage().heapUsed } satisfies Counts);
});
process.send?.({ port: server.port });
