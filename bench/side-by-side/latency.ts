import { type Bench, measured, type Running } from './bench.js';
import { type LatencyPlan, latencyPeers, latencyShare } from './cases.js';
import { openLoopProblems, runOpenLoop } from './load/open-loop.js';
import { runWrk } from './load/wrk.js';
import { type LatencyCase, type LatencyRound, spreadOf } from './results.js';
import { rotated, startAll, warmUp } from './rounds.js';

/** Latency of all peers at the same absolute rate, a share of what Envoy serves at most. Without Envoy, of what the first peer serves. */
export async function runLatency(bench: Bench, cases: readonly LatencyPlan[]): Promise<LatencyCase[]> {
  const { running, missing } = await startAll(bench, latencyPeers, bench.cpus.proxy);
  await warmUp(bench, running, cases);
  const results: LatencyCase[] = [];
  for (const plan of cases) {
    const yardstick = running.find(({ name }) => name === 'envoy') ?? running[0];
    const top = yardstick === undefined ? 0 : await topOf(bench, yardstick, plan);
    const { highestRate = Number.POSITIVE_INFINITY } = bench.settings;
    const rate = Math.max(1, Math.min(highestRate, Math.round(top * latencyShare)));
    const rows = new Map(running.map(({ name }) => [name, [] as LatencyRound[]]));
    for (let round = 0; round < bench.settings.rounds; round++) {
      for (const one of rotated(running, round)) {
        const result = await runRound(bench, one, plan, rate);
        rows.get(one.name)?.push(result);
        bench.progress(
          `${plan.id} ${one.name} ${round + 1}/${bench.settings.rounds}: p99 ${(result.p99Us / 1000).toFixed(2)} ms at ${rate}/s ${result.problems.join('; ')}`,
        );
      }
    }
    results.push({
      ...plan,
      rate,
      envoyTop: top,
      rows: [
        ...[...rows].map(([peer, rounds]) => ({ peer, rounds })),
        ...missing.map(({ name, unavailable }) => ({ peer: name, rounds: [], unavailable })),
      ],
    });
  }
  for (const one of running) await one.stop();
  return results;
}

/** Requests per second that it serves at most, the median of three runs. */
async function topOf(
  { wrk, cpus, settings }: Bench,
  { port }: Running,
  { connections, body }: LatencyPlan,
): Promise<number> {
  const load = { port, connections, body, seconds: settings.seconds };
  const tops: number[] = [];
  for (let run = 0; run < 3; run++) {
    const { requests, durationUs } = await runWrk(wrk, cpus.load, load);
    tops.push((requests / durationUs) * 1e6);
  }
  return Math.round(spreadOf(tops).median);
}

async function runRound(
  { cpus, settings }: Bench,
  peer: Running,
  { connections, body }: LatencyPlan,
  rate: number,
): Promise<LatencyRound> {
  const load = { port: peer.port, connections, body, rate, seconds: settings.seconds * 2 };
  const { usage, ...result } = await measured(peer.pid, [], () => runOpenLoop(cpus.load, load));
  const { p50Us, p99Us, p999Us, maxUs, lagP99Us, answered, tookUs } = result;
  return {
    requestsPerSecond: (answered / tookUs) * 1e6,
    cpuUs: usage.cpuUs / Math.max(1, answered),
    p50Us,
    p99Us,
    p999Us,
    maxUs,
    lagP99Us,
    foreignCpus: usage.foreignCpus,
    problems: openLoopProblems(result),
  };
}
