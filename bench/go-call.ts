/**
 * What a call costs: `npm run bench:go [-- --exchanges 200000]`. The calls of one exchange (headers, a body of 128 bytes, an answer of 128 bytes, destroy) on a Go
 * plugin and on a script that do the same, without any network; and what is left in memory after all of them.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { HttpTcpBridge } from '../src/bridge/api.js';
import { ByteQueue, PluginBuffer } from '../src/bridge/buffer.js';
import { loadNativeHost } from '../src/bridge/go/native-host.js';
import { createGoRuntime } from '../src/bridge/go/runtime.js';
import { HeaderMap } from '../src/bridge/header-map.js';
import { RequestHeadersView, ResponseHeadersView } from '../src/bridge/plugin-headers.js';
import { createLogging } from '../src/log.js';
import { createStatsStore } from '../src/stats/create-store.js';

const { values } = parseArgs({ options: { exchanges: { type: 'string', default: '200000' } } });
const exchanges = Number(values.exchanges);
const pieces = { request: Buffer.alloc(128, 'q'), answer: Buffer.alloc(128, 'a') };
const requestHeaders = new HeaderMap([
  ':method',
  'POST',
  ':path',
  '/path',
  ':authority',
  'bench',
  ':scheme',
  'http',
  'user-agent',
  'bench',
  'accept',
  '*/*',
]);
const callbacks = {
  getRouteName: () => 'route',
  getVirtualClusterName: () => 'cluster',
  setSelfHalfCloseForUpstreamConn: () => undefined,
  setIdempotent: () => undefined,
  setOneWay: () => undefined,
  sendLocalReply: () => undefined,
  log: () => undefined,
};

/** What the plugin `bench` of test/peers/go-bridges does, as a script. */
function script(): HttpTcpBridge {
  return {
    encodeHeaders(headers, data) {
      data.set(headers.host);
      return 1;
    },
    encodeData(buffer) {
      buffer.set(Buffer.from(buffer.bytes()));
      return 0;
    },
    onUpstreamData(headers, buffer) {
      headers.set('x-bench', 'yes');
      buffer.set(Buffer.from(buffer.bytes()));
      return 2;
    },
  };
}

function exchange(create: () => HttpTcpBridge): void {
  const scope = { active: true };
  const bridge = create();
  const headerData = new ByteQueue();
  const body = new ByteQueue();
  const answer = new ByteQueue();
  body.append(Buffer.from(pieces.request));
  answer.append(Buffer.from(pieces.answer));
  bridge.encodeHeaders?.(new RequestHeadersView(requestHeaders), new PluginBuffer(headerData, scope), false);
  bridge.encodeData?.(new PluginBuffer(body, scope), true);
  bridge.onUpstreamData?.(new ResponseHeadersView(new HeaderMap(), scope), new PluginBuffer(answer, scope), false);
  bridge.onDestroy?.();
}

/** As many as a busy proxy has in one turn of the event loop. */
const perTurn = 32;

/** Of `count` exchanges, in turns of the event loop; in µs. */
async function measureRound(create: () => HttpTcpBridge, count: number): Promise<number> {
  let spent = 0n;
  for (let made = 0; made < count; made += perTurn) {
    const start = process.hrtime.bigint();
    for (let i = 0; i < perTurn; i++) exchange(create);
    spent += process.hrtime.bigint() - start;
    await nextTurn();
  }
  return Number(spent) / 1000 / (Math.ceil(count / perTurn) * perTurn);
}

/** The best of several rounds: what disturbs a round only makes it longer. */
async function measure(name: string, create: () => HttpTcpBridge): Promise<number> {
  const rounds = 40;
  await measureRound(create, 20_000);
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round++) best = Math.min(best, await measureRound(create, exchanges / rounds));
  console.log(`${name}: ${best.toFixed(2)} µs per exchange`);
  return best;
}

const folder = mkdtempSync(join(tmpdir(), 'pontoon-bench-'));
try {
  const library = join(folder, 'bench.so');
  const built = spawnSync('go', ['build', '-buildvcs=false', '-buildmode=c-shared', '-o', library, './conformance'], {
    cwd: fileURLToPath(new URL('../../test/peers/go-bridges', import.meta.url)),
    stdio: 'inherit',
  });
  if (built.status !== 0) throw new Error('go build failed');
  const log = createLogging('error').logger('bench');
  const runtime = createGoRuntime({
    log,
    goLog: log,
    watchLogLevel: (listener) => listener('error'),
    stats: createStatsStore(),
    unpackPluginConfig: () => undefined,
    pluginRoots: [folder],
    cwd: folder,
  });
  const config = {
    libraryId: 'b',
    libraryPath: library,
    pluginName: 'bench',
    pluginConfig: { typeUrl: '', value: new Uint8Array() },
  };
  const prepared = await runtime.prepare(config);
  if (!prepared.ok) throw new Error(JSON.stringify(prepared.problems));
  const native = loadNativeHost();
  const scriptCost = await measure('script', script);
  const create = () => prepared.bridge.createBridge(callbacks);
  await measure('go (warm-up)', create);
  const before = process.memoryUsage.rss();
  const goCost = await measure('go', create);
  const grown = (process.memoryUsage.rss() - before) / 2 ** 20;
  console.log(
    `go costs ${(goCost - scriptCost).toFixed(2)} µs more (target: under 8); rss grew by ${grown.toFixed(1)} MiB; exchanges left: ${native.available ? native.host.addon.liveRequests() : '?'}`,
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exit(0);
