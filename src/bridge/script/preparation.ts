import { realpathSync } from 'node:fs';
import { extname, resolve } from 'node:path';
import type { BridgeConfig } from '../../model/cluster.js';
import type { BridgeCallbacks, HttpTcpBridge } from '../api.js';
import { marked } from '../call-mark.js';
import { createIdentities } from '../library/identity.js';
import { oncePerTurn } from '../library/once-per-turn.js';
import { realPathOf } from '../library/path.js';
import { PluginProblem } from '../library/problem.js';
import { createTrust } from '../library/trust.js';
import { markFrames } from '../multiplexing.js';
import { describe } from '../plugin-error.js';
import type { CallMark, PreparedBridge, StoredLibrary } from '../prepared-bridge.js';
import { createLibraries } from './libraries.js';
import type { Library } from './library.js';
import { createLimitedCalls } from './limited-calls.js';
import { type ParsedPlugin, parsePlugin } from './plugin.js';
import { createStoredLibraries } from './stored-libraries.js';

export interface PreparationOptions {
  /** A `plugin_config` as plain data. Throws on a type that is not known. */
  readonly unpackPluginConfig: (typeUrl: string, value: Uint8Array) => unknown;
  /** `--plugin-root`: where libraries may come from; none: wherever only root and we may write. */
  readonly pluginRoots: readonly string[];
  /** Where relative library paths begin. */
  readonly cwd: string;
  /** How long a library's top level, and its parseConfig, may run; 5 s unless set. */
  readonly timeLimitMs?: number;
}

export interface PreparedScript {
  readonly bridge: PreparedBridge;
  /** Released with the bridge. */
  readonly library: Library;
}

/** Loads script libraries and parses configurations. Rejects with a PluginProblem, or with what a hostile export throws. */
export interface Preparation {
  prepare(config: BridgeConfig, mark: CallMark): Promise<PreparedScript>;
  prepareStored(config: BridgeConfig, library: StoredLibrary, mark: CallMark): Promise<PreparedScript>;
  currentHash(config: BridgeConfig): Promise<string | undefined>;
}

const scriptExtensions: ReadonlySet<string> = new Set(['.js', '.mjs', '.cjs', '.ts', '.mts']);

/** `keepMs`: how long a library without a user is kept for the next configuration. */
export function createPreparation(options: PreparationOptions, keepMs: number): Preparation {
  const { unpackPluginConfig, pluginRoots, cwd, timeLimitMs = 5_000 } = options;
  const trust = createTrust(pluginRoots.map((root) => resolve(cwd, root)));
  const resolveLinks = oncePerTurn((path) => realpathSync.native(path));
  const libraries = createLibraries({ trust, timeLimitMs, keepMs });
  const stored = createStoredLibraries(timeLimitMs);
  const limited = createLimitedCalls(timeLimitMs);
  /**
   * The configurations that a library has parsed in time, as objects: equal ones of clusters are one. It is believed to do so again, as it is believed to end each
   * call for a request.
   */
  const parsedBefore = new WeakMap<Library, WeakSet<BridgeConfig>>();
  const identityOf = createIdentities();

  function realPath({ libraryPath }: BridgeConfig): string {
    if (!scriptExtensions.has(extname(libraryPath))) {
      throw new PluginProblem(
        'library_path',
        `${resolve(cwd, libraryPath)} has no known extension: use a script library (.js, .mjs, .cjs, .ts, .mts) or a Go library (.so)`,
      );
    }
    return realPathOf(libraryPath, cwd, resolveLinks);
  }

  async function load(config: BridgeConfig, mark: CallMark): Promise<Library> {
    const path = realPath(config);
    try {
      const distrust = trust.check(path);
      if (distrust !== undefined) throw new Error(distrust);
      return await libraries.load(path, mark);
    } catch (thrown) {
      throw new PluginProblem('library_path', describe(thrown));
    }
  }

  async function loadStored(library: StoredLibrary, mark: CallMark): Promise<Library> {
    try {
      return await stored.load(library, mark);
    } catch (thrown) {
      throw new PluginProblem('library_path', describe(thrown));
    }
  }

  function remember(library: Library, config: BridgeConfig): void {
    const configs = parsedBefore.get(library);
    if (configs === undefined) parsedBefore.set(library, new WeakSet([config]));
    else configs.add(config);
  }

  async function parse(library: Library, config: BridgeConfig, mark: CallMark): Promise<PreparedScript> {
    const { typeUrl, value } = config.pluginConfig;
    const unpack = (): unknown => (typeUrl === '' ? undefined : unpackPluginConfig(typeUrl, value));
    try {
      const work = () => parsePlugin(library, config, unpack);
      // A cluster that changed elsewhere, or another one with the same plugin: a limit takes longer than most of what it limits.
      const parsed = parsedBefore.get(library)?.has(config)
        ? marked(mark, work)
        : await limited(`parsing the configuration of plugin ${config.pluginName}`, mark, work);
      remember(library, config);
      const id = identityOf(library, config, unpack);
      return { bridge: new ScriptBridge({ id, config, mark }, library, parsed), library };
    } catch (thrown) {
      library.release();
      throw thrown;
    }
  }

  return {
    prepare: async (config, mark) => parse(await load(config, mark), config, mark),
    prepareStored: async (config, library, mark) => parse(await loadStored(library, mark), config, mark),
    async currentHash(config) {
      try {
        return await libraries.currentHash(realPath(config));
      } catch {
        return undefined;
      }
    },
  };
}

/** One object with what it needs, and no function of its own: there may be ten thousand. */
class ScriptBridge implements PreparedBridge {
  readonly id: string;
  readonly config: BridgeConfig;
  readonly mark: CallMark;
  readonly maxResponseBuffer: number;
  readonly frames: PreparedBridge['frames'];
  readonly #library: Library;
  readonly #plugin: ParsedPlugin['plugin'];
  /** Not used after `release`. */
  #parsed: unknown;
  #released = false;

  constructor(
    { id, config, mark }: Pick<PreparedBridge, 'id' | 'config' | 'mark'>,
    library: Library,
    parsed: ParsedPlugin,
  ) {
    this.id = id;
    this.config = config;
    this.mark = mark;
    this.maxResponseBuffer = parsed.maxResponseBuffer;
    this.frames = parsed.frames && markFrames(parsed.frames, mark);
    this.#library = library;
    this.#plugin = parsed.plugin;
    this.#parsed = parsed.config;
  }

  get libraryHash(): string {
    return this.#library.hash;
  }

  get mapStack(): PreparedBridge['mapStack'] {
    return this.#library.mapStack;
  }

  createBridge(callbacks: BridgeCallbacks): HttpTcpBridge {
    if (this.#released) throw new Error(`plugin ${this.config.pluginName} was released already`);
    return this.#plugin.createBridge(this.#parsed, callbacks);
  }

  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#parsed = undefined;
    this.#library.release();
  }
}
