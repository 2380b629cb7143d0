import type { Counter, Gauge, Histogram } from './store.js';

type Names = Readonly<Record<string, string>>;

/** Names that many scopes have alike, by what code calls them: a cluster's, of which there may be thousands. */
export interface GroupNames {
  readonly counters?: Names;
  readonly gauges?: Names;
  readonly histograms?: Names;
}

export type StatKind = keyof GroupNames;

type Keys<T, K extends StatKind> = T extends Readonly<Record<K, infer N>> ? keyof N : never;

/** The statistics of a group in one scope. Each is made when it is first touched; until then it is shown as a zero. */
export type Statistics<T extends GroupNames> = { readonly [K in Keys<T, 'counters'>]: Counter } & {
  readonly [K in Keys<T, 'gauges'>]: Gauge;
} & { readonly [K in Keys<T, 'histograms'>]: Histogram };

export type StatsOf<G> = G extends StatsGroup<infer T> ? Statistics<T> : never;

/** Makes a statistic of a group, and keeps it there: `place` is that in `entries`. */
type Make = (group: GroupInstance, place: number) => Counter | Histogram;

/** One group in one scope. */
export interface GroupInstance {
  readonly template: StatsGroup<GroupNames>;
  /** The scope, for whoever made it. */
  readonly owner: object;
  /** What its names begin with, behind the scope's prefix. */
  readonly inner: string;
  /** As in `entries` of the template; undefined: not touched yet. */
  readonly made: (Counter | Histogram | undefined)[];
}

export interface StatsGroup<T extends GroupNames> {
  readonly names: T;
  readonly entries: readonly { readonly kind: StatKind; readonly name: string }[];
  /** Name → place in `entries`. */
  readonly places: Readonly<Record<StatKind, ReadonlyMap<string, number>>>;
  instantiate(owner: object, inner: string, make: Make): GroupInstance & Statistics<T>;
}

/** Made once, where the program starts, and given to `StatsStore.group` for each scope. */
export function defineStats<const T extends GroupNames>(names: T): StatsGroup<T> {
  const entries: { readonly kind: StatKind; readonly name: string }[] = [];
  const places = { counters: new Map(), gauges: new Map(), histograms: new Map() };
  class Group {
    readonly made: (Counter | Histogram | undefined)[];
    constructor(
      readonly owner: object,
      readonly inner: string,
      readonly make: Make,
    ) {
      this.made = new Array(entries.length);
    }
    get template(): StatsGroup<T> {
      return template;
    }
  }
  for (const kind of ['counters', 'gauges', 'histograms'] as const) {
    for (const [key, name] of Object.entries(names[kind] ?? {})) {
      const place = entries.length;
      entries.push({ kind, name });
      places[kind].set(name, place);
      Object.defineProperty(Group.prototype, key, {
        get(this: Group) {
          return this.made[place] ?? this.make(this, place);
        },
      });
    }
  }
  const template: StatsGroup<T> = {
    names,
    entries,
    places,
    instantiate: (owner, inner, make) => new Group(owner, inner, make) as unknown as GroupInstance & Statistics<T>,
  };
  return template;
}
