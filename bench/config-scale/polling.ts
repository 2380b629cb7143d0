import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/** Rare enough to be no load beside the one that is measured, and what it finds is that much late at most. */
const pollMs = 10;

/** Asks for one path all the time, on one connection that is kept. */
export interface Polling {
  /** Resolves when this is answered; the last answer counts, too. @throws Error when it takes longer than `limitMs` */
  until(status: number, limitMs: number): Promise<void>;
  stop(): Promise<void>;
}

/** undefined: there was no answer. */
function ask(agent: Agent, port: number, path: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    const sent = request({ agent, port, host: '127.0.0.1', path, method: 'POST', timeout: 5_000 }, (response) => {
      response.resume().on('close', () => resolve(response.statusCode));
    });
    sent.on('error', () => resolve(undefined)).on('timeout', () => sent.destroy());
    sent.end('x');
  });
}

/** In every phase, so that all are measured beside the same. */
export function startPolling(port: number, path: string): Polling {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  let last: number | undefined;
  let stopped = false;
  const poll = async () => {
    while (!stopped) {
      const [status] = await Promise.all([ask(agent, port, path), sleep(pollMs)]);
      last = status;
    }
  };
  const over = poll();
  return {
    async until(status, limitMs) {
      const end = performance.now() + limitMs;
      while (last !== status) {
        if (performance.now() > end) throw new Error(`${path} did not answer ${status} within ${limitMs / 1000} s`);
        await sleep(1);
      }
    },
    async stop() {
      stopped = true;
      await over;
      agent.destroy();
    },
  };
}
