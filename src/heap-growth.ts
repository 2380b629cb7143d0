import { getHeapStatistics, setFlagsFromString } from 'node:v8';

/** Bytes. A collection of less takes some tens of milliseconds, and it is worth them to stay small. */
export const largeHeap = 64 * 1024 * 1024;
/** Of what a full collection has left. */
const growthPercent = 100;

/**
 * Keeps full collections apart in a process with a large configuration. The engine lets a heap grow by little before it collects again when little is allocated,
 * which is right where much of a heap is garbage. Where nearly all of it is in use, each change of one cluster in state-of-the-world, whose answer has all
 * clusters, would bring a collection that takes twice as long as the change itself.
 *
 * Not done while a heap is small, nor before the first `checkMs` are over: at a start the engine lets it grow faster than this.
 */
export function letLargeHeapGrow(checkMs = 5_000): void {
  let large = false;
  const look = (): void => {
    // Not what is used: it falls by that much in each collection.
    const isLarge = getHeapStatistics().total_heap_size > (large ? largeHeap / 2 : largeHeap);
    if (isLarge === large) return;
    large = isLarge;
    // Of three full collections that the engine makes when all is quiet, the first finds nearly all there is.
    setFlagsFromString(large ? '--memory-reducer-single-gc' : '--no-memory-reducer-single-gc');
    setFlagsFromString(`--heap-growing-percent=${large ? growthPercent : 0}`);
  };
  setInterval(look, checkMs).unref();
}
