/** An object of the configuration, read field by field. Every error names the field's path, what it may be and what it is. */
export class ConfigReader {
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #path: string;

  /** @throws Error when it is no object or has a field that isn't known */
  constructor(value: unknown, path: string, known: readonly string[]) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new Error(`${path === '' ? 'the configuration' : path} must be an object, not ${JSON.stringify(value)}`);
    }
    this.#values = value as Record<string, unknown>;
    this.#path = path;
    for (const name of Object.keys(value)) {
      if (!known.includes(name)) {
        throw new Error(`${this.where(name)} is unknown; known are ${known.join(', ')}`);
      }
    }
  }

  where(name: string): string {
    return this.#path === '' ? name : `${this.#path}.${name}`;
  }

  has(name: string): boolean {
    return this.raw(name) !== undefined;
  }

  raw(name: string): unknown {
    return Object.hasOwn(this.#values, name) ? (this.#values[name] ?? undefined) : undefined;
  }

  fail(name: string, what: string): never {
    throw new Error(`${this.where(name)} must be ${what}, not ${JSON.stringify(this.raw(name))}`);
  }

  /** A text that `isValid`; undefined when the field isn't there. */
  text(name: string, what = 'a text', isValid: (text: string) => boolean = () => true): string | undefined {
    const value = this.raw(name);
    if (value === undefined) return undefined;
    return typeof value === 'string' && value !== '' && isValid(value) ? value : this.fail(name, what);
  }

  boolean(name: string, standard: boolean): boolean {
    const value = this.raw(name) ?? standard;
    return typeof value === 'boolean' ? value : this.fail(name, 'true or false');
  }

  integer(name: string, standard: number, least: number, most: number): number {
    const value = this.raw(name) ?? standard;
    if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value;
    return this.fail(name, `a whole number from ${least} to ${most}`);
  }

  choice<T extends string | boolean>(name: string, allowed: readonly [T, ...T[]]): T {
    const value = this.raw(name) ?? allowed[0];
    return (
      allowed.find((one) => one === value) ??
      this.fail(name, `one of ${allowed.map((one) => JSON.stringify(one)).join(', ')}`)
    );
  }

  list<T>(name: string, read: (item: unknown, path: string) => T): T[] {
    const value = this.raw(name) ?? [];
    if (!Array.isArray(value)) return this.fail(name, 'a list');
    return value.map((item, index) => read(item, `${this.where(name)}[${index}]`));
  }

  /** A map from names of the user's choice. */
  record<T>(name: string, read: (value: unknown, path: string, key: string) => T): Map<string, T> {
    const value = this.raw(name) ?? {};
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return this.fail(name, 'an object');
    return new Map(Object.entries(value).map(([key, item]) => [key, read(item, `${this.where(name)}.${key}`, key)]));
  }

  /** An object inside; empty when it isn't there. */
  inner(name: string, known: readonly string[]): ConfigReader {
    return new ConfigReader(this.raw(name) ?? {}, this.where(name), known);
  }
}
