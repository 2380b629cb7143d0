/** Names that one stream may subscribe to per type; more than any real client asks for. */
export const maxSubscribedNames = 100_000;

/**
 * What a client wants of one type.
 * https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#how-the-client-specifies-what-resources-to-return
 */
export class Subscription {
  /** Nothing was ever named: an empty request then means everything (the legacy wildcard). */
  #neverNamed = true;
  #wildcard = false;
  #names = new Set<string>();

  get wildcard(): boolean {
    return this.#wildcard;
  }

  get names(): ReadonlySet<string> {
    return this.#names;
  }

  get isEmpty(): boolean {
    return !this.#wildcard && this.#names.size === 0;
  }

  wants(name: string): boolean {
    return this.#wildcard || this.#names.has(name);
  }

  /**
   * State of the world: the request lists all names that are wanted.
   * @returns the names that were not asked for by name before
   */
  replace(names: readonly string[]): string[] {
    if (this.#neverNamed && names.length === 0) {
      this.#wildcard = true;
      return [];
    }
    this.#neverNamed = false;
    const previous = this.#names;
    this.#names = new Set(names.filter((name) => name !== '*'));
    this.#wildcard = names.includes('*');
    this.#checkSize();
    return [...this.#names].filter((name) => !previous.has(name));
  }

  /**
   * Delta: the request lists what is wanted more and what no longer. A legacy wildcard lasts, beside
   * names, until `*` is unsubscribed.
   */
  update(subscribe: readonly string[], unsubscribe: readonly string[]): void {
    if (this.#neverNamed && subscribe.length === 0 && unsubscribe.length === 0) this.#wildcard = true;
    if (subscribe.length > 0) this.#neverNamed = false;
    for (const name of subscribe) {
      if (name === '*') this.#wildcard = true;
      else this.#names.add(name);
    }
    for (const name of unsubscribe) {
      if (name === '*') this.#wildcard = false;
      else this.#names.delete(name);
    }
    this.#checkSize();
  }

  #checkSize(): void {
    if (this.#names.size > maxSubscribedNames) {
      throw new RangeError(`more than ${maxSubscribedNames} names are subscribed to on one stream`);
    }
  }
}
