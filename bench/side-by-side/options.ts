import { parseArgs } from 'node:util';
import { caseIds } from './cases.js';
import { peers } from './peers/index.js';
import type { Settings } from './results.js';

export interface Options {
  readonly settings: Settings;
  /** Beginnings of case ids; empty: all. */
  readonly cases: readonly string[];
  /** Empty: all. */
  readonly peers: readonly string[];
  /** Where the results go. */
  readonly output?: string;
  /** Only makes the report from earlier results. */
  readonly report: boolean;
}

export const usage = `npm run bench -- [FLAGS]

  --quick            one round of one second each, and a short endurance run: whether it all runs, not how fast
  --case NAME        only this case, or all whose names begin so; repeatable: ${caseIds.join(', ')}
  --peer NAME        only this peer; repeatable: ${Object.keys(peers).join(', ')}
  --rounds N         rounds of each case (5)
  --seconds N        length of a round (2)
  --requests N       length of the endurance run (1000000)
  --output FILE      where the results go; a run of everything writes docs/performance.json unless told otherwise
  --report           measures nothing: writes docs/performance.md from docs/performance.json
`;

/** @throws Error that says what is wrong with the flags */
export function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      case: { type: 'string', multiple: true, default: [] },
      peer: { type: 'string', multiple: true, default: [] },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      requests: { type: 'string' },
      output: { type: 'string' },
      report: { type: 'boolean', default: false },
    },
  });
  const quick = values.quick;
  for (const name of values.peer) {
    if (!(name in peers)) throw new Error(`--peer ${name}: there are ${Object.keys(peers).join(', ')}`);
  }
  for (const name of values.case) {
    if (!caseIds.some((id) => id.startsWith(name))) throw new Error(`--case ${name}: there are ${caseIds.join(', ')}`);
  }
  const full = !quick && values.case.length === 0 && values.peer.length === 0;
  const output = values.output ?? (full ? 'docs/performance.json' : undefined);
  return {
    settings: {
      rounds: count('rounds', values.rounds, quick ? 1 : 5),
      seconds: count('seconds', values.seconds, quick ? 1 : 2),
      requests: count('requests', values.requests, quick ? 2_000 : 1_000_000),
      ...(quick && { highestRate: 200 }),
    },
    cases: values.case,
    peers: values.peer,
    report: values.report,
    ...(output !== undefined && { output }),
  };
}

function count(flag: string, text: string | undefined, standard: number): number {
  const value = Number(text ?? standard);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new Error(`--${flag} ${text}: it must be a whole number above 0`);
}
