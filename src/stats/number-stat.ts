import type { Counter } from './store.js';

/** A counter or a gauge that somebody holds. Its name is put together when it is asked for. */
export class NumberStat implements Counter {
  value: number;
  readonly #prefix: string;
  readonly #rest: string;

  constructor(prefix: string, rest: string, value = 0) {
    this.value = value;
    this.#prefix = prefix;
    this.#rest = rest;
  }

  get name(): string {
    return fullName(this.#prefix, this.#rest);
  }
}

/** A scope's prefix and what comes behind it. */
export const fullName = (prefix: string, rest: string): string => (prefix === '' ? rest : `${prefix}.${rest}`);

/**
 * The same text in one piece. What `+` and templates make are trees of their parts, which would be kept with all of them; `join` copies.
 */
export const inOnePiece = (text: string): string => [text.slice(0, 1), text.slice(1)].join('');
