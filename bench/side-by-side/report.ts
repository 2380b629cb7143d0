import { fillTemplate, listParts } from './fill-template.js';
import { judge } from './requirements.js';
import {
  type EnduranceRound,
  figure,
  type Judged,
  type LatencyCase,
  type Results,
  type Row,
  showSpread,
  type ThroughputCase,
  type ThroughputRound,
} from './results.js';
import { table } from './table.js';
import { listMisses, verdictTable } from './verdicts.js';

/** Above this share of one CPU, work of others disturbed a row. */
const disturbed = 0.15;

/**
 * The report.
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
  const group = (wanted: ThroughputCase['group']) => results.throughput.filter((one) => one.group === wanted);
  const each = (cases: readonly ThroughputCase[]) =>
    cases.length === 0
      ? 'Not measured.'
      : cases.map((one) => `### ${one.title}\n\n${throughputTable(results, one)}`).join('\n\n');
  return {
    machine: machine(results),
    'must-hold': verdictTable(verdicts),
    misses: listMisses(verdicts, ({ got, wanted, by }) => `${got}, wanted ${wanted}; ${by} too much.`),
    overview: overview(results, group('bodies')),
    bodies: each(group('bodies')),
    multiplexed: each(group('multiplexed')),
    dubbo: each(group('dubbo')),
    churn: each(group('churn')),
    workers: each(group('workers')),
    latency: results.latency
      .map((one) => `### ${one.title}: ${thousands(one.rate)} requests/s\n\n${latencyTable(results, one)}`)
      .join('\n\n'),
    'start-up': startUpTable(results),
    endurance: enduranceTable(results),
  } as const;
}

function machine({ machine: { cpu, cpus, memoryGiB, kernel, node }, settings, versions }: Results): string {
  const names = Object.entries(versions)
    .filter(([name]) => !name.startsWith('pontoon-'))
    .map(([name, version]) => `${name} ${version}`);
  const { rounds, seconds } = settings;
  return `${cpu}, ${cpus} CPUs, ${memoryGiB} GiB, ${kernel}; Node ${[node, ...names].join(', ')}. ${rounds} round${rounds === 1 ? '' : 's'} of ${seconds} s.`;
}

const thousands = (value: number) => Math.round(value).toLocaleString('en');
const milliseconds = (us: number) => (us / 1000).toFixed(2);
const fixed = (digits: number) => (value: number) => value.toFixed(digits);

/** What a row is called, with a mark where it can't be relied on. */
function nameOf<Round extends Judged>({ titles }: Results, row: Row<Round>): string {
  const name = titles[row.peer] ?? row.peer;
  const foreign = row.rounds.filter(({ foreignCpus }) => foreignCpus > disturbed).length;
  return foreign > 0 ? `${name} (disturbed in ${foreign} of ${row.rounds.length} rounds)` : name;
}

/** Why a row has no figures; undefined when it has. */
function reasonOf<Round extends Judged>({ unavailable, rounds }: Row<Round>): string | undefined {
  if (unavailable !== undefined) return `not available: ${unavailable.split('\n')[0]?.slice(0, 300)}`;
  const wrong = rounds.filter(({ problems }) => problems.length > 0);
  if (wrong.length === 0) return undefined;
  return `not valid in ${wrong.length} of ${rounds.length} rounds: ${wrong[0]?.problems.join('; ').slice(0, 300)}`;
}

type Column<Round extends Judged> = readonly [title: string, show: (row: Row<Round>) => string];

/** A table of medians. Rows without figures are empty in it and have their reason below. */
function rowsTable<Round extends Judged>(
  results: Results,
  rows: readonly Row<Round>[],
  columns: readonly Column<Round>[],
): string {
  const lines = rows.map((row) => {
    const has = reasonOf(row) === undefined;
    return [nameOf(results, row), ...columns.map(([, show]) => (has ? show(row) : '–'))];
  });
  const reasons = rows.flatMap((row) => {
    const reason = reasonOf(row);
    return reason === undefined ? [] : [`- ${results.titles[row.peer] ?? row.peer}: ${reason}`];
  });
  const made = table(['', ...columns.map(([title]) => title)], lines);
  return reasons.length === 0 ? made : `${made}\n\n${reasons.join('\n')}`;
}

function column<Round extends Judged>(
  of: (round: Round) => number,
  show: (value: number) => string,
): (row: Row<Round>) => string {
  return (row) => {
    const found = figure(row, of);
    return found === undefined ? '' : showSpread(found, show);
  };
}

