import { isIP } from 'node:net';
import type { Clock, Timer } from '../clock.js';
import type { Logger } from '../log.js';
import type { Discovery } from '../model/cluster.js';
import type { LbEndpoint, LoadAssignment, LocalityEndpoints } from '../model/endpoint.js';
import type { DnsQuery, DnsResolver } from './dns-resolver.js';
import type { HostSource, HostSourceCallbacks } from './host-source.js';

export interface DnsSourceOptions {
  readonly discovery: Extract<Discovery, { type: 'STRICT_DNS' | 'LOGICAL_DNS' }>;
  readonly resolver: DnsResolver;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  /** What the cluster's version before knew. Its names count as resolved, and are asked for again. */
  readonly resolved: ReadonlyMap<string, readonly string[]>;
}

/** So that many names with the same rate do not stay in step. */
const refreshJitter = 0.1;

interface Name {
  /** It was answered once, if only with an error. */
  answered: boolean;
  failures: number;
  query: DnsQuery | undefined;
  timer: Timer | undefined;
}

/**
 * STRICT_DNS: every address of every name is a host. LOGICAL_DNS: the first address is where new connections go; those that are there
 * stay. Names that can't be resolved keep the addresses that they had.
 * https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/service_discovery
 */
export function createDnsSource(options: DnsSourceOptions): HostSource {
  const { discovery, resolver, clock, random, log } = options;
  const { loadAssignment, dns } = discovery;
  const resolved = new Map<string, readonly string[]>();
  const names = new Map<string, Name>();
  for (const { endpoints } of loadAssignment.localities) {
    for (const { address } of endpoints) {
      if (address.kind !== 'tcp' || isIP(address.address)) continue;
      const before = options.resolved.get(address.address);
      if (before) resolved.set(address.address, before);
      names.set(address.address, {
        answered: before !== undefined,
        failures: 0,
        query: undefined,
        timer: undefined,
      });
    }
  }

  function failureDelay(failures: number): number {
    const { baseMs, maxMs } = dns.failureRefreshRate;
    const limit = Math.min(maxMs, baseMs * 2 ** Math.min(failures - 1, 30));
    return Math.max(1, limit / 2 + (random() * limit) / 2);
  }

  function query(hostname: string, name: Name, callbacks: HostSourceCallbacks): void {
    callbacks.onAttempt();
    name.query = resolver.resolve(hostname, dns.lookupFamily, (error, addresses) => {
      name.query = undefined;
      name.answered = true;
      name.failures = error ? name.failures + 1 : 0;
      const delay = error ? failureDelay(name.failures) : dns.refreshRateMs * (1 + refreshJitter * random());
      name.timer = clock.setTimeout(() => query(hostname, name, callbacks), delay);
      if (error) {
        // Once per outage: the retries of a name that stays unknown would only repeat it.
        const level = name.failures === 1 ? 'warn' : 'debug';
        const fields = { hostname, err: error, retryMs: Math.round(delay) };
        log[level](fields, 'DNS resolution failed; keeping the last addresses');
        callbacks.onOutcome('failure', undefined);
      } else {
        // Many DNS servers rotate their answers: for LOGICAL_DNS that is the point, otherwise it is no change.
        resolved.set(hostname, discovery.type === 'LOGICAL_DNS' ? addresses : [...addresses].sort());
        callbacks.onOutcome('success', assignment());
      }
    });
  }

  /** As configured, but of resolved addresses. */
  function assignment(): LoadAssignment {
    const localities = loadAssignment.localities.map((locality) => ({
      ...locality,
      endpoints: locality.endpoints.flatMap(resolvedEndpoints),
    }));
    return { ...loadAssignment, localities: discovery.type === 'LOGICAL_DNS' ? firstOf(localities) : localities };
  }

  function resolvedEndpoints(endpoint: LbEndpoint): LbEndpoint[] {
    const { address: socketAddress } = endpoint;
    if (socketAddress.kind !== 'tcp' || isIP(socketAddress.address)) return [endpoint];
    const hostname = endpoint.hostname || socketAddress.address;
    return (resolved.get(socketAddress.address) ?? []).map((address) => ({
      ...endpoint,
      hostname,
      address: { ...socketAddress, address },
    }));
  }

  return {
    resolved,
    get isWarm() {
      for (const { answered } of names.values()) if (!answered) return false;
      return true;
    },
    waitingFor: () =>
      [...names].filter(([, name]) => !name.answered).map(([hostname]) => `addresses (DNS ${hostname})`),
    start(callbacks) {
      // IP addresses, and what the version before knew, serve at once.
      const known = assignment();
      if (names.size === 0 || known.localities.some(({ endpoints }) => endpoints.length > 0))
        callbacks.onOutcome('success', known);
      for (const [hostname, name] of names) query(hostname, name, callbacks);
    },
    stop() {
      for (const name of names.values()) {
        name.query?.cancel();
        name.timer?.cancel();
      }
    },
  };
}

/** The first endpoint alone. */
function firstOf(localities: readonly LocalityEndpoints[]): readonly LocalityEndpoints[] {
  const locality = localities.find(({ endpoints }) => endpoints.length > 0);
  return locality ? [{ ...locality, endpoints: locality.endpoints.slice(0, 1) }] : [];
}
