export interface InterestListener {
  added(name: string): void;
  removed(name: string): void;
}

/**
 * What all watchers of a type together want. `revision` grows with each change, so that a subscription sees cheaply whether it has
 * something new to say.
 */
export class Interest {
  readonly names = new Set<string>();
  /** Names that were wanted and are not any more, since they were last taken. */
  #dropped = new Set<string>();
  #wildcardDropped = false;
  /** Who keeps what is still to be said of names. */
  #listener: InterestListener | undefined;
  #wildcard = false;
  #revision = 0;

  get wildcard(): boolean {
    return this.#wildcard;
  }

  get revision(): number {
    return this.#revision;
  }

  get empty(): boolean {
    return !this.#wildcard && this.names.size === 0;
  }

  /** Whether a resource of that name is wanted. */
  has(name: string): boolean {
    return this.#wildcard || this.names.has(name);
  }

  add(name: string): void {
    if (this.names.has(name)) return;
    this.names.add(name);
    this.#dropped.delete(name);
    this.#listener?.added(name);
    this.#revision++;
  }

  remove(name: string): void {
    if (!this.names.delete(name)) return;
    this.#dropped.add(name);
    this.#listener?.removed(name);
    this.#revision++;
  }

  /** There is one at most: the subscription of the names' type. */
  listen(listener: InterestListener): void {
    this.#listener = listener;
  }

  /** Takes the names that nobody wants any more, of `held` those that only a wildcard wanted. */
  takeDropped(held: () => Iterable<string>): Set<string> {
    const dropped = this.#dropped;
    this.#dropped = new Set();
    if (this.#wildcard) return new Set();
    if (this.#wildcardDropped) for (const name of held()) if (!this.names.has(name)) dropped.add(name);
    this.#wildcardDropped = false;
    return dropped;
  }

  setWildcard(on: boolean): void {
    if (this.#wildcard === on) return;
    this.#wildcard = on;
    this.#wildcardDropped = !on;
    this.#revision++;
  }
}
