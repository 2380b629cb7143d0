import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect } from 'chai';

const module = new URL('../src/heap-growth.js', import.meta.url).href;

const liveMiB = 120;

/** In a process of its own, because it changes the engine: how often it collects everything while little is allocated. */
const script = (watched: boolean) => `
  import { PerformanceObserver, constants } from 'node:perf_hooks';
  import { setTimeout as sleep } from 'node:timers/promises';
  import { letLargeHeapGrow } from ${JSON.stringify(module)};
  const mebibyte = () => Array.from({ length: 1024 }, () => new Array(128).fill(0.5));
  const live = Array.from({ length: ${liveMiB} }, mebibyte);
  let collections = 0;
  new PerformanceObserver((list) => {
    collections += list.getEntries().filter(({ detail }) => detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR).length;
  }).observe({ entryTypes: ['gc'] });
  ${watched ? 'letLargeHeapGrow(10);' : ''}
  // What was allocated in the last five seconds tells the engine how much the heap may grow.
  await sleep(5_500);
  globalThis.gc();
  await sleep(50);
  collections = 0;
  // A third of what lives, old before it is let go, in pieces.
  for (let piece = 0; piece < 8; piece++) {
    const kept = Array.from({ length: ${liveMiB / 24} }, mebibyte);
    globalThis.gc({ type: 'minor' });
    globalThis.gc({ type: 'minor' });
    kept.length = 0;
    await sleep(20);
  }
  await sleep(50);
  console.log(collections, live.length);
`;

async function collections(watched: boolean): Promise<number> {
  const args = ['--expose-gc', '--input-type=module', '-e', script(watched)];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return Number.parseInt(stdout, 10);
}

describe('a large heap', () => {
  it('grows by a third without a full collection, which the engine alone would begin', async () => {
    const [watched, alone] = await Promise.all([collections(true), collections(false)]);
    expect(alone).to.be.above(0);
    expect(watched).to.equal(0);
  });
});
