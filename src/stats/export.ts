import type { NewNames, StatsChanges } from './changes.js';
import type { StatsRegistry } from './create-store.js';
import type { HistogramData } from './histogram.js';
import type { Counter, Gauge } from './store.js';

export interface StatsExporter {
  /** What changed since the last call. */
  changes(): StatsChanges;
}

interface Followed<T> {
  readonly stat: T;
  /** Its number among those of its scope and kind; -1: nobody was told of it. */
  number: number;
  /** The value (of a histogram: how many) that was told. */
  sent: number;
}

interface FollowedScope {
  readonly number: number;
  readonly prefix: string;
  readonly counters: Followed<Counter>[];
  readonly gauges: Followed<Gauge>[];
  readonly histograms: Followed<HistogramData>[];
  /** How many names of each kind were sent. */
  readonly named: { counters: number; gauges: number; histograms: number };
  /** Something was counted in it, and names at zero are sent, too. Thousands of clusters that nobody uses cost little. */
  used: boolean;
}

type Kind = 'counters' | 'gauges' | 'histograms';
type Names = NewNames & Readonly<Record<Kind, string[]>>;

/** What is about to be sent. */
interface Outgoing {
  readonly names: Names[];
  readonly counters: number[];
  readonly gauges: number[];
  readonly histograms: number[];
  readonly removed: number[];
}

const nothingOutgoing = (): Outgoing => ({ names: [], counters: [], gauges: [], histograms: [], removed: [] });

function newScope(number: number, prefix: string): FollowedScope {
  return {
    number,
    prefix,
    counters: [],
    gauges: [],
    histograms: [],
    named: { counters: 0, gauges: 0, histograms: 0 },
    used: prefix === '',
  };
}

/** Whether there is something to tell of a statistic. Its name is sent first. */
function isNews(
  scope: FollowedScope,
  kind: Kind,
  followed: Followed<{ readonly name: string }>,
  value: number,
  out: Outgoing,
): boolean {
  const changed = value !== followed.sent;
  if (followed.number >= 0 || !(changed || scope.used)) return changed;
  const { number, prefix, named } = scope;
  let names = out.names.at(-1);
  if (names?.scope !== number) {
    names = { scope: number, prefix, counters: [], gauges: [], histograms: [] };
    out.names.push(names);
  }
  names[kind].push(followed.stat.name.slice(prefix === '' ? 0 : prefix.length + 1));
  followed.number = named[kind]++;
  return changed;
}

function collectHistogram(scope: number, { stat, number }: Followed<HistogramData>, out: number[]): void {
  stat.flush();
  const { count, sum } = stat.interval;
  out.push(scope, number, count, sum, 0);
  const start = out.length;
  stat.interval.eachBucket((bucket, values) => out.push(bucket, values));
  out[start - 1] = (out.length - start) / 2;
}

function collect(scope: FollowedScope, out: Outgoing): void {
  for (const counter of scope.counters) {
    const { value } = counter.stat;
    if (!isNews(scope, 'counters', counter, value, out)) continue;
    out.counters.push(scope.number, counter.number, value - counter.sent);
    counter.sent = value;
    scope.used = true;
  }
  for (const gauge of scope.gauges) {
    const { value } = gauge.stat;
    if (!isNews(scope, 'gauges', gauge, value, out)) continue;
    out.gauges.push(scope.number, gauge.number, value);
    gauge.sent = value;
  }
  for (const histogram of scope.histograms) {
    const { count } = histogram.stat.total;
    if (!isNews(scope, 'histograms', histogram, count, out)) continue;
    collectHistogram(scope.number, histogram, out.histograms);
    histogram.sent = count;
    scope.used = true;
  }
}

/** Nobody heard of it, and nothing was counted in it. */
function isUnheardOf({ counters, histograms, named }: FollowedScope): boolean {
  if (named.counters + named.gauges + named.histograms > 0) return false;
  return counters.every(({ stat }) => stat.value === 0) && histograms.every(({ stat }) => stat.total.count === 0);
}

/**
 * Follows a registry for another process (see `createStatsImporter`). Counting costs nothing more than without it: what changed is found by
 * looking at every statistic when it is asked for.
 *
 * It is the only one that may call `flush` on the registry's histograms: what it sends of them is the interval that ended. What was counted
 * in a scope until its removal is kept for the next call, so that it must be asked regularly.
 *
 * @param options.includes which names are followed; asked once per name
 */
export function createStatsExporter(
  registry: StatsRegistry,
  { includes }: { readonly includes: (name: string) => boolean },
): StatsExporter {
  const scopes = new Map<string, FollowedScope>();
  let scopeCount = 0;
  let out = nothingOutgoing();

  function scopeOf(prefix: string): FollowedScope {
    let scope = scopes.get(prefix);
    if (!scope) {
      scope = newScope(scopeCount++, prefix);
      scopes.set(prefix, scope);
    }
    return scope;
  }
  function follow<T extends { readonly name: string }>(to: Followed<T>[], stat: T): void {
    to.push({ stat, number: -1, sent: 0 });
  }

  registry.watch({
    onCounter(prefix, counter) {
      if (includes(counter.name)) follow(scopeOf(prefix).counters, counter);
    },
    onGauge(prefix, gauge) {
      if (includes(gauge.name)) follow(scopeOf(prefix).gauges, gauge);
    },
    onHistogram(prefix, histogram) {
      if (includes(histogram.name)) follow(scopeOf(prefix).histograms, histogram);
    },
    onRemoved(prefix) {
      const scope = scopes.get(prefix);
      if (!scope) return;
      scopes.delete(prefix);
      if (isUnheardOf(scope)) return;
      collect(scope, out);
      out.removed.push(scope.number);
    },
  });

  return {
    changes() {
      for (const scope of scopes.values()) collect(scope, out);
      const { names, counters, gauges, histograms, removed } = out;
      out = nothingOutgoing();
      return {
        names,
        counters: Float64Array.from(counters),
        gauges: Float64Array.from(gauges),
        histograms: Float64Array.from(histograms),
        removed,
      };
    },
  };
}
