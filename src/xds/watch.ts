import type { Timer } from '../clock.js';
import type { Turns } from '../turns.js';
import type { RejectedResource, ResourceUpdate } from './resource-type.js';

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
  /**
   * Asked of a watcher with one name that has its resource, before it is told that it came again unchanged: true where that says nothing to it.
   * A control plane may send ten thousand again for one that changed: watchers that always give the same answer share the function, and it is
   * asked once for all.
   */
  readonly skipsUnchanged?: (() => boolean) | undefined;
}

/** Waits, with no timer that runs. */
const untimed: Timer = { cancel: () => undefined };

/**
 * One watcher's standing request. There are as many as clusters, nearly all of them for one name: those have neither a set nor a map.
 */
export class Watch<T> {
  readonly watcher: Watcher<T>;
  /** One name or several; undefined: a wildcard. */
  names: string | ReadonlySet<string> | undefined;
  /** For a wildcard: it was told what there is, and from then on what changes. */
  synced = false;
  closed = false;
  /**
   * Names (for a wildcard: `*`) that the watcher has heard nothing of, with the timer that runs while connected. A timer alone is that of the
   * only name.
   */
  #awaited: Timer | Map<string, Timer> | undefined;

  constructor(names: Watch<T>['names'], watcher: Watcher<T>) {
    this.names = names;
    this.watcher = watcher;
  }

  get wildcard(): boolean {
    return this.names === undefined;
  }

  /** The one name that it has, `*` for a wildcard; undefined: others than one. */
  get only(): string | undefined {
    return this.names === undefined ? '*' : typeof this.names === 'string' ? this.names : undefined;
  }

  *ownNames(): Iterable<string> {
    if (typeof this.names === 'string') yield this.names;
    else if (this.names !== undefined) yield* this.names;
  }

  hasName(name: string): boolean {
    return typeof this.names === 'string' ? this.names === name : this.names?.has(name) === true;
  }

  /** Replaces the names. What is waited for stays so, as far as it is still wanted. */
  rename(names: string | ReadonlySet<string>): void {
    const [before, awaited] = [this.names, this.#awaited];
    this.names = names;
    if (awaited === undefined || before === names) return;
    if (awaited instanceof Map) {
      for (const [name, timer] of awaited) {
        if (this.hasName(name)) continue;
        timer.cancel();
        awaited.delete(name);
      }
      if (typeof names === 'string') this.#awaited = awaited.get(names);
      else if (awaited.size === 0) this.#awaited = undefined;
    } else if (typeof before === 'string' && this.hasName(before)) this.#awaited = new Map([[before, awaited]]);
    else {
      awaited.cancel();
      this.#awaited = undefined;
    }
  }

  get awaits(): boolean {
    return this.#awaited !== undefined;
  }

  awaited(): readonly string[] {
    if (this.#awaited === undefined) return [];
    return this.#awaited instanceof Map ? [...this.#awaited.keys()] : [this.only as string];
  }

  await(name: string): void {
    this.#set(name, untimed);
  }

  /** Whether it is waited for without a timer. */
  isUntimed(name: string): boolean {
    return this.#timer(name) === untimed;
  }

  setTimer(name: string, timer: Timer): void {
    this.#set(name, timer);
  }

  stopTimers(): void {
    for (const name of this.awaited()) {
      this.#timer(name)?.cancel();
      this.#set(name, untimed);
    }
  }

  /** It was heard of, or is not wanted any more. */
  settle(name: string): void {
    const awaited = this.#awaited;
    if (awaited === undefined) return;
    if (awaited instanceof Map) {
      awaited.get(name)?.cancel();
      awaited.delete(name);
      if (awaited.size === 0) this.#awaited = undefined;
    } else if (name === this.only) {
      awaited.cancel();
      this.#awaited = undefined;
    }
  }

  #timer(name: string): Timer | undefined {
    return this.#awaited instanceof Map ? this.#awaited.get(name) : this.#awaited;
  }

  #set(name: string, timer: Timer): void {
    if (this.only !== undefined) this.#awaited = timer;
    else if (this.#awaited instanceof Map) this.#awaited.set(name, timer);
    else this.#awaited = new Map([[name, timer]]);
  }
}
