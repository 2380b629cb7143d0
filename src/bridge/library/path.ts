import { realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import { PluginProblem } from './problem.js';

/** A `library_path` under `cwd`, without symlinks. Throws a PluginProblem when nothing is there. */
export function realPathOf(
  libraryPath: string,
  cwd: string,
  resolveLinks: (path: string) => string = realpathSync.native,
): string {
  const path = resolve(cwd, libraryPath);
  try {
    return resolveLinks(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const what = code === 'ENOENT' ? 'does not exist' : `cannot be read: ${code ?? message}`;
    throw new PluginProblem('library_path', `${path} ${what}`);
  }
}
