import { ADDRCONFIG, type LookupAddress, type LookupAllOptions, lookup } from 'node:dns';
import type { DnsSettings } from '../model/cluster.js';

export interface DnsQuery {
  cancel(): void;
}

/** Turns a name into IP addresses, the preferred first. An empty list never comes: that is an error. */
export interface DnsResolver {
  /** Calls back once, later, unless cancelled. */
  resolve(
    hostname: string,
    family: DnsSettings['lookupFamily'],
    callback: (error: Error | undefined, addresses: readonly string[]) => void,
  ): DnsQuery;
}

/** getaddrinfo blocks one of the few threads that files share with it, for seconds when a DNS server is dead: leave some to the others. */
const maxConcurrentLookups = 2;

type Lookup = (
  hostname: string,
  options: LookupAllOptions,
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

/**
 * The operating system's resolver (getaddrinfo): it is the one that knows /etc/hosts, nsswitch, search domains and mDNS, so that
 * `localhost`, `host.docker.internal` and a compose service's name work; a DNS client (`dns.resolve4`) sees none of them.
 * It tells no TTL, so that `respect_dns_ttl` comes down to the refresh rate.
 */
export function createSystemResolver(systemLookup: Lookup = lookup): DnsResolver {
  const waiting = new Set<() => void>();
  let running = 0;

  function next(): void {
    for (const start of waiting) {
      if (running >= maxConcurrentLookups) return;
      waiting.delete(start);
      running++;
      start();
    }
  }

  return {
    resolve(hostname, family, callback) {
      let cancelled = false;
      const start = () => {
        systemLookup(hostname, lookupOptions(family), (error, addresses) => {
          running--;
          next();
          if (cancelled) return;
          const chosen = error ? [] : chooseFamily(addresses, family);
          const none = chosen.length === 0 ? new Error(`it has no ${family} address`) : undefined;
          callback(error ?? none, chosen);
        });
      };
      waiting.add(start);
      next();
      return {
        cancel() {
          cancelled = true;
          waiting.delete(start);
        },
      };
    },
  };
}

function lookupOptions(family: DnsSettings['lookupFamily']): LookupAllOptions {
  const all = { all: true, order: 'verbatim' } as const;
  if (family === 'V4_ONLY') return { ...all, family: 4 };
  if (family === 'V6_ONLY') return { ...all, family: 6 };
  // ADDRCONFIG: no IPv6 addresses on a machine that has no IPv6, where each of them would only fail to connect.
  return family === 'ALL' ? all : { ...all, hints: ADDRCONFIG };
}

/** https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/cluster/v3/cluster.proto#envoy-v3-api-enum-config-cluster-v3-cluster-dnslookupfamily */
function chooseFamily(addresses: readonly LookupAddress[], family: DnsSettings['lookupFamily']): string[] {
  const unique = (of: readonly LookupAddress[]) => [...new Set(of.map(({ address }) => address))];
  const v4 = unique(addresses.filter((each) => each.family === 4));
  const v6 = unique(addresses.filter((each) => each.family === 6));
  switch (family) {
    case 'V4_ONLY':
      return v4;
    case 'V6_ONLY':
      return v6;
    case 'V4_PREFERRED':
      return v4.length > 0 ? v4 : v6;
    case 'AUTO':
      return v6.length > 0 ? v6 : v4;
    case 'ALL':
      return unique(addresses);
  }
}
