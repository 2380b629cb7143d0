import { type EventLoopUtilization, performance } from 'node:perf_hooks';
import { getHeapSpaceStatistics, getHeapStatistics, type HeapSpaceInfo, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { largeHeap } from './heap-growth.js';

/** Bytes of one half of it. */
const wantedSize = 4 * 1024 * 1024;
const mostTries = 8;
/** The part of the time that the event loop is at work, from which on the size matters to a process with a large heap. */
const busy = 0.2;
/** Bytes. */
const pieceSize = 8 * 1024;
/** Bytes. What is kept of so many is copied in two or three milliseconds. */
const collectedAtOnce = 1024 * 1024;

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

/**
 * Fixes the size of the part of the heap where new objects are made. Left alone it grows to 16 MB a half, which a process that forgets its requests at once does
 * not need: it only takes longer until the memory behind buffers is given back. The same as `node --max-semi-space-size=4`, for a process that was started
 * without. Called once, at the start.
 *
 * The engine shrinks it while little is allocated, and it would never grow again: its size is looked at every `checkMs`. It grows at
 * rest, so that the first requests need not wait for it; but in a process with a heap of `restingAbove` bytes only where there is work: there it costs more than the few
 * collections of a process that rests, and leaves garbage among what is old.
 */
export function limitYoungGeneration(checkMs = 5_000, restingAbove = largeHeap): void {
  // So little is collected sooner by one thread than by several that must wait for each other, above all where there are no more CPUs.
  setFlagsFromString('--no-parallel-scavenge');
  youngCollector();
  fixSize();
  let last: EventLoopUtilization = performance.eventLoopUtilization();
  const look = (): void => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, last);
    last = now;
    if (utilization >= busy || getHeapStatistics().total_heap_size <= restingAbove) fixSize();
  };
  setInterval(look, checkMs).unref();
}

/**
 * Collects what is young between two pieces of long work that keeps most of what it makes. The engine copies what is kept, at a stretch: of a young generation full of
 * it for longer than requests should wait. So it is done more often, and of less; the same is copied. Does nothing in a process that never called `limitYoungGeneration`.
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
