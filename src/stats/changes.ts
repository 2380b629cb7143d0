/** Names of one scope that were not sent before, without the scope's prefix. They are numbered in the order of sending, per scope and kind, from 0. */
export interface NewNames {
  /** The scope's number, which no later scope gets, not even one of the same prefix. */
  readonly scope: number;
  /** '' at the root. */
  readonly prefix: string;
  readonly counters: readonly string[];
  readonly gauges: readonly string[];
  readonly histograms: readonly string[];
}

/**
 * What changed in a process's statistics since it was last asked: plain data for another process, which takes the fields in this order.
 * Nothing is sent twice, so that every piece must arrive, once and in order.
 */
export interface StatsChanges {
  readonly names: readonly NewNames[];
  /** Three numbers each: scope, number of the name, increment. */
  readonly counters: Float64Array;
  /** Three numbers each: scope, number of the name, value. */
  readonly gauges: Float64Array;
  /** Runs of: scope, number of the name, recorded values, their sum, n, and n times (bucket, values in it). */
  readonly histograms: Float64Array;
  /** Scopes that were removed, whose names are forgotten with them. */
  readonly removed: readonly number[];
}
