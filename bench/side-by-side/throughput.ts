import { setTimeout as sleep } from 'node:timers/promises';
import { type Bench, measured, type Running } from './bench.js';
import type { ThroughputGroup, ThroughputPlan } from './cases.js';
import { disturb } from './load/disturbance.js';
import { type Echo, probe } from './load/probe.js';
import { problemsOf, runWrk } from './load/wrk.js';
import { connectionsPerProcess } from './measure/connections.js';
import { readTree, treeResidentMiB } from './measure/process-tree.js';
import type { Peer } from './peers/peer.js';
import type { Row, ThroughputCase, ThroughputRound } from './results.js';
import { rotated, startAll, warmUp } from './rounds.js';

/** All rounds of the cases of one group: the peers run all the time, one of them under load. */
export async function runThroughput(
  bench: Bench,
  group: ThroughputGroup,
  cases: readonly ThroughputPlan[],
): Promise<ThroughputCase[]> {
  const { running, missing } = await startAll(bench, group.peers, bench.cpus[group.cpus]);
  const rows = new Map(
    cases.map(({ id }) => [id, new Map(running.map(({ name }) => [name, [] as ThroughputRound[]]))]),
  );
  await warmUp(bench, running, cases);
  for (let round = 0; round < bench.settings.rounds; round++) {
    for (const plan of cases) {
      for (const one of rotated(running, round)) {
        const measuredRound = await runRound(bench, one, plan, running);
        rows.get(plan.id)?.get(one.name)?.push(measuredRound);
        bench.progress(`${plan.id} ${one.name} ${round + 1}/${bench.settings.rounds}: ${summary(measuredRound)}`);
      }
    }
  }
  for (const one of running) await one.stop();
  return cases.map(({ id, title, body, connections }) => ({
    id,
    group: group.group,
    title,
    body,
    connections,
    rows: [
      ...[...(rows.get(id) ?? [])].map(([peer, rounds]): Row<ThroughputRound> => ({ peer, rounds })),
      ...missing.map(({ name, unavailable }) => ({ peer: name, rounds: [], unavailable })),
    ],
  }));
}

const summary = ({ cpuUs, requestsPerSecond, problems }: ThroughputRound) =>
  problems.length > 0
    ? `NOT VALID: ${problems.join('; ')}`
    : `${cpuUs.toFixed(1)} µs CPU, ${Math.round(requestsPerSecond)}/s`;

async function runRound(
  bench: Bench,
  peer: Running,
  plan: ThroughputPlan,
  all: readonly Running[],
): Promise<ThroughputRound> {
  const { body, connections, headsDiffer = false, longer = 1 } = plan;
  const seconds = bench.settings.seconds * longer;
  const problems: string[] = [];
  const check = () => probe(peer.port, body, echoOf(peer.peer)).catch((error: Error) => problems.push(error.message));
  await settled(peer);
  await check();
  const before = await peer.served();
  const beside = startBeside(peer, plan);
  const waiting = all.filter((one) => one !== peer).map(({ pid }) => pid);
  const load = { port: peer.port, connections, body, seconds, json: peer.peer.json ?? false, headsDiffer };
  const { result, usage, held } = await measured(peer.pid, waiting, async () => {
    const sent = runWrk(bench.wrk, bench.cpus.load, load);
    await Promise.race([sent, sleep(seconds * 500)]);
    const processes = readTree(peer.pid).length > 1 ? [...connectionsPerProcess(peer.pid, peer.port).values()] : [];
    return { result: await sent, held: processes };
  });
  const rssMiB = treeResidentMiB(peer.pid);
  const { requests, changes } = await beside.stop();
  const after = await peer.served();
  const served = { answers: after.answers - before.answers, bytes: after.bytes - before.bytes };
  problems.push(...problemsOf(result, { body, connections, served, others: requests }));
  await check();
  if (readTree(peer.pid).length === 0) problems.push('the process has ended');
  return {
    requests: result.requests,
    requestsPerSecond: (result.requests / result.durationUs) * 1e6,
    // What is under way at the end is half done, as a mean.
    cpuUs: usage.cpuUs / (result.requests + connections / 2),
    loadCpus: usage.loadCpus,
    foreignCpus: usage.foreignCpus,
    p50Us: result.p50Us,
    p99Us: result.p99Us,
    p999Us: result.p999Us,
    rssMiB,
    ...(held.length > 1 && { connectionsPerProcess: held }),
    ...(changes !== undefined && { configChanges: changes }),
    problems,
  };
}

const echoOf = ({ upstream, json }: Peer): Echo => (upstream === 'none' ? 'length' : json ? 'json' : 'bytes');

const settleLimitMs = 5000;

/** Waits until the server has nothing left of what the last load broke off. */
async function settled({ served }: Running): Promise<void> {
  const started = performance.now();
  let last = (await served()).answers;
  while (performance.now() - started < settleLimitMs) {
    await sleep(30);
    const { answers } = await served();
    if (answers === last) return;
    last = answers;
  }
}

interface RunningBeside {
  /** Resolves with the requests that were sent beside the load, and the changes of configuration that were taken over. */
  stop(): Promise<{ readonly requests: number; readonly changes?: number }>;
}

function startBeside({ name, port, config }: Running, { beside, body }: ThroughputPlan): RunningBeside {
  if (beside.kind === 'aborts and a stuck exchange') {
    const disturbance = disturb(port, body, beside.stallMs[name] ?? 0);
    return {
      async stop() {
        disturbance.stop();
        // What the aborted ones left at the server is to be over when it counts again.
        await sleep(200);
        return { requests: disturbance.sent() };
      },
    };
  }
  if (beside.kind === 'config changes') {
    if (config === undefined) throw new Error(`${name} has no configuration that changes`);
    // One that has died meanwhile is told by the round's other problems.
    const applied = () => config.applied().catch(() => 0);
    const before = applied();
    const timer = setInterval(() => config.change(), beside.everyMs);
    return {
      async stop() {
        clearInterval(timer);
        return { requests: 0, changes: (await applied()) - (await before) };
      },
    };
  }
  return { stop: async () => ({ requests: 0 }) };
}
