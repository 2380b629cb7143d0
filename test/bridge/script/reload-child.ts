// Reloads a changing library and prints the heap's size after a third, two thirds and all of it. Needs --expose-gc.
import { createLibraryFolder, noCallbacks } from './library-folder.js';

const rounds = Number(process.argv[2]);
const folder = createLibraryFolder();
const heap: number[] = [];
// Big enough to be seen when it isn't let go.
const ballast = Array.from({ length: 500 }, (_, i) => `'${i} some text'`).join(', ');
for (let round = 1; round <= rounds; round++) {
  folder.write(
    'lib.ts',
    `const data = [${ballast}]; const held = new Array(10_000).fill(${round}); export const bridges = { plugin: { createBridge: () => ({ data, held, round: ${round} }) } };`,
  );
  const bridge = await folder.prepare('lib.ts');
  const made = bridge.createBridge(noCallbacks) as { round?: number };
  if (made.round !== round) throw new Error(`round ${round} got ${made.round}`);
  bridge.release();
  if (round % Math.floor(rounds / 3) === 0) {
    for (let i = 0; i < 3; i++) {
      await new Promise((resolve) => setImmediate(resolve));
      globalThis.gc?.();
    }
    heap.push(process.memoryUsage().heapUsed);
  }
}
folder.remove();
console.log(JSON.stringify(heap));
