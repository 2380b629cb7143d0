import { fillTemplate, listParts } from '../side-by-side/fill-template.js';
import { showSpread, spreadOf } from '../side-by-side/results.js';
import { table } from '../side-by-side/table.js';
import { listMisses, verdictTable } from '../side-by-side/verdicts.js';
import { judge, percentile, variantTitles } from './requirements.js';
import type { Phase, Results, ScaleResult, UnderLoad } from './results.js';

/**
 * docs/config-scale.md.
 * @throws Error when the template names a part that there isn't
 */
export function renderReport(template: string, results: Results): string {
  return fillTemplate(template, sections(results));
}

/** All parts one after the other, for the terminal. */
export function renderResults(results: Results): string {
  return listParts(sections(results));
}

function sections(results: Results) {
  const verdicts = judge(results);
  return {
    machine: machine(results),
    'must-hold': verdictTable(verdicts),
    misses: listMisses(
      verdicts,
      ({ got, wanted, by, because }) => `${got}, wanted ${wanted}, missed by ${by}. ${because}`,
    ),
    scale: scaleTable(results.scale),
    load: results.load.length === 0 ? 'Not measured.' : results.load.map(loadTable).join('\n\n'),
  } as const;
}

function machine({
  machine: { cpu, cpus, memoryGiB, kernel, node },
  envoyVersion,
  clusters,
  endpoints,
}: Results): string {
  return `${cpu}, ${cpus} CPUs, ${memoryGiB} GiB, ${kernel}; Node ${node}, Envoy ${envoyVersion}. ${thousands(clusters)} clusters, ${thousands(endpoints)} endpoints.`;
}

const thousands = (value: number): string => value.toLocaleString('en');
const seconds = (ms: number): string => (ms / 1000).toFixed(2);
const oneDigit = (value: number): string => value.toFixed(1);

function scaleTable(results: readonly ScaleResult[]): string {
  const rows = results.map(({ peer, variant, readyMs, readyCpuMs, readyMiB, settledMiB, changesCpuMs }) => [
    variantTitles[variant],
    peer,
    seconds(readyMs),
    seconds(readyCpuMs),
    readyMiB.toFixed(0),
    settledMiB.toFixed(0),
    showSpread(spreadOf(changesCpuMs), seconds),
  ]);
  const head = [
    'start to ready, s',
    'CPU time of it, s',
    'memory then, MiB',
    'memory later, MiB',
    'a change, CPU time, s',
  ];
  return table(
    ['', '', ...head],
    rows.toSorted(([one = ''], [other = '']) => (one < other ? 1 : one > other ? -1 : 0)),
  );
}

function phaseRow({ name, load, p99sUs, heartbeat, cpuMs, residentMiB }: Phase): readonly string[] {
  const stretches = heartbeat
    ? [
        oneDigit(heartbeat.longestMs),
        oneDigit(heartbeat.longestOwnMs),
        oneDigit(heartbeat.longestGcMs),
        String(heartbeat.stretches),
        oneDigit(heartbeat.longestWaitMs),
      ]
    : ['', '', '', '', ''];
  const latencies = [
    oneDigit(load.p50Us / 1000),
    showSpread(spreadOf(p99sUs ?? [load.p99Us]), (us) => oneDigit(us / 1000)),
  ];
  return [name, ...latencies, String(load.failed), seconds(cpuMs), residentMiB.toFixed(0), ...stretches];
}

function loadTable({ peer, phases, activeMs }: UnderLoad): string {
  const latencies = ['p50, ms', 'p99, ms', 'failed', 'CPU, s', 'RSS, MiB'];
  const head = ['', ...latencies, 'longest, ms', 'without GC', 'GC', 'over 10 ms', 'by the clock'];
  const at = (part: number) => `${(percentile(activeMs, part) ?? Number.NaN).toFixed(0)} ms`;
  const pushes =
    activeMs.length === 0
      ? ''
      : `\n\n${activeMs.length} pushes of one changed cluster (Delta), from the push to the first request that sees it: p50 ${at(0.5)}, p99 ${at(0.99)}, longest ${at(1)}.`;
  return `### ${peer}\n\n${table(head, phases.map(phaseRow))}${pushes}`;
}
