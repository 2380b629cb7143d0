import { isDeepStrictEqual } from 'node:util';
import type { ConfigSource } from '../model/config-source.js';
import type { LoadAssignment } from '../model/endpoint.js';
import type { NoAssignment } from './cluster-manager.js';

export type AssignmentWatcher = (answer: LoadAssignment | NoAssignment) => void;

interface Service {
  readonly watchers: Set<AssignmentWatcher>;
  /** Where it is subscribed. */
  source: ConfigSource;
  /** The last assignment, or, while there was none, why. */
  last: LoadAssignment | NoAssignment;
}

/**
 * The EDS resources that clusters want, each subscribed once however many versions and clusters share it. The last answer is kept
 * while anyone wants it: a control plane does not send again what it has sent, and a new version of a cluster must not wait for it.
 */
export class EdsAssignments {
  readonly #onInterest: (serviceName: string, source: ConfigSource, wanted: boolean) => void;
  readonly #services = new Map<string, Service>();

  constructor(onInterest: (serviceName: string, source: ConfigSource, wanted: boolean) => void) {
    this.#onInterest = onInterest;
  }

  /**
   * Tells `watcher` at once what is known, and then every answer, until the function that is returned is called. Another source than
   * before takes its place: a cluster moved to it.
   */
  watch(serviceName: string, source: ConfigSource, watcher: AssignmentWatcher): () => void {
    let service = this.#services.get(serviceName);
    const ask = !service || !sameSource(service.source, source);
    if (!service) {
      service = { watchers: new Set(), source, last: 'disconnected' };
      this.#services.set(serviceName, service);
    }
    const { watchers } = service;
    watchers.add(watcher);
    if (service.last !== 'disconnected') watcher(service.last);
    service.source = source;
    if (ask) this.#onInterest(serviceName, source, true);
    return () => {
      if (!watchers.delete(watcher) || watchers.size > 0) return;
      this.#services.delete(serviceName);
      this.#onInterest(serviceName, source, false);
    };
  }

  /** Where there is no assignment Envoy keeps the endpoints that it has, and so do we. */
  set(serviceName: string, answer: LoadAssignment | NoAssignment): void {
    const service = this.#services.get(serviceName);
    // Istio answers for names that nobody asked for.
    if (!service) return;
    if (typeof answer === 'object' || (typeof service.last === 'string' && answer !== 'disconnected'))
      service.last = answer;
    for (const watcher of [...service.watchers]) if (service.watchers.has(watcher)) watcher(answer);
  }
}

function sameSource(a: ConfigSource, b: ConfigSource): boolean {
  return isDeepStrictEqual({ ...a, initialFetchTimeoutMs: 0 }, { ...b, initialFetchTimeoutMs: 0 });
}
