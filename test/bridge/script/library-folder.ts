import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { BridgeCallbacks } from '../../../src/bridge/api.js';
import type { BridgeRuntime, PreparedBridge } from '../../../src/bridge/prepared-bridge.js';
import { createScriptRuntime } from '../../../src/bridge/script/runtime.js';
import type { BridgeConfig } from '../../../src/model/cluster.js';
import { testLog } from '../harness.js';

/** A folder of script libraries for one test, and a runtime that trusts it. */
export interface LibraryFolder {
  readonly path: string;
  readonly runtime: BridgeRuntime;
  write(name: string, source: string): string;
  config(name: string, overrides?: Partial<BridgeConfig>): BridgeConfig;
  /** Prepares `plugin` of `name`; throws when it is refused. */
  prepare(name: string, overrides?: Partial<BridgeConfig>): Promise<PreparedBridge>;
  /** The one problem that `name` is refused for, as `path: message`. */
  problem(name: string, overrides?: Partial<BridgeConfig>): Promise<string>;
  remove(): void;
}

export function createLibraryFolder(pluginRoots?: readonly string[]): LibraryFolder {
  const path = realpathSync(mkdtempSync(join(tmpdir(), 'pontoon-libraries-')));
  const runtime = createScriptRuntime({
    log: testLog(),
    unpackPluginConfig: (_typeUrl, value) => JSON.parse(Buffer.from(value).toString()) as unknown,
    pluginRoots: pluginRoots ?? [path],
    cwd: path,
    timeLimitMs: 200,
  });
  const config: LibraryFolder['config'] = (name, overrides = {}) => ({
    libraryId: 'lib',
    libraryPath: name,
    pluginName: 'plugin',
    pluginConfig: { typeUrl: '', value: new Uint8Array() },
    ...overrides,
  });
  return {
    path,
    runtime,
    write(name, source) {
      const file = join(path, name);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, source);
      return file;
    },
    config,
    async prepare(name, overrides) {
      const result = await runtime.prepare(config(name, overrides));
      if (!result.ok) throw new Error(JSON.stringify(result.problems));
      return result.bridge;
    },
    async problem(name, overrides) {
      const result = await runtime.prepare(config(name, overrides));
      if (result.ok) throw new Error('it was accepted');
      return result.problems.map((problem) => `${problem.path}: ${problem.message}`).join('\n');
    },
    remove: () => rmSync(path, { recursive: true, force: true }),
  };
}

/** A plugin_config as the folder's runtime unpacks it. */
export function jsonConfig(value: unknown): BridgeConfig['pluginConfig'] {
  return { typeUrl: 'type.googleapis.com/xds.type.v3.TypedStruct', value: Buffer.from(JSON.stringify(value)) };
}

export const noCallbacks: BridgeCallbacks = {
  getRouteName: () => '',
  getVirtualClusterName: () => '',
  setSelfHalfCloseForUpstreamConn() {},
  setIdempotent() {},
  setOneWay() {},
  sendLocalReply() {},
  log() {},
};
