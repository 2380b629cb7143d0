import type { StatsRegistry } from '../stats/create-store.js';
import type { Readiness } from './readiness.js';

/** Numbers of /server_info's states, as Envoy's `server.state` has them. */
const stateNumbers = { LIVE: 0, DRAINING: 1, PRE_INITIALIZING: 2, INITIALIZING: 3 } as const;

/** `server.*`, and the intervals of histograms. */
export interface ServerStats {
  countUncaught(): void;
  close(): void;
}

/** Refreshes `server.*` and begins a new histogram interval every `intervalMs` (`stats_flush_interval`). `concurrency`: how many processes serve. */
export function createServerStats(
  stats: StatsRegistry,
  readiness: Readiness,
  startTime: Date,
  { intervalMs, concurrency }: { readonly intervalMs: number; readonly concurrency: number },
): ServerStats {
  const live = stats.gauge('server.live');
  const state = stats.gauge('server.state');
  const uptime = stats.gauge('server.uptime');
  const allocated = stats.gauge('server.memory_allocated');
  const heapSize = stats.gauge('server.memory_heap_size');
  const physicalSize = stats.gauge('server.memory_physical_size');
  const uncaught = stats.counter('server.uncaught_errors');
  stats.gauge('server.concurrency').value = concurrency;

  function refresh(): void {
    const memory = process.memoryUsage();
    const current = readiness.state();
    live.value = current === 'LIVE' ? 1 : 0;
    state.value = stateNumbers[current];
    uptime.value = Math.floor((Date.now() - startTime.getTime()) / 1000);
    allocated.value = memory.heapUsed;
    heapSize.value = memory.heapTotal;
    physicalSize.value = memory.rss;
  }
  refresh();
  const initialization = stats.histogram('server.initialization_time_ms', 'ms');
  readiness.onLive(() => {
    initialization.record(Date.now() - startTime.getTime());
    refresh();
  });
  const timer = setInterval(() => {
    refresh();
    for (const histogram of stats.histograms.touched()) histogram.flush();
  }, intervalMs);
  timer.unref();
  return {
    countUncaught() {
      uncaught.value++;
    },
    close: () => clearInterval(timer),
  };
}
