// COUNT exchanges with random client aborts, server aborts, cut frames and slow readers, 32 at a time; then prints what is left, as JSON. Needs --expose-gc.
import type { HttpTcpBridge } from '../../src/bridge/api.js';
import { startTcpServer } from '../support/tcp-server.js';
import { createHarness, eventually, type Harness, Recorder } from './harness.js';

const count = Number(process.argv[2]);
let seed = Number(process.argv[3] ?? 1);
/** From 0 up to, not including, `n`; the same for the same seed. */
function random(n: number): number {
  seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
  return (seed >> 8) % n;
}

let made = 0;
let destroyed = 0;
/** Frames: one byte of length, then the payload. */
function bridge(): HttpTcpBridge {
  made += 1;
  return {
    encodeHeaders: (_headers, data, end) => {
      if (end) data.set(Buffer.from([0]));
      return random(2) === 0 ? 0 : 1;
    },
    encodeData(buffer, end) {
      if (!end) return 1;
      buffer.prepend(Buffer.from([buffer.len()]));
      return random(50) === 0 ? (9 as never) : 0;
    },
    onUpstreamData(_headers, buffer) {
      if (buffer.len() === 0 || buffer.len() < 1 + (buffer.bytes()[0] as number)) return 1;
      buffer.drain(1);
      return 2;
    },
    onDestroy: () => {
      destroyed += 1;
    },
  };
}

const server = await startTcpServer({
  onData({ socket }, data) {
    const what = random(20);
    if (what === 0) socket.resetAndDestroy();
    else if (what === 1) socket.end(data.subarray(0, 2));
    else if (what === 2) socket.end(data);
    else if (what === 3) setTimeout(() => socket.write(data), 1);
    else socket.write(data);
  },
  onEnd: ({ socket }) => void socket.end(),
});
const outcomes: Record<string, number> = {};
const harness = createHarness({ createBridge: bridge }, server.port);

async function one(target: Harness): Promise<void> {
  const recorder = new Recorder();
  const body = random(4) === 0 ? undefined : Array.from({ length: 1 + random(3) }, () => 'x'.repeat(random(60)));
  const sent = target.send({ method: random(2) === 0 ? 'GET' : 'POST', recorder, ...(body ? { body } : {}) });
  recorder.writable = random(4) !== 0;
  recorder.onEvent = () => setImmediate(() => sent.exchange.onDownstreamWritable());
  if (random(10) === 0) {
    for (let turns = random(4); turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
    if (recorder.outcome === undefined) sent.cancel();
  }
  if (!recorder.cancelled) await sent.ended();
  if (recorder.violations.length > 0) throw new Error(recorder.violations.join());
  const outcome = recorder.cancelled ? 'cancelled' : (recorder.failure?.kind ?? recorder.outcome ?? '');
  outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
}

const heap: number[] = [];
for (let third = 0; third < 3; third++) {
  let left = Math.floor(count / 3);
  await Promise.all(
    Array.from({ length: 32 }, async () => {
      while (left-- > 0) await one(harness);
    }),
  );
  // The test's own memory is not what is measured: every connection that the server had, and the log.
  (server.connections as unknown[]).length = 0;
  harness.log.lines.length = 0;
  for (let i = 0; i < 3; i++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    globalThis.gc?.();
  }
  heap.push(process.memoryUsage().heapUsed);
}
const leased = harness.leased();
const active = harness.stat('exchanges_active');
await harness.close();
await eventually(() => destroyed === made);
console.log(JSON.stringify({ heap, leased, active, made, destroyed, outcomes, released: harness.bridge.released }));
process.exit(0);
