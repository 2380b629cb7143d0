import { createStatsStore, type StatsRegistry } from '../../src/stats/create-store.js';
import { createStatsExporter, type StatsExporter } from '../../src/stats/export.js';
import type { StatsImporter } from '../../src/stats/import.js';

/** A process that serves, without the process. */
export interface Worker {
  readonly number: number;
  readonly store: StatsRegistry;
  readonly exporter: StatsExporter;
}

export function startWorker(number: number, includes: (name: string) => boolean = () => true): Worker {
  const store = createStatsStore();
  return { number, store, exporter: createStatsExporter(store, { includes }) };
}

/** As it goes from one process to another. */
export function send({ number, exporter }: Worker, importer: StatsImporter): void {
  importer.apply(number, structuredClone(exporter.changes()));
}
