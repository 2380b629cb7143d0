import { randomInt } from 'node:crypto';
import type { Turns } from '../turns.js';
import type { Interest } from './interest.js';
import { type Entry, leaveResponse, type ResourceCache } from './resource-cache.js';
import type { ResourceType } from './resource-type.js';
import type { RawResources, ReceivedResources } from './subscription.js';

/** Smaller responses are not worth it. */
const fewest = 64;
/** So many resources are compared without looking at the clock. */
const atOnce = 64;
/** Where more than one of so many is other than before, each is looked at. */
const perOther = 8;
/** Slots of the table that are looked at for one resource, at most: whoever picks names that fall together gains nothing. */
const mostProbes = 16;

/**
 * The last response of a type, where all that it had was accepted. State-of-the-world repeats everything for each change: what comes again
 * is recognised by its bytes where they are in the response, in whatever order: no string and no object is made of it, and nothing is written.
 */
export class LastResponse<T> {
  /** All that is in it is held under this version. */
  version: string;
  index: ByteIndex;
  /** By their places, all of them different. */
  entries: readonly Entry<T>[] = [];
  names: readonly string[] = [];
  /** One of each group that `staleCheck` knows. */
  readonly #samples = new Map<string, Entry<T>>();
  readonly #held: Held<T>;
  /** All of it was wanted then. */
  readonly #interestRevision: number;
  /** None of it was changed or deleted but by a response that repeats it. */
  whole = true;

  constructor(index: ByteIndex, version: string, held: Held<T>) {
    this.index = index;
    this.version = version;
    this.#held = held;
    this.#interestRevision = held.interest.revision;
  }

  /** Whether everything in it is still held, wanted, and what runs. */
  get holds(): boolean {
    const { cache, interest } = this.#held;
    return this.whole && cache.sound && this.#interestRevision === interest.revision;
  }

  /** Whether something of it must be judged again. */
  async isStale(type: ResourceType<T>): Promise<boolean> {
    const isStale = type.staleCheck?.();
    if (!isStale) return false;
    try {
      for (const entry of this.#samples.values()) {
        const model = modelOf(entry);
        if (model === undefined || (await isStale(model))) return true;
      }
    } catch {
      return true;
    }
    return false;
  }

  /** Takes what has become of it. `fresh`: those that are new or changed. */
  become(index: ByteIndex, entries: readonly Entry<T>[], names: readonly string[], fresh: Iterable<Entry<T>>): void {
    this.index = index;
    this.entries = entries;
    this.names = names;
    for (const entry of fresh) {
      entry.among = this;
      entry.version = undefined;
    }
  }

  /** Keeps one of each group at hand, when these entries may have become others. */
  async sample(type: ResourceType<T>, fresh: Iterable<Entry<T>>, turns: Turns): Promise<void> {
    const groupOf = (entry: Entry<T>): string | undefined => {
      const model = entry.among === this ? modelOf(entry) : undefined;
      return model === undefined ? undefined : type.staleGroup?.(model);
    };
    for (const [group, entry] of this.#samples) {
      if (groupOf(entry) === group) continue;
      const other = this.entries.find((each) => groupOf(each) === group);
      if (other) this.#samples.set(group, other);
      else this.#samples.delete(group);
    }
    for (const entry of fresh) {
      const pause = turns();
      if (pause) await pause;
      const group = groupOf(entry);
      if (group !== undefined && !this.#samples.has(group)) this.#samples.set(group, entry);
    }
  }

  /** Nothing will be compared with it any more. What is in it may still have its version. */
  release(): void {
    this.index = new ByteIndex(nothing, 0);
    this.entries = [];
    this.names = [];
    this.#samples.clear();
    this.whole = false;
  }
}

interface Held<T> {
  readonly cache: ResourceCache<T>;
  readonly interest: Interest;
}

const nothing: RawResources = { bytes: Buffer.alloc(0), length: 0, start: () => 0, end: () => 0 };

function modelOf<T>({ accepted }: Entry<T>): T | undefined {
  return accepted === undefined || accepted.verdict.kind === 'rejected' ? undefined : accepted.verdict.model;
}

/** What a response repeats of the last one. */
export class Repetition<T> {
  readonly last: LastResponse<T>;
  /** Places of the resources that are none of it. */
  readonly others: readonly number[];
  /** Where it has what. */
  readonly index: ByteIndex;
  /** By the place in the last response. */
  readonly #repeated: Uint8Array;

