import { latencyCases } from './cases.js';
import {
  type EnduranceRound,
  figure,
  type LatencyRound,
  type Results,
  type Row,
  type Spread,
  showSpread,
  type ThroughputRound,
} from './results.js';
import type { Verdict } from './verdicts.js';

/** Everything that has to hold, judged by these results. */
export function judge(results: Results): readonly Verdict[] {
  return [
    cpuRatio(results, 'framed 128 B, exclusive, script', '128-32', 'pontoon-script', 0.6),
    cpuRatio(results, 'framed 16 KiB, exclusive, script', '16k-32', 'pontoon-script', 0.75),
    cpuRatio(results, 'Go `.so`, framed 128 B, exclusive', '128-32', 'pontoon-go', 0.75),
    cpuRatio(
      results,
      'framed 128 B, multiplexed in order, with a stuck exchange and aborts',
      'mux-128',
      'pontoon-in-order',
      0.33,
    ),
    cpuRatio(
      results,
      'framed 128 B, multiplexed by id, with a stuck exchange and aborts',
      'mux-128',
      'pontoon-by-id',
      0.33,
    ),
    cpuRatio(results, 'framed 16 KiB, multiplexed in order', 'mux-16k', 'pontoon-in-order', 0.5),
    cpuRatio(results, 'framed 16 KiB, multiplexed by id', 'mux-16k', 'pontoon-by-id', 0.5),
    cpuRatio(results, '1 MiB bodies, exclusive, script', '1m-32', 'pontoon-script', 1),
    cpuRatio(results, '1 MiB bodies, multiplexed in order', 'mux-1m', 'pontoon-in-order', 1),
    cpuRatio(results, '1 MiB bodies, multiplexed by id', 'mux-1m', 'pontoon-by-id', 1),
    ...latencyCases.flatMap(({ id, title }) => [
      latencyOf(results, id, title, 'pontoon-script'),
      latencyOf(results, id, title, 'pontoon-go'),
    ]),
    ofCase(
      results,
      'CPU per request of a generic Dubbo call, by that of framed, multiplexed by id',
      dubboOf('pontoon-dubbo'),
    ),
    ofCase(
      results,
      'CPU per request of a direct Dubbo call, by that of framed, multiplexed by id',
      dubboOf('pontoon-dubbo-direct'),
    ),
    ofCase(results, 'CPU per request of two workers, by that of one process', workersCost),
    workersShare(results),
    memory(results, 'RSS of one process after the endurance run', 'pontoon-script', 120, ({ rssMiB }) => rssMiB),
    idleMemory(results),
    memory(
      results,
      'RSS of the largest of two workers after the endurance run',
      'pontoon-two',
      80,
      ({ rssMiB, workersMiB }) => Math.max(...(workersMiB ?? [rssMiB])),
    ),
  ];
}

const notMeasured = (
  title: string,
  wanted: string,
  row: Row<{ readonly problems: readonly string[]; readonly foreignCpus: number }> | undefined,
): Verdict => ({
  title,
  wanted,
  got: row?.unavailable ?? row?.rounds.flatMap(({ problems }) => problems)[0] ?? 'no such row in this run',
  verdict: 'not measured',
});

function atMost(title: string, limit: number, got: number, unit: string, text: string): Verdict {
  const wanted = `at most ${limit}${unit}`;
  if (got <= limit) return { title, wanted, got: text, verdict: 'holds' };
  return { title, wanted, got: text, verdict: 'missed', by: `${Math.round((got / limit - 1) * 100)} %` };
}

function throughputRow(results: Results, id: string, peer: string): Row<ThroughputRound> | undefined {
  return results.throughput.find((one) => one.id === id)?.rows.find((row) => row.peer === peer);
}

const range = (spread: Spread, digits: number) => showSpread(spread, (value) => value.toFixed(digits));
const cpuOf = ({ cpuUs }: ThroughputRound) => cpuUs;

function cpuRatio(results: Results, title: string, id: string, peer: string, limit: number): Verdict {
  return ofCase(results, title, { id, peer, to: 'envoy', limit });
}

