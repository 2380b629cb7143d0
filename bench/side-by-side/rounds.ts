import type { Bench, Running } from './bench.js';
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
