/**
 * Loaded into Pontoon (`node --import`): for how long its event loop did nothing else, and how much of that was the garbage collector.
 * Each SIGUSR2 writes what was seen since the last one to the file that PONTOON_BENCH_HEARTBEAT names.
 */
import { openSync, readSync, renameSync, writeFileSync } from 'node:fs';
import { PerformanceObserver } from 'node:perf_hooks';
import type { Heartbeat } from './results.js';

const path = process.env.PONTOON_BENCH_HEARTBEAT;
const nothing: Heartbeat = { stretches: 0, longestMs: 0, longestOwnMs: 0, longestGcMs: 0, longestWaitMs: 0 };
let seen = nothing;

/**
 * Reads the CPU time of this thread, the event loop's, in milliseconds: what other threads of the process do beside it (they mark, sweep and
 * compile) blocks nobody. https://www.kernel.org/doc/html/latest/scheduler/sched-stats.html#proc-pid-schedstat
 */
function threadClock(): () => number {
  const file = openSync(`/proc/self/task/${process.pid}/schedstat`, 'r');
  const text = Buffer.alloc(128);
  return () => {
    // Brings it up to date. Otherwise what is read is as old as the kernel's last tick, 4 ms, which then counts to the next stretch.
    process.cpuUsage();
    return Number(text.toString('latin1', 0, readSync(file, text, 0, text.length, 0)).split(' ', 1)[0]) / 1e6;
  };
}

function watch(path: string): void {
  const cpuTime = threadClock();
  let collected = 0;
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) collected += duration;
  }).observe({ entryTypes: ['gc'] });
  let [wall, cpu] = [performance.now(), cpuTime()];
  /** The stretch before this one: what the collector took of it comes to be known only now. */
  let last = 0;
  setInterval(() => {
    const [nextWall, nextCpu] = [performance.now(), cpuTime()];
    // Others have the CPU, too: no longer than this thread was busy.
    const stretch = Math.min(nextWall - wall, nextCpu - cpu);
    const own = Math.max(0, last - collected);
    seen = {
      stretches: seen.stretches + (stretch > 10 ? 1 : 0),
      longestMs: Math.max(seen.longestMs, stretch),
      longestOwnMs: Math.max(seen.longestOwnMs, own),
      longestGcMs: Math.max(seen.longestGcMs, collected),
      longestWaitMs: Math.max(seen.longestWaitMs, nextWall - wall),
    };
    [wall, cpu, last, collected] = [nextWall, nextCpu, stretch, 0];
  }, 1).unref();
  process.on('SIGUSR2', () => {
    writeFileSync(`${path}.draft`, JSON.stringify(seen));
    renameSync(`${path}.draft`, path);
    seen = nothing;
  });
}

if (path !== undefined) watch(path);