/** Envoy's p99 × 1.25 + 0.3 ms, each a median over the rounds. */
function latencyOf(results: Results, id: string, caseTitle: string, peer: string): Verdict {
  const found = results.latency.find((one) => one.id === id);
  const rowOf = (name: string) => found?.rows.find((row) => row.peer === name);
  const p99 = ({ p99Us }: LatencyRound) => p99Us / 1000;
  const title = `p99 at 70 % of Envoy's top, ${caseTitle}, ${results.titles[peer] ?? peer}`;
  const [ours, envoys] = [figure(rowOf(peer), p99), figure(rowOf('envoy'), p99)];
  if (!ours || !envoys)
    return notMeasured(title, "at most Envoy's × 1.25 + 0.3 ms", ours ? rowOf('envoy') : rowOf(peer));
  const limit = Number((envoys.median * 1.25 + 0.3).toFixed(2));
  return atMost(title, limit, ours.median, ' ms', `${range(ours, 2)} ms; Envoy ${range(envoys, 2)} ms`);
}

interface OfCase {
  readonly id: string;
  readonly peer: string;
  /** What it is compared with, in the same rounds. */
  readonly to: string;
  readonly limit: number;
}

const workersCost: OfCase = { id: 'workers', peer: 'pontoon-two', to: 'pontoon-script', limit: 1.15 };
const dubboOf = (peer: string): OfCase => ({ id: 'dubbo-128', peer, to: 'pontoon-by-id', limit: 2 });

/** CPU per request of two rows of one case. */
function ofCase(results: Results, title: string, { id, peer, to, limit }: OfCase): Verdict {
  const rows = [throughputRow(results, id, peer), throughputRow(results, id, to)] as const;
  const [ours, others] = rows.map((row) => figure(row, cpuOf));
  if (!ours || !others) return notMeasured(title, `at most ${limit}`, ours ? rows[1] : rows[0]);
  const ratio = ours.median / others.median;
  return atMost(title, limit, ratio, '', `${ratio.toFixed(2)}: ${range(ours, 1)} to ${range(others, 1)} µs`);
}

function workersShare(results: Results): Verdict {
  const title = 'share of 64 connections that each of two workers has';
  const row = throughputRow(results, 'workers', 'pontoon-two');
  const shares = (row?.rounds ?? []).flatMap(({ connectionsPerProcess = [] }) => {
    const total = connectionsPerProcess.reduce((sum, count) => sum + count, 0);
    return connectionsPerProcess.map((count) => (count / total) * 100);
  });
  const wanted = '35–65 %';
  if (shares.length === 0) return notMeasured(title, wanted, row);
  const [least, most] = [Math.min(...shares), Math.max(...shares)];
  const text = `${Math.round(least)}–${Math.round(most)} %`;
  const off = Math.max(35 - least, most - 65);
  if (off <= 0) return { title, wanted, got: text, verdict: 'holds' };
  return { title, wanted, got: text, verdict: 'missed', by: `${Math.ceil(off)} points` };
}

/** The issue counts in MB; what is measured are MiB. */
const megabytes = (mebibytes: number) => (mebibytes * 2 ** 20) / 1e6;

function memory(
  results: Results,
  what: string,
  peer: string,
  limit: number,
  of: (round: EnduranceRound) => number,
): Verdict {
  const title = `${what} (${(results.endurance?.requests ?? results.settings.requests).toLocaleString('en')} requests)`;
  const row = results.endurance?.rows.find((one) => one.peer === peer);
  const found = figure(row, (round) => megabytes(of(round)));
  if (!found) return notMeasured(title, `at most ${limit} MB`, row);
  return atMost(title, limit, found.median, ' MB', `${Math.round(found.median)} MB`);
}

function idleMemory(results: Results): Verdict {
  const title = 'RSS of one idle process';
  const row = results.startUp?.rows.find(({ peer }) => peer === 'pontoon-script');
  const found = figure(row, ({ idleMiB }) => megabytes(idleMiB));
  if (!found) return notMeasured(title, 'at most 100 MB', row);
  return atMost(title, 100, found.median, ' MB', `${range(found, 0)} MB`);
}
