import type { ConfigSource } from '../model/config-source.js';
import type { LoadAssignment } from '../model/endpoint.js';

export type AssignmentWatcher = (assignment: LoadAssignment | undefined) => void;

interface Service {
  readonly watchers: Set<AssignmentWatcher>;
  /** An answer came, if only that there is none. */
  answered: boolean;
  last: LoadAssignment | undefined;
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

  /** Tells `watcher` at once what is known, and then every answer, until the function that is returned is called. */
  watch(serviceName: string, source: ConfigSource, watcher: AssignmentWatcher): () => void {
    let service = this.#services.get(serviceName);
    const first = !service;
    if (!service) {
      service = { watchers: new Set(), answered: false, last: undefined };
      this.#services.set(serviceName, service);
    }
    const { watchers } = service;
    watchers.add(watcher);
    if (service.answered) watcher(service.last);
    if (first) this.#onInterest(serviceName, source, true);
    return () => {
      if (!watchers.delete(watcher) || watchers.size > 0) return;
      this.#services.delete(serviceName);
      this.#onInterest(serviceName, source, false);
    };
  }

  /** `undefined`: there is no such resource, or none came in time. Envoy keeps the endpoints that it has, and so do we. */
  set(serviceName: string, assignment: LoadAssignment | undefined): void {
    const service = this.#services.get(serviceName);
    // Istio answers for names that nobody asked for.
    if (!service) return;
    service.answered = true;
    service.last = assignment ?? service.last;
    for (const watcher of [...service.watchers]) if (service.watchers.has(watcher)) watcher(assignment);
  }
}
