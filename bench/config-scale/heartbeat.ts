/**
 * Loaded into Pontoon (`node --import`): for how long its event loop did nothing else, and how much of that was the garbage collector.
 * Each SIGUSR2 writes what was seen since the last one to the file that PONTOON_BENCH_HEARTBEAT names.
 */
import { renameSync, writeFileSync } from 'node:fs';
import { monitorEventLoopDelay, PerformanceObserver } from 'node:perf_hooks';

const path = process.env.PONTOON_BENCH_HEARTBEAT;
const delays = monitorEventLoopDelay({ resolution: 1 });
let longestGcMs = 0;
let stretches = 0;
let longestOwnMs = 0;

function watch(path: string): void {
  delays.enable();
  let collected = 0;
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) {
      longestGcMs = Math.max(longestGcMs, duration);
      collected += duration;
    }
  }).observe({ entryTypes: ['gc'] });
  // Without the garbage collector's pauses, which come to be known a turn later.
  let before = performance.now();
  let pending = 0;
  setInterval(() => {
    const now = performance.now();
    const gap = now - before;
    const own = pending - collected;
    if (pending > 10) stretches++;
    longestOwnMs = Math.max(longestOwnMs, own);
    collected = 0;
    pending = gap;
    before = now;
  }, 1).unref();
  process.on('SIGUSR2', () => {
    const seen = {
      longestMs: delays.max / 1e6,
      p999Ms: delays.percentile(99.9) / 1e6,
      longestOwnMs,
      longestGcMs,
      stretches,
    };
    writeFileSync(`${path}.draft`, JSON.stringify(seen));
    renameSync(`${path}.draft`, path);
    delays.reset();
    longestGcMs = 0;
    longestOwnMs = 0;
    stretches = 0;
  });
}

if (path !== undefined) watch(path);
