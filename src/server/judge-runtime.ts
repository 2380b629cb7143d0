import type { BridgeJudge } from '../bridge/prepared-bridge.js';
import { createBridgeJudge } from '../bridge/runtime.js';
import type { Schema } from '../protobuf/schema.js';
import { unpackPluginConfig } from './unpack-plugin-config.js';

/** Judges plugin libraries as serving would, without serving: for `--mode validate` and `pontoon plugin check`. */
export function createJudge(schema: Schema, pluginRoots: readonly string[]): BridgeJudge {
  return createBridgeJudge({
    unpackPluginConfig: (typeUrl, value) => unpackPluginConfig(schema, typeUrl, value),
    pluginRoots,
    cwd: process.cwd(),
  });
}
