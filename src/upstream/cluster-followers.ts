import type { Cluster } from '../model/cluster.js';
import type { LoadAssignment } from '../model/endpoint.js';
import type { Pipeline } from './cluster-manager.js';
import { type HostSource, type HostSourceCallbacks, nothingResolved } from './host-source.js';

/** A version of a cluster that has its hosts. */
export interface ServedCluster<P extends Pipeline> {
  readonly config: Cluster;
  readonly version: string;
  readonly pipeline: P;
  /** With resolved addresses. */
  readonly hosts: LoadAssignment;
}

/**
 * Other processes that serve what a manager decides: it finds the hosts (EDS, DNS) and says which version runs, they have the connections.
 * Calls are carried out in the order in which they come.
 */
export interface ClusterFollowers<P extends Pipeline> {
  /** This version runs under its name from now on. `served` is called later, once, when every follower has it. */
  serve(cluster: ServedCluster<P>, served: () => void): void;
  /** Of the version that was last given to `serve`. */
  setHosts(name: string, hosts: LoadAssignment): void;
  park(name: string, reason: string): void;
  remove(name: string): void;
}

/** A follower's side: the hosts of its clusters, as they are told. */
export interface GivenHosts {
  /** Before the cluster is set, and at every change. */
  set(clusterName: string, hosts: LoadAssignment): void;
  forget(clusterName: string): void;
  source(config: Cluster): HostSource;
}

interface Given {
  hosts: LoadAssignment | undefined;
  /** Two while a cluster's next version takes over. */
  users: readonly GivenSource[];
}

type GivenByName = Map<string, Given>;

class GivenSource implements HostSource {
  readonly #name: string;
  readonly #given: GivenByName;
  #callbacks: HostSourceCallbacks | undefined;

  constructor(name: string, given: GivenByName) {
    this.#name = name;
    this.#given = given;
  }

  get isWarm(): boolean {
    return true;
  }

  get resolved(): HostSource['resolved'] {
    return nothingResolved;
  }

  waitingFor(): readonly string[] {
    return [];
  }

  start(callbacks: HostSourceCallbacks): void {
    this.#callbacks = callbacks;
    const given = this.#given.get(this.#name) ?? { hosts: undefined, users: [] };
    given.users = [...given.users, this];
    this.#given.set(this.#name, given);
    if (given.hosts) this.take(given.hosts);
  }

  take(hosts: LoadAssignment): void {
    this.#callbacks?.onOutcome('success', hosts);
  }

  stop(): void {
    const given = this.#given.get(this.#name);
    if (!given) return;
    given.users = given.users.filter((user) => user !== this);
    if (given.users.length === 0 && given.hosts === undefined) this.#given.delete(this.#name);
  }
}

export function createGivenHosts(): GivenHosts {
  const byName: GivenByName = new Map();
  return {
    set(name, hosts) {
      const given = byName.get(name);
      if (!given) {
        byName.set(name, { hosts, users: [] });
        return;
      }
      given.hosts = hosts;
      for (const user of given.users) user.take(hosts);
    },
    forget(name) {
      const given = byName.get(name);
      if (given?.users.length === 0) byName.delete(name);
      else if (given) given.hosts = undefined;
    },
    source: ({ name }) => new GivenSource(name, byName),
  };
}
