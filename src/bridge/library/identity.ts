import { createHash } from 'node:crypto';
import type { BridgeConfig } from '../../model/cluster.js';

interface Identified extends Identifiable {
  readonly id: string;
}

interface Identifiable {
  readonly path: string;
  readonly hash: string;
}

/** As `identityOf`, but clusters with one and the same configuration object get one and the same string. */
export function createIdentities(): typeof identityOf {
  const known = new WeakMap<BridgeConfig, Identified>();
  return (library, config, unpack) => {
    const { path, hash } = library;
    const last = known.get(config);
    if (last?.path === path && last.hash === hash) return last.id;
    const id = identityOf(library, config, unpack);
    known.set(config, { path, hash, id });
    return id;
  };
}

/**
 * What `PreparedBridge.id` says: the library's real path and content, the plugin, and what its configuration means. A Struct that was only serialized in another
 * order (Go does that at random) means the same.
 */
function identityOf(library: Identifiable, config: BridgeConfig, unpack: () => unknown): string {
  const { typeUrl, value } = config.pluginConfig;
  const hash = createHash('sha256');
  // The length sees what unpacking leaves out, such as the type_url inside a TypedStruct.
  const parts = [library.path, library.hash, config.pluginName, typeUrl, String(value.length), meaning(unpack)];
  for (const part of parts) if (part !== undefined) hash.update(`${part.length}:${part}`);
  if (parts.includes(undefined)) hash.update(value);
  return hash.digest('hex');
}

/** Canonical JSON; undefined when the configuration is of a type that only the plugin knows. */
function meaning(unpack: () => unknown): string | undefined {
  try {
    return JSON.stringify(unpack(), sortKeys) ?? '';
  } catch {
    return undefined;
  }
}

function sortKeys(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
