import type { Histogram } from './store.js';

/** The quantiles that Envoy prints, in per cent. */
export const quantiles = [0, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 100] as const;

/** The bucket bounds that Envoy exports to Prometheus unless told otherwise. */
export const exportedBounds = [
  0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000,
  3_600_000,
] as const;

/** Each power of two is cut into this many equal parts, so a value is known to 1/16 of itself. */
const parts = 16;
/** Powers of two from 2^-4 to 2^40. */
const lowestExponent = -4;
const highestExponent = 40;
const bucketCount = (highestExponent - lowestExponent) * parts + 1;

/** Values seen so far and values seen since the last flush, as Envoy shows both. */
export interface HistogramData extends Histogram {
  readonly total: HistogramSeries;
  readonly interval: HistogramSeries;
  /** Begins a new interval; the one that ended can be read from `interval` until the next flush. */
  flush(): void;
  /** Takes what was recorded elsewhere, into the total and the running interval. `buckets` as `eachBucket` told them: bucket, values, and so on. */
  add(count: number, sum: number, buckets: Float64Array): void;
}

export interface HistogramSeries {
  readonly count: number;
  readonly sum: number;
  /** NaN when nothing was recorded. */
  quantile(percent: number): number;
  /** How many values are at most `bound`. */
  countUpTo(bound: number): number;
  /** Visits the buckets that have values. Their numbers mean the same in every histogram. */
  eachBucket(visit: (bucket: number, values: number) => void): void;
}

/** From 2^`lowestExponent` on. To raise to a power takes longer than all else that is done with a value. */
const powers = Float64Array.from({ length: highestExponent - lowestExponent }, (_, i) => 2 ** (lowestExponent + i));

/** Of the greatest power of two that is not above `value`, which is at least the lowest. */
function exponentOf(value: number): number {
  if (value >= 1 && value < 2 ** 31) return 31 - Math.clz32(value);
  let exponent = value < 1 ? lowestExponent : 31;
  while (exponent < highestExponent - 1 && value >= (powers[exponent + 1 - lowestExponent] as number)) exponent++;
  return exponent;
}

function bucketOf(value: number): number {
  if (!(value >= (powers[0] as number))) return 0;
  const exponent = exponentOf(value);
  const part = Math.min(parts - 1, Math.floor((value / (powers[exponent - lowestExponent] as number) - 1) * parts));
  return 1 + (exponent - lowestExponent) * parts + Math.max(0, part);
}

function upperBound(bucket: number): number {
  if (bucket === 0) return 2 ** lowestExponent;
  const exponent = lowestExponent + Math.floor((bucket - 1) / parts);
  return 2 ** exponent * (1 + (((bucket - 1) % parts) + 1) / parts);
}

class Series implements HistogramSeries {
  /** Made with the first value: thousands of clusters have histograms that stay empty. */
  #buckets: Float64Array | undefined;
  count = 0;
  sum = 0;

  /** @param bucket of `value` */
  record(value: number, bucket: number): void {
    this.count++;
    this.sum += value;
    this.#buckets ??= new Float64Array(bucketCount);
    this.#buckets[bucket] = (this.#buckets[bucket] as number) + 1;
  }

  quantile(percent: number): number {
    const buckets = this.#buckets;
    if (!buckets || this.count === 0) return Number.NaN;
    const wanted = Math.max(1, (percent / 100) * this.count);
    let seen = 0;
    for (let bucket = 0; bucket < bucketCount; bucket++) {
      seen += buckets[bucket] as number;
      if (seen >= wanted) return upperBound(bucket);
    }
    return upperBound(bucketCount - 1);
  }

  countUpTo(bound: number): number {
    const buckets = this.#buckets;
    if (!buckets) return 0;
    let seen = 0;
    for (let bucket = 0; bucket < bucketCount && upperBound(bucket) <= bound * (1 + 1 / parts); bucket++) {
      seen += buckets[bucket] as number;
    }
    return seen;
  }

  eachBucket(visit: (bucket: number, values: number) => void): void {
    this.#buckets?.forEach((values, bucket) => {
      if (values !== 0) visit(bucket, values);
    });
  }

  add(count: number, sum: number, increments: Float64Array): void {
    this.count += count;
    this.sum += sum;
    this.#buckets ??= new Float64Array(bucketCount);
    for (let i = 0; i + 1 < increments.length; i += 2) {
      const bucket = increments[i] as number;
      this.#buckets[bucket] = (this.#buckets[bucket] as number) + (increments[i + 1] as number);
    }
  }

  clear(): void {
    if (this.count === 0) return;
    this.#buckets?.fill(0);
    this.count = 0;
    this.sum = 0;
  }
}

/** A histogram of values from 1/16 to 2^40 with a bounded relative error; smaller and larger ones count at the ends. */
export function createHistogram(name: string): HistogramData {
  const total = new Series();
  let running = new Series();
  let ended = new Series();
  return {
    name,
    record(value) {
      const bucket = bucketOf(value);
      total.record(value, bucket);
      running.record(value, bucket);
    },
    add(count, sum, buckets) {
      total.add(count, sum, buckets);
      running.add(count, sum, buckets);
    },
    total,
    get interval() {
      return ended;
    },
    flush() {
      [running, ended] = [ended, running];
      running.clear();
    },
  };
}
