import type { BridgeRuntime } from '../bridge/prepared-bridge.js';
import { createBridgeRuntime } from '../bridge/runtime.js';
import type { Logging } from '../log.js';
import type { Schema } from '../protobuf/schema.js';
import { createStatsStore } from '../stats/create-store.js';
import { unpackPluginConfig } from './unpack-plugin-config.js';

export interface JudgeRuntimeOptions {
  readonly schema: Schema;
  readonly logging: Logging;
  readonly pluginRoots: readonly string[];
}

/** Judges plugin libraries as serving would, without serving: for `--mode validate` and `pontoon plugin check`. */
export function createJudgeRuntime({ schema, logging, pluginRoots }: JudgeRuntimeOptions): BridgeRuntime {
  return createBridgeRuntime({
    log: logging.logger('bridge'),
    goLog: logging.logger('golang'),
    watchLogLevel: (listener) => logging.watchLevel('golang', listener),
    stats: createStatsStore(),
    unpackPluginConfig: (typeUrl, value) => unpackPluginConfig(schema, typeUrl, value),
    pluginRoots,
    cwd: process.cwd(),
    judgeOnly: true,
  });
}
