// Reloads a changing library and prints the heap's size after a third, two thirds and all of it. MODE: it is `served` from its file, or `stored` by a judge for
// the runtime. Needs --expose-gc.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { removeUnusedLibraries } from '../../../src/bridge/library/store.js';
import type { PreparedBridge } from '../../../src/bridge/prepared-bridge.js';
import { createBridgeJudge } from '../../../src/bridge/runtime.js';
import { createLibraryFolder, noCallbacks } from './library-folder.js';

const rounds = Number(process.argv[2]);
const mode = process.argv[3] as 'served' | 'stored';
const folder = createLibraryFolder();
const storeFolder = join(folder.path, 'store');
mkdirSync(storeFolder);
const judge = createBridgeJudge({
  unpackPluginConfig: () => undefined,
  pluginRoots: [folder.path],
  cwd: folder.path,
  storeFolder,
});
const mark = { cell: new Uint32Array(1), number: 1 };

async function prepareStored(): Promise<PreparedBridge> {
  const config = folder.config('lib.ts');
  const judged = await judge.prepare(config);
  if (!judged.ok) throw new Error(JSON.stringify(judged.problems));
  const { library } = judged.bridge;
  const prepared = await folder.runtime.prepareStored(config, library, mark);
  if (!prepared.ok) throw new Error(JSON.stringify(prepared.problems));
  removeUnusedLibraries(storeFolder, new Set());
  return prepared.bridge;
}

const heap: number[] = [];
// Big enough to be seen when it isn't let go.
const ballast = Array.from({ length: 500 }, (_, i) => `'${i} some text'`).join(', ');
for (let round = 1; round <= rounds; round++) {
  folder.write(
    'lib.ts',
    `const data = [${ballast}]; const held = new Array(10_000).fill(${round}); export const bridges = { plugin: { createBridge: () => ({ data, held, round: ${round} }) } };`,
  );
  const bridge = await (mode === 'stored' ? prepareStored() : folder.prepare('lib.ts'));
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
