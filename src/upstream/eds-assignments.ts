import { type ConfigSource, sourceKey } from '../model/config-source.js';
import type { LoadAssignment } from '../model/endpoint.js';
import type { NoAssignment } from './cluster-manager.js';
import { type Listed, SwapList } from './swap-list.js';

export type AssignmentAnswer = LoadAssignment | NoAssignment;

export interface AssignmentWatcher extends Listed {
  onAssignment(answer: AssignmentAnswer): void;
}

/** One EDS resource, and who wants it. */
class Service extends SwapList<AssignmentWatcher> {
  /** The last assignment, or, while there was none, why. */
  last: AssignmentAnswer = 'disconnected';

  tell(answer: AssignmentAnswer): void {
    if (typeof answer === 'object' || (typeof this.last === 'string' && answer !== 'disconnected')) this.last = answer;
    for (const watcher of this.toArray()) if (this.has(watcher)) watcher.onAssignment(answer);
  }
}

/**
 * The EDS resources that clusters want, each subscribed once per source however many versions and clusters share it: another source may
 * have other endpoints under the same name. The last answer is kept while anyone wants it: a control plane does not send again what it has
 * sent, and a new version of a cluster must not wait for it.
 */
export class EdsAssignments {
  readonly #onInterest: (serviceName: string, source: ConfigSource, wanted: boolean) => void;
  /** By source, of which there are few, then by name. */
  readonly #services = new Map<string, Map<string, Service>>();
  readonly #keys = new WeakMap<ConfigSource, string>();

  constructor(onInterest: (serviceName: string, source: ConfigSource, wanted: boolean) => void) {
    this.#onInterest = onInterest;
  }

  /** Tells `watcher` at once what is known, and then every answer of the source, until `unwatch`. */
  watch(serviceName: string, source: ConfigSource, watcher: AssignmentWatcher): void {
    const key = this.#keyOf(source);
    const byName = this.#services.get(key) ?? new Map<string, Service>();
    this.#services.set(key, byName);
    const known = byName.get(serviceName);
    const service = known ?? new Service();
    service.add(watcher);
    if (known === undefined) byName.set(serviceName, service);
    if (service.last !== 'disconnected') watcher.onAssignment(service.last);
    if (known === undefined) this.#onInterest(serviceName, source, true);
  }

  /** Of the same arguments as `watch`; without that it does nothing. */
  unwatch(serviceName: string, source: ConfigSource, watcher: AssignmentWatcher): void {
    const key = this.#keyOf(source);
    const byName = this.#services.get(key);
    const service = byName?.get(serviceName);
    if (!byName || !service?.delete(watcher) || service.size > 0) return;
    byName.delete(serviceName);
    if (byName.size === 0) this.#services.delete(key);
    this.#onInterest(serviceName, source, false);
  }

  /**
   * Where there is no assignment Envoy keeps the endpoints that it has, and so do we.
   *
   * @param source whose answer it is; without it, that of all
   */
  set(serviceName: string, answer: AssignmentAnswer, source?: ConfigSource): void {
    // Istio answers for names that nobody asked for.
    if (source) this.#services.get(this.#keyOf(source))?.get(serviceName)?.tell(answer);
    else for (const byName of [...this.#services.values()]) byName.get(serviceName)?.tell(answer);
  }

  /** Sources are few objects that many clusters share. */
  #keyOf(source: ConfigSource): string {
    let key = this.#keys.get(source);
    if (key === undefined) {
      key = sourceKey(source);
      this.#keys.set(source, key);
    }
    return key;
  }
}
