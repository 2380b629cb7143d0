import { requireDubbo, startProvider } from '../../../test/support/dubbo.js';
import { moveTo } from '../measure/cpus.js';
import { Unavailable } from '../tools/commands.js';
import type { Upstream } from './upstream.js';

/** All of Java's compilers, as in production. */
const flags = ['-Dpeer.single=true', '-XX:TieredStopAtLevel=4'];

/**
 * A real provider of Apache Dubbo, which echoes texts.
 * @throws Unavailable without Java or Maven
 */
export async function startDubboProvider(cpus: string): Promise<Upstream> {
  const provider = requireDubbo().then(() => startProvider('bench', 0, flags));
  const { port, process, counts, stop } = await provider.catch((error: Error) => {
    throw new Unavailable(`no Dubbo provider: ${error.message}`);
  });
  if (process.pid !== undefined) moveTo(process.pid, cpus);
  return { port, counts, stop };
}
