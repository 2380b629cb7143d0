import type { Clock } from '../clock.js';
import type { Logger } from '../log.js';
import { createTurns, type Turns } from '../turns.js';
import type { Interest } from './interest.js';
import type { ResourceCache } from './resource-cache.js';
import type { AcceptedResource, RejectedResource, ResourceUpdate } from './resource-type.js';
import { Watch, type Watcher } from './watch.js';

/** What came of an update where it was applied. */
export interface Delivery {
  readonly refused: readonly RejectedResource[];
  /** Messages of watchers that threw: what they made of the update is not known. */
  readonly failures: readonly string[];
}

/** Many watchers, one interest: who wants what, and who gets told. */
export class WatchMap<T> {
  readonly #interest: Interest;
  readonly #cache: ResourceCache<T>;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #onTimeout: () => void;
  readonly #onWanted: (name: string | undefined) => void;
  /** Those that wait for something without a timer. */
  readonly #untimed = new Set<Watch<T>>();
  /** One or, rarely, several. */
  readonly #byName = new Map<string, Watch<T> | readonly Watch<T>[]>();
  /** Those with no name or with more than one. */
  readonly #others = new Set<Watch<T>>();
  readonly #wildcards = new Set<Watch<T>>();
  /** Grows with what is watched and waited for. */
  #watched = 0;
  /** Whom to ask whether anyone with a name must be told that nothing changed, as long as it is watched as it was. */
  #unmoved: { readonly watched: number; readonly skips: readonly (() => boolean)[] } | undefined;
  /** How many times all timers were stopped. */
  #stops = 0;
  /** A wildcard was answered: its later watchers can be served from the cache. */
  #answered = false;
  /** The control plane said something of this type at least once. */
  #heard = false;

  constructor(options: {
    interest: Interest;
    cache: ResourceCache<T>;
    clock: Clock;
    log: Logger;
    onTimeout: () => void;
    /** A name is about to be wanted that nobody wanted; undefined: all are. */
    onWanted?: (name: string | undefined) => void;
  }) {
    this.#interest = options.interest;
    this.#cache = options.cache;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#onTimeout = options.onTimeout;
    this.#onWanted = options.onWanted ?? (() => undefined);
  }

  /** Whether the control plane said what there is for a wildcard. */
  get answered(): boolean {
    return this.#answered;
  }

