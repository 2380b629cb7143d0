import { createTestFleet } from './test-fleet.js';

/**
 * A main process: writes its port and its workers' process ids, and serves until it is ended. With the argument `open_files` the first
 * of the workers has no file descriptor left.
 */
const workers = await createTestFleet();
await workers.fleet.start();
const pids = (await workers.answers()).map(({ pid }) => pid);
if (process.argv[2] === 'open_files') {
  workers.send({ kind: 'open_files', pid: pids[0] as number });
  await workers.fleet.settled();
}
process.stdout.write(`${JSON.stringify({ port: workers.port, pids, folder: workers.folder })}\n`);
