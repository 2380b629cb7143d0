import type { Clock, Timer } from '../clock.js';
import type { Logger } from '../log.js';
import { createTurns, type Turns } from '../turns.js';
import type { Interest } from './interest.js';
import type { ResourceCache } from './resource-cache.js';
import type { AcceptedResource, RejectedResource, ResourceUpdate } from './resource-type.js';

/** Whoever uses the resources of a type. */
export interface Watcher<T> {
  /**
   * How long the first answer may take; 0 means for ever. Counted from the subscription on until the control plane said something of the
   * type, later from the request on and only while connected.
   */
  readonly initialFetchTimeoutMs: number;
  /**
   * Once per response that concerns the watcher, before it is answered; the answer waits for the promise. Requests for other
   * names are held back until it is settled (1 s at most), so that a batch leads to one request. It may resolve to those changed
   * resources that can't be taken into service for all their good looks (an address in use): they are rejected after all.
   * Whoever has much to do takes turns.
   */
  onUpdate(
    update: ResourceUpdate<T>,
    turns: Turns,
  ): void | Promise<void> | Promise<readonly RejectedResource[] | undefined>;
  /** The stream was lost or not to be had. Nothing changes for resources; for `update_failure`. */
  onConnectionFailure?(): void;
}

interface Watch<T> {
  readonly watcher: Watcher<T>;
  names: ReadonlySet<string> | 'wildcard';
  /**
   * Names (for a wildcard: `*`) that the watcher has heard nothing of, with the timer that runs while connected. None where it has heard
   * of all: there are as many watches as clusters.
   */
  pending: Map<string, Timer | undefined> | undefined;
  /** For a wildcard: it was told what there is, and from then on what changes. */
  synced: boolean;
  closed: boolean;
}

