/** Values that come one after another, and those who wait for them. */
export class Inbox<T extends object> {
  readonly #what: string;
  readonly #items: T[] = [];
  readonly #waiting: ((item: T) => void)[] = [];

  /** @param what for the message when nothing comes: `no WHAT within 5000 ms` */
  constructor(what: string) {
    this.#what = what;
  }

  /** Values that nobody asked for yet. */
  get length(): number {
    return this.#items.length;
  }

  push(item: T): void {
    const waiting = this.#waiting.shift();
    if (waiting) waiting(item);
    else this.#items.push(item);
  }

  async next(waitMs = 5_000): Promise<T> {
    const item = this.#items.shift();
    if (item) return item;
    return await new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(take), 1);
        reject(new Error(`no ${this.#what} within ${waitMs} ms`));
      }, waitMs);
      const take = (next: T) => {
        clearTimeout(timer);
        resolve(next);
      };
      this.#waiting.push(take);
    });
  }

  /** The next value of which the condition holds; others are kept. */
  async find(condition: (item: T) => boolean): Promise<T> {
    const others: T[] = [];
    for (;;) {
      const item = await this.next();
      if (condition(item)) {
        this.#items.unshift(...others);
        return item;
      }
      others.push(item);
    }
  }
}
