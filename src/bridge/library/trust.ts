import { realpathSync, statSync } from 'node:fs';
import { dirname, sep } from 'node:path';
import { oncePerTurn } from './once-per-turn.js';

/**
 * Who may give us code. Library paths come from the control plane, so the file system decides:
 * - without plugin roots, a file is trusted when it and its folders, up to the root, belong to root or to us and nobody else may write to them;
 * - with plugin roots, it is trusted when it lies in one of them, symlinks resolved, and nowhere else.
 */
export interface Trust {
  /** undefined: it may be loaded. Else what is wrong and what to do. `path` must be resolved (no symlinks). */
  check(path: string): string | undefined;
}

const writableByOthers = 0o022;

export function createTrust(pluginRoots: readonly string[]): Trust {
  if (pluginRoots.length === 0) return { check: oncePerTurn(checkOwners) };
  return { check: oncePerTurn((path) => checkRoots(path, pluginRoots)) };
}

function checkRoots(path: string, roots: readonly string[]): string | undefined {
  for (const root of roots) {
    // Resolved each time: a root may be a symlink that is moved to the next release.
    const real = resolveRoot(root);
    if (real !== undefined && path.startsWith(real.endsWith(sep) ? real : real + sep)) return undefined;
  }
  return `${path} is outside of the plugin roots (${roots.join(', ')}): move it there, or add --plugin-root ${dirname(path)}`;
}

function resolveRoot(root: string): string | undefined {
  try {
    return realpathSync.native(root);
  } catch {
    // Not there (yet): nothing is inside.
    return undefined;
  }
}

function checkOwners(path: string): string | undefined {
  const us = process.getuid?.();
  // Where files have no such owners (Windows) there is nothing to look at.
  if (us === undefined) return undefined;
  for (let at = path; ; at = dirname(at)) {
    const { uid, mode } = statSync(at);
    const what =
      uid !== 0 && uid !== us
        ? `belongs to user ${uid}`
        : (mode & writableByOthers) !== 0
          ? 'can be written by others'
          : undefined;
    if (what !== undefined) {
      const which = at === path ? path : `${path}: its folder ${at}`;
      return `${which} ${what}, so it is not trusted: make it writable for its owner alone, or say where libraries may come from with --plugin-root ${dirname(path)}`;
    }
    if (dirname(at) === at) return undefined;
  }
}
