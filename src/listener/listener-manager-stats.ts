import type { Counter, Gauge, StatsStore } from '../stats/store.js';

/** `listener_manager.*`. */
export interface ListenerManagerStats {
  readonly added: Counter;
  readonly modified: Counter;
  readonly removed: Counter;
  readonly stopped: Counter;
  readonly createSuccess: Counter;
  readonly createFailure: Counter;
  readonly inPlaceUpdated: Counter;
  readonly active: Gauge;
  readonly warming: Gauge;
  readonly draining: Gauge;
}

export function createListenerManagerStats(stats: StatsStore): ListenerManagerStats {
  const name = (suffix: string): string => `listener_manager.${suffix}`;
  return {
    added: stats.counter(name('listener_added')),
    modified: stats.counter(name('listener_modified')),
    removed: stats.counter(name('listener_removed')),
    stopped: stats.counter(name('listener_stopped')),
    createSuccess: stats.counter(name('listener_create_success')),
    createFailure: stats.counter(name('listener_create_failure')),
    inPlaceUpdated: stats.counter(name('listener_in_place_updated')),
    active: stats.gauge(name('total_listeners_active')),
    warming: stats.gauge(name('total_listeners_warming')),
    draining: stats.gauge(name('total_listeners_draining')),
  };
}
