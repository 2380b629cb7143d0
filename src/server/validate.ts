import { type BootstrapProblem, type LoadOptions, loadBootstrap } from '../bootstrap/load.js';
import { bootstrapReport } from '../bootstrap/report.js';
import type { Problem } from '../model/verdict.js';
import { createJudge } from './judge-runtime.js';
import { judgeBridge, judgeListener } from './resource-types.js';

export interface Validation {
  readonly ok: boolean;
  /** A line per problem, or, when there is none, per field that is ignored and resource that is parked. */
  readonly lines: readonly string[];
}

/** Problems of a static resource with their paths in the bootstrap. */
export function inStatic(
  kind: 'clusters' | 'listeners',
  index: number,
  problems: readonly Problem[],
): readonly Problem[] {
  return problems.map(({ path, message }) => ({ path: `static_resources.${kind}[${index}].${path}`, message }));
}

/** `--mode validate`: judges the bootstrap and its plugins as starting would. Nothing is started. */
export async function validateBootstrap(
  options: LoadOptions & { readonly pluginRoots: readonly string[] },
): Promise<Validation> {
  const loaded = loadBootstrap(options);
  if (!loaded.ok) return { ok: false, lines: bootstrapReport(loaded) };
  const { file = '--config-yaml' } = options;
  const judge = createJudge(options.schema, options.pluginRoots);
  const problems: BootstrapProblem[] = [];
  for (const [index, { verdict }] of loaded.bootstrap.clusters.entries()) {
    const judged = await judgeBridge(verdict, judge);
    if (judged.kind !== 'rejected') {
      if (judged.kind === 'active') judged.model.bridge?.release();
      continue;
    }
    problems.push(...inStatic('clusters', index, judged.problems).map((problem) => ({ file, ...problem })));
  }
  for (const [index, { verdict }] of loaded.bootstrap.listeners.entries()) {
    const judged = judgeListener(verdict);
    if (judged.kind !== 'rejected') continue;
    problems.push(...inStatic('listeners', index, judged.problems).map((problem) => ({ file, ...problem })));
  }
  const ok = problems.length === 0;
  return { ok, lines: bootstrapReport(ok ? loaded : { ok, problems }) };
}
