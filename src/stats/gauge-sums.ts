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

/** A gauge that this process sets, too, and whose value is only the workers'. */
interface Replaced {
  readonly gauge: Gauge;
  readonly merge: (values: Iterable<number>) => number;
  readonly values: Map<GaugeShare, number>;
  /** What the workers' values make. */
  value: number;
}

const sum = (values: Iterable<number>): number => {
  let result = 0;
  for (const value of values) result += value;
  return result;
};
const max = (values: Iterable<number>): number => {
  let result = 0;
  for (const value of values) result = Math.max(result, value);
  return result;
};

/** The worker's value is part of a gauge that goes up and down by what begins and ends: what this process counts itself goes on beside it. */
function addedShare(gauge: Gauge): GaugeShare {
  let added = 0;
  function set(value: number): void {
    gauge.value += value - added;
    added = value;
  }
  return { set, end: () => set(0) };
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

  function replacedShare(gauge: Gauge, merge: Replaced['merge']): GaugeShare {
    const entry = replaced.get(gauge) ?? { gauge, merge, values: new Map(), value: 0 };
    replaced.set(gauge, entry);
    const share: GaugeShare = {
      set(value) {
        entry.values.set(share, value);
        entry.value = entry.merge(entry.values.values());
      },
      end() {
        entry.values.delete(share);
        entry.value = entry.merge(entry.values.values());
        if (entry.values.size > 0) return;
        replaced.delete(gauge);
        gauge.value = 0;
      },
    };
    share.set(0);
    return share;
  }

  return {
    share(gauge) {
      if (gauge.name.endsWith('_open')) return replacedShare(gauge, max);
      if (gauge.name.includes('.circuit_breakers.')) return replacedShare(gauge, sum);
      return addedShare(gauge);
    },
    show() {
      for (const { gauge, value } of replaced.values()) if (gauge.value !== value) gauge.value = value;
    },
  };
}
