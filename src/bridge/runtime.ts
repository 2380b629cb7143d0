import { extname } from 'node:path';
import { createGoRuntime, type GoRuntimeOptions } from './go/runtime.js';
import type { BridgeRuntime } from './prepared-bridge.js';
import { createScriptRuntime, type ScriptRuntimeOptions } from './script/runtime.js';

export type BridgeRuntimeOptions = ScriptRuntimeOptions & GoRuntimeOptions;

const goExtensions: ReadonlySet<string> = new Set(['.so', '.dylib']);

/** All runtimes as one: the extension of `library_path` says whose a library is. */
export function createBridgeRuntime(options: BridgeRuntimeOptions): BridgeRuntime {
  const script = createScriptRuntime(options);
  const go = createGoRuntime(options);
  const runtimeOf = (libraryPath: string): BridgeRuntime => (goExtensions.has(extname(libraryPath)) ? go : script);
  return {
    prepare: (config) => runtimeOf(config.libraryPath).prepare(config),
    currentHash: (config) => runtimeOf(config.libraryPath).currentHash(config),
  };
}
