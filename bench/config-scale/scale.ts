import { setTimeout as sleep } from 'node:timers/promises';
import type { GoControlPlane } from '../../test/support/go-control-plane.js';
import { cpuTimeUs, treeResidentMiB } from '../side-by-side/measure/process-tree.js';
import type { Peer, Running } from './peers.js';
import { bootstrap, changingCluster, cluster, nodeId, type World } from './resources.js';
import type { ScaleResult, Variant } from './results.js';

const readyLimitMs = 180_000;
/** What the start left behind is collected within that time. */
const settleMs = 10_000;
/** What a process does by itself is measured for so long, and taken off. */
const idleMs = 4_000;
/** In one or another of them the garbage collector goes over the whole heap. */
const changesMeasured = 5;

/** Starts a peer and waits until it is ready. */
export async function startReady(
  peer: Peer,
  controlPlane: GoControlPlane,
  variant: Variant,
  cpus: string,
  heartbeat = false,
): Promise<{
  readonly running: Running;
  readonly readyMs: number;
  readonly readyCpuMs: number;
  readonly readyMiB: number;
}> {
  const started = performance.now();
  const running = await peer.start(bootstrap(controlPlane.address, variant), cpus, heartbeat);
  try {
    while ((await running.get('/ready')).trim() !== 'LIVE') {
      if (performance.now() - started > readyLimitMs) throw new Error(`${peer.title} is not ready:\n${running.log()}`);
      await sleep(10);
    }
    return {
      running,
      readyMs: performance.now() - started,
      readyCpuMs: cpuTimeUs(running.pid) / 1000,
      readyMiB: treeResidentMiB(running.pid),
    };
  } catch (error) {
    await running.stop();
    throw error;
  }
}

async function activeClusters(running: Running): Promise<number> {
  const text = await running.get('/stats?filter=^cluster_manager%5C.active_clusters%24');
  return Number(text.split(':').pop());
}

/** Waits until nothing more than what it does by itself is done; resolves to CPU time, in ms, that the work before took. */
async function cpuUntilQuiet(pid: number, from: number, idlePerMs: number): Promise<number> {
  const began = performance.now();
  for (let last = cpuTimeUs(pid); ; ) {
    await sleep(1_500);
    const now = cpuTimeUs(pid);
    const took = performance.now() - began;
    if (took > 5_000 && now - last < 1_500 * idlePerMs + 60_000) return (now - from - took * idlePerMs) / 1000;
    last = now;
  }
}

/** Changes one cluster, in a snapshot with a new version of everything; resolves to the CPU time that it took, ms. */
async function changeOne(
  peer: Peer,
  controlPlane: GoControlPlane,
  world: World,
  pid: number,
  change: number,
): Promise<number> {
  const idleFrom = cpuTimeUs(pid);
  await sleep(idleMs);
  const from = cpuTimeUs(pid);
  const seq = (await controlPlane.acks()).at(-1)?.seq ?? 0;
  const clusters = world.clusters.map((each) =>
    (each as { readonly name: string }).name === changingCluster ? cluster(1, peer.bridge, `${2 + change}s`) : each,
  );
  await controlPlane.putSnapshot({ version: `${2 + change}`, nodeId, resources: { ...world, clusters } });
  await controlPlane.waitForRequest(({ ack, type_url }) => ack === 'ack' && type_url.endsWith('.Cluster'), seq, 60_000);
  return cpuUntilQuiet(pid, from, (from - idleFrom) / idleMs);
}

/** @throws Error when not all clusters became active */
export async function measureScale(
  peer: Peer,
  controlPlane: GoControlPlane,
  variant: Variant,
  world: World,
  cpus: string,
): Promise<ScaleResult> {
  await controlPlane.putSnapshot({ version: '1', nodeId, resources: { ...world } });
  const { running, readyMs, readyCpuMs, readyMiB } = await startReady(peer, controlPlane, variant, cpus);
  try {
    const { pid } = running;
    const active = await activeClusters(running);
    if (active < world.clusters.length) throw new Error(`${peer.title} has only ${active} active clusters`);
    await sleep(settleMs);
    const settledMiB = treeResidentMiB(pid);
    const changesCpuMs: number[] = [];
    for (let change = 0; change < changesMeasured; change++)
      changesCpuMs.push(await changeOne(peer, controlPlane, world, pid, change));
    return { peer: peer.name, variant, readyMs, readyCpuMs, readyMiB, settledMiB, changesCpuMs };
  } finally {
    await running.stop();
  }
}
