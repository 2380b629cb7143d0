import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Bench, measured, type Running } from './bench.js';
import { startUp } from './cases.js';
import { cpuTimeUs, treeResidentMiB } from './measure/process-tree.js';
import type { StartUpCase, StartUpRound } from './results.js';
import { rotated, startAll } from './rounds.js';

/** Long enough for what a start leaves to be done: the process that compiles scripts is kept for 5 s. */
const restMs = 6000;
const atOnce = 16;

/** Every round starts the peers anew, one after the other, and lets them rest together. */
export async function runStartUp(bench: Bench): Promise<StartUpCase> {
  const rows = new Map<
    string,
    { readonly peer: string; readonly rounds: StartUpRound[]; readonly unavailable?: string }
  >();
  for (let round = 0; round < bench.settings.rounds; round++) {
    const { running, missing } = await startAll(bench, rotated(startUp.peers, round), bench.cpus.proxy);
    for (const { name, unavailable } of missing) rows.set(name, { peer: name, rounds: [], unavailable });
    const cpuMs = new Map(running.map(({ name, pid }) => [name, cpuTimeUs(pid) / 1000]));
    await sleep(restMs);
    for (const one of running) {
      const { usage, ...memory } = await measured(one.pid, [], () => holdConnections(one));
      const row = rows.get(one.name) ?? { peer: one.name, rounds: [] };
      rows.set(one.name, row);
      row.rounds.push({
        firstAnswerMs: one.startUpMs,
        cpuMs: cpuMs.get(one.name) ?? 0,
        foreignCpus: usage.foreignCpus,
        ...memory,
      });
      const idle = `${Math.round(one.startUpMs)} ms, ${Math.round(memory.idleMiB)} MiB`;
      bench.progress(`${startUp.id} ${one.name} ${round + 1}/${bench.settings.rounds}: ${idle}`);
    }
    for (const one of running) await one.stop();
  }
  const order = startUp.peers.flatMap((peer) => rows.get(peer) ?? []);
  return { connections: startUp.connections, rows: order };
}

/** Memory at rest, and what connections add to it that were used once. */
async function holdConnections({
  pid,
  port,
}: Running): Promise<Pick<StartUpRound, 'idleMiB' | 'kibPerConnection' | 'problems'>> {
  const idleMiB = treeResidentMiB(pid);
  const agent = new Agent({ keepAlive: true, maxSockets: startUp.connections });
  const problems = await open(agent, port, startUp.connections);
  await sleep(250);
  const kibPerConnection = ((treeResidentMiB(pid) - idleMiB) * 1024) / startUp.connections;
  agent.destroy();
  return { idleMiB, kibPerConnection, problems };
}

/**
 * Opens the connections, a few at a time so that few are needed to the server behind, and has one request answered on each. Resolves with what went wrong.
 */
async function open(agent: Agent, port: number, count: number): Promise<readonly string[]> {
  const problems: string[] = [];
  let opened = 0;
  const one = () =>
    new Promise<void>((resolve) => {
      const sent = request({ agent, port, host: '127.0.0.1', method: 'POST' }, (response) => {
        if (response.statusCode !== 200) problems.push(`answered ${response.statusCode}`);
        // Not read to its end, so that its connection is not taken for the next request.
        response.on('readable', () => {
          if (response.read(64) !== null) resolve();
        });
      });
      sent.on('error', (error) => {
        problems.push(error.message);
        resolve();
      });
      sent.end(Buffer.alloc(128, 'o'));
    });
  const opener = async () => {
    while (opened++ < count) await one();
  };
  await Promise.all(Array.from({ length: atOnce }, opener));
  return problems;
}
