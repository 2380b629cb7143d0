/** A worker that lived as long as this was in order: its end says nothing about its successor's. */
const soundMs = 10_000;
const firstDelayMs = 250;
const longestDelayMs = 5_000;

/** How long to wait before the next worker is started in place of one that ended. It never gives up. */
export interface RestartBackoff {
  /** The delay, milliseconds, after a worker that lived for `livedMs`. */
  delayAfter(livedMs: number): number;
}

/** None at the first time; when workers keep ending soon after their start 250 ms, then twice as long each time, at most 5 s. */
export function createRestartBackoff(): RestartBackoff {
  let soon = 0;
  return {
    delayAfter(livedMs) {
      soon = livedMs >= soundMs ? 1 : soon + 1;
      return soon === 1 ? 0 : Math.min(longestDelayMs, firstDelayMs * 2 ** (soon - 2));
    },
  };
}
