import type { GroupInstance, GroupNames, Statistics, StatKind, StatsGroup } from './group.js';
import { createHistogram, type HistogramData } from './histogram.js';
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

/** What was made in a scope, so that forgetting it costs no search. A name belongs to the scope in which it was made first. */
interface ScopeRecord {
  /** '' at the root. */
  readonly prefix: string;
  uses: number;
  removed: boolean;
  readonly groups: GroupInstance[];
  /** Those that no group has, by their name behind the prefix. */
  readonly others: { [K in StatKind]: Map<string, Stats[K]> | undefined };
}

function newRecord(prefix: string): ScopeRecord {
  return {
    prefix,
    uses: 0,
    removed: false,
    groups: [],
    others: { counters: undefined, gauges: undefined, histograms: undefined },
  };
}

const kinds = ['counters', 'gauges', 'histograms'] as const;

/** A counter or a gauge. Its name is put together when it is asked for: there are hundreds of thousands. */
class NumberStat implements Counter {
  value = 0;
  readonly #prefix: string;
  readonly #rest: string;

  constructor(prefix: string, rest: string) {
    this.#prefix = prefix;
    this.#rest = rest;
  }

  get name(): string {
    return fullName(this.#prefix, this.#rest);
  }
}

const fullName = (prefix: string, rest: string) => (prefix === '' ? rest : `${prefix}.${rest}`);

function newStat<K extends StatKind>(kind: K, prefix: string, rest: string): Stats[K] {
  const made = kind === 'histograms' ? createHistogram(fullName(prefix, rest)) : new NumberStat(prefix, rest);
  return made as Stats[K];
}

/** An empty store. */
export function createStatsStore(): StatsRegistry {
  const watchers: StatsWatcher[] = [];
  const root = newRecord('');
  // A scope that is asked for again (a cluster's next version) shares its statistics: only the last removal forgets them.
  const scopes = new Map<string, ScopeRecord>();

  function* records(): Iterable<ScopeRecord> {
    yield root;
    yield* scopes.values();
  }

  /** Scopes with a histogram that was made: few of thousands of clusters are used. */
  const timed = new Set<ScopeRecord>();

  function tell<K extends StatKind>(watcher: StatsWatcher, kind: K, { prefix }: ScopeRecord, stat: Stats[K]): void {
    if (kind === 'counters') watcher.onCounter(prefix, stat as Counter);
    else if (kind === 'gauges') watcher.onGauge(prefix, stat as Gauge);
    else watcher.onHistogram(prefix, stat as HistogramData);
  }

  function makeInGroup(group: GroupInstance, place: number): Counter | HistogramData {
    const record = group.owner as ScopeRecord;
    const { kind, name } = group.template.entries[place] as { kind: StatKind; name: string };
    const made = newStat(kind, record.prefix, group.inner + name);
    group.made[place] = made;
    if (kind === 'histograms' && !record.removed) timed.add(record);
    // Whoever still counts in a scope that is forgotten counts for nobody.
    if (!record.removed) for (const watcher of watchers) tell(watcher, kind, record, made);
    return made;
  }

  /** In this scope, or undefined. A group's statistic is made. */
  function findIn<K extends StatKind>(record: ScopeRecord, kind: K, rest: string): Stats[K] | undefined {
    for (const group of record.groups) {
      if (!rest.startsWith(group.inner)) continue;
      const place = group.template.places[kind].get(rest.slice(group.inner.length));
      if (place !== undefined) return (group.made[place] ?? makeInGroup(group, place)) as Stats[K];
    }
    return record.others[kind]?.get(rest);
  }

  /** In any scope: a name may be asked for at the root, or in a scope of another prefix. */
  function find<K extends StatKind>(kind: K, name: string): Stats[K] | undefined {
    for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
      const record = scopes.get(name.slice(0, dot));
      const found = record && findIn(record, kind, name.slice(dot + 1));
      if (found) return found;
    }
    return findIn(root, kind, name);
  }

