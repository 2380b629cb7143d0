/**
 * HTTP headers in order, duplicates kept, names lower-case (the caller's duty). Flat pairs: few headers, and a scan beats hashing them.
 * Pseudo headers (`:path` …) are stored like any others.
 */
export class HeaderMap {
  /** name, value, name, value …, and room behind them: to shorten an array is dear, and so is to lengthen it. */
  readonly #pairs: string[];
  /** Where the room begins. */
  #end: number;

  /**
   * @param pairs name, value, name, value …; the map's own from now on
   * @param end only so many of them are taken, the rest is room
   */
  constructor(pairs: string[] = [], end = pairs.length) {
    this.#pairs = pairs;
    this.#end = end;
  }

  /** How many name-value pairs there are. */
  get size(): number {
    return this.#end / 2;
  }

  /** name, value, name, value …, copied. */
  get pairs(): readonly string[] {
    return this.#pairs.slice(0, this.#end);
  }

  /** The name of a pair. @param index below `size` */
  nameAt(index: number): string {
    return this.#pairs[2 * index] as string;
  }

  /** The value of a pair. @param index below `size` */
  valueAt(index: number): string {
    return this.#pairs[2 * index + 1] as string;
  }

  /** The first value of `name`. */
  get(name: string): string | undefined {
    const pairs = this.#pairs;
    const end = this.#end;
    for (let i = 0; i < end; i += 2) if (pairs[i] === name) return pairs[i + 1];
    return undefined;
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  values(name: string): string[] {
    const found: string[] = [];
    const pairs = this.#pairs;
    const end = this.#end;
    for (let i = 0; i < end; i += 2) if (pairs[i] === name) found.push(pairs[i + 1] as string);
    return found;
  }

  /** Replaces every value of `name` by one, at the place of the first. */
  set(name: string, value: string): void {
    const pairs = this.#pairs;
    const end = this.#end;
    for (let i = 0; i < end; i += 2) {
      if (pairs[i] !== name) continue;
      pairs[i + 1] = value;
      this.#deleteFrom(name, i + 2);
      return;
    }
    this.add(name, value);
  }

  /** As `set`, but at the first place of all. */
  setFirst(name: string, value: string): void {
    this.#deleteFrom(name, 0);
    this.add(name, value);
    const pairs = this.#pairs;
    for (let i = this.#end - 1; i >= 2; i--) pairs[i] = pairs[i - 2] as string;
    pairs[0] = name;
    pairs[1] = value;
  }

  add(name: string, value: string): void {
    const pairs = this.#pairs;
    const end = this.#end;
    // Up to the array's length there is room; there it grows by more than is asked for.
    if (end < pairs.length) {
      pairs[end] = name;
      pairs[end + 1] = value;
    } else pairs.push(name, value);
    this.#end = end + 2;
  }

  delete(name: string): void {
    this.#deleteFrom(name, 0);
  }

  /** Removes all that have one of these names. */
  deleteAll(names: ReadonlySet<string>): void {
    const pairs = this.#pairs;
    const end = this.#end;
    let kept = 0;
    for (let i = 0; i < end; i += 2) {
      if (names.has(pairs[i] as string)) continue;
      if (kept < i) {
        pairs[kept] = pairs[i] as string;
        pairs[kept + 1] = pairs[i + 1] as string;
      }
      kept += 2;
    }
    this.#end = kept;
  }

  /** Stops when `visit` returns false. `visit` must not change the map. */
  forEach(visit: (name: string, value: string) => unknown): void {
    const pairs = this.#pairs;
    const end = this.#end;
    for (let i = 0; i < end; i += 2) if (visit(pairs[i] as string, pairs[i + 1] as string) === false) return;
  }

  /** With as much room behind the pairs. */
  clone(): HeaderMap {
    return new HeaderMap(this.#pairs.slice(), this.#end);
  }

  #deleteFrom(name: string, start: number): void {
    const pairs = this.#pairs;
    const end = this.#end;
    let kept = start;
    for (let i = start; i < end; i += 2) {
      if (pairs[i] === name) continue;
      if (kept < i) {
        pairs[kept] = pairs[i] as string;
        pairs[kept + 1] = pairs[i + 1] as string;
      }
      kept += 2;
    }
    this.#end = kept;
  }
}
