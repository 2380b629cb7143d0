import { spreadOf } from '../side-by-side/results.js';
import type { Heartbeat, Phase } from './results.js';

/** What several runs of one phase say together: the medians of the latencies, the sums of what was counted, the longest of what is longest. */
export function mergeRuns(runs: readonly Phase[]): Phase {
  const last = runs.at(-1);
  if (last === undefined) throw new Error('a phase without a run');
  const median = (of: (phase: Phase) => number): number => spreadOf(runs.map(of)).median;
  const sum = (of: (phase: Phase) => number): number => runs.reduce((total, each) => total + of(each), 0);
  const beats = runs.flatMap(({ heartbeat }) => (heartbeat ? [heartbeat] : []));
  return {
    name: last.name,
    load: {
      p50Us: median(({ load }) => load.p50Us),
      p99Us: median(({ load }) => load.p99Us),
      failed: sum(({ load }) => load.failed),
    },
    p99sUs: runs.map(({ load }) => load.p99Us),
    ...(beats.length > 0 && { heartbeat: beats.reduce(mergeBeats) }),
    cpuMs: sum(({ cpuMs }) => cpuMs),
    residentMiB: last.residentMiB,
  };
}

function mergeBeats(one: Heartbeat, other: Heartbeat): Heartbeat {
  return {
    stretches: one.stretches + other.stretches,
    longestMs: Math.max(one.longestMs, other.longestMs),
    longestOwnMs: Math.max(one.longestOwnMs, other.longestOwnMs),
    longestGcMs: Math.max(one.longestGcMs, other.longestGcMs),
    longestWaitMs: Math.max(one.longestWaitMs, other.longestWaitMs),
  };
}
