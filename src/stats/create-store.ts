import { createHistogram, type HistogramData } from './histogram.js';
import type { Counter, Gauge, StatsScope, StatsStore } from './store.js';

/** The whole process's statistics, for whoever shows them. Maps are live and in no order. */
export interface StatsRegistry extends StatsStore {
  readonly counters: ReadonlyMap<string, Counter>;
  readonly gauges: ReadonlyMap<string, Gauge>;
  readonly histograms: ReadonlyMap<string, HistogramData>;
}

/** The names that were made in a scope, so that forgetting them costs no search. */
interface ScopeRecord {
  uses: number;
  readonly counters: string[];
  readonly gauges: string[];
  readonly histograms: string[];
}

function findOrMake<T>(map: Map<string, T>, name: string, make: (name: string) => T, made: string[] | undefined): T {
  let found = map.get(name);
  if (found === undefined) {
    found = make(name);
    map.set(name, found);
    made?.push(name);
  }
  return found;
}

const zero = (name: string) => ({ name, value: 0 });

/** An empty store. */
export function createStatsStore(): StatsRegistry {
  const counters = new Map<string, Counter>();
  const gauges = new Map<string, Gauge>();
  const histograms = new Map<string, HistogramData>();
  // A scope that is asked for again (a cluster's next version) shares its statistics: only the last removal forgets them.
  const scopes = new Map<string, ScopeRecord>();

  function view(prefix: string, record: ScopeRecord | undefined): Omit<StatsStore, 'scope'> {
    return {
      counter: (name) => findOrMake(counters, prefix + name, zero, record?.counters),
      gauge: (name) => findOrMake(gauges, prefix + name, zero, record?.gauges),
      histogram: (name) => findOrMake(histograms, prefix + name, createHistogram, record?.histograms),
    };
  }
  function nested(prefix: string, record: ScopeRecord): StatsStore {
    return {
      ...view(prefix, record),
      scope: (inner) => ({ ...nested(`${prefix}${inner}.`, record), remove: () => undefined }),
    };
  }
  function scope(prefix: string): StatsScope {
    const record = scopes.get(prefix) ?? { uses: 0, counters: [], gauges: [], histograms: [] };
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
        for (const name of record.counters) counters.delete(name);
        for (const name of record.gauges) gauges.delete(name);
        for (const name of record.histograms) histograms.delete(name);
      },
    };
  }
  return { ...view('', undefined), scope, counters, gauges, histograms };
}