export type WatchHandle<T> = Watch<T>;

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
  readonly #watches = new Set<Watch<T>>();
  /** Those that wait for something without a timer. */
  readonly #untimed = new Set<Watch<T>>();
  readonly #byName = new Map<string, readonly Watch<T>[]>();
  readonly #wildcards = new Set<Watch<T>>();
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
  }) {
    this.#interest = options.interest;
    this.#cache = options.cache;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#onTimeout = options.onTimeout;
  }

  /** Whether the control plane said what there is for a wildcard. */
  get answered(): boolean {
    return this.#answered;
  }

  /** What the cache has of it is delivered in a microtask, so that the caller has the handle by then. */
  add(names: readonly string[] | 'wildcard', watcher: Watcher<T>): WatchHandle<T> {
    const watch: Watch<T> = {
      watcher,
      names: new Set(),
      pending: undefined,
      synced: false,
      closed: false,
    };
    this.#watches.add(watch);
    if (names === 'wildcard') {
      watch.names = 'wildcard';
      this.#await(watch, '*');
      this.#wildcards.add(watch);
      this.#interest.setWildcard(true);
      queueMicrotask(() => this.#prime(watch));
    } else this.update(watch, names);
    return watch;
  }

  /** Replaces the names of a named watch. */
  update(watch: WatchHandle<T>, names: readonly string[]): void {
    if (watch.closed || watch.names === 'wildcard') return;
    const before = watch.names;
    const after = new Set(names);
    watch.names = after;
    for (const name of after) if (!before.has(name)) this.#watchName(watch, name);
    for (const name of before) if (!after.has(name)) this.#unwatchName(watch, name);
    queueMicrotask(() => this.#prime(watch));
  }

  remove(watch: WatchHandle<T>): void {
    if (watch.closed) return;
    watch.closed = true;
    this.#watches.delete(watch);
    this.#untimed.delete(watch);
    if (watch.names === 'wildcard') {
      this.#settle(watch, '*');
      this.#wildcards.delete(watch);
      if (this.#wildcards.size === 0) {
        this.#answered = false;
        this.#interest.setWildcard(false);
      }
    } else for (const name of watch.names) this.#unwatchName(watch, name);
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
      for (const [name, timer] of watch.pending ?? []) if (!timer) this.#startTimer(watch, name);
    }
  }

  /** Nobody can answer. Timers start over with the next stream: that a control plane was lost says nothing about what is waited for. */
  stopTimers(): void {
    if (this.#heard) this.#stopTimers();
  }

  tellFailure(): void {
    for (const watch of this.#watches) this.#contain(watch, () => watch.watcher.onConnectionFailure?.());
  }

  /** Whoever still waits for something is told that it is not to be had for now. */
  giveUp(reason: string): void {
    for (const watch of [...this.#watches]) {
      const names = [...(watch.pending?.keys() ?? [])];
      if (names.length === 0) continue;
      for (const name of names) this.#settle(watch, name);
      this.#untimed.delete(watch);
      const problems = [{ path: '', message: reason }];
      const rejected = watch.names === 'wildcard' ? [] : names.map((name) => ({ name, problems }));
      const update = { cause: 'source_failure', version: '', changed: [], unchanged: [], removed: [] } as const;
      this.#contain(watch, () => watch.watcher.onUpdate({ ...update, rejected }, createTurns(this.#clock)));
    }
  }

  close(): void {
    for (const watch of this.#watches) watch.closed = true;
    this.#stopTimers();
    this.#watches.clear();
  }

  #stopTimers(): void {
    this.#stops++;
    for (const watch of this.#watches) {
      if (!watch.pending) continue;
      for (const [name, timer] of watch.pending) {
        timer?.cancel();
        watch.pending.set(name, undefined);
      }
      if (watch.watcher.initialFetchTimeoutMs > 0) this.#untimed.add(watch);
    }
  }

  /** What a wildcard waits for is on its way, if not from the control plane: it must not be told before that nothing came. */
  settleWildcards(): void {
    for (const watch of this.#wildcards) this.#settle(watch, '*');
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
      this.#settle(watch, '*');
      const applying = this.#contain(watch, () => watch.watcher.onUpdate(part, turns), failures);
      if (applying) running.push(applying);
    }
    const tell = (watch: Watch<T>, part: ResourceUpdate<T>) => {
      if (watch.pending) for (const name of mentioned(part)) this.#settle(watch, name);
      const applying = this.#contain(watch, () => watch.watcher.onUpdate(part, turns), failures);
      if (applying) running.push(applying);
    };
    /** Those with more than one name get all their resources at once. */
    const parts = new Map<Watch<T>, Part<T>>();
    for (const list of this.#byName.size > 0 ? lists : []) {
      for (const item of update[list]) {
        const pause = turns();
        if (pause) await pause;
        for (const watch of this.#byName.get(typeof item === 'string' ? item : item.name) ?? nobody) {
          const part = parts.get(watch) ?? emptyPart(update);
          if (part[list] === none) part[list] = [item];
          else part[list].push(item);
          if (watch.names !== 'wildcard' && watch.names.size === 1) tell(watch, part as ResourceUpdate<T>);
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
    if (watch.names === 'wildcard') {
      if (!this.#answered || watch.synced) return;
      this.#settle(watch, '*');
      const all = this.#everything(watch, { ...update, changed: [], removed: [] });
      this.#tell(watch, all);
      return;
    }
    const names = [...(watch.pending?.keys() ?? [])];
    const changed = names.map((name) => this.#cache.accepted(name)).filter((resource) => resource !== undefined);
    const removed = names.filter((name) => this.#cache.isMissing(name));
    if (changed.length === 0 && removed.length === 0) return;
    for (const { name } of changed) this.#settle(watch, name);
    for (const name of removed) this.#settle(watch, name);
    this.#tell(watch, { ...update, changed, removed });
  }

  #expire(watch: Watch<T>, name: string): void {
    this.#settle(watch, name);
    const wildcard = watch.names === 'wildcard';
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
    this.#await(watch, name);
    const watches = this.#byName.get(name) ?? [];
    if (watches.length === 0) this.#interest.add(name);
    this.#byName.set(name, [...watches, watch]);
  }

  #unwatchName(watch: Watch<T>, name: string): void {
    this.#settle(watch, name);
    const left = this.#byName.get(name)?.filter((each) => each !== watch) ?? [];
    if (left.length > 0) {
      this.#byName.set(name, left);
      return;
    }
    this.#byName.delete(name);
    this.#interest.remove(name);
  }

  #await(watch: Watch<T>, name: string): void {
    watch.pending ??= new Map();
    watch.pending.set(name, undefined);
    if (watch.watcher.initialFetchTimeoutMs === 0) return;
    // As Envoy: where there is no control plane to be heard of, starting has to end all the same.
    if (this.#heard) this.#untimed.add(watch);
    else this.#startTimer(watch, name);
  }

  #startTimer(watch: Watch<T>, name: string): void {
    const expire = () => this.#expire(watch, name);
    watch.pending?.set(name, this.#clock.setTimeout(expire, watch.watcher.initialFetchTimeoutMs));
  }

  #settle(watch: Watch<T>, name: string): void {
    if (!watch.pending) return;
    watch.pending.get(name)?.cancel();
    watch.pending.delete(name);
    if (watch.pending.size === 0) watch.pending = undefined;
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
      const names = watch.names === 'wildcard' ? '*' : [...watch.names].slice(0, 8).join(', ');
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
const nobody: readonly never[] = [];

function emptyPart<T>({ cause, version }: ResourceUpdate<T>): Part<T> {
  return { cause, version, changed: none, rejected: none, removed: none, unchanged: none };
}

function* mentioned<T>({ changed, rejected, removed, unchanged }: ResourceUpdate<T>): Iterable<string> {
  for (const { name } of changed) yield name;
  for (const { name } of rejected) yield name;
  yield* removed;
  yield* unchanged;
}
