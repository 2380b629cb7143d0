import { tmpdir } from 'node:os';
import type { Logger, LogLevel } from '../../log.js';
import type { BridgeConfig } from '../../model/cluster.js';
import type { StatsStore } from '../../stats/store.js';
import type { BridgeCallbacks, HttpTcpBridge } from '../api.js';
import { createLocalMarks, marked } from '../call-mark.js';
import { PluginProblem, resultOf } from '../library/problem.js';
import type { LibraryStore } from '../library/store.js';
import { describe } from '../plugin-error.js';
import type {
  BridgeJudge,
  BridgeRuntime,
  CallMark,
  JudgedBridge,
  PreparedBridge,
  StoredLibrary,
} from '../prepared-bridge.js';
import { serializeAny } from './any.js';
import { GoBridge, type GoPlugin } from './bridge.js';
import { availableHost, createGoIdentities, createGoJudging, type GoJudgementOptions, problemOf } from './judgement.js';
import { withCopy } from './library-file.js';
import type { HostListener, NativeHost } from './native-host.js';
import { createOpenLibraries, type GoLibraryCounts, type OpenLibrary } from './open-libraries.js';

export interface GoRuntimeOptions extends GoJudgementOptions {
  readonly log: Logger;
  /** What the libraries log. */
  readonly goLog: Logger;
  /** Calls the listener with the level of `goLog`, now and whenever it changes. */
  readonly watchLogLevel: (listener: (level: LogLevel) => void) => void;
  readonly stats: StatsStore;
  /** `--max-go-libraries`: how many different libraries this process may open; 32 unless set. */
  readonly maxGoLibraries?: number;
  /** This process is one that may end: a library in it is no risk for others, and nobody is warned of it. */
  readonly isolated?: boolean;
}

export interface GoRuntime extends BridgeRuntime {
  goLibraries(): GoLibraryCounts;
}

/** docs/bridge.md, section 3: the bound of a StopAndBuffer response. */
const maxResponseBuffer = 16 * 1024 * 1024;

/** The runtime of Go libraries (docs/bridge.md, section 5): judged in a process of their own, then opened in this one. */
export function createGoRuntime(options: GoRuntimeOptions): GoRuntime {
  const { log, stats, maxGoLibraries = 32, isolated = false } = options;
  const judging = createGoJudging(options);
  const identityOf = createGoIdentities(options);
  const libraries = createOpenLibraries({ log, stats, limit: maxGoLibraries });
  const nextMark = createLocalMarks();
  let warned = isolated;
  let listening = false;

  async function nativeHost(): Promise<NativeHost> {
    const host = await availableHost();
    if (!listening) {
      listening = true;
      host.listen(createListener(options));
      options.watchLogLevel((level) => host.setLogLevel(level));
    }
    return host;
  }

  function warnOnce(path: string): void {
    if (warned) return;
    warned = true;
    log.warn(
      { library: path },
      'a Go library runs in this process: a panic on one of its goroutines, os.Exit or a fatal error in it ends the process with all requests; with --isolate it would end a worker that is replaced',
    );
  }

  /** Lets the library parse the configuration, which was judged; takes over the use of `library`. */
  function configure(
    { path, hash }: { readonly path: string; readonly hash: string },
    config: BridgeConfig,
    library: OpenLibrary,
    mark: CallMark,
    host: NativeHost,
  ): PreparedBridge {
    const { pluginName } = config;
    try {
      const any = serializeAny(config.pluginConfig);
      const number = marked(mark, () => host.addon.configure(library.number, pluginName, any));
      if (number < 0) throw problemOf({ during: 'config', problem: host.addon.error() }, path, config);
      log.debug({ plugin: pluginName, library: path, hash }, 'bridge prepared');
      const plugin: GoPlugin = { host, number, name: pluginName, knownMissing: false };
      const id = identityOf({ path, hash }, config);
      return new PreparedGoBridge({ id, config, libraryHash: hash, mark, maxResponseBuffer }, plugin, library);
    } catch (thrown) {
      library.release();
      throw thrown;
    }
  }

  async function prepare(config: BridgeConfig): Promise<PreparedBridge> {
    const mark = nextMark();
    return judging.judge(config, async (judgement) => {
      const { path, hash } = judgement;
      const host = await nativeHost();
      let library = libraries.use(hash);
      if (library === undefined) {
        libraries.checkRoom(path);
        library = await withCopy(await judgement.read(), tmpdir(), (copy) =>
          libraries.open(hash, path, () => marked(mark, () => host.addon.open(copy))),
        );
        warnOnce(path);
      }
      return configure(judgement, config, library, mark, host);
    });
  }

  async function prepareStored(config: BridgeConfig, stored: StoredLibrary, mark: CallMark): Promise<PreparedBridge> {
    const { path, hash, file } = stored;
    const host = await nativeHost();
    try {
      const library =
        libraries.use(hash) ?? libraries.open(hash, path, () => marked(mark, () => host.addon.open(file)));
      warnOnce(path);
      return configure(stored, config, library, mark, host);
    } catch (thrown) {
      if (thrown instanceof PluginProblem) throw thrown;
      throw new PluginProblem('library_path', `${path} cannot be loaded from its copy: ${describe(thrown)}`);
    }
  }

  return {
    prepare: (config) => resultOf(prepare(config), 'library_path'),
    prepareStored: (config, library, mark) => resultOf(prepareStored(config, library, mark), 'library_path'),
    currentHash: (config) => judging.currentHash(config),
    goLibraries: () => libraries.counts(),
  };
}

