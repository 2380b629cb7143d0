/** What a run of the benchmark leaves: plain JSON, from which the report is made. Times in microseconds, memory in MiB, unless the name says otherwise. */
export interface Results {
  readonly format: 1;
  readonly machine: Machine;
  readonly settings: Settings;
  /** Peer → version; without those that have none. */
  readonly versions: Readonly<Record<string, string>>;
  /** Peer → title, for every peer that a row or a reason names. */
  readonly titles: Readonly<Record<string, string>>;
  readonly throughput: readonly ThroughputCase[];
  readonly latency: readonly LatencyCase[];
  readonly startUp?: StartUpCase;
  readonly endurance?: EnduranceCase;
}

export interface Machine {
  readonly cpu: string;
  readonly cpus: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly node: string;
}

export interface Settings {
  readonly rounds: number;
  readonly seconds: number;
  /** Of the endurance case. */
  readonly requests: number;
  /** Of the latency cases, requests per second: whether it all runs must not depend on how fast it does. */
  readonly highestRate?: number;
}

/** A peer's rounds, or why it has none. */
export interface Row<Round> {
  readonly peer: string;
  readonly rounds: readonly Round[];
  readonly unavailable?: string;
}

export type Group = 'bodies' | 'multiplexed' | 'dubbo' | 'churn' | 'workers';

export interface ThroughputCase {
  readonly id: string;
  readonly group: Group;
  readonly title: string;
  readonly body: number;
  readonly connections: number;
  readonly rows: readonly Row<ThroughputRound>[];
}

/** What every measured round says of itself. */
export interface Judged {
  /** What was wrong: a round with problems is no measurement. */
  readonly problems: readonly string[];
  /** CPUs that were busy with work of others meanwhile. */
  readonly foreignCpus: number;
}

export interface ThroughputRound extends Judged {
  readonly requests: number;
  readonly requestsPerSecond: number;
  /** Of the proxy's whole process tree, per request; those that were under way at the end count half. */
  readonly cpuUs: number;
  /** CPUs that the load and the server behind the proxy used: near what they have, they and not the proxy were the limit. */
  readonly loadCpus: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly p999Us: number;
  /** Of the process tree, at the end of the round. */
  readonly rssMiB: number;
  /** Downstream connections per process, where a peer has several. */
  readonly connectionsPerProcess?: readonly number[];
  /** Changes of the configuration that were taken over during the round. */
  readonly configChanges?: number;
}

export interface LatencyCase {
  readonly id: string;
  readonly title: string;
  readonly body: number;
  readonly connections: number;
  /** Requests per second, of all peers. */
  readonly rate: number;
  /** What `rate` is a share of. */
  readonly envoyTop: number;
  readonly rows: readonly Row<LatencyRound>[];
}

export interface LatencyRound extends Judged {
  readonly requestsPerSecond: number;
  readonly cpuUs: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly p999Us: number;
  readonly maxUs: number;
  /** How late the client itself was. */
  readonly lagP99Us: number;
}

export interface StartUpCase {
  readonly connections: number;
  readonly rows: readonly Row<StartUpRound>[];
}

export interface StartUpRound extends Judged {
  /** From the start of the process to the first answer through it. */
  readonly firstAnswerMs: number;
  readonly cpuMs: number;
  readonly idleMiB: number;
  readonly kibPerConnection: number;
}

export interface EnduranceCase {
  readonly requests: number;
  readonly rows: readonly Row<EnduranceRound>[];
}

export interface EnduranceRound extends Judged {
  readonly requests: number;
  readonly idleMiB: number;
  readonly rssMiB: number;
  /** Of each process that served, where there are several. */
  readonly workersMiB?: readonly number[];
}

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** @throws Error for no values at all */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [low, high] = [sorted[sorted.length % 2 === 0 ? middle - 1 : middle], sorted[middle]];
  if (low === undefined || high === undefined) throw new Error('a median of nothing');
  return { median: (low + high) / 2, min: sorted[0] as number, max: sorted.at(-1) as number };
}

/** The rounds in which nothing was wrong. */
export function validRounds<Round extends Judged>({ rounds }: Row<Round>): readonly Round[] {
  return rounds.filter(({ problems }) => problems.length === 0);
}

/** Of one figure over the valid rounds; undefined when there is none, or when a round was not valid. */
export function figure<Round extends Judged>(
  row: Row<Round> | undefined,
  of: (round: Round) => number,
): Spread | undefined {
  if (row === undefined || row.rounds.length === 0 || validRounds(row).length < row.rounds.length) return undefined;
  return spreadOf(row.rounds.map(of));
}

/** The median, and in parentheses the least and the greatest; one value alone. */
export function showSpread({ median, min, max }: Spread, show: (value: number) => string): string {
  return min === max ? show(median) : `${show(median)} (${show(min)}–${show(max)})`;
}
