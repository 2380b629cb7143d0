import { spreadOf } from '../side-by-side/results.js';
import type { Verdict as Line } from '../side-by-side/verdicts.js';
import { loadPhases, type PeerName, type Results, type ScaleResult, type UnderLoad, type Variant } from './results.js';

/** What this run says of something that has to hold. */
export interface Verdict extends Line {
  /** What it comes from, when it is missed. */
  readonly because: string;
}

/** A bound and what was measured; undefined when it was not. */
interface Figure {
  readonly title: string;
  readonly most: number;
  readonly value: number | undefined;
  readonly wanted: string;
  readonly got: string;
  readonly because: string;
}

const because = {
  start:
    'Pontoon compiles its own code first, and then reads, checks and copies each resource in JavaScript, on one thread with what collects its garbage. Envoy has code that was generated for each message.',
  memory: 'An endpoint is an object with its address, its place and its numbers.',
  changeSotw:
    'The control plane sends all clusters and all endpoints again. Each must be received, taken out of its frame and compared, whatever it is; Envoy compares a hash, of the message that its native code has decoded.',
  changeDelta:
    'A change wakes a process that has rested: code that was thrown away is compiled again, and the garbage collector finds its time.',
  stretch:
    'The garbage collector does some things at once: it copies what is young and was kept, and ends the marking of the whole heap. And a request that names ten thousand clusters is made at a stretch, as a message that does is looked through. Those take up to some ten milliseconds. A longer one without the collector (_without GC_ below) is not explained: it comes in some runs only, each time in another phase.',
  snapshotStretch:
    'As without snapshots: what is in them is collected in turns, and they are written a piece of 64 KiB at a time.',
  latency:
    'The requests share the event loop with the judging of each change. What _the control plane alone_ has over rest comes from the CPU that the client shares with it.',
} as const;

/** Everything that has to hold, judged by these results. */
export function judge(results: Results): readonly Verdict[] {
  const ratios = (['GRPC', 'DELTA_GRPC'] as const).flatMap((variant) => [
    ofEnvoys(
      results,
      variant,
      'start to ready, CPU time',
      ({ readyCpuMs }) => readyCpuMs,
      seconds,
      0.75,
      because.start,
    ),
    ofEnvoys(results, variant, 'start to ready', ({ readyMs }) => readyMs, seconds, 0.75, because.start),
    ofEnvoys(results, variant, 'memory then (RSS)', ({ readyMiB }) => readyMiB, mebibytes, 0.5, because.memory),
    variant === 'GRPC'
      ? ofEnvoys(results, variant, 'one changed cluster, CPU time', changeCpuMs, seconds, 0.2, because.changeSotw)
      : ofEnvoys(results, variant, 'one changed cluster, CPU time', changeCpuMs, seconds, 0.05, because.changeDelta),
  ]);
  const load = (name: PeerName) => results.load.find(({ peer }) => peer === name);
  const own = load('Pontoon');
  return [
    ...ratios,
    longestStretch('applying, warming and dumping: longest at a stretch', own, because.stretch),
    longestStretch('the same with snapshots', load('Pontoon, with snapshots'), because.snapshotStretch),
    absolute('one changed cluster (Delta), p99 from push to active', own && percentile(own.activeMs, 0.99), 300),
    latencyWhileChanging(own),
  ].map(verdictOf);
}

const changeCpuMs = ({ changesCpuMs }: ScaleResult): number => Math.max(0, spreadOf(changesCpuMs).median);

/** Of sorted values. */
export const percentile = (sorted: readonly number[], part: number): number | undefined =>
  sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)];

const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`;
const mebibytes = (mib: number): string => `${mib.toFixed(0)} MiB`;
const milliseconds = (ms: number): string => `${ms.toFixed(1)} ms`;
export const variantTitles = { GRPC: 'state-of-the-world', DELTA_GRPC: 'Delta' } as const;

function ofEnvoys(
  { scale }: Results,
  variant: Variant,
  title: string,
  of: (result: ScaleResult) => number,
  show: (value: number) => string,
  most: number,
  reason: string,
): Figure {
  const find = (name: PeerName) => scale.find((one) => one.peer === name && one.variant === variant);
  const [own, envoys] = [find('Pontoon'), find('Envoy')];
  const value = own && envoys && of(own) / of(envoys);
  return {
    title: `${title} (${variantTitles[variant]})`,
    most,
    value,
    wanted: `at most ${most} of Envoy's`,
    got: own && envoys ? `${(value as number).toFixed(2)}: ${show(of(own))} to ${show(of(envoys))}` : '',
    because: reason,
  };
}

function absolute(title: string, value: number | undefined, most: number, reason: string = because.latency): Figure {
  return {
    title,
    most,
    value,
    wanted: `at most ${most} ms`,
    got: value === undefined ? '' : milliseconds(value),
    because: reason,
  };
}

function longestStretch(title: string, load: UnderLoad | undefined, reason: string): Figure {
  const beats = load?.phases.flatMap(({ name, heartbeat }) => (heartbeat ? [{ name, ...heartbeat }] : [])) ?? [];
  const longest = beats.toSorted((one, other) => other.longestMs - one.longestMs)[0];
  const figure = absolute(title, longest?.longestMs, 10, reason);
  return longest ? { ...figure, got: `${figure.got} (${longest.name})` } : figure;
}

function latencyWhileChanging(load: UnderLoad | undefined): Figure {
  const p99 = (wanted: string) => {
    const us = load?.phases.find(({ name }) => name === wanted)?.load.p99Us;
    return us === undefined ? undefined : us / 1000;
  };
  const [changing, idle] = [p99(loadPhases.changing), p99(loadPhases.idleLarge)];
  const alone = p99(loadPhases.changingElsewhere);
  const value = changing !== undefined && idle !== undefined ? changing / idle : undefined;
  const floor = alone === undefined ? '' : `; the control plane alone ${milliseconds(alone)}`;
  return {
    title: 'p99 of requests while one cluster changes',
    most: 2,
    value,
    wanted: 'at most 2 times that of rest',
    got:
      value === undefined
        ? ''
        : `${value.toFixed(2)}: ${milliseconds(changing as number)} to ${milliseconds(idle as number)}${floor}`,
    because: because.latency,
  };
}

function verdictOf({ title, most, value, wanted, got, because: reason }: Figure): Verdict {
  if (value === undefined || Number.isNaN(value))
    return { title, wanted, got: 'not in this run', verdict: 'not measured', because: reason };
  if (value <= most) return { title, wanted, got, verdict: 'holds', because: reason };
  const by = value >= 2 * most ? `${(value / most).toFixed(1)} times` : `${Math.ceil((value / most - 1) * 100)} %`;
  return { title, wanted, got, verdict: 'missed', by, because: reason };
}
