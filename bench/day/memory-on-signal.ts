/** Loaded into Pontoon with `--import`: after SIGUSR2 it collects garbage and writes what memory is in use to stdout. */
import { memoryInUse } from '../soak/process-state.js';

process.on('SIGUSR2', async () => {
  process.stdout.write(`memory in use: ${await memoryInUse()}\n`);
});
