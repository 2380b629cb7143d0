import { type ConfigSource, sourceKey } from '../model/config-source.js';
import type { LoadAssignment } from '../model/endpoint.js';
import type { NoAssignment } from './cluster-manager.js';

export type AssignmentWatcher = (answer: LoadAssignment | NoAssignment) => void;

interface Service {
  readonly watchers: Set<AssignmentWatcher>;
  /** The last assignment, or, while there was none, why. */
  last: LoadAssignment | NoAssignment;
}

/**
 * The EDS resources that clusters want, each subscribed once per source however many versions and clusters share it: another source may
 * have other endpoints under the same name. The last answer is kept while anyone wants it: a control plane does not send again what it has
 * sent, and a new version of a cluster must not wait for it.
 */
export class EdsAssignments {
  readonly #onInterest: (serviceName: string, source: ConfigSource, wanted: boolean) => void;
  /** By name, then by source. */
  readonly #services = new Map<string, Map<string, Service>>();

  constructor(onInterest: (serviceName: string, source: ConfigSource, wanted: boolean) => void) {
    this.#onInterest = onInterest;
  }

  /** Tells `watcher` at once what is known, and then every answer of the source, until the function that is returned is called. */
  watch(serviceName: string, source: ConfigSource, watcher: AssignmentWatcher): () => void {
    const key = sourceKey(source);
    const bySource = this.#services.get(serviceName) ?? new Map<string, Service>();
    this.#services.set(serviceName, bySource);
    let service = bySource.get(key);
    const ask = service === undefined;
    service ??= { watchers: new Set(), last: 'disconnected' };
    bySource.set(key, service);
    const { watchers } = service;
    watchers.add(watcher);
    if (service.last !== 'disconnected') watcher(service.last);
    if (ask) this.#onInterest(serviceName, source, true);
    return () => {
      if (!watchers.delete(watcher) || watchers.size > 0) return;
      bySource.delete(key);
      if (bySource.size === 0) this.#services.delete(serviceName);
      this.#onInterest(serviceName, source, false);
    };
  }

  /**
   * Where there is no assignment Envoy keeps the endpoints that it has, and so do we.
   *
   * @param source whose answer it is; without it, that of all
   */
  set(serviceName: string, answer: LoadAssignment | NoAssignment, source?: ConfigSource): void {
    // Istio answers for names that nobody asked for.
    const bySource = this.#services.get(serviceName);
    if (!bySource) return;
    const key = source && sourceKey(source);
    for (const [each, service] of [...bySource]) if (key === undefined || each === key) tell(service, answer);
  }
}

function tell(service: Service, answer: LoadAssignment | NoAssignment): void {
  if (typeof answer === 'object' || (typeof service.last === 'string' && answer !== 'disconnected'))
    service.last = answer;
  for (const watcher of [...service.watchers]) if (service.watchers.has(watcher)) watcher(answer);
}
