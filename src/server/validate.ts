import { type BootstrapProblem, type LoadOptions, loadBootstrap } from '../bootstrap/load.js';
import { bootstrapReport } from '../bootstrap/report.js';
import { secretsByName } from '../bootstrap/static-resources.js';
import type { Problem } from '../model/verdict.js';
import { checkSources } from './check-sources.js';
import { createJudge } from './judge-runtime.js';
import { judgeStaticClusters, problemsOfStaticListeners } from './judge-static.js';
import { createResourceTypes } from './resource-types.js';
import { judgeFiles } from './validate-files.js';

export interface Validation {
  /** A line each; without any the configuration is good. */
  readonly problems: readonly string[];
  /** A line per field that is warned of and per resource that is parked; none of a bootstrap that has problems. */
  readonly notes: readonly string[];
}

/** `--mode validate`: judges the bootstrap, its plugins, and the files that resources come from, as starting would. Nothing is started. */
export async function validateBootstrap(
  options: LoadOptions & { readonly pluginRoots: readonly string[] },
): Promise<Validation> {
  const loaded = loadBootstrap(options);
  if (!loaded.ok) return { problems: bootstrapReport(loaded), notes: [] };
  const { file = '--config-yaml' } = options;
  const judge = createJudge(options.schema, options.pluginRoots);
  const { bootstrap } = loaded;
  const found: Problem[] = [];
  for await (const { verdict } of judgeStaticClusters(bootstrap, judge)) {
    if (verdict.kind === 'rejected') found.push(...verdict.problems);
    else if (verdict.kind === 'active') verdict.model.bridge?.release();
  }
  found.push(...problemsOfStaticListeners(bootstrap));
  const problems = found.map((problem): BootstrapProblem => ({ file, ...problem }));
  const types = createResourceTypes(options.schema, judge, secretsByName(bootstrap.secrets));
  const files = await judgeFiles(options.schema, bootstrap, checkSources(types, bootstrap));
  const ok = problems.length === 0;
  const notes = ok ? bootstrapReport(loaded) : [];
  const told = ok ? [] : bootstrapReport({ ok, problems });
  return { problems: [...told, ...files.problems], notes: [...notes, ...files.notes] };
}
