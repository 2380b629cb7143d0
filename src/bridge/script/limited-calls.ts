import { marked } from '../call-mark.js';
import type { CallMark } from '../prepared-bridge.js';
import { withTimeLimit } from './evaluate.js';

interface Call {
  readonly what: string;
  /** Never throws: what the call throws goes to whoever asked for it. */
  run(): void;
  fail(error: unknown): void;
  /** It was stopped in the middle, past all its `finally`. */
  stopped(): void;
}

/**
 * Calls functions under a time limit each, and under their marks. A limit costs a thread that watches, half a millisecond: those that are asked for in one turn, as
 * the plugins of one response, share it. The one that runs when the time is over may only have begun late: it is tried again as the first.
 */
export function createLimitedCalls(
  timeLimitMs: number,
): <T>(what: string, mark: CallMark, work: () => T) => Promise<T> {
  let waiting: Call[] = [];

  function runAll(): void {
    const calls = waiting;
    waiting = [];
    let running = 0;
    try {
      withTimeLimit((calls[0] as Call).what, timeLimitMs, () => {
        for (; running < calls.length; running++) (calls[running] as Call).run();
      });
    } catch (error) {
      calls[running]?.stopped();
      if (running === 0) (calls[0] as Call).fail(error);
      const rest = calls.slice(Math.max(running, 1));
      if (rest.length === 0) return;
      // After a turn for everybody else.
      if (waiting.length === 0) setImmediate(runAll);
      waiting.unshift(...rest);
    }
  }

  return <T>(what: string, mark: CallMark, work: () => T) =>
    new Promise<T>((resolve, reject) => {
      if (waiting.length === 0) queueMicrotask(runAll);
      waiting.push({
        what,
        run() {
          try {
            resolve(marked(mark, work));
          } catch (error) {
            reject(error);
          }
        },
        fail: reject,
        stopped() {
          mark.cell[0] = 0;
        },
      });
    });
}
