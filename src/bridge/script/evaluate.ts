import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { pathToFileURL } from 'node:url';
import { types } from 'node:util';
import { type Context, compileFunction, createContext, Script } from 'node:vm';
import type { Bundle } from './bundle.js';

/**
 * Runs a bundle's top level and gives its exports. The result is an ordinary value: nothing in the process remembers it, so that it is collected with its last
 * user. (A module loaded by `import()` would stay for ever, and so would the source of a `vm.Script`, in V8's compilation cache.)
 * Throws what the bundle throws, or an Error when it takes too long.
 */
export function evaluate(bundle: Bundle, timeLimitMs: number): unknown {
  const names = ['exports', 'require', 'module', '__filename', '__dirname', '__url'];
  const run = compileFunction(bundle.code, names, { filename: bundle.path });
  const module: { exports: unknown } = { exports: {} };
  withTimeLimit('loading the library', timeLimitMs, () => {
    run(
      module.exports,
      createRequire(bundle.path),
      module,
      bundle.path,
      dirname(bundle.path),
      pathToFileURL(bundle.path).href,
    );
  });
  return module.exports;
}

let trampoline: Context | undefined;
const call = new Script('run()');

/** Calls `work`, which is stopped when it is still busy after the limit. Throws what it throws. */
export function withTimeLimit<T>(what: string, timeLimitMs: number, work: () => T): T {
  trampoline ??= createContext({ run: undefined });
  trampoline.run = work;
  try {
    return call.runInContext(trampoline, { timeout: timeLimitMs, displayErrors: false });
  } catch (error) {
    if (isTimeout(error)) throw new Error(`${what} took more than ${timeLimitMs / 1000} s`);
    throw error;
  } finally {
    trampoline.run = undefined;
  }
}

function isTimeout(error: unknown): boolean {
  // It comes from the trampoline's realm, so it is no instance of our Error.
  return types.isNativeError(error) && 'code' in error && error.code === 'ERR_SCRIPT_EXECUTION_TIMEOUT';
}
