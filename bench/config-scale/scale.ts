import { setTimeout as sleep } from 'node:timers/promises';
import type { GoControlPlane } from '../../test/support/go-control-plane.js';
import { cpuTimeUs, treeResidentMiB } from '../side-by-side/measure/process-tree.js';
import type { Peer, Running } from './peers.js';
import { bootstrap, changingCluster, cluster, nodeId, type World } from './resources.js';

export type Variant = 'GRPC' | 'DELTA_GRPC';

/** What one start, and one change after it, cost. */
export interface ScaleResult {
  readonly peer: Peer['name'];
  readonly variant: Variant;
  readonly readyMs: number;
  readonly readyCpuMs: number;
  readonly readyMiB: number;
  /** Seconds later, when what the start left behind is gone. */
  readonly settledMiB: number;
  readonly changeCpuMs: number;
}

const readyLimitMs = 180_000;
/** What a process does by itself is measured for so long, and taken off. */
const idleMs = 6_000;

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
    await cpuUntilQuiet(pid, cpuTimeUs(pid), 0.1 * 1000);
    const idleFrom = cpuTimeUs(pid);
    await sleep(idleMs);
    const from = cpuTimeUs(pid);
    const settledMiB = treeResidentMiB(pid);
    const changed = world.clusters.map((each) =>
      (each as { readonly name: string }).name === changingCluster ? cluster(1, peer.bridge, '2s') : each,
    );
    const seq = (await controlPlane.acks()).at(-1)?.seq ?? 0;
    await controlPlane.putSnapshot({ version: '2', nodeId, resources: { ...world, clusters: changed } });
    await controlPlane.waitForRequest(
      ({ ack, type_url }) => ack === 'ack' && type_url.endsWith('.Cluster'),
      seq,
      60_000,
    );
    const changeCpuMs = await cpuUntilQuiet(pid, from, (from - idleFrom) / idleMs);
    return { peer: peer.name, variant, readyMs, readyCpuMs, readyMiB, settledMiB, changeCpuMs };
  } finally {
    await running.stop();
  }
}
