import { type BootstrapProblem, type LoadOptions, loadBootstrap } from '../bootstrap/load.js';
import { bootstrapReport } from '../bootstrap/report.js';
import { secretsByName } from '../bootstrap/static-resources.js';
import type { Problem } from '../model/verdict.js';
import { checkSources } from './check-sources.js';
import { createJudge } from './judge-runtime.js';
import { createResourceTypes, judgeBridge, judgeListener } from './resource-types.js';
import { judgeFiles } from './validate-files.js';

export interface Validation {
  /** A line each; without any the configuration is good. */
  readonly problems: readonly string[];
  /** A line per field that is warned of and per resource that is parked; none of a bootstrap that has problems. */
  readonly notes: readonly string[];
}

/** Problems of a static resource with their paths in the bootstrap. */
export function inStatic(
  kind: 'clusters' | 'listeners',
  index: number,
  problems: readonly Problem[],
): readonly Problem[] {
  return problems.map(({ path, message }) => ({ path: `static_resources.${kind}[${index}].${path}`, message }));
}

/** `--mode validate`: judges the bootstrap, its plugins, and the files that resources come from, as starting would. Nothing is started. */
export async function validateBootstrap(
  options: LoadOptions & { readonly pluginRoots: readonly string[] },
): Promise<Validation> {
  const loaded = loadBootstrap(options);
  if (!loaded.ok) return { problems: bootstrapReport(loaded), notes: [] };
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
  const { bootstrap } = loaded;
  const types = createResourceTypes(options.schema, judge, secretsByName(bootstrap.secrets));
  const files = await judgeFiles(options.schema, bootstrap, checkSources(types, bootstrap));
  const ok = problems.length === 0;
  const notes = ok ? bootstrapReport(loaded) : [];
  const told = ok ? [] : bootstrapReport({ ok, problems });
  return { problems: [...told, ...files.problems], notes: [...notes, ...files.notes] };
}
