import { readdirSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { GoControlPlane } from '../../test/support/go-control-plane.js';
import { runOpenLoop } from '../side-by-side/load/open-loop.js';
import type { CpuPlan } from '../side-by-side/measure/cpus.js';
import { cpuTimeUs, treeResidentMiB } from '../side-by-side/measure/process-tree.js';
import type { Peer, Running } from './peers.js';
import { type Polling, startPolling } from './polling.js';
import { changingPath, cluster, nodeId, type World } from './resources.js';
import { loadPhases, type Phase, type UnderLoad } from './results.js';
import { startReady } from './scale.js';

const load = { connections: 16, rate: 300, body: 128 };

/** One cluster changes at this rate, or as soon as the change before was seen. */
const changesPerSecond = 4;
/** Envoy's Delta waits for endpoints that nobody sends again, 15 s for each change of a cluster. */
const longestPushesMs = 60_000;

/** The control plane shares its CPU with the client: what it needs for a push would be measured as latency. Threads that it starts later inherit it. */
function leaveTheCpuToLoad(pid: number): void {
  for (const thread of readdirSync(`/proc/${pid}/task`)) setPriority(Number(thread), constants.priority.PRIORITY_LOW);
}

/** Changes one cluster, for a minute at most; resolves to the time that each change took to be seen. */
async function push(controlPlane: GoControlPlane, peer: Peer, polling: Polling, count: number): Promise<number[]> {
  const took: number[] = [];
  const start = performance.now();
  for (let i = 0; i < count; i++) {
    const due = start + (i * 1000) / changesPerSecond;
    await sleep(Math.max(0, due - performance.now()));
    if (performance.now() - start > longestPushesMs) break;
    const refusing = i % 2 === 0;
    const began = performance.now();
    await controlPlane.patch('clusters', [cluster(1, peer.bridge, '1s', refusing)]);
    await polling.until(refusing ? 503 : 200, 30_000);
    took.push(performance.now() - began);
  }
  return took.sort((a, b) => a - b);
}

/** Serves at a constant rate while a small configuration becomes a large one, changes, is dumped, and becomes small again. */
export async function measureUnderLoad(
  peer: Peer,
  small: World,
  large: World,
  port: number,
  cpus: CpuPlan,
  pushes: number,
): Promise<UnderLoad> {
  const controlPlane = await GoControlPlane.start(['-cache', 'linear']);
  let running: Running | undefined;
  let polling: Polling | undefined;
  try {
    leaveTheCpuToLoad(controlPlane.pid);
    await controlPlane.putSnapshot({ version: '1', nodeId, resources: { ...small } });
    running = (await startReady(peer, controlPlane, 'DELTA_GRPC', cpus.proxy, true)).running;
    const { pid, get, heartbeat } = running;
    polling = startPolling(port, changingPath);
    await polling.until(200, 30_000);
    const phases: Phase[] = [];
    const during = async (name: string, seconds: number, work: () => Promise<unknown>) => {
      await heartbeat();
      const before = cpuTimeUs(pid);
      const [result] = await Promise.all([runOpenLoop(cpus.load, { ...load, port, seconds }), work()]);
      const { p50Us, p99Us, failed } = result;
      phases.push({
        name,
        load: { p50Us, p99Us, failed },
        heartbeat: await heartbeat(),
        cpuMs: (cpuTimeUs(pid) - before) / 1000,
        residentMiB: treeResidentMiB(pid),
      });
      console.error(`  ${name}`);
    };
    const active = async (count: number) => {
      for (;;) {
        const text = await get('/stats?filter=^cluster_manager%5C.active_clusters%24');
        if (Number(text.split(':').pop()) >= count) return;
        await sleep(200);
      }
    };
    await during(loadPhases.idleSmall, 5, () => Promise.resolve());
    await during(loadPhases.growing, 15, async () => {
      await controlPlane.putSnapshot({ version: '2', nodeId, resources: { ...large } });
      await active(large.clusters.length);
    });
    await sleep(3_000);
    await during(loadPhases.idleLarge, 10, () => Promise.resolve());
    let activeMs: number[] = [];
    await during(loadPhases.changing, Math.max(5, pushes / changesPerSecond), async () => {
      activeMs = await push(controlPlane, peer, polling as Polling, pushes);
    });
    for (const path of peer.dumps) await during(`GET ${path}`, 5, () => get(path));
    await during(loadPhases.shrinking, 10, () =>
      controlPlane.putSnapshot({ version: '3', nodeId, resources: { ...small } }),
    );
    return { peer: peer.name, phases, activeMs };
  } finally {
    await polling?.stop();
    await running?.stop();
    await controlPlane.close();
  }
}
