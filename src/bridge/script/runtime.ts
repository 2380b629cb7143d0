import { realpathSync } from 'node:fs';
import { extname, resolve } from 'node:path';
import type { Logger } from '../../log.js';
import type { BridgeConfig } from '../../model/cluster.js';
import type { Problem } from '../../model/verdict.js';
import type { HttpTcpBridge } from '../api.js';
import { describe } from '../plugin-error.js';
import type { BridgeRuntime, PreparedBridge } from '../prepared-bridge.js';
import { identityOf } from './identity.js';
import { createLibraries, type Library } from './libraries.js';
import { createLimitedCalls } from './limited-calls.js';
import { oncePerTurn } from './once-per-turn.js';
import { type ParsedPlugin, PluginProblem, parsePlugin } from './plugin.js';
import { createTrust } from './trust.js';

export interface ScriptRuntimeOptions {
  readonly log: Logger;
  /** A `plugin_config` as plain data. Throws on a type that is not known. */
  readonly unpackPluginConfig: (typeUrl: string, value: Uint8Array) => unknown;
  /** `--plugin-root`: where libraries may come from; none: wherever only root and we may write. */
  readonly pluginRoots: readonly string[];
  /** Where relative library paths begin. */
  readonly cwd: string;
  /** How long a library's top level, and its parseConfig, may run; 5 s unless set. */
  readonly timeLimitMs?: number;
}

const scriptExtensions: ReadonlySet<string> = new Set(['.js', '.mjs', '.cjs', '.ts', '.mts']);

/** The runtime of libraries in TypeScript or JavaScript (bridge.md section 4). */
export function createScriptRuntime(options: ScriptRuntimeOptions): BridgeRuntime {
  const { log, unpackPluginConfig, pluginRoots, cwd, timeLimitMs = 5_000 } = options;
  const trust = createTrust(pluginRoots.map((root) => resolve(cwd, root)));
  const resolveLinks = oncePerTurn((path) => realpathSync.native(path));
  const libraries = createLibraries(trust, timeLimitMs);
  const limited = createLimitedCalls(timeLimitMs);

  function realPath(config: BridgeConfig): string {
    const path = resolve(cwd, config.libraryPath);
    const extension = extname(path);
    if (!scriptExtensions.has(extension)) {
      throw new PluginProblem(
        'library_path',
        `${path} has no known extension: use a script library (.js, .mjs, .cjs, .ts, .mts) or a Go library (.so)`,
      );
    }
    try {
      return resolveLinks(path);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      const what = code === 'ENOENT' ? 'does not exist' : `cannot be read: ${code ?? message}`;
      throw new PluginProblem('library_path', `${path} ${what}`);
    }
  }

  async function load(config: BridgeConfig): Promise<Library> {
    const path = realPath(config);
    try {
      const distrust = trust.check(path);
      if (distrust !== undefined) throw new Error(distrust);
      return await libraries.load(path);
    } catch (thrown) {
      throw new PluginProblem('library_path', describe(thrown));
    }
  }

  async function parse(library: Library, config: BridgeConfig): Promise<PreparedBridge> {
    const { typeUrl, value } = config.pluginConfig;
    const unpack = (): unknown => (typeUrl === '' ? undefined : unpackPluginConfig(typeUrl, value));
    try {
      const parsed = await limited(`parsing the configuration of plugin ${config.pluginName}`, () =>
        parsePlugin(library, config, unpack),
      );
      return createPreparedBridge(library, config, unpack, parsed);
    } catch (thrown) {
      library.release();
      throw thrown;
    }
  }

  return {
    async prepare(config) {
      try {
        const library = await load(config);
        const bridge = await parse(library, config);
        log.debug({ plugin: config.pluginName, library: library.path, hash: library.hash }, 'bridge prepared');
        return { ok: true, bridge };
      } catch (thrown) {
        return { ok: false, problems: [problemOf(thrown)] };
      }
    },
    async currentHash(config) {
      try {
        return await libraries.currentHash(realPath(config));
      } catch {
        return undefined;
      }
    },
  };
}

/** Everything else is a plugin's getter or proxy that threw when it was looked at, or a library that ran out of time. */
function problemOf(thrown: unknown): Problem {
  return thrown instanceof PluginProblem ? thrown.problem : { path: 'plugin_name', message: describe(thrown) };
}

function createPreparedBridge(
  library: Library,
  config: BridgeConfig,
  unpack: () => unknown,
  parsed: ParsedPlugin,
): PreparedBridge {
  let live: ParsedPlugin | undefined = parsed;
  return {
    id: identityOf(library, config, unpack),
    config,
    libraryHash: library.hash,
    maxResponseBuffer: parsed.maxResponseBuffer,
    frames: parsed.frames,
    mapStack: library.mapStack,
    createBridge(callbacks): HttpTcpBridge {
      if (live === undefined) throw new Error(`plugin ${config.pluginName} was released already`);
      return live.plugin.createBridge(live.config, callbacks);
    },
    release() {
      if (live === undefined) return;
      live = undefined;
      library.release();
    },
  };
}
