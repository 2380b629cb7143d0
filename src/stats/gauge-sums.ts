import type { Gauge } from './store.js';

/** One worker's part of a gauge. */
export interface GaugeShare {
  set(value: number): void;
  /** The worker ended, or has forgotten the gauge. */
  end(): void;
}

export interface GaugeSums {
  share(gauge: Gauge): GaugeShare;
  /** After changes: writes what this process may have written over. */
  show(): void;
}

type Merge = (a: number, b: number) => number;

const sum: Merge = (a, b) => a + b;

/** The worker's value is part of a gauge that goes up and down by what begins and ends: what this process counts itself goes on beside it. */
class AddedShare implements GaugeShare {
  readonly #gauge: Gauge;
  #added = 0;

  constructor(gauge: Gauge) {
    this.#gauge = gauge;
  }

  set(value: number): void {
    this.#gauge.value += value - this.#added;
    this.#added = value;
  }

  end(): void {
    this.set(0);
  }
}

/** A gauge that this process sets, too, and whose value is only the workers'. With thousands of clusters there are tens of thousands. */
class Replaced {
  readonly gauge: Gauge;
  readonly #merge: Merge;
  #shares: readonly ReplacedShare[] = [];
  /** What the workers' values make. */
  value = 0;

  constructor(gauge: Gauge, merge: Merge) {
    this.gauge = gauge;
    this.#merge = merge;
  }

  get isEmpty(): boolean {
    return this.#shares.length === 0;
  }

  add(share: ReplacedShare): void {
    this.#shares = [...this.#shares, share];
    this.update();
  }

  remove(share: ReplacedShare): void {
    this.#shares = this.#shares.filter((each) => each !== share);
    this.update();
  }

  update(): void {
    let value = 0;
    for (const share of this.#shares) value = this.#merge(value, share.value);
    this.value = value;
  }
}

class ReplacedShare implements GaugeShare {
  value = 0;
  readonly #entry: Replaced;
  readonly #entries: Map<Gauge, Replaced>;

  constructor(entry: Replaced, entries: Map<Gauge, Replaced>) {
    this.#entry = entry;
    this.#entries = entries;
    entry.add(this);
  }

  set(value: number): void {
    this.value = value;
    this.#entry.update();
  }

  end(): void {
    const entry = this.#entry;
    entry.remove(this);
    if (!entry.isEmpty) return;
    this.#entries.delete(entry.gauge);
    entry.gauge.value = 0;
  }
}

/**
 * How gauges of several workers become one, by name:
 * - `…_open` are flags: 1 where it is 1 for a worker (the maximum).
 * - Other `….circuit_breakers.…` (`remaining_…`) are sums: each worker has its part of the limits.
 * - All others count what is in progress or held: sums, to which what this process counts itself is added.
 *
 * Those of the first two are set, not counted, and by this process's cluster manager, too, though it serves nothing: its value is replaced.
 */
export function createGaugeSums(): GaugeSums {
  const replaced = new Map<Gauge, Replaced>();

  function replacedShare(gauge: Gauge, merge: Merge): GaugeShare {
    const entry = replaced.get(gauge) ?? new Replaced(gauge, merge);
    replaced.set(gauge, entry);
    return new ReplacedShare(entry, replaced);
  }

  return {
    share(gauge) {
      if (gauge.name.endsWith('_open')) return replacedShare(gauge, Math.max);
      if (gauge.name.includes('.circuit_breakers.')) return replacedShare(gauge, sum);
      return new AddedShare(gauge);
    },
    show() {
      for (const { gauge, value } of replaced.values()) if (gauge.value !== value) gauge.value = value;
    },
  };
}
