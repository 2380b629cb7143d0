import type { Problem } from '../../model/verdict.js';
import { describe } from '../plugin-error.js';

/** What a configuration is refused for; `path` is a field of the bridge's Config. */
export class PluginProblem extends Error {
  readonly problem: Problem;

  constructor(path: string, message: string) {
    super(message);
    this.problem = { path, message };
  }
}

/** A promise that may reject as the result of a preparation. `path`: the field that anything but a PluginProblem is about. */
export async function resultOf<B>(
  preparation: Promise<B>,
  path: string,
): Promise<{ readonly ok: true; readonly bridge: B } | { readonly ok: false; readonly problems: readonly Problem[] }> {
  try {
    return { ok: true, bridge: await preparation };
  } catch (thrown) {
    const problem = thrown instanceof PluginProblem ? thrown.problem : { path, message: describe(thrown) };
    return { ok: false, problems: [problem] };
  }
}
