import type { Turns } from '../turns.js';

/** So few are forgotten at once. */
const atOnce = 16;

/**
 * Names that nobody wants any more, and that the control plane was told of: what is held of them is forgotten in turns, because they may be
 * thousands. One that is wanted again meanwhile is forgotten first, so that it waits for its answer like a new one.
 */
export class Leaving {
  readonly #forget: (name: string) => void;
  readonly #turns: () => Turns;
  #names = new Set<string>();
  #busy = false;

  constructor(forget: (name: string) => void, turns: () => Turns) {
    this.#forget = forget;
    this.#turns = turns;
  }

  has(name: string): boolean {
    return this.#names.has(name);
  }

  /** Takes the set. Few are forgotten when this returns. */
  add(names: Set<string>): void {
    if (names.size <= atOnce) {
      for (const name of names) this.#forget(name);
      return;
    }
    for (const name of this.#names) names.add(name);
    this.#names = names;
    void this.#work();
  }

  /** Somebody is about to want it. */
  back(name: string): void {
    if (this.#names.delete(name)) this.#forget(name);
  }

  /** Somebody is about to want all. */
  allBack(): void {
    for (const name of this.#names) this.#forget(name);
    this.#names.clear();
  }

  async #work(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    const turns = this.#turns();
    while (this.#names.size > 0) {
      for (const name of this.#names) {
        const pause = turns();
        if (pause) await pause;
        this.back(name);
      }
    }
    this.#busy = false;
  }
}
