import { fork } from 'node:child_process';
import { once } from 'node:events';
import { leaveTheCpu } from './leave-the-cpu.js';

/** What background-process.ts is asked for. */
export interface Ask {
  /** The address of a control plane that a node follows from now on. */
  readonly follow?: string;
  /** Told to a control plane then. */
  readonly patch?: { readonly url: string; readonly body: string };
  /** At last it waits until the path is answered with this. */
  readonly status?: number;
}

export interface Answer {
  /** From the patch on; or what went wrong. */
  readonly ms?: number;
  readonly error?: string;
}

/** Asks for one path all the time, and makes changes: in a process of its own, which gets the CPU when the load leaves it. */
export interface BackgroundClient {
  /** One at a time; resolves to the milliseconds that it took. @throws Error when the answer does not come within half a minute */
  ask(ask: Ask): Promise<number>;
  stop(): Promise<void>;
}

export function startBackgroundClient(port: number, path: string): BackgroundClient {
  const child = fork(new URL('./background-process.js', import.meta.url), [String(port), path]);
  const exited = once(child, 'exit');
  leaveTheCpu(child.pid as number);
  return {
    async ask(ask) {
      const answer = once(child, 'message') as Promise<[Answer]>;
      child.send(ask);
      const gone = exited.then(() => {
        throw new Error('the client in the background ended');
      });
      const [{ ms, error }] = await Promise.race([answer, gone]);
      if (ms === undefined) throw new Error(error);
      return ms;
    },
    async stop() {
      child.kill();
      await exited;
    },
  };
}
