import { type EventLoopUtilization, performance } from 'node:perf_hooks';
import { getHeapSpaceStatistics, getHeapStatistics, type HeapSpaceInfo, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Bytes. A collection of less takes some tens of milliseconds, and it is worth them to stay small. */
const largeHeap = 64 * 1024 * 1024;
/** How much a large heap may grow, of what a full collection has left. */
const growthPercent = 100;
/** Bytes of one half of what is young. */
const wantedSize = 4 * 1024 * 1024;
const mostTries = 8;
/** The part of the time that the event loop is at work, from which on the size of what is young matters to a process with a large heap. */
const busy = 0.2;
/** Bytes. */
const pieceSize = 8 * 1024;
/** Bytes. What is kept of so many is copied in a millisecond or two. */
const collectedAtOnce = 512 * 1024;

/**
 * Steers the engine, which knows neither what requests leave behind nor what a configuration is. Called once per thread, at the start. What a heap needs depends on
 * its size, which is looked at every `checkMs`:
 *
 * - What is young has a fixed size. The engine makes it smaller while little is allocated, and it would never grow again. In a small heap it does so at rest,
 *   so that the first requests need not wait for it; in one of more than `restingAbove` bytes only where there is work: there it costs more than the few
 *   collections of a process that rests, and leaves garbage among what is old.
 * - A large heap, which is configuration, may double before all of it is walked over again, and that is done once when all is quiet.
 */
export function steerHeap({ checkMs = 5_000, restingAbove = largeHeap } = {}): void {
  const keepYoungSize = limitYoungGeneration(restingAbove);
  const letOldGrow = limitFullCollections();
  setInterval(() => {
    // Not what is used: it falls in each collection.
    const { total_heap_size: size } = getHeapStatistics();
    keepYoungSize(size);
    letOldGrow(size);
  }, checkMs).unref();
}

/**
 * Fixes the size of the part of the heap where new objects are made. Left alone it grows to 16 MB a half, which a process that forgets its requests at once does
 * not need: it only takes longer until the memory behind buffers is given back. The same as `node --max-semi-space-size=4`, for a process that was started
 * without. Returns what is to be called from time to time, with the size of the whole heap.
 */
function limitYoungGeneration(restingAbove: number): (heapSize: number) => void {
  // So little is collected sooner by one thread than by several that must wait for each other, above all where there are no more CPUs.
  setFlagsFromString('--no-parallel-scavenge');
  youngCollector();
  fixSize();
  let last: EventLoopUtilization = performance.eventLoopUtilization();
  return (heapSize) => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, last);
    last = now;
    if (utilization >= busy || heapSize <= restingAbove) fixSize();
  };
}

/**
 * Keeps full collections apart in a process with a large configuration. The engine lets a heap grow by little before it collects again when little is allocated,
 * which is right where much of a heap is garbage. Where nearly all of it is in use, each change of one cluster in state-of-the-world, whose answer has all
 * clusters, would bring a collection that takes twice as long as the change itself.
 *
 * Not done while a heap is small, nor before the first look: at a start the engine lets it grow faster than this. Returns what is to be called from time to
 * time, with the size of the whole heap.
 */
function limitFullCollections(): (heapSize: number) => void {
  let large = false;
  return (heapSize) => {
    const isLarge = heapSize > (large ? largeHeap / 2 : largeHeap);
    if (isLarge === large) return;
    large = isLarge;
    // Of three full collections that the engine makes when all is quiet, the first finds nearly all there is.
    setFlagsFromString(large ? '--memory-reducer-single-gc' : '--no-memory-reducer-single-gc');
    setFlagsFromString(`--heap-growing-percent=${large ? growthPercent : 0}`);
  };
}

/**
 * Collects what is young between two pieces of long work that keeps most of what it makes. The engine copies what is kept, at a stretch: of a young generation full of
 * it for longer than requests should wait. So it is done more often, and of less; the same is copied. Does nothing in a process that never called `steerHeap`.
 */
export function collectYoungInParts(): void {
  if (collector !== undefined && (youngSpace()?.space_used_size ?? 0) >= collectedAtOnce) collector();
}

function fixSize(): void {
  if (sizeOfHalf() >= wantedSize) return;
  const collect = youngCollector();
  setFlagsFromString('--semi-space-growth-factor=2');
  for (let size = sizeOfHalf(), tries = 0; size < wantedSize && tries < mostTries; size = sizeOfHalf(), tries++) {
    // It grows in a collection that more than its size survives.
    const survivors = Array.from({ length: (1.25 * size) / pieceSize }, () => new Array(pieceSize / 8).fill(0.5));
    collect();
    survivors.length = 0;
  }
  setFlagsFromString('--semi-space-growth-factor=1');
}

function sizeOfHalf(): number {
  return (youngSpace()?.space_size ?? Number.POSITIVE_INFINITY) / 2;
}

function youngSpace(): HeapSpaceInfo | undefined {
  return getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space');
}

let collector: (() => void) | undefined;

/** The engine's own function that collects what is young: a context gets it that is made while the flag is set, once per thread. */
function youngCollector(): () => void {
  collector ??= makeCollector();
  return collector;
}

function makeCollector(): () => void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as (options: { readonly type: 'minor' }) => void;
  setFlagsFromString('--no-expose-gc');
  return () => collect({ type: 'minor' });
}
