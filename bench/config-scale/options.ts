import { parseArgs } from 'node:util';
import { type Variant, variants } from './results.js';

const parts = ['scale', 'load'] as const;
type Part = (typeof parts)[number];
/** As flags take them. */
const peerFlags = ['Envoy', 'Pontoon'] as const;

export interface Options {
  readonly clusters: number;
  readonly pushes: number;
  readonly variants: readonly Variant[];
  readonly peers: readonly (typeof peerFlags)[number][];
  readonly parts: readonly Part[];
  /** Where the results go. */
  readonly output?: string;
  /** Only makes the report from earlier results. */
  readonly report: boolean;
}

const standardClusters = 10_000;
const standardPushes = 100;

export const usage = `npm run bench:config-scale -- [FLAGS]

  --clusters N       of ten endpoints each (${standardClusters})
  --pushes N         changes of one cluster under load, four a second in five runs (${standardPushes})
  --peer NAME        only this one; repeatable: ${peerFlags.join(', ')}
  --part NAME        only this part; repeatable: scale (start, memory, one change), load (serving meanwhile)
  --variant NAME     of the part scale only this one; repeatable: ${variants.join(', ')}
  --output FILE      where the results go; a run of everything writes docs/config-scale.json unless told otherwise
  --report           measures nothing: writes docs/config-scale.md from docs/config-scale.json

A run of everything takes some ten minutes. PONTOON_BENCH_NODE_FLAGS are flags of Node for Pontoon, for a profile.
`;

/** @throws Error that says what is wrong with the flags */
export function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      clusters: { type: 'string' },
      pushes: { type: 'string' },
      variant: { type: 'string', multiple: true, default: [] },
      peer: { type: 'string', multiple: true, default: [] },
      part: { type: 'string', multiple: true, default: [] },
      output: { type: 'string' },
      report: { type: 'boolean', default: false },
    },
  });
  const chosen = { peer: values.peer, part: values.part, variant: values.variant };
  const all = Object.values(chosen).every((names) => names.length === 0) && !values.clusters && !values.pushes;
  const output = values.output ?? (all ? 'docs/config-scale.json' : undefined);
  return {
    clusters: count('clusters', values.clusters, standardClusters),
    pushes: count('pushes', values.pushes, standardPushes),
    variants: choose('variant', chosen.variant, variants),
    peers: choose('peer', chosen.peer, peerFlags),
    parts: choose('part', chosen.part, parts),
    report: values.report,
    ...(output !== undefined && { output }),
  };
}

/** Those that are named, or all where none is. */
function choose<Name extends string>(flag: string, given: readonly string[], known: readonly Name[]): readonly Name[] {
  for (const name of given)
    if (!known.some((each) => each === name)) throw new Error(`--${flag} ${name}: there are ${known.join(', ')}`);
  return known.filter((name) => given.length === 0 || given.includes(name));
}

function count(flag: string, text: string | undefined, standard: number): number {
  const value = Number(text ?? standard);
  // The first two have a part of their own under load.
  if (Number.isSafeInteger(value) && value > 2) return value;
  throw new Error(`--${flag} ${text}: it must be a whole number above 2`);
}
