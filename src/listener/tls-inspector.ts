import type { Socket } from 'node:net';
import type { Clock } from '../clock.js';
import type { TlsInspection } from '../model/listener.js';
import { type ClientHello, parseClientHello } from './client-hello.js';
import type { TlsInspectorStats } from './listener-stats.js';

/** As Envoy: a longer ClientHello is none. */
const largestHello = 64 * 1024;

/** One of them is called, once. */
export interface InspectionCallbacks {
  /** Nothing was taken from the socket, which is paused. undefined: the client does not speak TLS. */
  onInspected(hello: ClientHello | undefined): void;
  /** The client is gone, or was sent away. */
  onGone(timedOut: boolean): void;
}

/**
 * Envoy's listener filter `tls_inspector`: looks at what a client sends first, and leaves it there.
 * https://www.envoyproxy.io/docs/envoy/latest/configuration/listeners/listener_filters/tls_inspector
 */
export function inspectTls(
  socket: Socket,
  { timeoutMs, continueOnTimeout }: TlsInspection,
  stats: TlsInspectorStats,
  clock: Clock,
  callbacks: InspectionCallbacks,
): void {
  const pieces: Buffer[] = [];
  let length = 0;
  let needed = 1;
  const timer = timeoutMs > 0 ? clock.setTimeout(onTimeout, timeoutMs) : undefined;

  function leave(): void {
    timer?.cancel();
    socket.off('data', onData).off('end', onEnd).off('close', onClose);
    socket.pause();
  }
  function finish(hello: ClientHello | undefined): void {
    leave();
    if (length > 0) socket.unshift(Buffer.concat(pieces));
    callbacks.onInspected(hello);
  }
  function sendAway(timedOut: boolean): void {
    leave();
    socket.destroy();
    callbacks.onGone(timedOut);
  }
  function onTimeout(): void {
    if (continueOnTimeout) finish(undefined);
    else sendAway(true);
  }
  function onData(data: Buffer): void {
    pieces.push(data);
    length += data.length;
    if (length < needed) return;
    const result = parseClientHello(Buffer.concat(pieces));
    switch (result.kind) {
      case 'hello':
        count(result.hello);
        finish(result.hello);
        break;
      case 'not_tls':
        stats.tlsNotFound.value++;
        finish(undefined);
        break;
      case 'incomplete':
        needed = result.needed;
        if (needed <= largestHello) return;
        stats.clientHelloTooLarge.value++;
        sendAway(false);
    }
  }
  function count({ serverName, applicationProtocols }: ClientHello): void {
    stats.tlsFound.value++;
    (serverName === '' ? stats.sniNotFound : stats.sniFound).value++;
    (applicationProtocols.length === 0 ? stats.alpnNotFound : stats.alpnFound).value++;
  }
  function onEnd(): void {
    sendAway(false);
  }
  function onClose(): void {
    leave();
    callbacks.onGone(false);
  }
  // 'close' follows.
  socket.on('error', () => undefined);
  socket.on('data', onData).on('end', onEnd).on('close', onClose);
}
