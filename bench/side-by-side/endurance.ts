import { setTimeout as sleep } from 'node:timers/promises';
import { type Bench, measured, type Running } from './bench.js';
import { endurance } from './cases.js';
import { problemsOf, runWrk } from './load/wrk.js';
import { connectionsPerProcess } from './measure/connections.js';
import { readTree, residentMiB, treeResidentMiB } from './measure/process-tree.js';
import type { EnduranceCase, EnduranceRound, Row } from './results.js';

/** Longer than the process that compiles scripts is kept. */
const restMs = 6000;

/** Memory after many requests, of a process that was started for this; one round of each peer. */
export async function runEndurance(bench: Bench): Promise<EnduranceCase> {
  const { requests } = bench.settings;
  const rows: Row<EnduranceRound>[] = [];
  for (const name of endurance.peers.filter(bench.wants)) {
    const one = await bench.start(name, name === 'pontoon-two' ? bench.cpus.proxies : bench.cpus.proxy);
    if ('unavailable' in one) {
      rows.push({ peer: name, rounds: [], unavailable: one.unavailable });
      bench.progress(`${name}: not available: ${one.unavailable}`);
      continue;
    }
    const { usage, ...round } = await measured(one.pid, [], () => serve(bench, one, requests));
    await one.stop();
    rows.push({ peer: name, rounds: [{ ...round, foreignCpus: usage.foreignCpus }] });
    bench.progress(`${endurance.id} ${name}: ${Math.round(round.rssMiB)} MiB after ${round.requests} requests`);
  }
  return { requests, rows };
}

async function serve(
  { wrk, cpus }: Bench,
  peer: Running,
  wanted: number,
): Promise<Omit<EnduranceRound, 'foreignCpus'>> {
  const { connections, body } = endurance;
  await sleep(restMs);
  const idleMiB = treeResidentMiB(peer.pid);
  const problems: string[] = [];
  const serving = new Set<number>();
  let requests = 0;
  let perSecond = 1000;
  while (requests < wanted && problems.length === 0) {
    const seconds = Math.max(1, Math.min(20, Math.ceil((wanted - requests) / perSecond)));
    const before = await peer.served();
    const sent = runWrk(wrk, cpus.load, { port: peer.port, connections, body, seconds });
    await sleep(500);
    for (const pid of connectionsPerProcess(peer.pid, peer.port).keys()) serving.add(pid);
    const result = await sent;
    const after = await peer.served();
    const served = { answers: after.answers - before.answers, bytes: after.bytes - before.bytes };
    problems.push(...problemsOf(result, { body, connections, served, others: 0 }));
    requests += result.requests;
    perSecond = (result.requests / result.durationUs) * 1e6;
  }
  const several = readTree(peer.pid).length > 1;
  return {
    requests,
    idleMiB,
    rssMiB: treeResidentMiB(peer.pid),
    ...(several && { workersMiB: [...serving].map(residentMiB) }),
    problems,
  };
}
