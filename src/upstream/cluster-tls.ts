import type { Cluster } from '../model/cluster.js';
import type { UpstreamTls } from '../model/tls.js';
import { tlsOf } from '../model/transport-socket.js';
import type { StatsStore } from '../stats/store.js';
import { type ClientTls, createClientTls } from '../tls/client-tls.js';
import type { Secrets } from '../tls/secrets.js';
import type { Host } from './host.js';

/** How the hosts of one version of a cluster are connected to. */
export interface ClusterTls {
  /** undefined: in plain text. */
  of(host: Host): ClientTls | undefined;
  /** Secrets that these hosts need and that have never come. What no host needs is not waited for. */
  waitingFor(hosts: readonly Host[]): readonly string[];
  /** Some of what they need did not come in time. */
  isOverdue(hosts: readonly Host[]): boolean;
  close(): void;
}

const plainText: ClusterTls = {
  of: () => undefined,
  waitingFor: () => [],
  isOverdue: () => false,
  close: () => undefined,
};

/** @param onChange a secret came, changed, or is overdue */
export function createClusterTls(
  config: Cluster,
  secrets: Secrets,
  stats: StatsStore,
  onChange: () => void,
): ClusterTls {
  const configured = [config.tls, ...(config.transportSocketMatches ?? []).map(({ tls }) => tls)];
  const contexts = new Map<UpstreamTls, ClientTls>();
  for (const tls of configured) if (tls) contexts.set(tls, createClientTls(tls, secrets, stats, onChange));
  if (contexts.size === 0) return plainText;

  function of(host: Host): ClientTls | undefined {
    const tls = tlsOf(config, host);
    return tls && contexts.get(tls);
  }
  function used(hosts: readonly Host[]): ReadonlySet<ClientTls> {
    const found = new Set<ClientTls>();
    for (const host of hosts) {
      const tls = of(host);
      if (tls) found.add(tls);
      if (found.size === contexts.size) break;
    }
    return found;
  }
  return {
    of,
    waitingFor: (hosts) => [...new Set([...used(hosts)].flatMap((tls) => tls.waitingFor()))],
    isOverdue: (hosts) => [...used(hosts)].some((tls) => tls.overdue),
    close() {
      for (const tls of contexts.values()) tls.close();
    },
  };
}
