import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** What keeps this process's event loop alive, by kind: `{ TCPSocketWrap: 3, Timeout: 1 }`. */
export type Resources = Readonly<Record<string, number>>;

export function activeResources(): Resources {
  const counts: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

/**
 * Pontoon's timers don't keep the process alive, so that nobody would see them among the active resources. From now on every timer does.
 */
export function showAllTimers(): void {
  const timer = setTimeout(() => undefined, 0);
  const prototype = Object.getPrototypeOf(timer) as { unref(): unknown };
  prototype.unref = function unref() {
    return this;
  };
  clearTimeout(timer);
}

let collect: (() => void) | undefined;

/** Collects garbage. */
export function collectGarbage(): void {
  if (collect === undefined) {
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as () => void;
  }
  collect();
}

/** Bytes that are in use after everything that can be collected was. */
export async function memoryInUse(): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 5; round++) {
    collectGarbage();
    // Finalizers run in a turn of their own, and free more.
    await new Promise((resolve) => setImmediate(resolve));
    const { heapUsed, external } = process.memoryUsage();
    least = Math.min(least, heapUsed + external);
  }
  return least;
}
