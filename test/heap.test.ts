import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect } from 'chai';

const module = new URL('../src/heap.js', import.meta.url).href;

/** In a process of its own, because it changes the engine. */
const sizeScript = (restingAbove: number, work: string) => `
  import { getHeapSpaceStatistics } from 'node:v8';
  import { setTimeout as sleep } from 'node:timers/promises';
  import { steerHeap } from ${JSON.stringify(module)};
  const size = () => getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space').space_size / 2 ** 21;
  steerHeap({ checkMs: 20, restingAbove: ${restingAbove} });
  const sizes = [size()];
  const end = Date.now() + 10_000;
  // The engine shrinks it in a full collection that finds little allocated for some time.
  while (size() === 4 && Date.now() < end) {
    for (let i = 0; i < 10; i++) {
      await sleep(2);
      globalThis.gc({ type: 'minor' });
    }
    globalThis.gc();
  }
  sizes.push(size());
  while (size() !== 4 && Date.now() < end) {
    ${work}
    await sleep(1);
  }
  sizes.push(size());
  console.log(JSON.stringify(sizes));
`;

const partsScript = `
  import { getHeapSpaceStatistics } from 'node:v8';
  import { collectYoungInParts, steerHeap } from ${JSON.stringify(module)};
  const used = () => getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space').space_used_size / 2 ** 20;
  const fillTo = (size) => {
    while (used() < size) new Array(1000).fill(0.5);
    const before = used();
    collectYoungInParts();
    return used() - before;
  };
  const unlimited = fillTo(used() + 0.1);
  steerHeap();
  globalThis.gc({ type: 'minor' });
  globalThis.gc({ type: 'minor' });
  console.log(JSON.stringify([unlimited, fillTo(0.25), fillTo(1)]));
`;

describe('the young generation', () => {
  const cases = [
    { title: 'at rest', restingAbove: 2 ** 30, work: '' },
    {
      title: 'once there is work, in a process with a large heap',
      restingAbove: 0,
      work: 'for (const until = Date.now() + 10; Date.now() < until; );',
    },
  ];
  for (const { title, restingAbove, work } of cases)
    it(`has four megabytes a half, also after the engine made it smaller: ${title}`, async () => {
      const args = ['--expose-gc', '--input-type=module', '-e', sizeScript(restingAbove, work)];
      const { stdout } = await promisify(execFile)(process.execPath, args);
      const [first, shrunk, last] = JSON.parse(stdout) as [number, number, number];
      expect([first, last]).to.deep.equal([4, 4]);
      expect(shrunk).to.be.below(4);
    });

  it('is collected between two pieces of work once there is half a megabyte', async () => {
    const args = ['--expose-gc', '--input-type=module', '-e', partsScript];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    const [unlimited, few, enough] = JSON.parse(stdout) as [number, number, number];
    expect(
      [unlimited, few].every((change) => change >= 0),
      stdout,
    ).to.equal(true);
    expect(enough).to.be.below(-0.5);
  });
});

const liveMiB = 120;

/** In a process of its own, because it changes the engine: how often it collects everything while little is allocated. */
const growthScript = (watched: boolean) => `
  import { PerformanceObserver, constants } from 'node:perf_hooks';
  import { setTimeout as sleep } from 'node:timers/promises';
  import { steerHeap } from ${JSON.stringify(module)};
  const mebibyte = () => Array.from({ length: 1024 }, () => new Array(128).fill(0.5));
  const live = Array.from({ length: ${liveMiB} }, mebibyte);
  let collections = 0;
  new PerformanceObserver((list) => {
    collections += list.getEntries().filter(({ detail }) => detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR).length;
  }).observe({ entryTypes: ['gc'] });
  ${watched ? 'steerHeap({ checkMs: 10 });' : ''}
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
  const args = ['--expose-gc', '--input-type=module', '-e', growthScript(watched)];
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