  constructor(last: LastResponse<T>, others: readonly number[], index: ByteIndex, repeated: Uint8Array) {
    this.last = last;
    this.others = others;
    this.index = index;
    this.#repeated = repeated;
  }

  has(entry: Entry<T> | undefined): boolean {
    return entry !== undefined && entry.among === this.last && this.#repeated[entry.place] === 1;
  }

  /** What the last response had besides. */
  *rest(): Iterable<Entry<T>> {
    for (const place of this.restPlaces()) yield this.last.entries[place] as Entry<T>;
  }

  *restPlaces(): Iterable<number> {
    for (let place = this.#repeated.indexOf(0); place >= 0; place = this.#repeated.indexOf(0, place + 1)) yield place;
  }

  get names(): readonly string[] {
    return this.#without(this.last.names);
  }

  get entries(): readonly Entry<T>[] {
    return this.#without(this.last.entries);
  }

  #without<V>(values: readonly V[]): readonly V[] {
    const left = values.slice();
    let moved = values.length;
    for (const place of [...this.restPlaces()].reverse()) left[place] = left[--moved] as V;
    left.length = moved;
    return left;
  }

  /** All that is repeated has that version from now on. */
  confirm(version: string): void {
    for (const entry of this.rest()) leaveResponse(entry);
    this.last.version = version;
  }
}

/** Where each resource is in the bytes of a response, to be found by what it seems to be named. */
class ByteIndex {
  readonly bytes: Buffer;
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  readonly hashes: Int32Array;
  /** Places plus 1, by hashes. */
  readonly #table: Int32Array;

  constructor({ bytes }: Pick<RawResources, 'bytes'>, size: number, like?: ByteIndex) {
    this.bytes = bytes;
    this.starts = new Int32Array(size);
    this.ends = new Int32Array(size);
    this.hashes = like?.hashes ?? new Int32Array(size);
    this.#table = like ? like.#table : new Int32Array(2 ** Math.ceil(Math.log2(2 * size + 2)));
  }

  /** It has the place already, in the response before. */
  move(place: number, start: number, end: number): void {
    this.starts[place] = start;
    this.ends[place] = end;
  }

