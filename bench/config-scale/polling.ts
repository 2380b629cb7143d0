import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/** Rare enough to be no load beside the one that is measured, and what it finds is that much late at most. */
const pollMs = 10;

/** Asks for one path all the time, on one connection that is kept, until the process ends. */
export interface Polling {
  /** Resolves when this is answered; the last answer counts, too. @throws Error when it takes longer than `limitMs` */
  until(status: number, limitMs: number): Promise<void>;
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
  /** Called after each answer: a timer of its own would be work beside the load. */
  const answered = new Set<() => void>();
  const poll = async () => {
    for (;;) {
      const next = sleep(pollMs);
      last = await ask(agent, port, path);
      for (const look of answered) look();
      await next;
    }
  };
  void poll();
  return {
    until(status, limitMs) {
      if (last === status) return Promise.resolve();
      return new Promise((resolve, reject) => {
        const over = (end: () => void) => {
          answered.delete(look);
          clearTimeout(timer);
          end();
        };
        const look = () => {
          if (last === status) over(resolve);
        };
        const late = `${path} did not answer ${status} within ${limitMs / 1000} s`;
        const timer = setTimeout(() => over(() => reject(new Error(late))), limitMs);
        answered.add(look);
      });
    },
  };
}
