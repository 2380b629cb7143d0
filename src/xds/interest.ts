/**
 * What all watchers of a type together want. `revision` grows with each change, so that a subscription sees cheaply whether it has
 * something new to say.
 */
export class Interest {
  readonly names = new Set<string>();
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
    this.#revision++;
  }

  remove(name: string): void {
    if (this.names.delete(name)) this.#revision++;
  }

  setWildcard(on: boolean): void {
    if (this.#wildcard === on) return;
    this.#wildcard = on;
    this.#revision++;
  }
}
