import { connect, type Socket } from 'node:net';

/** Other clients during a run, which the run's own must not notice. */
export interface Disturbance {
  /** Requests sent so far, at most. */
  sent(): number;
  /** Ends all of them. */
  stop(): void;
}

const abortsPerSecond = 50;

/**
 * Clients that go away in the middle of their request or before its answer, 50 in a second, and one exchange whose answer does not come.
 *
 * @param stallMs how long the server sits on the stuck exchange, which is then repeated after as long a pause; 0: it never answers
 */
export function disturb(port: number, body: number, stallMs: number): Disturbance {
  let sent = 0;
  let stopped = false;
  const open = new Set<Socket>();
  const start = (payload: Buffer, upTo: number): Socket => {
    sent++;
    const socket = connect({ port, host: '127.0.0.1' });
    open.add(socket);
    socket.on('error', () => {}).on('close', () => open.delete(socket));
    socket.resume();
    const head = `POST / HTTP/1.1\r\nhost: bench\r\ncontent-length: ${payload.length}\r\n\r\n`;
    socket.write(Buffer.concat([Buffer.from(head), payload.subarray(0, upTo)]));
    return socket;
  };
  const payload = Buffer.alloc(body, 'a');
  const aborts = setInterval(() => {
    const socket = start(payload, sent % 2 === 0 ? body : body >> 1);
    // Once its bytes went out: at once, or a little later, when the exchange is at the server.
    socket.once('connect', () => setTimeout(() => socket.destroy(), sent % 3));
  }, 1000 / abortsPerSecond);
  const stall = () => {
    if (stopped) return;
    const text = Buffer.from(`STALL ${stallMs}\n`.padEnd(32, '.'));
    const socket = start(text, text.length);
    if (stallMs > 0) socket.once('data', () => setTimeout(stall, stallMs)).once('data', () => socket.destroy());
  };
  stall();
  return {
    sent: () => sent,
    stop() {
      stopped = true;
      clearInterval(aborts);
      for (const socket of open) socket.destroy();
    },
  };
}