  function findOrMake<K extends StatKind>(record: ScopeRecord, kind: K, rest: string): Stats[K] {
    const found = findIn(record, kind, rest) ?? find(kind, fullName(record.prefix, rest));
    if (found) return found;
    const made = newStat(kind, record.prefix, rest);
    const others = record.others[kind] ?? new Map<string, Stats[K]>();
    (record.others as Record<StatKind, Map<string, Stats[K]>>)[kind] = others;
    others.set(rest, made);
    if (kind === 'histograms' && !record.removed) timed.add(record);
    if (!record.removed) for (const watcher of watchers) tell(watcher, kind, record, made);
    return made;
  }

  function groupIn<T extends GroupNames>(record: ScopeRecord, inner: string, template: StatsGroup<T>): Statistics<T> {
    const same = (each: GroupInstance) => each.template === template && each.inner === inner;
    const known = record.groups.find(same) as (GroupInstance & Statistics<T>) | undefined;
    if (known) return known;
    const group = template.instantiate(record, inner, makeInGroup);
    record.groups.push(group);
    // What was made before by name alone goes on.
    for (const [place, { kind, name }] of template.entries.entries()) {
      const made = record.others[kind]?.get(inner + name);
      if (!made) continue;
      group.made[place] = made;
      record.others[kind]?.delete(inner + name);
    }
    return group;
  }

  function* namesIn(record: ScopeRecord, kind: StatKind): Iterable<string> {
    for (const { template, inner } of record.groups) {
      for (const name of template.places[kind].keys()) yield fullName(record.prefix, inner + name);
    }
    for (const name of record.others[kind]?.keys() ?? []) yield fullName(record.prefix, name);
  }

  function* statsIn<K extends StatKind>(record: ScopeRecord, kind: K, untouched: boolean): Iterable<Stats[K]> {
    for (const { template, inner, made } of record.groups) {
      for (const [name, place] of template.places[kind]) {
        const stat = made[place] ?? (untouched ? newStat(kind, record.prefix, inner + name) : undefined);
        if (stat) yield stat as Stats[K];
      }
    }
    yield* record.others[kind]?.values() ?? [];
  }

  function viewOf<K extends StatKind>(kind: K): StatsView<Stats[K]> {
    return {
      get: (name) => find(kind, name),
      has: (name) => find(kind, name) !== undefined,
      *keys() {
        for (const record of records()) yield* namesIn(record, kind);
      },
      *values() {
        for (const record of records()) yield* statsIn(record, kind, true);
      },
      *touched() {
        for (const record of kind === 'histograms' ? timed : records()) yield* statsIn(record, kind, false);
      },
      get size() {
        return [...this.keys()].length;
      },
    };
  }

  const viewOfScope = (record: ScopeRecord): ScopeView => ({
    prefix: record.prefix,
    groups: record.groups,
    others: (kind) => record.others[kind]?.values() ?? [],
    stats: (kind, untouched) => statsIn(record, kind, untouched),
  });

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
      return groupIn(this.#record, this.#inner, template);
    }

    scope(name: string): StatsScope {
      return new Scope(this.#record, `${this.#inner}${name}.`, false);
    }

    remove(): void {
      if (!this.#removable) return;
      this.#removable = false;
      const record = this.#record;
      if (--record.uses > 0) return;
      record.removed = true;
      scopes.delete(record.prefix);
      timed.delete(record);
      for (const watcher of watchers) watcher.onRemoved(record.prefix);
    }
  }

  function scope(prefix: string): StatsScope {
    const record = scopes.get(prefix) ?? newRecord(prefix);
    scopes.set(prefix, record);
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
    *scopes() {
      for (const record of records()) yield viewOfScope(record);
    },
    watch(watcher) {
      watchers.push(watcher);
      for (const record of records()) {
        for (const kind of kinds) for (const stat of statsIn(record, kind, false)) tell(watcher, kind, record, stat);
      }
    },
  };
}
