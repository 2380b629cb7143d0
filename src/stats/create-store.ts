import type { GroupInstance, GroupNames, Statistics, StatKind, StatsGroup } from './group.js';
import type { HistogramData } from './histogram.js';
import { fullName } from './number-stat.js';
import { ScopeRecord, StoreParts } from './scope-record.js';
import type { Counter, Gauge, StatsScope, StatsStore } from './store.js';

/** All statistics of one kind, live and in no order. */
export interface StatsView<T> {
  get(name: string): T | undefined;
  has(name: string): boolean;
  keys(): Iterable<string>;
  /** Those that were never touched, too. */
  values(): Iterable<T>;
  /** Those that were touched: all others are zero. */
  touched(): Iterable<T>;
  readonly size: number;
}

/** The whole process's statistics, for whoever shows them. */
export interface StatsRegistry extends StatsStore {
  readonly counters: StatsView<Counter>;
  readonly gauges: StatsView<Gauge>;
  readonly histograms: StatsView<HistogramData>;
  /** The root's, then those of each scope. */
  scopes(): Iterable<ScopeView>;
  /** Tells of all statistics that were touched, and from then on of those that come and go. */
  watch(watcher: StatsWatcher): void;
}

/** Hears which statistics there are. What they count is not told: it is read from them. */
export interface StatsWatcher {
  /** `scope` is the prefix of the outermost scope in which it was made, '' at the root. */
  onCounter(scope: string, counter: Counter): void;
  onGauge(scope: string, gauge: Gauge): void;
  onHistogram(scope: string, histogram: HistogramData): void;
  /** All statistics that were made in the scope are forgotten. A scope of that name may come again, with others. */
  onRemoved(scope: string): void;
}

/** One scope's statistics, live and in no order. */
export interface ScopeView {
  /** '' at the root. */
  readonly prefix: string;
  readonly groups: readonly GroupInstance[];
  /** Those that no group has. */
  others<K extends StatKind>(kind: K): Iterable<Stats[K]>;
  /** All of them. */
  stats<K extends StatKind>(kind: K, untouched: boolean): Iterable<Stats[K]>;
}

export interface Stats {
  readonly counters: Counter;
  readonly gauges: Gauge;
  readonly histograms: HistogramData;
}

const kinds = ['counters', 'gauges', 'histograms'] as const;

/** An empty store. */
export function createStatsStore(): StatsRegistry {
  const parts = new StoreParts();
  const root = new ScopeRecord('', parts);
  // A scope that is asked for again (a cluster's next version) shares its statistics: only the last removal forgets them.
  const scopes = new Map<string, ScopeRecord>();

  function* records(): Iterable<ScopeRecord> {
    yield root;
    yield* scopes.values();
  }

  /** In any scope: a name may be asked for at the root, or in a scope of another prefix. */
  function find<K extends StatKind>(kind: K, name: string): Stats[K] | undefined {
    for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
      const record = scopes.get(name.slice(0, dot));
      const found = record?.find(kind, name.slice(dot + 1));
      if (found) return found;
    }
    return root.find(kind, name);
  }

  function findOrMake<K extends StatKind>(record: ScopeRecord, kind: K, rest: string): Stats[K] {
    return record.find(kind, rest) ?? find(kind, fullName(record.prefix, rest)) ?? record.make(kind, rest);
  }

  function viewOf<K extends StatKind>(kind: K): StatsView<Stats[K]> {
    return {
      get: (name) => find(kind, name),
      has: (name) => find(kind, name) !== undefined,
      *keys() {
        for (const record of records()) yield* record.names(kind);
      },
      *values() {
        for (const record of records()) yield* record.stats(kind, true);
      },
      *touched() {
        for (const record of kind === 'histograms' ? parts.timed : records()) yield* record.stats(kind, false);
      },
      get size() {
        return [...this.keys()].length;
      },
    };
  }

  /** One user of a scope, or of a scope in it. */
  class Scope implements StatsScope {
    readonly #record: ScopeRecord;
    readonly #inner: string;
    #removable: boolean;

    constructor(record: ScopeRecord, inner: string, removable: boolean) {
      this.#record = record;
      this.#inner = inner;
      this.#removable = removable;
    }

    counter(name: string): Counter {
      return findOrMake(this.#record, 'counters', this.#inner + name);
    }

    gauge(name: string): Gauge {
      return findOrMake(this.#record, 'gauges', this.#inner + name);
    }

    histogram(name: string): HistogramData {
      return findOrMake(this.#record, 'histograms', this.#inner + name);
    }

    group<T extends GroupNames>(template: StatsGroup<T>): Statistics<T> {
      return this.#record.group(this.#inner, template);
    }

    scope(name: string): StatsScope {
      return new Scope(this.#record, `${this.#inner}${name}.`, false);
    }

    remove(): void {
      if (!this.#removable) return;
      this.#removable = false;
      const record = this.#record;
      if (--record.uses > 0) return;
      scopes.delete(record.prefix);
      record.remove();
    }
  }

  function scope(prefix: string): StatsScope {
    const record = scopes.get(prefix) ?? new ScopeRecord(prefix, parts);
    scopes.set(record.prefix, record);
    record.uses++;
    return new Scope(record, '', true);
  }

  const store = new Scope(root, '', false);
  return {
    counter: (name) => store.counter(name),
    gauge: (name) => store.gauge(name),
    histogram: (name) => store.histogram(name),
    group: (template) => store.group(template),
    scope,
    counters: viewOf('counters'),
    gauges: viewOf('gauges'),
    histograms: viewOf('histograms'),
    scopes: records,
    watch(watcher) {
      parts.watchers.push(watcher);
      for (const record of records()) {
        for (const kind of kinds) for (const stat of record.stats(kind, false)) record.tell(watcher, kind, stat);
      }
    },
  };
}
