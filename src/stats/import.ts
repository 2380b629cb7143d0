import type { NewNames, StatsChanges } from './changes.js';
import type { StatsRegistry } from './create-store.js';
import { createGaugeSums, type GaugeShare, type GaugeSums } from './gauge-sums.js';
import type { HistogramData } from './histogram.js';
import type { Counter, StatsStore } from './store.js';

export interface StatsImporter {
  /** Takes the next changes of a worker. What they do not fit (a scope or name that was never sent) is left out. */
  apply(worker: number, changes: StatsChanges): void;
  /** The worker ended: what it had in progress is over, what it counted stays. Its number must not come again. */
  forget(worker: number): void;
}

/** A worker's scope: what its numbers mean here. It is a use of the registry's scope, so that the names live for as long as anybody has it. */
interface ImportedScope {
  readonly prefix: string;
  readonly store: StatsStore;
  readonly counters: Counter[];
  readonly gauges: GaugeShare[];
  readonly histograms: HistogramData[];
  remove(): void;
}

type Imported = Map<number, ImportedScope>;

function newScope(registry: StatsRegistry, prefix: string): ImportedScope {
  const made = { prefix, counters: [], gauges: [], histograms: [] };
  // Names of the root stay, here as there.
  if (prefix === '') return { ...made, store: registry, remove: () => undefined };
  const scope = registry.scope(prefix);
  return { ...made, store: scope, remove: () => scope.remove() };
}

function addNames(registry: StatsRegistry, sums: GaugeSums, scope: ImportedScope, names: NewNames): void {
  for (const name of names.counters) scope.counters.push(scope.store.counter(name));
  for (const name of names.gauges) scope.gauges.push(sums.share(scope.store.gauge(name)));
  for (const name of names.histograms) {
    const { name: fullName } = scope.store.histogram(name);
    scope.histograms.push(registry.histograms.get(fullName) as HistogramData);
  }
}

function addCounters(scopes: Imported, increments: Float64Array): void {
  for (let i = 0; i + 2 < increments.length; i += 3) {
    const counter = scopes.get(increments[i] as number)?.counters[increments[i + 1] as number];
    if (counter) counter.value += increments[i + 2] as number;
  }
}

function setGauges(scopes: Imported, values: Float64Array): void {
  for (let i = 0; i + 2 < values.length; i += 3) {
    scopes.get(values[i] as number)?.gauges[values[i + 1] as number]?.set(values[i + 2] as number);
  }
}

function addHistograms(scopes: Imported, runs: Float64Array): void {
  for (let i = 0; i + 4 < runs.length; ) {
    const histogram = scopes.get(runs[i] as number)?.histograms[runs[i + 1] as number];
    const end = i + 5 + 2 * Math.max(0, runs[i + 4] as number);
    histogram?.add(runs[i + 2] as number, runs[i + 3] as number, runs.subarray(i + 5, end));
    i = end;
  }
}

function removeScope(scope: ImportedScope): void {
  for (const share of scope.gauges) share.end();
  scope.remove();
}

/**
 * Merges the statistics of workers, which follow the same configuration, into this process's. Counters and histograms are added to those
 * that are here. How gauges are merged: see `createGaugeSums`.
 */
export function createStatsImporter(registry: StatsRegistry): StatsImporter {
  const workers = new Map<number, Imported>();
  const sums = createGaugeSums();

  return {
    apply(worker, changes) {
      const scopes: Imported = workers.get(worker) ?? new Map();
      workers.set(worker, scopes);
      for (const names of changes.names) {
        const scope = scopes.get(names.scope) ?? newScope(registry, names.prefix);
        scopes.set(names.scope, scope);
        addNames(registry, sums, scope, names);
      }
      addCounters(scopes, changes.counters);
      setGauges(scopes, changes.gauges);
      addHistograms(scopes, changes.histograms);
      for (const number of changes.removed) {
        const scope = scopes.get(number);
        if (scope) removeScope(scope);
        scopes.delete(number);
      }
      sums.show();
    },
    forget(worker) {
      for (const scope of workers.get(worker)?.values() ?? []) removeScope(scope);
      workers.delete(worker);
      sums.show();
    },
  };
}
