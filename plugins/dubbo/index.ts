/**
 * HTTP with JSON to Dubbo 2: a request becomes one frame of the Dubbo protocol, its response frame becomes JSON. README.md describes the configuration.
 */
import type { BridgeLibrary, BridgePlugin } from '../../src/bridge/api.js';
import { DubboBridge } from './bridge.js';
import { largestFrame, parseSettings, type Settings } from './config.js';
import { multiplexing } from './multiplexing.js';

const plugin: BridgePlugin<Settings> = {
  parseConfig: (config) => parseSettings(config.unpack()),
  createBridge: (settings, callbacks) => new DubboBridge(settings, callbacks),
  multiplexing,
  maxResponseBuffer: largestFrame + 65_536,
};

export const bridges = { dubbo: plugin } satisfies BridgeLibrary;
