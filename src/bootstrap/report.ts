import type { Bootstrap } from '../model/bootstrap.js';
import { type Problem, type Verdict, verdictLines, verdictWord } from '../model/verdict.js';
import type { LoadedBootstrap } from './load.js';

function line(parts: readonly string[]): string {
  return parts.filter((part) => part !== '').join(': ');
}

function resourceNotes(kind: string, name: string, verdict: Verdict<unknown>): string[] {
  if (verdictWord(verdict) === 'active' || verdict.kind === 'rejected') return [];
  return verdictLines(verdict).map((text) => `${kind} ${name}: ${text}`);
}

/** The clusters that are used as control planes: they are parked, and that is nothing to tell. */
function controlPlanesOf({ ads, cds, lds, loadReporting }: Bootstrap): ReadonlySet<string> {
  const services = [ads, cds, lds, loadReporting].flatMap((source) => (source?.kind === 'api' ? source.services : []));
  return new Set(services.flatMap(({ target }) => (target.kind === 'cluster' ? [target.clusterName] : [])));
}

/**
 * What `--mode validate` prints of a bootstrap: one line per problem (`file: rejected: field path: what is wrong and what is allowed`), or,
 * when there is none, one line per field that is warned of (`bootstrap: warned: field path: …`, `cluster a: warned: field path: …`) and per
 * resource that is parked.
 */
export function bootstrapReport(loaded: LoadedBootstrap): readonly string[] {
  if (!loaded.ok) return loaded.problems.map(({ file, path, message }) => line([file, 'rejected', path, message]));
  const { warnings, clusters, listeners, secrets } = loaded.bootstrap;
  const controlPlanes = controlPlanesOf(loaded.bootstrap);
  return [
    ...warnings.map(({ path, message }: Problem) => line(['bootstrap', 'warned', path, message])),
    ...secrets.flatMap((secret) => resourceNotes('secret', secret.name, secret.verdict)),
    ...clusters
      .filter(({ name }) => !controlPlanes.has(name))
      .flatMap((cluster) => resourceNotes('cluster', cluster.name, cluster.verdict)),
    ...listeners.flatMap((listener) => resourceNotes('listener', listener.name, listener.verdict)),
  ];
}
