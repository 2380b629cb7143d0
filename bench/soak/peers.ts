/** The soak's clients and TCP servers, in a process of their own: bench/soak.ts starts it. */
import { createRandom } from '../../test/support/random.js';
import { Clients } from './clients.js';
import type { PeersMessage, RunCommand } from './protocol.js';
import { startServers } from './servers.js';

function send(message: PeersMessage): void {
  process.send?.(message);
}

const steady = await startServers(3);
const flaky = await startServers(3);

process.on('message', async (command: RunCommand) => {
  const clients = new Clients(command, createRandom(command.seed));
  const progress = setInterval(() => send({ kind: 'progress', exchanges: clients.ended }), 5_000);
  await clients.run();
  clearInterval(progress);
  steady.dropConnections();
  flaky.dropConnections();
  send({ kind: 'done', outcomes: clients.outcomes, violations: clients.violations });
});
process.on('disconnect', () => process.exit());
send({ kind: 'servers', steady: steady.ports, flaky: flaky.ports });