  /** What the cache has of it is delivered in a microtask, so that the caller has the handle by then. */
  add(names: readonly string[] | 'wildcard', watcher: Watcher<T>): Watch<T> {
    const watch = new Watch(names === 'wildcard' ? undefined : noNames, watcher);
    if (names !== 'wildcard') {
      this.update(watch, names);
      return watch;
    }
    this.#await(watch, '*');
    this.#wildcards.add(watch);
    if (!this.#interest.wildcard) this.#onWanted(undefined);
    this.#interest.setWildcard(true);
    queueMicrotask(() => this.#prime(watch));
    return watch;
  }

  /** Replaces the names of a named watch. */
  update(watch: Watch<T>, names: readonly string[]): void {
    if (watch.closed || watch.names === undefined) return;
    const [only, ...more] = names;
    const after = only !== undefined && more.length === 0 ? only : new Set(names);
    const before = watch.names;
    watch.rename(after);
    if (typeof after === 'string') this.#others.delete(watch);
    else this.#others.add(watch);
    for (const name of watch.ownNames()) if (!isAmong(before, name)) this.#watchName(watch, name);
    for (const name of typeof before === 'string' ? [before] : before)
      if (!watch.hasName(name)) this.#unwatchName(watch, name);
    queueMicrotask(() => this.#prime(watch));
  }

  remove(watch: Watch<T>): void {
    if (watch.closed) return;
    watch.closed = true;
    this.#untimed.delete(watch);
    this.#others.delete(watch);
    if (watch.wildcard) {
      watch.settle('*');
      this.#wildcards.delete(watch);
      if (this.#wildcards.size === 0) {
        this.#answered = false;
        this.#interest.setWildcard(false);
      }
    } else for (const name of watch.ownNames()) this.#unwatchName(watch, name);
  }

  /** Everything wanted has been asked for: the timers of what was not answered yet start. */
  asked(): void {
    const watches = [...this.#untimed];
    this.#untimed.clear();
    void this.#startTimers(watches, createTurns(this.#clock));
  }

  async #startTimers(watches: readonly Watch<T>[], turns: Turns): Promise<void> {
    const stops = this.#stops;
    for (const watch of watches) {
      const pause = turns();
      if (pause) await pause;
      if (stops !== this.#stops) return;
      for (const name of watch.awaited()) if (watch.isUntimed(name)) this.#startTimer(watch, name);
    }
  }

  /** Nobody can answer. Timers start over with the next stream: that a control plane was lost says nothing about what is waited for. */
  stopTimers(): void {
    if (this.#heard) this.#stopTimers();
  }

  tellFailure(): void {
    for (const watch of this.#all()) this.#contain(watch, () => watch.watcher.onConnectionFailure?.());
  }

  /** Whoever still waits for something is told that it is not to be had for now. */
  giveUp(reason: string): void {
    for (const watch of [...this.#all()]) {
      const names = watch.awaited();
      if (names.length === 0) continue;
      for (const name of names) watch.settle(name);
      this.#untimed.delete(watch);
      const problems = [{ path: '', message: reason }];
      const rejected = watch.wildcard ? [] : names.map((name) => ({ name, problems }));
      const update = { cause: 'source_failure', version: '', changed: [], unchanged: [], removed: [] } as const;
      this.#contain(watch, () => watch.watcher.onUpdate({ ...update, rejected }, createTurns(this.#clock)));
    }
  }

  close(): void {
    for (const watch of this.#all()) watch.closed = true;
    this.#stopTimers();
    this.#byName.clear();
    this.#others.clear();
    this.#wildcards.clear();
  }

  *#all(): Iterable<Watch<T>> {
    yield* this.#wildcards;
    yield* this.#others;
    for (const watches of this.#byName.values())
      for (const watch of listOf(watches)) if (typeof watch.names === 'string') yield watch;
  }

  #stopTimers(): void {
    this.#stops++;
    for (const watch of this.#all()) {
      if (!watch.awaits) continue;
      watch.stopTimers();
      if (watch.watcher.initialFetchTimeoutMs > 0) this.#untimed.add(watch);
    }
  }

  /** What a wildcard waits for is on its way, if not from the control plane: it must not be told before that nothing came. */
  settleWildcards(): void {
    for (const watch of this.#wildcards) watch.settle('*');
  }

  /** Tells every watcher its part of an update, taking turns. Resolves when all have taken it in. */
  async deliver(update: ResourceUpdate<T>, turns: Turns): Promise<Delivery> {
    if (update.cause !== 'last_known') this.#heard = true;
    if (this.#wildcards.size > 0) this.#answered = true;
    const failures: string[] = [];
    const running: Promise<readonly RejectedResource[]>[] = [];
    for (const watch of [...this.#wildcards]) {
      const pause = turns();
      if (pause) await pause;
      if (watch.closed) continue;
      const part = watch.synced ? update : this.#everything(watch, update);
      watch.settle('*');
      const applying = this.#contain(watch, () => watch.watcher.onUpdate(part, turns), failures);
      if (applying) running.push(applying);
    }
    const tell = (watch: Watch<T>, part: ResourceUpdate<T>) => {
      if (watch.awaits) for (const name of mentioned(part)) watch.settle(name);
      const applying = this.#contain(watch, () => watch.watcher.onUpdate(part, turns), failures);
      if (applying) running.push(applying);
    };
    /** Those with more than one name get all their resources at once. */
    const parts = new Map<Watch<T>, Part<T>>();
    let count = 0;
    for (const list of this.#byName.size > 0 ? lists : []) {
      if (list === 'unchanged' && update.unchanged.length >= atOnce && (await this.#allSkip(turns))) continue;
      for (const item of update[list]) {
        const pause = list !== 'unchanged' || ++count % atOnce === 0 ? turns() : undefined;
        if (pause) await pause;
        const watches = this.#byName.get(typeof item === 'string' ? item : item.name);
        for (const watch of watches === undefined ? nobody : listOf(watches)) {
          if (list === 'unchanged' && skips(watch)) continue;
          const part = parts.get(watch) ?? emptyPart(update);
          if (part[list] === none) part[list] = [item];
          else part[list].push(item);
          if (watch.only !== undefined) tell(watch, part as ResourceUpdate<T>);
          else parts.set(watch, part);
        }
      }
    }
    for (const [watch, part] of parts) {
      const pause = turns();
      if (pause) await pause;
      // It may have ended meanwhile.
      if (!watch.closed) tell(watch, part as ResourceUpdate<T>);
    }
    const refused = (await Promise.all(running)).flat();
    return { refused, failures };
  }

  /** Whether it says nothing to anyone with a name that resources came again. */
  async #allSkip(turns: Turns): Promise<boolean> {
    if (this.#unmoved?.watched !== this.#watched) {
      const watched = this.#watched;
      const skips = new Set<() => boolean>();
      let count = 0;
      for (const watches of this.#byName.values()) {
        const pause = ++count % atOnce === 0 ? turns() : undefined;
        if (pause) await pause;
        if (!(watches instanceof Watch) || typeof watches.names !== 'string' || watches.awaits) return false;
        const { skipsUnchanged } = watches.watcher;
        if (!skipsUnchanged) return false;
        skips.add(skipsUnchanged);
        if (skips.size > mostAsked) return false;
      }
      if (watched !== this.#watched) return false;
      this.#unmoved = { watched, skips: [...skips] };
    }
    return this.#unmoved.skips.every((skips) => skips());
  }

  /** A wildcard's first update has all that is held, also what came for others before. */
  #everything(watch: Watch<T>, update: ResourceUpdate<T>): ResourceUpdate<T> {
    watch.synced = true;
    return { ...update, changed: [...this.#cache.acceptedResources()], unchanged: [] };
  }

  /** Tells a new watch, or one with new names, what is known already. */
  #prime(watch: Watch<T>): void {
    if (watch.closed) return;
    const update = {
      cause: 'cache' as const,
      version: '',
      rejected: [],
      unchanged: [],
    };
    if (watch.wildcard) {
      if (!this.#answered || watch.synced) return;
      watch.settle('*');
      const all = this.#everything(watch, { ...update, changed: [], removed: [] });
      this.#tell(watch, all);
      return;
    }
    const names = watch.awaited();
    const changed = names.map((name) => this.#cache.accepted(name)).filter((resource) => resource !== undefined);
    const removed = names.filter((name) => this.#cache.isMissing(name));
    if (changed.length === 0 && removed.length === 0) return;
    for (const { name } of changed) watch.settle(name);
    for (const name of removed) watch.settle(name);
    this.#tell(watch, { ...update, changed, removed });
  }

  #expire(watch: Watch<T>, name: string): void {
    watch.settle(name);
    const { wildcard } = watch;
    if (!wildcard && !this.#cache.accepted(name) && !this.#cache.rejected(name))
      this.#cache.setMissing(name, 'timed_out', new Date(this.#clock.now()));
    this.#onTimeout();
    const update = {
      cause: 'initial_fetch_timeout' as const,
      version: '',
      changed: [],
      rejected: [],
      unchanged: [],
    };
    this.#tell(watch, { ...update, removed: wildcard ? [] : [name] });
  }

  #watchName(watch: Watch<T>, name: string): void {
    this.#watched++;
    this.#await(watch, name);
    const watches = this.#byName.get(name);
    if (watches === undefined) {
      this.#onWanted(name);
      this.#interest.add(name);
    }
    this.#byName.set(name, watches === undefined ? watch : [...listOf(watches), watch]);
  }

  #unwatchName(watch: Watch<T>, name: string): void {
    this.#watched++;
    watch.settle(name);
    const watches = this.#byName.get(name);
    const left = watches === undefined ? [] : listOf(watches).filter((each) => each !== watch);
    const [only, ...more] = left;
    if (only !== undefined) {
      this.#byName.set(name, more.length === 0 ? only : left);
      return;
    }
    this.#byName.delete(name);
    this.#interest.remove(name);
  }

  #await(watch: Watch<T>, name: string): void {
    this.#watched++;
    watch.await(name);
    if (watch.watcher.initialFetchTimeoutMs === 0) return;
    // As Envoy: where there is no control plane to be heard of, starting has to end all the same.
    if (this.#heard) this.#untimed.add(watch);
    else this.#startTimer(watch, name);
  }

  #startTimer(watch: Watch<T>, name: string): void {
    const expire = () => this.#expire(watch, name);
    watch.setTimer(name, this.#clock.setTimeout(expire, watch.watcher.initialFetchTimeoutMs));
  }

  /** Something that no response brought. */
  #tell(watch: Watch<T>, update: ResourceUpdate<T>): void {
    this.#contain(watch, () => watch.watcher.onUpdate(update, createTurns(this.#clock)));
  }

  /** A watcher's failure stays its own. */
  #contain(
    watch: Watch<T>,
    call: () => ReturnType<Watcher<T>['onUpdate']>,
    failures: string[] = [],
  ): Promise<readonly RejectedResource[]> | undefined {
    const failed = (error: unknown): readonly RejectedResource[] => {
      failures.push(error instanceof Error ? error.message : String(error));
      const names = watch.wildcard ? '*' : [...watch.ownNames()].slice(0, 8).join(', ');
      this.#log.error({ err: error, names }, 'a watcher of xDS resources failed');
      return [];
    };
    try {
      const applying = call() as Promise<readonly RejectedResource[] | undefined> | undefined;
      return applying?.then((refused) => refused ?? [], failed);
    } catch (error) {
      failed(error);
      return undefined;
    }
  }
}

const lists = ['changed', 'rejected', 'removed', 'unchanged'] as const;
type Item<T> = AcceptedResource<T> | RejectedResource | string;

/** A watcher's part of an update while it is put together. */
type Part<T> = Pick<ResourceUpdate<T>, 'cause' | 'version'> & Record<(typeof lists)[number], Item<T>[]>;

const none: never[] = [];
/** More watchers than this that answer for themselves are asked one by one. */
const mostAsked = 8;
const nobody: readonly never[] = [];
const noNames: ReadonlySet<string> = new Set();
/** So many unchanged resources are told of without looking at the clock. */
const atOnce = 64;

function listOf<T>(watches: Watch<T> | readonly Watch<T>[]): readonly Watch<T>[] {
  return watches instanceof Watch ? [watches] : watches;
}

function isAmong(names: string | ReadonlySet<string>, name: string): boolean {
  return typeof names === 'string' ? names === name : names.has(name);
}

/** Whether it says nothing to the watcher that its resource came again. */
function skips<T>(watch: Watch<T>): boolean {
  return typeof watch.names === 'string' && !watch.awaits && watch.watcher.skipsUnchanged?.() === true;
}

function emptyPart<T>({ cause, version }: ResourceUpdate<T>): Part<T> {
  return { cause, version, changed: none, rejected: none, removed: none, unchanged: none };
}

function* mentioned<T>({ changed, rejected, removed, unchanged }: ResourceUpdate<T>): Iterable<string> {
  for (const { name } of changed) yield name;
  for (const { name } of rejected) yield name;
  yield* removed;
  yield* unchanged;
}
