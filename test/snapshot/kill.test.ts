import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KilledServer, killWriter } from '../../bench/kill-snapshots/rounds.js';
import { createRandom } from '../support/random.js';
import { startTcpServer } from '../support/tcp-server.js';

/** `npm run kill-snapshots` does it 500 times. */
describe('after SIGKILL while snapshots are written', function () {
  this.timeout(120_000);
  const seed = Date.now() % 1_000_000;
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'pontoon-killed-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it(`the next start has a whole one (seed ${seed})`, async () => {
    const random = createRandom(seed);
    for (let time = 0; time < 12; time++) await killWriter(join(folder, 'kept'), random);
  });

  it(`the next server serves what the last one left (seed ${seed})`, async () => {
    const server = await startTcpServer({ onData: ({ socket }, data) => socket.write(`served ${data}`) });
    const pontoon = new KilledServer(join(folder, 'kept'), server);
    const random = createRandom(seed);
    try {
      for (let time = 0; time < 3; time++) await pontoon.round(random);
    } finally {
      await server.close();
    }
  });
});
