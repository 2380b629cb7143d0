/**
 * `npm run kill-snapshots [-- --times 500 --servers 20 --seed 1]`. Processes that write snapshots without end are killed (SIGKILL) at
 * random points. After each, the next start must find a whole configuration that is not older than the last one that was said to be
 * written. `--servers` of the times it is Pontoon itself, under a control plane that changes everything all the time; each begins on what
 * the one before left, while the control plane is away, and must serve it. Ends with 1 when something was not so.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createRandom } from '../test/support/random.js';
import { startTcpServer } from '../test/support/tcp-server.js';
import { KilledServer, killWriter } from './kill-snapshots/rounds.js';

const { values } = parseArgs({
  options: {
    times: { type: 'string', default: '500' },
    servers: { type: 'string', default: '20' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  },
});
const times = Number(values.times);
const servers = Math.min(times, Number(values.servers));
const random = createRandom(Number(values.seed));
const folder = mkdtempSync(join(tmpdir(), 'pontoon-kill-'));
const server = await startTcpServer({ onData: ({ socket }, data) => socket.write(`served ${data}`) });
const pontoon = new KilledServer(join(folder, 'servers'), server);
const began = performance.now();
let violations = 0;
let generations = 0;

async function attempt(what: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    violations++;
    console.log(`VIOLATION ${what}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

console.log(`${times} kills, ${servers} of them of pontoon, seed ${values.seed}`);
for (let time = 1; time <= times - servers; time++) {
  await attempt(`writer ${time}`, async () => {
    generations = await killWriter(join(folder, 'writers'), random);
  });
  if (time % 50 === 0) console.log(`${time} writers killed, ${generations} snapshots written`);
}
for (let time = 1; time <= servers; time++) {
  await attempt(`pontoon ${time}`, () => pontoon.round(random));
  if (time % 5 === 0) console.log(`${time} instances of pontoon killed`);
}
await server.close();
rmSync(folder, { recursive: true, force: true });
const seconds = ((performance.now() - began) / 1000).toFixed(0);
console.log(
  `${times} kills in ${seconds} s, about ${generations} snapshots: ${violations} violation${violations === 1 ? '' : 's'}`,
);
process.exit(violations === 0 ? 0 : 1);
