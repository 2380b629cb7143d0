import type { Discovery } from '../model/cluster.js';
import { formatAddress, type LbEndpoint, type LoadAssignment } from '../model/endpoint.js';
import { equalMeaning } from '../model/equal.js';
import { createHost, type Host, type HostPlace, type HostStats } from './host.js';

export interface Reconciled {
  readonly hosts: readonly Host[];
  /** Keys that were there and are no longer. */
  readonly removed: readonly string[];
  /** Hosts whose key is new. */
  readonly added: number;
  /** Anything differs from `previous`: membership, order, or an attribute of a host. */
  readonly changed: boolean;
}

const noneKnown: ReadonlyMap<string, Host> = new Map();

/**
 * The hosts of an assignment, of which `discovery` says which endpoints are one host. Takes over what is unchanged: the host itself when all its attributes are the same, else its statistics.
 * `statsOf` knows those of hosts that are elsewhere: in the cluster's version before, or removed and still draining.
 */
export function reconcileHosts(
  previous: readonly Host[],
  assignment: LoadAssignment,
  discovery: Discovery,
  statsOf: (key: string) => HostStats | undefined,
): Reconciled {
  const known = previous.length > 0 ? new Map(previous.map((host) => [host.key, host])) : noneKnown;
  const seen = new Map<string, Host>();
  const hosts: Host[] = [];
  const name = nameOf(discovery);
  let added = 0;
  for (const { locality, priority, endpoints } of assignment.localities) {
    for (const endpoint of endpoints) {
      const address = formatAddress(endpoint.address);
      const key = name ?? address;
      const twin = seen.get(key);
      // Of the same address more than once the first counts, as in Envoy's EDS.
      if (twin && discovery.type === 'EDS') continue;
      const same = previous[hosts.length];
      const old = same?.key === key ? same : known.get(key);
      if (!old && !twin) added++;
      const place: HostPlace = { key, address, locality, priority };
      const unchanged = old !== undefined && isSame(old, place, endpoint);
      const host = unchanged ? old : createHost(place, endpoint, old?.stats ?? twin?.stats ?? statsOf(key));
      if (!twin) seen.set(key, host);
      hosts.push(host);
    }
  }
  return {
    hosts,
    removed: [...known.keys()].filter((key) => !seen.has(key)),
    added,
    changed: hosts.length !== previous.length || hosts.some((host, index) => host !== previous[index]),
  };
}

/** Behind a LOGICAL_DNS cluster's name is one host, whatever the address. */
function nameOf(discovery: Discovery): string | undefined {
  if (discovery.type !== 'LOGICAL_DNS') return undefined;
  const address = discovery.loadAssignment.localities[0]?.endpoints[0]?.address;
  return address && formatAddress(address);
}

function isSame(host: Host, { address, locality, priority }: HostPlace, endpoint: LbEndpoint): boolean {
  return (
    host.address === address &&
    host.hostname === endpoint.hostname &&
    host.priority === priority &&
    host.weight === endpoint.weight &&
    host.healthStatus === endpoint.healthStatus &&
    host.locality.region === locality.region &&
    host.locality.zone === locality.zone &&
    host.locality.subZone === locality.subZone &&
    equalMeaning(host.transportSocketMatch, endpoint.transportSocketMatch)
  );
}
