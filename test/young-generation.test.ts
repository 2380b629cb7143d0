import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect } from 'chai';

const module = new URL('../src/young-generation.js', import.meta.url).href;

/** In a process of its own, because it changes the engine. */
const script = (restingAbove: number, work: string) => `
  import { getHeapSpaceStatistics } from 'node:v8';
  import { setTimeout as sleep } from 'node:timers/promises';
  import { limitYoungGeneration } from ${JSON.stringify(module)};
  const size = () => getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space').space_size / 2 ** 21;
  limitYoungGeneration(20, ${restingAbove});
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
  import { collectYoungInParts, limitYoungGeneration } from ${JSON.stringify(module)};
  const used = () => getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space').space_used_size / 2 ** 20;
  const fillTo = (size) => {
    while (used() < size) new Array(1000).fill(0.5);
    const before = used();
    collectYoungInParts();
    return used() - before;
  };
  const unlimited = fillTo(used() + 0.1);
  limitYoungGeneration();
  globalThis.gc({ type: 'minor' });
  globalThis.gc({ type: 'minor' });
  console.log(JSON.stringify([unlimited, fillTo(0.5), fillTo(1.5)]));
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
      const args = ['--expose-gc', '--input-type=module', '-e', script(restingAbove, work)];
      const { stdout } = await promisify(execFile)(process.execPath, args);
      const [first, shrunk, last] = JSON.parse(stdout) as [number, number, number];
      expect([first, last]).to.deep.equal([4, 4]);
      expect(shrunk).to.be.below(4);
    });

  it('is collected between two pieces of work once there is a megabyte', async () => {
    const args = ['--expose-gc', '--input-type=module', '-e', partsScript];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    const [unlimited, few, enough] = JSON.parse(stdout) as [number, number, number];
    expect(
      [unlimited, few].every((change) => change >= 0),
      stdout,
    ).to.equal(true);
    expect(enough).to.be.below(-1);
  });
});
