import type { Logger } from '../../log.js';
import { createLocalMarks } from '../call-mark.js';
import { resultOf } from '../library/problem.js';
import type { LibraryStore } from '../library/store.js';
import type { BridgeJudge, BridgeRuntime, JudgedBridge, StoredLibrary } from '../prepared-bridge.js';
import { createPreparation, type PreparationOptions, type PreparedScript } from './preparation.js';
import { serializeBundle } from './stored-libraries.js';

export interface ScriptRuntimeOptions extends PreparationOptions {
  readonly log: Logger;
}

/** What is wrong when it is no PluginProblem: a plugin's getter or proxy threw when it was looked at, or a library ran out of time. */
const otherwise = 'plugin_name';

/** The runtime of libraries in TypeScript or JavaScript (docs/bridge.md, section 4). */
export function createScriptRuntime(options: ScriptRuntimeOptions): BridgeRuntime {
  const { log } = options;
  const preparation = createPreparation(options, 0);
  const nextMark = createLocalMarks();

  async function finish(prepared: Promise<PreparedScript>): Promise<PreparedScript['bridge']> {
    const { bridge, library } = await prepared;
    log.debug({ plugin: bridge.config.pluginName, library: library.path, hash: library.hash }, 'bridge prepared');
    return bridge;
  }

  return {
    prepare: (config) => resultOf(finish(preparation.prepare(config, nextMark())), otherwise),
    prepareStored: (config, library, mark) =>
      resultOf(finish(preparation.prepareStored(config, library, mark)), otherwise),
    currentHash: (config) => preparation.currentHash(config),
  };
}

export interface ScriptJudgeOptions extends PreparationOptions {
  /** undefined: nothing is kept of what was judged. */
  readonly store: LibraryStore | undefined;
}

/** Configurations mostly come many at once: for so long a library stays evaluated for the next one. */
const keepMs = 2_000;

/** Tries libraries and configurations as serving would. What is judged good is let go of at once. */
export function createScriptJudge(
  options: ScriptJudgeOptions,
): BridgeJudge<JudgedBridge & { readonly library: StoredLibrary | undefined }> {
  const { store } = options;
  const preparation = createPreparation(options, keepMs);
  const nextMark = createLocalMarks();
  return {
    prepare(config) {
      const judge = async () => {
        const { bridge, library } = await preparation.prepare(config, nextMark());
        try {
          const { path, hash, source } = library;
          const stored = await store?.put({ kind: 'script', path, hash }, () => serializeBundle(source));
          return { id: bridge.id, config, libraryHash: hash, library: stored, release: () => undefined };
        } finally {
          bridge.release();
        }
      };
      return resultOf(judge(), otherwise);
    },
    currentHash: (config) => preparation.currentHash(config),
  };
}
