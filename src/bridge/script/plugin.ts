import type { BridgeConfig } from '../../model/cluster.js';
import type { FrameProtocol } from '../../upstream/frame-protocol.js';
import type { BridgePlugin, PluginConfig } from '../api.js';
import { PluginProblem } from '../library/problem.js';
import { prepareMultiplexing } from '../multiplexing.js';
import { describe, isPromise } from '../plugin-error.js';
import type { Library } from './library.js';

/** A library's plugin with its configuration parsed. */
export interface ParsedPlugin {
  readonly plugin: BridgePlugin<unknown>;
  readonly config: unknown;
  readonly maxResponseBuffer: number;
  readonly frames: FrameProtocol | undefined;
}

/** bridge.md section 3: the bound of a StopAndBuffer response. */
const defaultMaxResponseBuffer = 16 * 1024 * 1024;

/** Finds the plugin in the library and lets it parse its configuration. Throws a PluginProblem, or what a hostile export throws. */
export function parsePlugin(library: Library, config: BridgeConfig, unpack: () => unknown): ParsedPlugin {
  const plugin = findPlugin(library, config.pluginName);
  const { typeUrl, value } = config.pluginConfig;
  const pluginConfig: PluginConfig = { typeUrl, value: Uint8Array.from(value), unpack };
  const parsed = parseConfig(plugin, config.pluginName, pluginConfig);
  return {
    plugin,
    config: parsed,
    maxResponseBuffer: maxResponseBufferOf(plugin, config.pluginName),
    frames: framesOf(plugin, parsed, config.pluginName),
  };
}

function findPlugin(library: Library, name: string): BridgePlugin<unknown> {
  const exported = library.exports;
  const bridges = isRecord(exported) ? exported.bridges : undefined;
  if (bridges === undefined) {
    const names = isRecord(exported) ? Object.keys(exported) : [];
    throw new PluginProblem('library_path', `${library.path} has no export named bridges; it exports ${list(names)}`);
  }
  if (!isRecord(bridges)) {
    throw new PluginProblem(
      'library_path',
      `the export bridges of ${library.path} is not a record from plugin name to plugin`,
    );
  }
  const plugin = Object.hasOwn(bridges, name) ? bridges[name] : undefined;
  if (plugin === undefined) {
    throw new PluginProblem(
      'plugin_name',
      `${library.path} has no plugin ${JSON.stringify(name)}; it has ${list(Object.keys(bridges))}`,
    );
  }
  if (!isRecord(plugin) || typeof plugin.createBridge !== 'function') {
    throw new PluginProblem(
      'plugin_name',
      `plugin ${JSON.stringify(name)} of ${library.path} has no function createBridge`,
    );
  }
  return plugin as unknown as BridgePlugin<unknown>;
}

function parseConfig(plugin: BridgePlugin<unknown>, name: string, config: PluginConfig): unknown {
  // Without a parser the bridges get the configuration as it is, as with Envoy's SDK.
  if (plugin.parseConfig === undefined) return config;
  let parsed: unknown;
  try {
    parsed = plugin.parseConfig(config);
  } catch (thrown) {
    throw new PluginProblem('plugin_config', `plugin ${JSON.stringify(name)} rejects it: ${describe(thrown)}`);
  }
  if (isPromise(parsed)) {
    throw new PluginProblem(
      'plugin_config',
      `parseConfig of plugin ${JSON.stringify(name)} returned a promise: it must not be async`,
    );
  }
  return parsed;
}

function framesOf(plugin: BridgePlugin<unknown>, config: unknown, name: string): FrameProtocol | undefined {
  if (plugin.multiplexing === undefined) return undefined;
  try {
    return prepareMultiplexing(plugin.multiplexing(config));
  } catch (thrown) {
    throw new PluginProblem('plugin_config', `multiplexing of plugin ${JSON.stringify(name)}: ${describe(thrown)}`);
  }
}

function maxResponseBufferOf(plugin: BridgePlugin<unknown>, name: string): number {
  const declared = plugin.maxResponseBuffer ?? defaultMaxResponseBuffer;
  if (Number.isSafeInteger(declared) && declared > 0) return declared;
  throw new PluginProblem(
    'plugin_name',
    `maxResponseBuffer of plugin ${JSON.stringify(name)} must be a positive number of bytes`,
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return (typeof value === 'object' || typeof value === 'function') && value !== null && !Array.isArray(value);
}

function list(names: readonly string[]): string {
  if (names.length === 0) return 'nothing';
  const shown = names.slice(0, 20).map((name) => JSON.stringify(name));
  return names.length > shown.length ? `${shown.join(', ')} and ${names.length - shown.length} more` : shown.join(', ');
}
