import { dirname } from 'node:path';
import { createGoRuntime, type GoRuntime, type GoRuntimeOptions } from '../../../src/bridge/go/runtime.js';
import type { PreparedBridge } from '../../../src/bridge/prepared-bridge.js';
import type { LogLevel } from '../../../src/log.js';
import type { BridgeConfig } from '../../../src/model/cluster.js';
import { createStatsStore } from '../../../src/stats/create-store.js';
import type { StatsStore } from '../../../src/stats/store.js';
import { type TestLog, testLog } from '../harness.js';

/** A Go runtime for one suite, and what it said. */
export interface GoTest {
  readonly runtime: GoRuntime;
  readonly log: TestLog;
  /** What plugins logged. */
  readonly goLog: TestLog;
  readonly stats: StatsStore;
  setLogLevel(level: LogLevel): void;
  /** Throws when it is refused. */
  prepare(pluginName: string, pluginConfig?: BridgeConfig['pluginConfig']): Promise<PreparedBridge>;
  /** What it is refused for, as `path: message`. */
  problem(pluginName: string, pluginConfig?: BridgeConfig['pluginConfig']): Promise<string>;
}

export const noConfig: BridgeConfig['pluginConfig'] = { typeUrl: '', value: new Uint8Array() };

export function createGoTest(library: string, overrides: Partial<GoRuntimeOptions> = {}): GoTest {
  const log = testLog();
  const goLog = testLog();
  const stats = createStatsStore();
  let setLogLevel: (level: LogLevel) => void = () => undefined;
  const runtime = createGoRuntime({
    log,
    goLog,
    watchLogLevel(listener) {
      setLogLevel = listener;
      listener('info');
    },
    stats,
    unpackPluginConfig: (_typeUrl, value) => Buffer.from(value).toString(),
    pluginRoots: [dirname(library)],
    cwd: dirname(library),
    timeLimitMs: 10_000,
    ...overrides,
  });
  const prepare = (pluginName: string, pluginConfig = noConfig) =>
    runtime.prepare({ libraryId: 'go', libraryPath: library, pluginName, pluginConfig });
  return {
    runtime,
    log,
    goLog,
    stats,
    setLogLevel: (level) => setLogLevel(level),
    async prepare(pluginName, pluginConfig) {
      const result = await prepare(pluginName, pluginConfig);
      if (!result.ok) throw new Error(JSON.stringify(result.problems));
      return result.bridge;
    },
    async problem(pluginName, pluginConfig) {
      const result = await prepare(pluginName, pluginConfig);
      if (result.ok) throw new Error('it was accepted');
      return result.problems.map(({ path, message }) => `${path}: ${message}`).join('\n');
    },
  };
}
