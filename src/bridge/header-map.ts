/**
 * HTTP headers in order, duplicates kept, names lower-case (the caller's duty). Flat pairs: few headers, and a scan beats hashing them.
 * Pseudo headers (`:path` …) are stored like any others.
 */
export class HeaderMap {
  /** name, value, name, value … */
  readonly #pairs: string[];

  constructor(pairs: string[] = []) {
    this.#pairs = pairs;
  }

  /** How many name-value pairs there are. */
  get size(): number {
    return this.#pairs.length / 2;
  }

  /** name, value, name, value …, not copied. */
  get pairs(): readonly string[] {
    return this.#pairs;
  }

  /** The first value of `name`. */
  get(name: string): string | undefined {
    const pairs = this.#pairs;
    for (let i = 0; i < pairs.length; i += 2) if (pairs[i] === name) return pairs[i + 1];
    return undefined;
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  values(name: string): string[] {
    const found: string[] = [];
    const pairs = this.#pairs;
    for (let i = 0; i < pairs.length; i += 2) if (pairs[i] === name) found.push(pairs[i + 1] as string);
    return found;
  }

  /** Replaces every value of `name` by one, at the place of the first. */
  set(name: string, value: string): void {
    const pairs = this.#pairs;
    for (let i = 0; i < pairs.length; i += 2) {
      if (pairs[i] !== name) continue;
      pairs[i + 1] = value;
      this.#deleteFrom(name, i + 2);
      return;
    }
    pairs.push(name, value);
  }

  add(name: string, value: string): void {
    this.#pairs.push(name, value);
  }

  delete(name: string): void {
    this.#deleteFrom(name, 0);
  }

  /** Removes all that have one of these names. */
  deleteAll(names: ReadonlySet<string>): void {
    const pairs = this.#pairs;
    let kept = 0;
    for (let i = 0; i < pairs.length; i += 2) {
      if (names.has(pairs[i] as string)) continue;
      pairs[kept] = pairs[i] as string;
      pairs[kept + 1] = pairs[i + 1] as string;
      kept += 2;
    }
    if (kept < pairs.length) pairs.length = kept;
  }

  /** Stops when `visit` returns false. `visit` must not change the map. */
  forEach(visit: (name: string, value: string) => unknown): void {
    const pairs = this.#pairs;
    for (let i = 0; i < pairs.length; i += 2) if (visit(pairs[i] as string, pairs[i + 1] as string) === false) return;
  }

  clone(): HeaderMap {
    return new HeaderMap(this.#pairs.slice());
  }

  #deleteFrom(name: string, start: number): void {
    const pairs = this.#pairs;
    let kept = start;
    for (let i = start; i < pairs.length; i += 2) {
      if (pairs[i] === name) continue;
      pairs[kept] = pairs[i] as string;
      pairs[kept + 1] = pairs[i + 1] as string;
      kept += 2;
    }
    // Even a length that stays the same takes its time to set.
    if (kept < pairs.length) pairs.length = kept;
  }
}
