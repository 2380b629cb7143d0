// A main process that a test can kill: it judges the library that it is started with, and prints why it was refused.
import { dirname } from 'node:path';
import { systemClock } from '../../../src/clock.js';
import { createLogging } from '../../../src/log.js';
import { createJudgeProcess } from '../../../src/server/judge-process/judge-process.js';
import { createStatsStore } from '../../../src/stats/create-store.js';

const [libraryPath = '', folderParent = ''] = process.argv.slice(2);
const judge = createJudgeProcess({
  logging: createLogging('off'),
  stats: createStatsStore(),
  clock: systemClock,
  pluginRoots: [dirname(libraryPath)],
  maxGoLibraries: 32,
  folderParent,
});
const config = { libraryId: 'lib', libraryPath, pluginName: 'plugin' };
const result = await judge.prepare({ ...config, pluginConfig: { typeUrl: '', value: new Uint8Array() } });
console.log(result.ok ? 'accepted' : result.problems[0]?.message);
setInterval(() => undefined, 1000);
