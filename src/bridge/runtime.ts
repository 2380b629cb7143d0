import { extname } from 'node:path';
import { createGoJudge, createGoRuntime, type GoRuntime, type GoRuntimeOptions } from './go/runtime.js';
import { createLibraryStore } from './library/store.js';
import type { BridgeJudge, BridgeRuntime, StoredBridge } from './prepared-bridge.js';
import type { PreparationOptions } from './script/preparation.js';
import { createScriptJudge, createScriptRuntime, type ScriptRuntimeOptions } from './script/runtime.js';

export type BridgeRuntimeOptions = ScriptRuntimeOptions & GoRuntimeOptions;

const goExtensions: ReadonlySet<string> = new Set(['.so', '.dylib']);

const isGo = (libraryPath: string): boolean => goExtensions.has(extname(libraryPath));

/** All runtimes as one: the extension of `library_path` says whose a library is. */
export function createBridgeRuntime(options: BridgeRuntimeOptions): BridgeRuntime & Pick<GoRuntime, 'goLibraries'> {
  const script = createScriptRuntime(options);
  const go = createGoRuntime(options);
  const runtimeOf = (libraryPath: string): BridgeRuntime => (isGo(libraryPath) ? go : script);
  return {
    prepare: (config) => runtimeOf(config.libraryPath).prepare(config),
    prepareStored: (config, library, mark) =>
      (library.kind === 'go' ? go : script).prepareStored(config, library, mark),
    currentHash: (config) => runtimeOf(config.libraryPath).currentHash(config),
    goLibraries: () => go.goLibraries(),
  };
}

export type BridgeJudgeOptions = PreparationOptions;

/**
 * Judges as a runtime would, but serves nothing and keeps nothing running. With `storeFolder` (there, private, and used for nothing else) each library that was
 * found good is kept there for other processes; `removeUnusedLibraries` takes them away again.
 */
export function createBridgeJudge(
  options: BridgeJudgeOptions & { readonly storeFolder: string },
): BridgeJudge<StoredBridge>;
export function createBridgeJudge(options: BridgeJudgeOptions): BridgeJudge;
export function createBridgeJudge(options: BridgeJudgeOptions & { readonly storeFolder?: string }): BridgeJudge {
  const { storeFolder } = options;
  const store = storeFolder === undefined ? undefined : createLibraryStore(storeFolder);
  const script = createScriptJudge({ ...options, store });
  const go = createGoJudge({ ...options, store, ...(storeFolder !== undefined && { copies: storeFolder }) });
  const judgeOf = (libraryPath: string): BridgeJudge => (isGo(libraryPath) ? go : script);
  return {
    prepare: (config) => judgeOf(config.libraryPath).prepare(config),
    currentHash: (config) => judgeOf(config.libraryPath).currentHash(config),
  };
}