export interface GoJudgeOptions extends GoJudgementOptions {
  /** undefined: nothing is kept of what was judged. */
  readonly store: LibraryStore | undefined;
  /** The folder that libraries are tried from; the temporary one unless set. */
  readonly copies?: string;
}

/** Tries libraries and configurations, and opens none in this process. */
export function createGoJudge(
  options: GoJudgeOptions,
): BridgeJudge<JudgedBridge & { readonly library: StoredLibrary | undefined }> {
  const { store, copies } = options;
  const judging = createGoJudging(options, copies);
  const identityOf = createGoIdentities(options);
  return {
    prepare(config) {
      const judged = judging.judge(config, async (judgement) => {
        const { path, hash } = judgement;
        const library = await store?.put({ kind: 'go', path, hash }, async () => (await judgement.read()).bytes);
        const id = identityOf(judgement, config);
        return { id, config, libraryHash: hash, library, release: () => undefined };
      });
      return resultOf(judged, 'library_path');
    },
    currentHash: (config) => judging.currentHash(config),
  };
}

type GoBridgeBase = Pick<PreparedBridge, 'id' | 'config' | 'libraryHash' | 'mark' | 'maxResponseBuffer'>;

/** One object with what it needs, and no function of its own: there may be ten thousand. */
class PreparedGoBridge implements PreparedBridge {
  readonly id: string;
  readonly config: BridgeConfig;
  readonly libraryHash: string;
  readonly mark: CallMark;
  readonly maxResponseBuffer: number;
  readonly #plugin: GoPlugin;
  readonly #library: OpenLibrary;
  #released = false;

  constructor(base: GoBridgeBase, plugin: GoPlugin, library: OpenLibrary) {
    this.id = base.id;
    this.config = base.config;
    this.libraryHash = base.libraryHash;
    this.mark = base.mark;
    this.maxResponseBuffer = base.maxResponseBuffer;
    this.#plugin = plugin;
    this.#library = library;
  }

  createBridge(callbacks: BridgeCallbacks): HttpTcpBridge {
    if (this.#released) throw new Error(`plugin ${this.#plugin.name} was released already`);
    return new GoBridge(this.#plugin, callbacks);
  }

  release(): void {
    if (this.#released) return;
    this.#released = true;
    marked(this.mark, () => this.#plugin.host.addon.destroyConfig(this.#plugin.number));
    this.#library.release();
  }
}

function createListener({ log, goLog, stats }: GoRuntimeOptions): HostListener {
  const rogueCalls = stats.counter('bridge.rogue_calls');
  return {
    onLog(level, plugin, text) {
      if (level === 'off') return;
      const write = level === 'warning' ? 'warn' : level === 'critical' ? 'fatal' : level;
      goLog[write](plugin === '' ? {} : { plugin }, text);
    },
    onRogueCalls(plugin, hostFunction, count) {
      rogueCalls.value += count;
      log.error(
        { plugin, function: hostFunction, count },
        `a goroutine of plugin ${plugin} used its request outside of the call that it belongs to: nothing was done`,
      );
    },
    onDropped(count) {
      log.warn({ count }, 'log lines of Go libraries were dropped: they came too fast');
    },
  };
}
