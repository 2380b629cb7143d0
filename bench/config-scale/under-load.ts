import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { GoControlPlane } from '../../test/support/go-control-plane.js';
import { runOpenLoop } from '../side-by-side/load/open-loop.js';
import type { CpuPlan } from '../side-by-side/measure/cpus.js';
import { cpuTimeUs, treeResidentMiB } from '../side-by-side/measure/process-tree.js';
import type { Peer, Running } from './peers.js';
import { changingPath, cluster, nodeId, type World } from './resources.js';
import { loadPhases, type Phase, type UnderLoad } from './results.js';
import { startReady } from './scale.js';

const load = { connections: 16, rate: 300, body: 128 };

/** The status of one request. */
function statusOf(port: number, path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request({ port, host: '127.0.0.1', path, method: 'POST', timeout: 5_000 }, (response) => {
      response.resume().on('end', () => resolve(response.statusCode ?? 0));
      response.on('error', reject);
    });
    sent.on('error', reject).on('timeout', () => sent.destroy(new Error('no answer')));
    sent.end('x');
  });
}

/** Envoy's Delta waits for endpoints that nobody sends again, 15 s for each change of a cluster. */
const longestPushesMs = 60_000;

/** Changes one cluster again and again, for a minute at most; resolves to the time that each change took to be seen. */
async function push(controlPlane: GoControlPlane, peer: Peer, port: number, count: number): Promise<number[]> {
  const took: number[] = [];
  const end = performance.now() + longestPushesMs;
  for (let i = 0; i < count && performance.now() < end; i++) {
    const refusing = i % 2 === 0;
    const began = performance.now();
    await controlPlane.patch('clusters', [cluster(1, peer.bridge, '1s', refusing)]);
    for (;;) {
      if (((await statusOf(port, changingPath)) === 503) === refusing) break;
      if (performance.now() - began > 30_000) throw new Error(`change ${i} was not seen within 30 s`);
      await sleep(2);
    }
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
  try {
    await controlPlane.putSnapshot({ version: '1', nodeId, resources: { ...small } });
    running = (await startReady(peer, controlPlane, 'DELTA_GRPC', cpus.proxy, true)).running;
    const { pid, get, heartbeat } = running;
    while ((await statusOf(port, '/').catch(() => 0)) !== 200) await sleep(20);
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
    await during(loadPhases.idleLarge, 5, () => Promise.resolve());
    let activeMs: number[] = [];
    await during(loadPhases.changing, Math.max(5, pushes / 20), async () => {
      activeMs = await push(controlPlane, peer, port, pushes);
    });
    for (const path of peer.dumps) await during(`GET ${path}`, 5, () => get(path));
    await during(loadPhases.shrinking, 10, () =>
      controlPlane.putSnapshot({ version: '3', nodeId, resources: { ...small } }),
    );
    return { peer: peer.name, phases, activeMs };
  } finally {
    await running?.stop();
    await controlPlane.close();
  }
}
