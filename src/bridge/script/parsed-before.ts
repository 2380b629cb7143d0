import type { BridgeConfig } from '../../model/cluster.js';
import type { Library } from './library.js';

/** Which configurations a library has parsed in time: it is believed to do so again, as it is believed to end each call for a request. */
export interface ParsedBefore {
  has(library: Library, config: BridgeConfig): boolean;
  add(library: Library, config: BridgeConfig): void;
}

/** Knows them as objects: equal configurations of clusters are one object. Keeps neither them nor libraries alive. */
export function createParsedBefore(): ParsedBefore {
  const known = new WeakMap<Library, WeakSet<BridgeConfig>>();
  return {
    has: (library, config) => known.get(library)?.has(config) === true,
    add(library, config) {
      const configs = known.get(library);
      if (configs === undefined) known.set(library, new WeakSet([config]));
      else configs.add(config);
    },
  };
}
