import { loadBootstrap } from '../../bootstrap/load.js';
import { bootstrapReport } from '../../bootstrap/report.js';
import type { Schema } from '../../protobuf/schema.js';
import { createJudge } from '../judge-runtime.js';
import { diffViews } from './diff.js';
import { explain } from './explain.js';
import { createViewJudge } from './judge.js';
import { diffLines, explanationLines } from './print.js';
import { readView } from './read-view.js';
import { InspectError, type Kind } from './view.js';

interface CommonOptions {
  readonly schema: Schema;
  /** The bootstrap of the instance that resources are judged for. */
  readonly configPath: string | undefined;
  readonly pluginRoots: readonly string[];
  readonly json: boolean;
}

export interface CommandResult {
  readonly code: 0 | 1 | 2;
  readonly stdout: readonly string[];
  readonly stderr: readonly string[];
}

const trouble = (message: string): CommandResult => ({ code: 2, stdout: [], stderr: [`pontoon: ${message}`] });

async function contained(work: () => Promise<CommandResult>): Promise<CommandResult> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof InspectError) return trouble(error.message);
    throw error;
  }
}

function judgeOf({ schema, configPath, pluginRoots }: CommonOptions) {
  const judge = createJudge(schema, pluginRoots);
  if (configPath === undefined) return createViewJudge(schema, judge, undefined);
  const loaded = loadBootstrap({ schema, file: configPath });
  if (!loaded.ok) throw new InspectError(bootstrapReport(loaded).join('\n'));
  return createViewJudge(schema, judge, loaded.bootstrap);
}

/** `pontoon config diff BEFORE AFTER`. The code is that of diff: 0 the same, 1 different, 2 trouble. */
export function configDiff(
  options: CommonOptions & { readonly before: string; readonly after: string },
): Promise<CommandResult> {
  return contained(async () => {
    const judge = judgeOf(options);
    const before = await readView(options.before, judge);
    const diff = diffViews(before, await readView(options.after, judge));
    const stdout = options.json ? [JSON.stringify(diff, null, 1)] : diffLines(diff);
    return { code: diff.changes.length === 0 ? 0 : 1, stdout, stderr: [] };
  });
}

const isFine = (verdict: string): boolean => verdict === 'active' || verdict === 'warned' || verdict === 'parked';

/** `pontoon config explain NAME SOURCE`: 0 it is as it should be, 1 something is rejected or missing, or there is nothing of that name, 2 trouble. */
export function configExplain(
  options: CommonOptions & { readonly name: string; readonly kind: Kind | undefined; readonly source: string },
): Promise<CommandResult> {
  return contained(async () => {
    const { name, kind, source } = options;
    const view = await readView(source, judgeOf(options));
    const found = explain(view, name, kind);
    const fine = found.length > 0 && found.every(({ verdict, missing }) => isFine(verdict) && missing.length === 0);
    const nothing = `${source} has no ${kind ?? 'resource'} ${name}`;
    if (options.json) return { code: fine ? 0 : 1, stdout: [JSON.stringify(found, null, 1)], stderr: [] };
    if (found.length === 0) return { code: 1, stdout: [nothing], stderr: [] };
    return { code: fine ? 0 : 1, stdout: found.flatMap(explanationLines), stderr: [] };
  });
}
