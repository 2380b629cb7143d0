import type { GroupNames, Statistics, StatsGroup } from './group.js';

/** A number that only grows. */
export interface Counter {
  readonly name: string;
  value: number;
}

/** A number that goes up and down. */
export interface Gauge {
  readonly name: string;
  value: number;
}

export interface Histogram {
  readonly name: string;
  record(value: number): void;
}

/**
 * Statistics under Envoy's names, `cluster.NAME.upstream_rq_total` and so on. Asking twice for a name gives the same object, so callers
 * keep what they count on their hot path: `const total = stats.counter('…'); total.value++`.
 */
export interface StatsStore {
  counter(name: string): Counter;
  gauge(name: string): Gauge;
  histogram(name: string, unit?: 'ms' | 'bytes'): Histogram;
  /**
   * Many statistics at once, which cost next to nothing until they are touched. Asked for again (by a cluster's next version) it gives the
   * same. Names of a group are its scope's: none of them may have been made before in another.
   */
  group<T extends GroupNames>(template: StatsGroup<T>): Statistics<T>;
  /** A store whose names all begin with `prefix.`. Removing it forgets those statistics; a scope of a scope goes with its outer one. */
  scope(prefix: string): StatsScope;
}

export interface StatsScope extends StatsStore {
  remove(): void;
}
