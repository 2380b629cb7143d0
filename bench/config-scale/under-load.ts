import { setTimeout as sleep } from 'node:timers/promises';
import { GoControlPlane } from '../../test/support/go-control-plane.js';
import { runOpenLoop } from '../side-by-side/load/open-loop.js';
import type { CpuPlan } from '../side-by-side/measure/cpus.js';
import { cpuTimeUs, treeResidentMiB } from '../side-by-side/measure/process-tree.js';
import { type BackgroundClient, startBackgroundClient } from './background-client.js';
import { leaveTheCpu } from './leave-the-cpu.js';
import type { Peer, Running } from './peers.js';
import { changingPath, cluster, nodeId, type World } from './resources.js';
import { loadPhases, type Phase, type UnderLoad } from './results.js';
import { mergeRuns } from './rounds.js';
import { startReady } from './scale.js';

const load = { connections: 16, rate: 300, body: 128 };

/** One cluster changes at this rate, or as soon as the change before was seen. */
const changesPerSecond = 4;
/** Rest and changes take turns: a percentile of one run is decided by a handful of requests, and by what else the machine does in those seconds. */
const rounds = 5;
/** Before the first of them: the garbage of becoming large, and code that is compiled when it was used often. */
const warmUpSeconds = 4;

async function startControlPlane(): Promise<GoControlPlane> {
  const controlPlane = await GoControlPlane.start(['-cache', 'linear']);
  leaveTheCpu(controlPlane.pid);
  return controlPlane;
}

/** Changes one cluster to and fro; resolves when the control plane has it, or, with `seen`, when a request saw it: to the milliseconds of that. */
function changer(client: BackgroundClient, { api }: GoControlPlane, peer: Peer, seen: boolean): () => Promise<number> {
  let refusing = false;
  return () => {
    refusing = !refusing;
    const body = JSON.stringify({ kind: 'clusters', update: [cluster(1, peer.bridge, '1s', refusing)] });
    return client.ask({ patch: { url: `${api}/resources`, body }, ...(seen && { status: refusing ? 503 : 200 }) });
  };
}

/** Calls `change` so many times at most, none later than `seconds` after the first; resolves to how often it did. */
async function repeat(change: () => Promise<unknown>, times: number, seconds: number): Promise<number> {
  const start = performance.now();
  for (let i = 0; i < times; i++) {
    const due = start + (i * 1000) / changesPerSecond;
    await sleep(Math.max(0, due - performance.now()));
    if (performance.now() - start > seconds * 1000) return i;
    await change();
  }
  return times;
}

type Measure = (name: string, seconds: number, work: () => Promise<unknown>) => Promise<Phase>;

/** Rest and changes of one cluster in turn, and the same changes in a control plane of which the proxy knows nothing. */
async function measureChanges(
  measure: Measure,
  peer: Peer,
  planes: { readonly own: GoControlPlane; readonly other: GoControlPlane },
  client: BackgroundClient,
  pushes: number,
): Promise<{ readonly phases: readonly Phase[]; readonly activeMs: readonly number[] }> {
  const perRound = Math.ceil(pushes / rounds);
  const seconds = Math.max(5, perRound / changesPerSecond);
  const activeMs: number[] = [];
  const changeOwn = changer(client, planes.own, peer, true);
  const changeOther = changer(client, planes.other, peer, false);
  const runs: Phase[][] = [[], [], []];
  await measure('warm-up', warmUpSeconds, () => Promise.resolve());
  for (let round = 0; round < rounds; round++) {
    let changes = 0;
    const work: readonly [string, () => Promise<unknown>][] = [
      [loadPhases.idleLarge, () => Promise.resolve()],
      [
        loadPhases.changing,
        async () => (changes = await repeat(async () => activeMs.push(await changeOwn()), perRound, seconds)),
      ],
      [loadPhases.changingElsewhere, () => repeat(changeOther, changes, seconds)],
    ];
    for (const [index, [name, act]] of work.entries()) runs[index]?.push(await measure(name, seconds, act));
  }
  return { phases: runs.map(mergeRuns), activeMs: activeMs.sort((a, b) => a - b) };
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
  const controlPlane = await startControlPlane();
  let other: GoControlPlane | undefined;
  let running: Running | undefined;
  let client: BackgroundClient | undefined;
  try {
    await controlPlane.putSnapshot({ version: '1', nodeId, resources: { ...small } });
    running = (await startReady(peer, controlPlane, 'DELTA_GRPC', cpus.proxy, true)).running;
    const { pid, get, heartbeat } = running;
    client = startBackgroundClient(port, changingPath);
    await client.ask({ status: 200 });
    const phases: Phase[] = [];
    const measure: Measure = async (name, seconds, work) => {
      await heartbeat();
      const before = cpuTimeUs(pid);
      const [result] = await Promise.all([runOpenLoop(cpus.load, { ...load, port, seconds }), work()]);
      const { p50Us, p99Us, failed } = result;
      console.error(`  ${name}`);
      const beats = await heartbeat();
      return {
        name,
        load: { p50Us, p99Us, failed },
        ...(beats && { heartbeat: beats }),
        cpuMs: (cpuTimeUs(pid) - before) / 1000,
        residentMiB: treeResidentMiB(pid),
      };
    };
    const during: (...one: Parameters<Measure>) => Promise<void> = async (...one) =>
      void phases.push(await measure(...one));
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
    other = await startControlPlane();
    await other.putSnapshot({ version: '1', nodeId, resources: { ...large } });
    await client.ask({ follow: other.address });
    const planes = { own: controlPlane, other };
    const changes = await measureChanges(measure, peer, planes, client, pushes);
    phases.push(...changes.phases);
    await other.close();
    for (const path of peer.dumps) await during(`GET ${path}`, 5, () => get(path));
    await during(loadPhases.shrinking, 10, () =>
      controlPlane.putSnapshot({ version: '3', nodeId, resources: { ...small } }),
    );
    return { peer: peer.name, phases, activeMs: changes.activeMs };
  } finally {
    await other?.close();
    await client?.stop();
    await running?.stop();
    await controlPlane.close();
  }
}
