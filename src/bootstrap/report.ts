import type { Bootstrap } from '../model/bootstrap.js';
import type { Problem, Verdict } from '../model/verdict.js';
import type { LoadedBootstrap } from './load.js';

function line(parts: readonly string[]): string {
  return parts.filter((part) => part !== '').join(': ');
}

function resourceNotes(kind: string, name: string, verdict: Verdict<unknown>): string[] {
  if (verdict.kind === 'parked') return [line([`${kind} ${name}`, 'parked', verdict.reason])];
  if (verdict.kind !== 'active') return [];
  return verdict.warnings.map(({ path, message }) => line([`${kind} ${name}`, path, message]));
}

/** The clusters that are used as control planes: they are parked, and that is nothing to tell. */
function controlPlanesOf({ ads, cds, lds, loadReporting }: Bootstrap): ReadonlySet<string> {
  const services = [ads, cds, lds, loadReporting].flatMap((source) => (source?.kind === 'api' ? source.services : []));
  return new Set(services.flatMap(({ target }) => (target.kind === 'cluster' ? [target.clusterName] : [])));
}

/**
 * What `--mode validate` prints: one line per problem (`file: field path: what is wrong and what is allowed`), or, when there
 * is none, one line per field that is ignored and per resource that is parked.
 */
export function bootstrapReport(loaded: LoadedBootstrap): readonly string[] {
  if (!loaded.ok) return loaded.problems.map(({ file, path, message }) => line([file, path, message]));
  const { warnings, clusters, listeners } = loaded.bootstrap;
  const controlPlanes = controlPlanesOf(loaded.bootstrap);
  return [
    ...warnings.map(({ path, message }: Problem) => line([path, message])),
    ...clusters
      .filter(({ name }) => !controlPlanes.has(name))
      .flatMap((cluster) => resourceNotes('cluster', cluster.name, cluster.verdict)),
    ...listeners.flatMap((listener) => resourceNotes('listener', listener.name, listener.verdict)),
  ];
}
