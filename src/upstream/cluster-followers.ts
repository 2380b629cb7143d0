import type { Cluster } from '../model/cluster.js';
import type { Pipeline } from './cluster-manager.js';
import type { HostSpec } from './host.js';
import type { HostSource, HostSourceCallbacks, HostUpdate } from './host-source.js';
import { nothingResolved } from './host-source.js';

/** A version of a cluster that has its hosts. */
export interface ServedCluster<P extends Pipeline> {
  readonly config: Cluster;
  readonly version: string;
  readonly pipeline: P;
  readonly hosts: HostUpdate;
}

/**
 * Other processes that serve what a manager decides: it finds the hosts (EDS, DNS) and says which version runs, they have the connections.
 * Calls are carried out in the order in which they come.
 */
export interface ClusterFollowers<P extends Pipeline> {
  /** This version runs under its name from now on. `served` is called later, once, when every follower has it. */
  serve(cluster: ServedCluster<P>, served: () => void): void;
  /** Of the version that was last given to `serve`. */
  setHosts(name: string, hosts: HostUpdate): void;
  park(name: string, reason: string): void;
  remove(name: string): void;
}

/** A follower's side: the hosts of its clusters, as they are told. */
export interface GivenHosts {
  /** Before the cluster is set, and at every change. */
  set(clusterName: string, hosts: HostUpdate): void;
  forget(clusterName: string): void;
  source(config: Cluster): HostSource;
}

export function createGivenHosts(): GivenHosts {
  const given = new Map<string, HostUpdate>();
  /** Two while a cluster's next version takes over. */
  const users = new Map<string, Set<HostSourceCallbacks>>();
  return {
    set(name, hosts) {
      given.set(name, hosts);
      for (const { onOutcome } of users.get(name) ?? []) onOutcome('success', hosts);
    },
    forget: (name) => void given.delete(name),
    source({ name }) {
      let callbacks: HostSourceCallbacks | undefined;
      return {
        waitingFor: () => [],
        start(from) {
          callbacks = from;
          const known = users.get(name) ?? new Set();
          users.set(name, known.add(from));
          const hosts = given.get(name);
          if (hosts) from.onOutcome('success', hosts);
        },
        stop() {
          const known = users.get(name);
          if (callbacks === undefined || !known?.delete(callbacks)) return;
          if (known.size === 0) users.delete(name);
        },
        resolved: nothingResolved,
      };
    },
  };
}

/** A host without what only this process counts of it. */
export function specOf(host: HostSpec): HostSpec {
  const { key, address, socketAddress, hostname, locality, priority, weight, healthStatus, transportSocketMatch } =
    host;
  const spec = { key, address, socketAddress, hostname, locality, priority, weight, healthStatus };
  return transportSocketMatch ? { ...spec, transportSocketMatch } : spec;
}
