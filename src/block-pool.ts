import { markTurnMemory } from './turn-memory.js';

/** Of each block, bytes. */
const blockSize = 65_536;
/** So many that nobody needs are kept for the next, 64 MB. */
const mostFree = 1024;
/** What was not needed in so long a time is let go of, ms. */
const trimAfterMs = 10_000;

const free: Buffer[] = [];
/** Given back in this turn: somebody may still look at them. */
let given: Buffer[] = [];
/** The fewest that were free since they were counted last. */
let leastFree = 0;
let trimming = false;

/**
 * Memory for bytes that wait. It is used again and again, since what the engine collects is dear: memory that comes and goes makes it look through
 * the whole heap every few dozen megabytes.
 */
export function takeBlock(): Buffer {
  const block = free.pop() ?? newBlock();
  if (free.length < leastFree) leastFree = free.length;
  return block;
}

function newBlock(): Buffer {
  const block = Buffer.allocUnsafeSlow(blockSize);
  markTurnMemory(block.buffer);
  return block;
}

/** Nobody may look at it any more when this turn of the event loop is over. */
export function giveBlock(block: Buffer): void {
  if (given.push(block) === 1) setImmediate(reuse);
}

function reuse(): void {
  for (const block of given) if (free.length < mostFree) free.push(block);
  given = [];
  if (trimming) return;
  trimming = true;
  leastFree = free.length;
  setTimeout(trim, trimAfterMs).unref();
}

function trim(): void {
  free.length -= leastFree;
  leastFree = free.length;
  trimming = free.length > 0;
  if (trimming) setTimeout(trim, trimAfterMs).unref();
}
