import { loadNativeHost } from '../bridge/go/native-host.js';
import type { Clock } from '../clock.js';

/** After a start most of it is garbage of what was loaded. */
const firstMs = 2_000;
/** While large bodies come and go, what is given back is asked for again: so not too often. */
const intervalMs = 30_000;
/** Bytes. What is less is not worth the milliseconds. */
const leastGrowth = 4 * 1024 * 1024;

export interface ProcessMemory {
  /** Bytes. */
  resident(): number;
  /** Gives back what was freed; some milliseconds. */
  trim(): void;
}

/**
 * The C library keeps what was freed, in a heap per thread, and gives only the end of the main one back to the system by itself. What compiling left in the
 * engine's threads, and the memory behind bodies that are gone, would stay for ever. So this process looks from time to time whether it has grown.
 */
export function trimMemory(clock: Clock, memory: ProcessMemory | undefined = ownMemory()): void {
  if (memory === undefined) return;
  let last = 0;
  const look = (): void => {
    const grown = memory.resident() > last + leastGrowth;
    if (grown) memory.trim();
    last = grown ? memory.resident() : Math.min(last, memory.resident());
    clock.setTimeout(look, intervalMs);
  };
  clock.setTimeout(look, firstMs);
}

/** undefined: without the native part there is no way to. */
function ownMemory(): ProcessMemory | undefined {
  const native = loadNativeHost();
  if (!native.available) return undefined;
  const { addon } = native.host;
  return { resident: () => process.memoryUsage.rss(), trim: () => addon.trimMemory() };
}
