import { realpathSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import type { Logger, LogLevel } from '../../log.js';
import type { BridgeConfig } from '../../model/cluster.js';
import type { StatsStore } from '../../stats/store.js';
import { describe } from '../plugin-error.js';
import type { BridgeRuntime, PreparedBridge } from '../prepared-bridge.js';
import { identityOf } from '../script/identity.js';
import { PluginProblem } from '../script/plugin.js';
import { createTrust } from '../script/trust.js';
import { serializeAny } from './any.js';
import { GoBridge, type GoPlugin } from './bridge.js';
import { createJudge, type Verdict } from './judge.js';
import { createLibraryFiles, type LibraryFile, withCopy } from './library-file.js';
import { type HostListener, loadNativeHost, type NativeHost } from './native-host.js';
import { preflight } from './preflight.js';

export interface GoRuntimeOptions {
  readonly log: Logger;
  /** What the libraries log. */
  readonly goLog: Logger;
  /** Calls the listener with the level of `goLog`, now and whenever it changes. */
  readonly watchLogLevel: (listener: (level: LogLevel) => void) => void;
  readonly stats: StatsStore;
  /** A `plugin_config` as plain data. Throws on a type that is not known. */
  readonly unpackPluginConfig: (typeUrl: string, value: Uint8Array) => unknown;
  /** As for scripts: where libraries may come from. */
  readonly pluginRoots: readonly string[];
  /** Where relative library paths begin. */
  readonly cwd: string;
  /** How long a library may take to load, and each configuration to be parsed; 5 s unless set. */
  readonly timeLimitMs?: number;
  /** Judge only: nothing is opened in this process, and what is prepared can't serve. */
  readonly judgeOnly?: boolean;
}

/** docs/bridge.md, section 3: the bound of a StopAndBuffer response. */
const maxResponseBuffer = 16 * 1024 * 1024;
const attempts = 5;

class FileChanged extends Error {}

/** The libraries that are open in this process, by content; they stay for as long as it lives, because Go's runtime can't be taken out again. */
const openLibraries = new Map<string, number>();

/** The runtime of Go libraries (docs/bridge.md, section 5): judged in a process of their own, then opened in this one. */
export function createGoRuntime(options: GoRuntimeOptions): BridgeRuntime {
  const { log, stats, unpackPluginConfig, pluginRoots, cwd, timeLimitMs = 5_000, judgeOnly = false } = options;
  const trust = createTrust(pluginRoots.map((root) => resolve(cwd, root)));
  const files = createLibraryFiles();
  const judge = createJudge(timeLimitMs);
  const librariesOpen = stats.gauge('bridge.go_libraries');
  let warned = false;
  let listening = false;

  function nativeHost(): NativeHost {
    const native = loadNativeHost();
    if (!native.available) {
      throw new PluginProblem('library_path', `Go bridges are unavailable here: ${native.reason}`);
    }
    if (!listening) {
      listening = true;
      native.host.listen(createListener(options));
      options.watchLogLevel((level) => native.host.setLogLevel(level));
    }
    return native.host;
  }

  function realPath({ libraryPath }: BridgeConfig): string {
    const path = resolve(cwd, libraryPath);
    try {
      return realpathSync.native(path);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      const what = code === 'ENOENT' ? 'does not exist' : `cannot be read: ${code ?? message}`;
      throw new PluginProblem('library_path', `${path} ${what}`);
    }
  }

  /** The file, looked at before any of it runs. */
  async function readChecked(path: string, host: NativeHost): Promise<LibraryFile> {
    const file = await files.read(path);
    const problem = preflight(file.bytes, process.arch, host.addon.glibcVersion());
    if (problem !== undefined) throw new PluginProblem('library_path', `${path} ${problem}`);
    return file;
  }

  async function judged(path: string, config: BridgeConfig, any: Buffer, host: NativeHost): Promise<string> {
    for (let attempt = 1; ; attempt++) {
      try {
        const hash = await files.hash(path);
        const read = async (): Promise<LibraryFile> => {
          const file = await readChecked(path, host);
          if (file.hash !== hash) throw new FileChanged();
          return file;
        };
        const verdict = await judge.judge(hash, read, { plugin: config.pluginName, config: any });
        if (verdict === undefined) return hash;
        throw problemOf(verdict, path, config);
      } catch (error) {
        if (!(error instanceof FileChanged)) throw error;
        if (attempt === attempts) {
          throw new PluginProblem('library_path', `${path} is being written: it changed each time it was read`);
        }
      }
    }
  }

  async function openLibrary(path: string, hash: string, host: NativeHost): Promise<number> {
    let library = openLibraries.get(hash);
    if (library === undefined) {
      const file = await readChecked(path, host);
      if (file.hash !== hash) throw new PluginProblem('library_path', `${path} changed while it was judged`);
      await withCopy(file, (copy) => {
        // Another configuration may have opened it meanwhile.
        library = openLibraries.get(hash) ?? host.addon.open(copy);
        openLibraries.set(hash, library);
      });
      if (!warned) {
        warned = true;
        log.warn(
          { library: path },
          'a Go library runs in this process: a panic on one of its goroutines, os.Exit or a fatal error in it ends the process with all requests',
        );
      }
    }
    librariesOpen.value = openLibraries.size;
    return library as number;
  }

  async function prepare(config: BridgeConfig): Promise<PreparedBridge> {
    const path = realPath(config);
    const host = nativeHost();
    const distrust = trust.check(path);
    if (distrust !== undefined) throw new PluginProblem('library_path', distrust);
    const any = serializeAny(config.pluginConfig);
    const hash = await judged(path, config, any, host);
    const unpack = (): unknown => {
      const { typeUrl, value } = config.pluginConfig;
      return typeUrl === '' ? undefined : unpackPluginConfig(typeUrl, value);
    };
    const id = identityOf({ path, hash }, config, unpack);
    const base = { id, config, libraryHash: hash, maxResponseBuffer };
    if (judgeOnly) return { ...base, createBridge: neverServes, release: () => undefined };
    const library = await openLibrary(path, hash, host);
    const plugin = host.addon.configure(library, config.pluginName, any);
    if (plugin < 0) throw problemOf({ during: 'config', problem: host.addon.error() }, path, config);
    log.debug({ plugin: config.pluginName, library: path, hash }, 'bridge prepared');
    const notFound = stats.counter(`bridge.${config.pluginName.replaceAll(':', '_')}.plugin_not_found`);
    return createPreparedBridge(base, {
      host,
      number: plugin,
      name: config.pluginName,
      onUnknown() {
        notFound.value += 1;
      },
    });
  }

  return {
    async prepare(config) {
      try {
        return { ok: true, bridge: await prepare(config) };
      } catch (thrown) {
        const problem =
          thrown instanceof PluginProblem ? thrown.problem : { path: 'library_path', message: describe(thrown) };
        return { ok: false, problems: [problem] };
      }
    },
    async currentHash(config) {
      try {
        return await files.hash(realPath(config));
      } catch {
        return undefined;
      }
    },
  };
}

function neverServes(): never {
  throw new Error('it was judged only');
}

function createPreparedBridge(
  base: Pick<PreparedBridge, 'id' | 'config' | 'libraryHash' | 'maxResponseBuffer'>,
  plugin: GoPlugin,
): PreparedBridge {
  let released = false;
  return {
    ...base,
    createBridge(callbacks) {
      if (released) throw new Error(`plugin ${plugin.name} was released already`);
      return new GoBridge(plugin, callbacks);
    },
    release() {
      if (released) return;
      released = true;
      plugin.host.addon.destroyConfig(plugin.number);
    },
  };
}

const parsePrefix = 'go side: golang http-tcp bridge: failed to parse golang plugin config: ';

function problemOf({ during, problem }: Verdict, path: string, { pluginName }: BridgeConfig): PluginProblem {
  if (during === 'load') {
    const hint = /failed to map segment|not permitted/.test(problem)
      ? ` (it is opened from a copy in ${tmpdir()}: programs must be allowed there, or TMPDIR must name another folder)`
      : '';
    return new PluginProblem('library_path', `${path} cannot be loaded: ${problem}${hint}`);
  }
  const words = problem.startsWith(parsePrefix) ? problem.slice(parsePrefix.length) : problem;
  return new PluginProblem('plugin_config', `plugin ${JSON.stringify(pluginName)} of ${path} rejects it: ${words}`);
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
