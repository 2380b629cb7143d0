interface Entry<T> {
  readonly item: T;
  readonly index: number;
  readonly weight: number;
  picks: number;
  deadline: number;
}

/**
 * Weighted round robin by earliest deadline first, as Envoy's EdfScheduler: an item's k-th pick is due at k/weight. What is due at the
 * same time goes by index, so that the n-th pick depends on nothing but n and the weights, and a rebuilt scheduler goes on exactly.
 */
export class EdfScheduler<T> {
  /** A binary heap, the earliest deadline first. */
  readonly #heap: Entry<T>[];

  /** Starts as if `picks` picks had been made already, in O(n log n). Weights are at least 1. */
  constructor(items: readonly T[], weightOf: (item: T) => number, picks: number) {
    const sum = items.reduce((total, item) => total + weightOf(item), 0);
    let made = 0;
    this.#heap = items.map((item, index) => {
      const weight = weightOf(item);
      // The n-th pick is due at n/sum or later: what is due before that was made. At most one per item is left.
      const share = Math.max(0, Math.ceil((picks * weight) / sum) - 1);
      made += share;
      return { item, index, weight, picks: share, deadline: (share + 1) / weight };
    });
    for (let index = (this.#heap.length >> 1) - 1; index >= 0; index--) this.#sink(index);
    for (; made < picks && this.#heap.length > 0; made++) this.pick();
  }

  /** Undefined only when there are no items. */
  pick(): T | undefined {
    const top = this.#heap[0];
    if (!top) return undefined;
    top.picks++;
    top.deadline = (top.picks + 1) / top.weight;
    this.#sink(0);
    return top.item;
  }

  #sink(from: number): void {
    const heap = this.#heap;
    let index = from;
    for (;;) {
      let first = index;
      for (const child of [2 * index + 1, 2 * index + 2]) {
        if (child < heap.length && before(heap[child] as Entry<T>, heap[first] as Entry<T>)) first = child;
      }
      if (first === index) return;
      [heap[index], heap[first]] = [heap[first] as Entry<T>, heap[index] as Entry<T>];
      index = first;
    }
  }
}

function before(a: Entry<unknown>, b: Entry<unknown>): boolean {
  return a.deadline < b.deadline || (a.deadline === b.deadline && a.index < b.index);
}
