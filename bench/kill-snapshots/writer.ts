/** Writes snapshots without end, one after the other, into the folder that it is given, and says of each when it is on disk. */
import { systemClock } from '../../src/clock.js';
import { createLogging } from '../../src/log.js';
import { createSnapshotStore } from '../../src/snapshot/store.js';
import { createSnapshotWriter } from '../../src/snapshot/writer.js';
import { createStatsStore } from '../../src/stats/create-store.js';
import { generationOf, owner, resourcesOf } from './generation.js';

const [folder = ''] = process.argv.slice(2);
const store = createSnapshotStore(folder, owner);
await store.clean();
const { snapshot } = await store.load();
let generation = snapshot ? generationOf(snapshot.resources) : 0;

const writer = createSnapshotWriter({
  store: {
    ...store,
    async save(next) {
      const size = await store.save(next);
      process.stdout.write(`${generationOf([...next.resources])}\n`);
      writer.changed();
      return size;
    },
  },
  owner,
  writtenBy: 'test',
  // biome-ignore lint/correctness/useYield: it is done in one step
  *collect() {
    return resourcesOf(++generation);
  },
  readiness: () => 'yes',
  intervalMs: 0,
  clock: systemClock,
  log: createLogging('error', undefined).logger('snapshot'),
  stats: createStatsStore(),
});
writer.changed();
setInterval(() => undefined, 2 ** 30);
