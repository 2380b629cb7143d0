/**
 * Loaded into Pontoon with `--import`: after SIGUSR2 it collects garbage and writes what memory is in use to stdout. Without compiled code
 * and what belongs to it: V8 goes on compiling for as long as there is something new to learn, some 100 KB in 1,000 pushes.
 */
import { getHeapCodeStatistics } from 'node:v8';
import { memoryInUse } from '../soak/process-state.js';

process.on('SIGUSR2', async () => {
  const inUse = await memoryInUse();
  const { code_and_metadata_size: code, bytecode_and_metadata_size: bytecode } = getHeapCodeStatistics();
  process.stdout.write(`memory in use: ${inUse - code - bytecode}\n`);
});
