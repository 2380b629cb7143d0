import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import type { BridgeConfig } from '../../model/cluster.js';
import { createIdentities } from '../library/identity.js';
import { realPathOf } from '../library/path.js';
import { PluginProblem } from '../library/problem.js';
import { createTrust } from '../library/trust.js';
import { serializeAny } from './any.js';
import { createJudge, type Verdict } from './judge.js';
import { createLibraryFiles, type LibraryFile } from './library-file.js';
import { ensureNativeHost, type NativeHost } from './native-host.js';
import { preflight } from './preflight.js';

export interface GoJudgementOptions {
  /** A `plugin_config` as plain data. Throws on a type that is not known. */
  readonly unpackPluginConfig: (typeUrl: string, value: Uint8Array) => unknown;
  /** As for scripts: where libraries may come from. */
  readonly pluginRoots: readonly string[];
  /** Where relative library paths begin. */
  readonly cwd: string;
  /** How long a library may take to load, and each configuration to be parsed; 5 s unless set. */
  readonly timeLimitMs?: number;
}

/** A library and a configuration that were found good. */
export interface GoJudgement {
  /** Real path. */
  readonly path: string;
  readonly hash: string;
  /** Reads the library again. Rejects when it is another one by now. */
  read(): Promise<LibraryFile>;
}

/** Tries Go libraries (docs/bridge.md, section 5); nothing of them runs in this process. */
export interface GoJudging {
  /**
   * Gives what was found good to `take`, again when the file was changed meanwhile. Rejects with a PluginProblem.
   */
  judge<T>(config: BridgeConfig, take: (judgement: GoJudgement) => Promise<T>): Promise<T>;
  currentHash(config: BridgeConfig): Promise<string | undefined>;
}

const attempts = 5;

class FileChanged extends Error {}

/** The host in this process. Rejects with a PluginProblem where there is none. */
export async function availableHost(): Promise<NativeHost> {
  const native = await ensureNativeHost();
  if (native.available) return native.host;
  throw new PluginProblem('library_path', `Go bridges are unavailable here: ${native.reason}`);
}

/** `copies`: the folder that libraries are tried from; the temporary one unless set. */
export function createGoJudging(options: GoJudgementOptions, copies?: string): GoJudging {
  const { pluginRoots, cwd, timeLimitMs = 5_000 } = options;
  const trust = createTrust(pluginRoots.map((root) => resolve(cwd, root)));
  const files = createLibraryFiles();
  const judge = createJudge(timeLimitMs, () => copies ?? tmpdir());

  /** The file, looked at before any of it runs. */
  async function read(path: string, hash: string, host: NativeHost): Promise<LibraryFile> {
    const file = await files.read(path);
    if (file.hash !== hash) throw new FileChanged();
    const problem = preflight(file.bytes, process.arch, host.addon.glibcVersion());
    if (problem !== undefined) throw new PluginProblem('library_path', `${path} ${problem}`);
    return file;
  }

  async function judgeOnce<T>(
    path: string,
    config: BridgeConfig,
    take: (judgement: GoJudgement) => Promise<T>,
  ): Promise<T> {
    const host = await availableHost();
    const hash = await files.hash(path);
    const readIt = (): Promise<LibraryFile> => read(path, hash, host);
    const verdict = await judge.judge(hash, readIt, {
      plugin: config.pluginName,
      config: serializeAny(config.pluginConfig),
    });
    if (verdict !== undefined) throw problemOf(verdict, path, config, copies);
    return take({ path, hash, read: readIt });
  }

  return {
    async judge(config, take) {
      const path = realPathOf(config.libraryPath, cwd);
      const distrust = trust.check(path);
      if (distrust !== undefined) throw new PluginProblem('library_path', distrust);
      for (let attempt = 1; ; attempt++) {
        try {
          return await judgeOnce(path, config, take);
        } catch (error) {
          if (!(error instanceof FileChanged)) throw error;
          if (attempt === attempts) {
            throw new PluginProblem('library_path', `${path} is being written: it changed each time it was read`);
          }
        }
      }
    },
    async currentHash(config) {
      try {
        return await files.hash(realPathOf(config.libraryPath, cwd));
      } catch {
        return undefined;
      }
    },
  };
}

/** Makes what tells `PreparedBridge.id`. */
export function createGoIdentities({
  unpackPluginConfig,
}: GoJudgementOptions): (library: Pick<GoJudgement, 'path' | 'hash'>, config: BridgeConfig) => string {
  const identityOf = createIdentities();
  return (library, config) => {
    const { typeUrl, value } = config.pluginConfig;
    return identityOf(library, config, () => (typeUrl === '' ? undefined : unpackPluginConfig(typeUrl, value)));
  };
}

const parsePrefix = 'go side: golang http-tcp bridge: failed to parse golang plugin config: ';

/** What a library's refusal means for the configuration that named it. */
export function problemOf(
  { during, problem }: Verdict,
  path: string,
  { pluginName }: BridgeConfig,
  copies: string = tmpdir(),
): PluginProblem {
  if (during === 'load') {
    const hint = /failed to map segment|not permitted/.test(problem)
      ? ` (it is opened from a copy in ${copies}: programs must be allowed there, or TMPDIR must name another folder)`
      : '';
    return new PluginProblem('library_path', `${path} cannot be loaded: ${problem}${hint}`);
  }
  const words = problem.startsWith(parsePrefix) ? problem.slice(parsePrefix.length) : problem;
  return new PluginProblem('plugin_config', `plugin ${JSON.stringify(pluginName)} of ${path} rejects it: ${words}`);
}
