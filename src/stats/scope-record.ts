import type { ScopeView, Stats, StatsWatcher } from './create-store.js';
import type { GroupInstance, GroupNames, GroupOwner, Statistics, StatKind, StatsGroup } from './group.js';
import { createHistogram, type HistogramData } from './histogram.js';
import { fullName, inOnePiece, NumberStat } from './number-stat.js';
import { Pages } from './pages.js';
import type { Counter } from './store.js';

type Others = { [K in StatKind]: Map<string, Stats[K]> | undefined };

const noGroups: readonly GroupInstance[] = [];
const noOthers: Readonly<Others> = { counters: undefined, gauges: undefined, histograms: undefined };

/** What all scopes of a store have in common. */
export class StoreParts {
  readonly watchers: StatsWatcher[] = [];
  /** Scopes with a histogram that was made: few of thousands of clusters are used. */
  readonly timed = new Set<ScopeRecord>();
  readonly #pages = new Map<object, Pages>();

  pagesOf(template: StatsGroup<GroupNames>): Pages {
    const pages = this.#pages.get(template) ?? new Pages(template.entries.length);
    this.#pages.set(template, pages);
    return pages;
  }
}

/** What was made in a scope, so that forgetting it costs no search. A name belongs to the scope in which it was made first. */
export class ScopeRecord implements GroupOwner, ScopeView {
  readonly prefix: string;
  uses = 0;
  groups = noGroups;
  #removed = false;
  /** Those that no group has, by their name behind the prefix. */
  #others: Readonly<Others> = noOthers;
  readonly #store: StoreParts;

  constructor(prefix: string, store: StoreParts) {
    this.prefix = inOnePiece(prefix);
    this.#store = store;
  }

  onTouched(group: GroupInstance, place: number): void {
    const { kind } = group.template.entries[place] as { kind: StatKind };
    if (kind === 'histograms' || this.#store.watchers.length > 0) this.#tellAll(kind, group.view(place));
  }

  /** In this scope, or undefined. A group's statistic is made. */
  find<K extends StatKind>(kind: K, rest: string): Stats[K] | undefined {
    for (const group of this.groups) {
      if (!rest.startsWith(group.inner)) continue;
      const place = group.template.places[kind].get(rest.slice(group.inner.length));
      if (place !== undefined) return group.hold(place) as Stats[K];
    }
    return this.#others[kind]?.get(rest);
  }

  /** Which is in no scope yet. */
  make<K extends StatKind>(kind: K, name: string): Stats[K] {
    const rest = inOnePiece(name);
    const stat = kind === 'histograms' ? createHistogram(this.#nameOf(rest)) : new NumberStat(this.prefix, rest);
    const others = this.#others[kind] ?? new Map<string, Stats[K]>();
    this.#others = { ...this.#others, [kind]: others };
    others.set(rest, stat as Stats[K]);
    this.#tellAll(kind, stat as Stats[K]);
    return stat as Stats[K];
  }

  group<T extends GroupNames>(inner: string, template: StatsGroup<T>): Statistics<T> {
    const same = (each: GroupInstance) => each.template === template && each.inner === inner;
    const known = this.groups.find(same) as (GroupInstance & Statistics<T>) | undefined;
    if (known) return known;
    const pages = this.#store.pagesOf(template);
    const group = template.instantiate(this, inOnePiece(inner), this.#removed ? pages.single() : pages.take());
    // Not pushed: an array that grows has room for many more.
    this.groups = [...this.groups, group];
    for (const [place, { kind, name }] of template.entries.entries()) {
      const made = this.#others[kind]?.get(inner + name);
      if (!made) continue;
      group.adopt(place, made);
      this.#others[kind]?.delete(inner + name);
    }
    return group;
  }

  others<K extends StatKind>(kind: K): Iterable<Stats[K]> {
    return this.#others[kind]?.values() ?? [];
  }

  *names(kind: StatKind): Iterable<string> {
    for (const { template, inner } of this.groups) {
      for (const name of template.places[kind].keys()) yield fullName(this.prefix, inner + name);
    }
    for (const name of this.#others[kind]?.keys() ?? []) yield fullName(this.prefix, name);
  }

  *stats<K extends StatKind>(kind: K, untouched: boolean): Iterable<Stats[K]> {
    for (const group of this.groups) {
      for (const place of group.template.places[kind].values()) {
        if (untouched || group.isTouched(place)) yield group.view(place) as Stats[K];
      }
    }
    yield* this.others(kind);
  }

  /** Nobody uses it any more. What is counted in it from now on is counted for nobody. */
  remove(): void {
    this.#removed = true;
    this.#store.timed.delete(this);
    for (const watcher of this.#store.watchers) watcher.onRemoved(this.prefix);
    for (const group of this.groups) {
      const pages = this.#store.pagesOf(group.template);
      const { run } = group;
      group.moveTo(pages.copy(run));
      pages.give(run);
    }
  }

  tell<K extends StatKind>(watcher: StatsWatcher, kind: K, stat: Stats[K]): void {
    if (kind === 'counters') watcher.onCounter(this.prefix, stat as Counter);
    else if (kind === 'gauges') watcher.onGauge(this.prefix, stat as Counter);
    else watcher.onHistogram(this.prefix, stat as HistogramData);
  }

  #tellAll<K extends StatKind>(kind: K, stat: Stats[K]): void {
    if (this.#removed) return;
    if (kind === 'histograms') this.#store.timed.add(this);
    for (const watcher of this.#store.watchers) this.tell(watcher, kind, stat);
  }

  #nameOf(rest: string): string {
    return inOnePiece(fullName(this.prefix, rest));
  }
}
