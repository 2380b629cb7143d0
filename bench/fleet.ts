/**
 * Many instances and one control plane: `npm run fleet [-- --instances 30 --server go-control-plane|sample --clusters 50]`. Every second
 * instance speaks Delta, the others SotW. The control plane changes one cluster, then all; is killed and started again at once, and once
 * more after an outage, each time with another configuration. Told for each step: how long it took until all instances had it, and the
 * CPU time and memory of the control plane; for the restarts when the streams came back.
 *
 * Ends with 1 when a step took longer than `--same-within` (ms), a restart longer than `--back-within`, when more than `--share` of the
 * instances came back within any 100 ms, or when an instance has another configuration than the control plane at the end.
 */
import { parseArgs } from 'node:util';
import { adsBootstrap } from '../test/support/ads-bootstrap.js';
import type { Snapshot } from '../test/support/go-control-plane.js';
import { type Pontoon, startPontoon } from '../test/support/pontoon.js';
import { differences } from '../test/support/served-config.js';
import { until } from '../test/support/until.js';
import { fleetResources } from './fleet/resources.js';
import { type FleetServer, type ServerName, servers } from './fleet/server.js';
import { densest } from './fleet/spread.js';
import { cpuTimeUs, residentMiB } from './side-by-side/measure/process-tree.js';

const { values } = parseArgs({
  options: {
    instances: { type: 'string', default: '30' },
    server: { type: 'string', default: 'go-control-plane' },
    clusters: { type: 'string', default: '50' },
    'same-within': { type: 'string', default: '5000' },
    'back-within': { type: 'string', default: '40000' },
    share: { type: 'string', default: '0.5' },
    'outage-ms': { type: 'string', default: '5000' },
  },
});
const [count, clusters, sameWithinMs, backWithinMs, share, outageMs] = (
  ['instances', 'clusters', 'same-within', 'back-within', 'share', 'outage-ms'] as const
).map((name) => Number(values[name])) as [number, number, number, number, number, number];
const windowMs = 100;
/** Processes that start at the same time: each is busy for a second. */
const startsAtOnce = 2;
if (!(values.server in servers)) throw new Error(`--server: one of ${Object.keys(servers).join(', ')}`);

const misses: string[] = [];
function check(good: boolean, what: string): void {
  if (!good) misses.push(what);
}

const pontoons: Pontoon[] = [];

async function startAll(address: string): Promise<void> {
  async function startSome(first: number): Promise<void> {
    for (let index = first; index < count; index += startsAtOnce) {
      const variant = index % 2 === 0 ? 'SOTW' : 'DELTA';
      const bootstrap = adsBootstrap({ variant, address, nodeId: `fleet-${index}` });
      pontoons.push(await startPontoon({ bootstrap, args: ['--log-level', 'error'] }));
    }
  }
  await Promise.all(Array.from({ length: startsAtOnce }, (_, first) => startSome(first)));
}

/** What one step cost, and prints it. */
async function step(server: FleetServer, what: string, withinMs: number, change: () => Promise<number>): Promise<void> {
  const pidBefore = server.pid;
  const cpuBefore = cpuTimeUs(pidBefore);
  const began = await change();
  const accepted = await until(
    what,
    async () => {
      const nodes = await server.accepted();
      if (nodes.size < count) await new Promise((resolve) => setTimeout(resolve, 50));
      return nodes.size === count ? nodes : undefined;
    },
    60_000 + withinMs,
  );
  const cpuMs = (cpuTimeUs(server.pid) - (server.pid === pidBefore ? cpuBefore : 0)) / 1_000;
  const times = [...accepted.values()].map((time) => time - began).sort((a, b) => a - b);
  const [half = 0, last = 0] = [times[Math.floor(times.length / 2)], times.at(-1)];
  check(last <= withinMs, `${what}: all had it after ${last} ms, not within ${withinMs}`);
  const columns = [half, last, Math.round(cpuMs), Math.round(residentMiB(server.pid))];
  console.log(`${what.padEnd(34)}${columns.map((value) => String(value).padStart(12)).join('')}`);
}

/** When streams came back, as a histogram. */
async function showReconnects(server: FleetServer, began: number): Promise<void> {
  const times = (await server.opened()).map((time) => time - began);
  const most = densest(times, windowMs);
  const allowed = Math.ceil(share * count);
  check(most <= allowed, `${most} of ${count} streams came within ${windowMs} ms, not at most ${allowed}`);
  const bucketMs = Math.max(windowMs, Math.ceil((Math.max(...times) + 1) / 10 / windowMs) * windowMs);
  for (let from = 0; from <= Math.max(...times); from += bucketMs) {
    const inside = times.filter((time) => time >= from && time < from + bucketMs).length;
    console.log(`    ${String(from).padStart(6)} ms ${'#'.repeat(inside)}`);
  }
  console.log(`    at most ${most} of ${times.length} streams within ${windowMs} ms`);
}

async function checkSame(resources: Snapshot['resources']): Promise<void> {
  for (const pontoon of pontoons) {
    let left: string[] = [];
    await until('the same configuration', async () => {
      left = differences(
        JSON.parse(await pontoon.get('/config_dump?include_eds')) as Record<string, unknown>,
        resources,
      );
      return left.length === 0 || undefined;
    }).catch(() => check(false, `${pontoon.admin}: ${left.join('; ').slice(0, 1_000)}`));
  }
}

const server = await servers[values.server as ServerName]();
// Also when this program fails.
process.once('exit', () => {
  for (const { child } of pontoons) child.kill('SIGKILL');
});
let [first, others] = [0, 0];
let current = fleetResources(clusters, first, others);
function changed(which: 'one' | 'all'): Snapshot['resources'] {
  first++;
  if (which === 'all') others = first;
  current = fleetResources(clusters, first, others);
  return current;
}
console.log(`fleet: ${count} instances, ${clusters} clusters, ${values.server}`);
console.log(`${''.padEnd(34)}${['half, ms', 'all, ms', 'CPU, ms', 'MiB'].map((head) => head.padStart(12)).join('')}`);
await step(server, 'start', Number.POSITIVE_INFINITY, async () => {
  const began = await server.push(changed('all'));
  await startAll(server.address);
  return began;
});
for (let round = 1; round <= 3; round++)
  await step(server, `one cluster changes (${round})`, sameWithinMs, () => server.push(changed('one')));
await step(server, 'every cluster changes', sameWithinMs, () => server.push(changed('all')));
await checkSame(current);
for (const outage of [0, outageMs]) {
  let began = 0;
  await step(server, `restart after ${outage} ms`, backWithinMs, async () => {
    began = await server.restart(outage, changed('all'));
    return began;
  });
  await showReconnects(server, began);
}
await step(server, 'one cluster changes', sameWithinMs, () => server.push(changed('one')));
await checkSame(current);
const memory = pontoons.map(({ child }) => residentMiB(child.pid ?? 0));
console.log(`an instance has ${Math.round(Math.max(...memory))} MiB at most`);
await Promise.all(pontoons.map((pontoon) => pontoon.stop()));
await server.close();
for (const miss of misses) console.log(`MISSED ${miss}`);
console.log(misses.length === 0 ? 'fleet passed' : 'fleet failed');
process.exit(misses.length === 0 ? 0 : 1);
