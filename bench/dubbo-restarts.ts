/**
 * `npm run restarts [-- --requests 50000 --restarts 12]`: calls of real Dubbo providers that are killed and started again meanwhile, over shared connections and
 * over own ones. Ends with 1 when a failure was not clear, or an answer another request's.
 */
import { parseArgs } from 'node:util';
import { runWithRestarts } from '../test/plugins/dubbo/restart-run.js';
import { requireDubbo } from '../test/support/dubbo.js';

const { values } = parseArgs({
  options: { requests: { type: 'string', default: '50000' }, restarts: { type: 'string', default: '12' } },
});
await requireDubbo();
for (const shared of [true, false]) {
  const { byStatus, violations, seconds } = await runWithRestarts({
    requests: Number(values.requests),
    restarts: Number(values.restarts),
    shared,
  });
  const statuses = [...byStatus].sort(([a], [b]) => a - b).map(([status, count]) => `${count} × ${status}`);
  console.log(`${shared ? 'shared' : 'own'} connections: ${statuses.join(', ')} in ${seconds.toFixed(1)} s`);
  for (const violation of violations.slice(0, 20)) console.log(`VIOLATION ${violation}`);
  if (violations.length > 0) process.exitCode = 1;
}
process.exit();
