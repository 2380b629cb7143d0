// REQUESTS exchanges on a Go plugin, and CONFIGS configurations that come and go meanwhile; prints what is left of them after each third, as JSON. Needs --expose-gc.

import { ByteQueue, PluginBuffer } from '../../../src/bridge/buffer.js';
import { loadNativeHost } from '../../../src/bridge/go/native-host.js';
import { HeaderMap } from '../../../src/bridge/header-map.js';
import { RequestHeadersView, ResponseHeadersView } from '../../../src/bridge/plugin-headers.js';
import { PluginSession } from '../../../src/bridge/plugin-session.js';
import type { PreparedBridge } from '../../../src/bridge/prepared-bridge.js';
import { testLog } from '../harness.js';
import { createGoTest } from './harness.js';

const [library, requests, configs] = [process.argv[2] as string, Number(process.argv[3]), Number(process.argv[4])];
const native = loadNativeHost();
if (!native.available) throw new Error(native.reason);
const { addon } = native.host;
const go = createGoTest(library);
const info = { routeName: 'r', clusterName: 'c', log: testLog() };
const headers = new HeaderMap([':method', 'POST', ':path', '/', ':authority', 'host', ':scheme', 'http', 'x-a', 'b']);
const body = Buffer.alloc(128, 'x');

/** All calls of one exchange; up to `calls` of them, for those that the client has left. */
function exchange(bridge: PreparedBridge, calls: number): string {
  const session = new PluginSession(bridge, info);
  const data = new ByteQueue();
  const steps = [
    () => session.create(),
    () => session.encodeHeaders(new RequestHeadersView(headers), new PluginBuffer(data, session), false),
    () => {
      data.append(body);
      return session.encodeData(new PluginBuffer(data, session), true);
    },
    () => {
      const response = new ResponseHeadersView(new HeaderMap(), session);
      return session.onUpstreamData(response, new PluginBuffer(data, session), false);
    },
  ];
  for (const step of steps.slice(0, calls)) step();
  const text = data.bytes().toString();
  if (!session.destroy()) throw session.error;
  return text;
}

const left: object[] = [];
const memory = await go.prepare('memory');
const bench = await go.prepare('bench');
for (let third = 0; third < 3; third++) {
  let changed = 0;
  const perTurn = Math.ceil(requests / configs);
  for (let done = 0; done < requests / 3; done += perTurn) {
    for (let i = 0; i < perTurn; i++) exchange(bench, done % 10 === 0 ? i % 5 : 4);
    changed += 1;
    const parsed = await go.prepare('parsing', { typeUrl: 't', value: Buffer.from(`${third}-${changed}`) });
    if (exchange(parsed, 2) !== `t=${third}-${changed}`) throw new Error('another configuration');
    parsed.release();
  }
  // The test's own memory is not what is measured.
  go.log.lines.length = 0;
  for (let i = 0; i < 3; i++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    globalThis.gc?.();
  }
  const [objects, goroutines] = exchange(memory, 2).split(' ').map(Number);
  const { heapUsed, rss } = process.memoryUsage();
  left.push({
    changed,
    requests: addon.liveRequests(),
    configs: addon.liveConfigs(),
    objects,
    goroutines,
    heapUsed,
    rss,
  });
}
bench.release();
memory.release();
console.log(JSON.stringify({ left, configs: addon.liveConfigs() }));
process.exit(0);
