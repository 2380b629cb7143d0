import { createHistogram, type HistogramData } from './histogram.js';
import { fullName, inOnePiece, NumberStat } from './number-stat.js';
import type { Page, Run } from './pages.js';
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
type NumberKeys<T> = Keys<T, 'counters'> | Keys<T, 'gauges'>;

/**
 * The statistics of a group in one scope. Each is made when it is first asked for, by whoever counts often; until then it is shown as the number
 * that `set` and `add` left, or as a zero.
 */
export type Statistics<T extends GroupNames> = StatsByKey<T> & {
  /** As `statistics.key.value = value`, for what is seldom touched: nothing is made for it. */
  set(key: NumberKeys<T>, value: number): void;
  /** As `statistics.key.value += by`, likewise. */
  add(key: NumberKeys<T>, by: number): void;
};

type StatsByKey<T extends GroupNames> = { readonly [K in Keys<T, 'counters'>]: Counter } & {
  readonly [K in Keys<T, 'gauges'>]: Gauge;
} & { readonly [K in Keys<T, 'histograms'>]: Histogram };

export type StatsOf<G> = G extends StatsGroup<infer T> ? Statistics<T> : never;

/** The scope that a group is in. */
export interface GroupOwner {
  /** '' at the root. */
  readonly prefix: string;
  /** For the first time. */
  onTouched(group: GroupInstance, place: number): void;
}

export interface StatsGroup<T extends GroupNames> {
  readonly names: T;
  readonly entries: readonly { readonly kind: StatKind; readonly name: string }[];
  /** Name → place in `entries`. */
  readonly places: Readonly<Record<StatKind, ReadonlyMap<string, number>>>;
  /** What code calls it → place in `entries`. */
  readonly keys: ReadonlyMap<string, number>;
  /** `held` of all groups of which nothing is. */
  readonly nothingHeld: Held;
  instantiate(owner: GroupOwner, inner: string, run: Run): GroupInstance & Statistics<T>;
}

/** By place, as in `entries`. */
type Held = readonly (Counter | HistogramData | undefined)[];

/**
 * One group in one scope. The number of a counter or gauge lies in the group's run, until somebody asks for an object to count with; from then on
 * it lies in that object alone. So counting never looks for its place, and whoever still counts after the end of the scope writes to nobody's run.
 */
export abstract class GroupInstance {
  abstract readonly template: StatsGroup<GroupNames>;
  /** What its names begin with, behind the scope's prefix. */
  readonly inner: string;
  /** undefined: nobody asked for it yet. */
  held: Held;
  readonly #owner: GroupOwner;
  #page: Page;
  #start: number;

  constructor(owner: GroupOwner, inner: string, { page, start }: Run, held: Held) {
    this.inner = inner;
    this.held = held;
    this.#owner = owner;
    this.#page = page;
    this.#start = start;
  }

  /** A copy. */
  get run(): Run {
    return { page: this.#page, start: this.#start };
  }

  /** Numbers lie there from now on; what they are is the caller's business. */
  moveTo({ page, start }: Run): void {
    this.#page = page;
    this.#start = start;
  }

  /** As code names it. */
  set(key: string, value: number): void {
    this.write(this.template.keys.get(key) as number, value);
  }

  add(key: string, by: number): void {
    const place = this.template.keys.get(key) as number;
    this.write(place, this.read(place) + by);
  }

  nameOf(place: number): string {
    const { name = '' } = this.template.entries[place] ?? {};
    return fullName(this.#owner.prefix, this.inner + name);
  }

  isTouched(place: number): boolean {
    return this.#page.touched[this.#start + place] === 1;
  }

  /** Of a counter or gauge. */
  read(place: number): number {
    const held = this.held[place] as Counter | undefined;
    return held ? held.value : (this.#page.values[this.#start + place] as number);
  }

  /** To a counter or gauge. */
  write(place: number, value: number): void {
    const held = this.held[place] as Counter | undefined;
    if (held) {
      held.value = value;
      return;
    }
    this.#page.values[this.#start + place] = value;
    this.#touch(place);
  }

  /** The object to count with, always the same. */
  hold(place: number): Counter | HistogramData {
    const known = this.held[place];
    if (known) return known;
    const { kind, name } = this.template.entries[place] as { kind: StatKind; name: string };
    const { prefix } = this.#owner;
    const rest = this.inner === '' ? name : inOnePiece(this.inner + name);
    const made =
      kind === 'histograms'
        ? createHistogram(inOnePiece(fullName(prefix, rest)))
        : new NumberStat(prefix, rest, asInteger(this.read(place)));
    this.#keep(place, made);
    this.#touch(place);
    return made;
  }

  /** What was made before by its name alone goes on. */
  adopt(place: number, stat: Counter | HistogramData): void {
    this.#keep(place, stat);
    this.#page.touched[this.#start + place] = 1;
  }

  /** As it is now and will be, for whoever looks: nothing of it is kept here. */
  view(place: number): Counter | HistogramData {
    const held = this.held[place];
    if (held) return held;
    const { kind } = this.template.entries[place] as { kind: StatKind };
    return kind === 'histograms' ? createHistogram(this.nameOf(place)) : new NumberView(this, place);
  }

  #keep(place: number, stat: Counter | HistogramData): void {
    const own = this.held === this.template.nothingHeld ? this.held.slice() : (this.held as Counter[]);
    own[place] = stat;
    this.held = own;
  }

  #touch(place: number): void {
    const { touched } = this.#page;
    const at = this.#start + place;
    if (touched[at] === 1) return;
    touched[at] = 1;
    this.#owner.onTouched(this, place);
  }
}

/** The same number. What comes from a page is a double, and an object that begins with one would be counted in doubles for ever. */
function asInteger(value: number): number {
  const integer = value | 0;
  return integer === value ? integer : value;
}

/** A counter or gauge that nobody need hold. */
class NumberView implements Counter {
  readonly #group: GroupInstance;
  readonly #place: number;

  constructor(group: GroupInstance, place: number) {
    this.#group = group;
    this.#place = place;
  }

  get name(): string {
    return this.#group.nameOf(this.#place);
  }

  get value(): number {
    return this.#group.read(this.#place);
  }

  set value(value: number) {
    this.#group.write(this.#place, value);
  }
}

/** Made once, where the program starts, and given to `StatsStore.group` for each scope. */
export function defineStats<const T extends GroupNames>(names: T): StatsGroup<T> {
  const entries: { readonly kind: StatKind; readonly name: string }[] = [];
  const places = { counters: new Map(), gauges: new Map(), histograms: new Map() };
  const keys = new Map<string, number>();
  class Group extends GroupInstance {
    get template(): StatsGroup<T> {
      return template;
    }
  }
  for (const kind of ['counters', 'gauges', 'histograms'] as const) {
    for (const [key, name] of Object.entries(names[kind] ?? {})) {
      const place = entries.length;
      entries.push({ kind, name });
      places[kind].set(name, place);
      keys.set(key, place);
      Object.defineProperty(Group.prototype, key, {
        get(this: Group) {
          return this.held[place] ?? this.hold(place);
        },
      });
    }
  }
  const nothingHeld: Held = new Array(entries.length).fill(undefined);
  const template: StatsGroup<T> = {
    names,
    entries,
    places,
    keys,
    nothingHeld,
    instantiate: (owner, inner, run) =>
      new Group(owner, inner, run, nothingHeld) as unknown as GroupInstance & Statistics<T>,
  };
  return template;
}