  put(place: number, start: number, end: number): void {
    const mask = this.#table.length - 1;
    const hash = hashOf(this.bytes, start, end);
    this.move(place, start, end);
    this.hashes[place] = hash;
    for (let probe = 0; probe < mostProbes; probe++) {
      const slot = (hash + probe) & mask;
      if (this.#table[slot] !== 0) continue;
      this.#table[slot] = place + 1;
      return;
    }
  }

  /** The place of the resource with the same bytes; -1: there is none, or none was found. */
  find(bytes: Buffer, start: number, end: number): number {
    const hash = hashOf(bytes, start, end);
    const mask = this.#table.length - 1;
    for (let probe = 0; probe < mostProbes; probe++) {
      const place = (this.#table[(hash + probe) & mask] as number) - 1;
      if (place < 0) return -1;
      if (this.hashes[place] !== hash) continue;
      const [oldStart, oldEnd] = [this.starts[place] as number, this.ends[place] as number];
      if (oldEnd - oldStart !== end - start) continue;
      if (bytes.compare(this.bytes, oldStart, oldEnd, start, end) === 0) return place;
    }
    return -1;
  }
}

/** Of the bytes where an Any of a type with a name in field 1 has the name, if it is one. The same bytes have the same. */
function hashOf(bytes: Buffer, start: number, end: number): number {
  let pos = start + 3 + (bytes[start + 1] as number);
  while (pos < end && (bytes[pos] as number) > 127) pos++;
  const stop = Math.min(pos + 3 + (pos + 2 < end ? (bytes[pos + 2] as number) : 0), end);
  let hash = seed;
  for (pos += 3; pos < stop; pos++) hash = Math.imul(hash ^ (bytes[pos] as number), 0x01000193);
  return hash ^ (hash >>> 15);
}

const seed = randomInt(2 ** 32) | 1;

/** undefined: it repeats too little, or says something twice. */
export async function findRepetition<T>(
  last: LastResponse<T> | undefined,
  resources: ReceivedResources,
  turns: Turns,
): Promise<Repetition<T> | undefined> {
  const { raw } = resources;
  if (!last?.holds || !raw || raw.length < fewest) return undefined;
  const { bytes, length } = raw;
  const others: number[] = [];
  const repeated = new Uint8Array(last.entries.length);
  const index = new ByteIndex(raw, last.entries.length, last.index);
  for (let i = 0; i < length; i++) {
    const pause = i % atOnce === 0 ? turns() : undefined;
    if (pause) await pause;
    const [start, end] = [raw.start(i), raw.end(i)];
    const place = last.index.find(bytes, start, end);
    if (place < 0) others.push(i);
    else if (repeated[place] === 1) return undefined;
    else {
      repeated[place] = 1;
      index.move(place, start, end);
    }
    if (others.length * perOther > length) return undefined;
  }
  return last.holds ? new Repetition(last, others, index, repeated) : undefined;
}

/**
 * Remembers a response that was handled; undefined where something in it is not what is held now.
 *
 * @param repetition what it repeated of the one before it, which becomes this one
 */
export async function rememberResponse<T>(
  type: ResourceType<T>,
  resources: ReceivedResources,
  version: string,
  held: Held<T>,
  repetition: Repetition<T> | undefined,
  turns: Turns,
): Promise<LastResponse<T> | undefined> {
  const { raw } = resources;
  const { cache, interest } = held;
  if (!raw || raw.length < fewest || (type.staleCheck && !type.staleGroup)) return undefined;
  const last = repetition?.last ?? new LastResponse<T>(new ByteIndex(raw, 0), version, held);
  /** By their places in the response. */
  const fresh = new Map<number, Entry<T>>();
  const seen = new Set<Entry<T>>();
  const entryOf = (name: string) => cache.entry(name);
  const count = repetition ? repetition.others.length : raw.length;
  for (let i = 0; i < count; i++) {
    const pause = i % atOnce === 0 ? turns() : undefined;
    if (pause) await pause;
    const index = repetition ? (repetition.others[i] as number) : i;
    const entry = resources.repeats?.(index, type.typeUrl, entryOf);
    if (!entry?.accepted || seen.has(entry) || repetition?.has(entry)) return undefined;
    if (!interest.has(entry.accepted.name)) return undefined;
    seen.add(entry);
    fresh.set(index, entry);
  }
  const placed =
    repetition && onlyChanged(repetition, seen) ? undefined : await placeAll(raw, repetition, fresh, turns);
  // Something may have become of it while others had their turn.
  for (const { accepted } of seen) if (!accepted) return undefined;
  if (!last.holds) return undefined;
  if (placed) {
    for (const [place, entry] of placed.entries.entries()) entry.place = place;
    last.become(placed.index, placed.entries, placed.names, seen);
  } else if (repetition) {
    const { index } = repetition;
    for (const [at, { place }] of fresh) index.move(place, raw.start(at), raw.end(at));
    last.become(index, last.entries, last.names, seen);
  }
  await last.sample(type, seen, turns);
  return last;
}

/** Whether the others are just what is not repeated of the last response. */
function onlyChanged<T>(repetition: Repetition<T>, others: ReadonlySet<Entry<T>>): boolean {
  let count = 0;
  for (const entry of repetition.rest()) {
    count++;
    if (!others.has(entry)) return false;
  }
  return count === others.size;
}

/** A new place for each. */
async function placeAll<T>(
  raw: RawResources,
  repetition: Repetition<T> | undefined,
  fresh: ReadonlyMap<number, Entry<T>>,
  turns: Turns,
): Promise<Pick<LastResponse<T>, 'index' | 'entries' | 'names'>> {
  const entries = [...(repetition?.entries ?? [])];
  const size = entries.length + fresh.size;
  const index = new ByteIndex(raw, size);
  const names: string[] = [];
  for (const [place, { accepted, place: before }] of entries.entries()) {
    const pause = place % atOnce === 0 ? turns() : undefined;
    if (pause) await pause;
    names.push(accepted?.name ?? '');
    const { starts, ends } = (repetition as Repetition<T>).index;
    index.put(place, starts[before] as number, ends[before] as number);
  }
  for (const [at, entry] of fresh) {
    const pause = names.length % atOnce === 0 ? turns() : undefined;
    if (pause) await pause;
    index.put(names.length, raw.start(at), raw.end(at));
    names.push(entry.accepted?.name ?? '');
    entries.push(entry);
  }
  return { index, entries, names };
}
