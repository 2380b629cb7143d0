import { createHistogram, type HistogramData } from './histogram.js';
import type { Counter, Gauge, StatsScope, StatsStore } from './store.js';

/** The whole process's statistics, for whoever shows them. Maps are live and in no order. */
export interface StatsRegistry extends StatsStore {
  readonly counters: ReadonlyMap<string, Counter>;
  readonly gauges: ReadonlyMap<string, Gauge>;
  readonly histograms: ReadonlyMap<string, HistogramData>;
  /** Tells of all statistics that there are, and from then on of those that come and go. */
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

/** What was made in a scope, so that forgetting it costs no search. A name belongs to the scope in which it was made first. */
interface ScopeRecord {
  readonly prefix: string;
  uses: number;
  readonly counters: Counter[];
  readonly gauges: Gauge[];
  readonly histograms: HistogramData[];
}

const newRecord = (prefix: string): ScopeRecord => ({ prefix, uses: 0, counters: [], gauges: [], histograms: [] });
const zero = (name: string) => ({ name, value: 0 });

/** All statistics of one kind. */
function createKind<T extends { readonly name: string }>(
  watchers: readonly StatsWatcher[],
  make: (name: string) => T,
  madeIn: (record: ScopeRecord) => T[],
  tell: (watcher: StatsWatcher, scope: string, stat: T) => void,
) {
  const all = new Map<string, T>();
  return {
    all,
    findOrMake(name: string, record: ScopeRecord): T {
      const found = all.get(name);
      if (found !== undefined) return found;
      const made = make(name);
      all.set(name, made);
      madeIn(record).push(made);
      for (const watcher of watchers) tell(watcher, record.prefix, made);
      return made;
    },
    forget(record: ScopeRecord): void {
      for (const { name } of madeIn(record)) all.delete(name);
    },
    tellAll(watcher: StatsWatcher, record: ScopeRecord): void {
      for (const stat of madeIn(record)) tell(watcher, record.prefix, stat);
    },
  };
}

/** An empty store. */
export function createStatsStore(): StatsRegistry {
  const watchers: StatsWatcher[] = [];
  const counters = createKind<Counter>(
    watchers,
    zero,
    (record) => record.counters,
    (watcher, scope, counter) => watcher.onCounter(scope, counter),
  );
  const gauges = createKind<Gauge>(
    watchers,
    zero,
    (record) => record.gauges,
    (watcher, scope, gauge) => watcher.onGauge(scope, gauge),
  );
  const histograms = createKind<HistogramData>(
    watchers,
    createHistogram,
    (record) => record.histograms,
    (watcher, scope, histogram) => watcher.onHistogram(scope, histogram),
  );
  const kinds = [counters, gauges, histograms];
  const root = newRecord('');
  // A scope that is asked for again (a cluster's next version) shares its statistics: only the last removal forgets them.
  const scopes = new Map<string, ScopeRecord>();

  function view(prefix: string, record: ScopeRecord): Omit<StatsStore, 'scope'> {
    return {
      counter: (name) => counters.findOrMake(prefix + name, record),
      gauge: (name) => gauges.findOrMake(prefix + name, record),
      histogram: (name) => histograms.findOrMake(prefix + name, record),
    };
  }
  function nested(prefix: string, record: ScopeRecord): StatsStore {
    return {
      ...view(prefix, record),
      scope: (inner) => ({ ...nested(`${prefix}${inner}.`, record), remove: () => undefined }),
    };
  }
  function scope(prefix: string): StatsScope {
    const record = scopes.get(prefix) ?? newRecord(prefix);
    scopes.set(prefix, record);
    record.uses++;
    let removed = false;
    return {
      ...nested(`${prefix}.`, record),
      remove() {
        if (removed) return;
        removed = true;
        if (--record.uses > 0) return;
        scopes.delete(prefix);
        for (const kind of kinds) kind.forget(record);
        for (const watcher of watchers) watcher.onRemoved(prefix);
      },
    };
  }
  return {
    ...view('', root),
    scope,
    counters: counters.all,
    gauges: gauges.all,
    histograms: histograms.all,
    watch(watcher) {
      watchers.push(watcher);
      for (const record of [root, ...scopes.values()]) for (const kind of kinds) kind.tellAll(watcher, record);
    },
  };
}
