/** The process of background-client.ts: `node background-process.js PORT PATH`. */
import type { Answer, Ask } from './background-client.js';
import { startOtherNode } from './other-node.js';
import { startPolling } from './polling.js';

const limitMs = 30_000;

const [, , port, path = '/'] = process.argv;
const polling = startPolling(Number(port), path);

async function patch({ url, body }: NonNullable<Ask['patch']>): Promise<void> {
  const response = await fetch(url, { method: 'PATCH', body });
  const text = await response.text();
  if (!response.ok) throw new Error(`PATCH ${url}: ${response.status} ${text}`);
}

async function answer({ follow, patch: change, status }: Ask): Promise<Answer> {
  try {
    const began = performance.now();
    if (follow !== undefined) await startOtherNode(follow, 'other');
    if (change) await patch(change);
    if (status !== undefined) await polling.until(status, limitMs);
    return { ms: performance.now() - began };
  } catch (error) {
    return { error: (error as Error).message };
  }
}

process.on('message', async (ask: Ask) => process.send?.(await answer(ask)));
process.on('disconnect', () => process.exit());