function toEnvoy(rows: readonly Row<ThroughputRound>[]): (row: Row<ThroughputRound>) => string {
  const envoy = figure(
    rows.find(({ peer }) => peer === 'envoy'),
    ({ cpuUs }) => cpuUs,
  );
  return (row) => {
    const own = figure(row, ({ cpuUs }) => cpuUs);
    return own && envoy ? (own.median / envoy.median).toFixed(2) : '';
  };
}

/** CPU per request alone, of all cases at once. */
function overview(results: Results, cases: readonly ThroughputCase[]): string {
  const peers = [...new Set(cases.flatMap(({ rows }) => rows.map(({ peer }) => peer)))];
  const rows = peers.map((peer) => [
    results.titles[peer] ?? peer,
    ...cases.map((one) => {
      const row = one.rows.find((candidate) => candidate.peer === peer);
      return figure(row, ({ cpuUs }) => cpuUs)?.median.toFixed(1) ?? '–';
    }),
  ]);
  return table(['CPU µs per request', ...cases.map(({ title }) => title)], rows);
}

function throughputTable(results: Results, { rows, group }: ThroughputCase): string {
  const byProcess = ({ rounds }: Row<ThroughputRound>) =>
    rounds.map(({ connectionsPerProcess = [] }) => connectionsPerProcess.join('+') || 'all in one').join(', ');
  const changes = ({ rounds }: Row<ThroughputRound>) =>
    thousands(rounds.reduce((sum, { configChanges = 0 }) => sum + configChanges, 0));
  const columns: readonly Column<ThroughputRound>[] = [
    ['CPU µs per request', column(({ cpuUs }) => cpuUs, fixed(1))],
    ...(group === 'bodies' || group === 'multiplexed' ? [['to Envoy', toEnvoy(rows)] as const] : []),
    ['requests/s', column(({ requestsPerSecond }) => requestsPerSecond, thousands)],
    ['p50 ms', column(({ p50Us }) => p50Us, milliseconds)],
    ['p99 ms', column(({ p99Us }) => p99Us, milliseconds)],
    ['p99.9 ms', column(({ p999Us }) => p999Us, milliseconds)],
    ['RSS MiB', column(({ rssMiB }) => rssMiB, fixed(0))],
    ...(group === 'workers' ? [['connections of each process', byProcess] as const] : []),
    ...(group === 'churn' ? [['changes', changes] as const] : []),
    ['CPUs of load and server', column(({ loadCpus }) => loadCpus, fixed(2))],
  ];
  return rowsTable(results, rows, columns);
}

function latencyTable(results: Results, { rows }: LatencyCase): string {
  return rowsTable(results, rows, [
    ['p50 ms', column(({ p50Us }) => p50Us, milliseconds)],
    ['p99 ms', column(({ p99Us }) => p99Us, milliseconds)],
    ['p99.9 ms', column(({ p999Us }) => p999Us, milliseconds)],
    ['longest ms', column(({ maxUs }) => maxUs, milliseconds)],
    ['CPU µs per request', column(({ cpuUs }) => cpuUs, fixed(1))],
    ["the client's own p99 delay, ms", column(({ lagP99Us }) => lagP99Us, milliseconds)],
  ]);
}

function startUpTable(results: Results): string {
  return rowsTable(results, results.startUp?.rows ?? [], [
    ['first answer after, ms', column(({ firstAnswerMs }) => firstAnswerMs, fixed(0))],
    ['CPU ms until then', column(({ cpuMs }) => cpuMs, fixed(0))],
    ['idle RSS MiB', column(({ idleMiB }) => idleMiB, fixed(0))],
    ['KiB per idle connection', column(({ kibPerConnection }) => kibPerConnection, fixed(1))],
  ]);
}

function enduranceTable(results: Results): string {
  const workers = ({ rounds }: Row<EnduranceRound>) =>
    rounds.map(({ workersMiB = [] }) => workersMiB.map(fixed(0)).join(', ')).join('; ');
  return rowsTable(results, results.endurance?.rows ?? [], [
    ['requests', column(({ requests }) => requests, thousands)],
    ['RSS MiB before', column(({ idleMiB }) => idleMiB, fixed(0))],
    ['RSS MiB after', column(({ rssMiB }) => rssMiB, fixed(0))],
    ['of which what serves', workers],
  ]);
}
