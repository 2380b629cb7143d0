import type { Bench, Running } from './bench.js';
import { runWrk } from './load/wrk.js';
import type { PeerName } from './peers/index.js';

export interface Missing {
  readonly name: PeerName;
  readonly unavailable: string;
}

/** Starts the wanted ones of these peers; those that can't be had come back with their reason. */
export async function startAll(
  bench: Bench,
  names: readonly PeerName[],
  cpus: string,
): Promise<{ readonly running: readonly Running[]; readonly missing: readonly Missing[] }> {
  const running: Running[] = [];
  const missing: Missing[] = [];
  for (const name of names.filter(bench.wants)) {
    const one = await bench.start(name, cpus);
    if ('unavailable' in one) {
      missing.push(one);
      bench.progress(`${name}: not available: ${one.unavailable}`);
    } else running.push(one);
  }
  return { running, missing };
}

/** Another one begins in every round, so that nobody always comes after the same neighbour. */
export function rotated<Item>(items: readonly Item[], round: number): readonly Item[] {
  const first = items.length === 0 ? 0 : round % items.length;
  return [...items.slice(first), ...items.slice(0, first)];
}

/** What compilers that learn from a program's run need to see of it. */
const warmRequests = 30_000;
const warmLimitMs = 10_000;

/** So that the first round has no other conditions than the later ones. A single round is no measurement, and needs none. */
export async function warmUp(
  { wrk, cpus, settings }: Bench,
  peers: readonly Running[],
  cases: readonly { readonly body: number; readonly connections: number }[],
): Promise<void> {
  if (settings.rounds === 1) return;
  for (const { port, peer } of peers) {
    const started = performance.now();
    const load = (one: { readonly body: number; readonly connections: number }) =>
      runWrk(wrk, cpus.load, {
        port,
        body: one.body,
        connections: one.connections,
        seconds: 1,
        json: peer.json ?? false,
      });
    for (let answered = 0; answered < warmRequests && performance.now() - started < warmLimitMs; )
      answered += (await load({ body: 128, connections: 32 })).requests;
    for (const one of cases) await load(one);
  }
}
