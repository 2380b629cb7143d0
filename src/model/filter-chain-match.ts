import type { Cidr } from './cidr.js';

/** envoy.config.listener.v3.FilterChainMatch. What is empty or undefined fits every connection. */
export interface FilterChainMatch {
  readonly destinationPort: number | undefined;
  readonly prefixRanges: readonly Cidr[];
  /** In lower case; `*.suffix` fits every name below. */
  readonly serverNames: readonly string[];
  readonly transportProtocol: string;
  readonly applicationProtocols: readonly string[];
  readonly directSourcePrefixRanges: readonly Cidr[];
  readonly sourceType: 'ANY' | 'SAME_IP_OR_LOOPBACK' | 'EXTERNAL';
  readonly sourcePrefixRanges: readonly Cidr[];
  readonly sourcePorts: readonly number[];
}

/** Of a chain that every connection fits. */
export const matchesAll: FilterChainMatch = {
  destinationPort: undefined,
  prefixRanges: [],
  serverNames: [],
  transportProtocol: '',
  applicationProtocols: [],
  directSourcePrefixRanges: [],
  sourceType: 'ANY',
  sourcePrefixRanges: [],
  sourcePorts: [],
};

/** The key of a criterion that fits every connection. */
export const anyKey = '';

export const cidrKey = ({ bits, value, length }: Cidr): string => `${bits}:${value.toString(16)}/${length}`;
const orAny = (keys: readonly string[]): readonly string[] => (keys.length === 0 ? [anyKey] : keys);

/**
 * What chains say of each criterion, as keys, in the order in which Envoy looks at them.
 * https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/listener/v3/listener_components.proto (FilterChainMatch)
 */
export const criteria = [
  ({ destinationPort }: FilterChainMatch) => [destinationPort === undefined ? anyKey : String(destinationPort)],
  ({ prefixRanges }: FilterChainMatch) => orAny(prefixRanges.map(cidrKey)),
  ({ serverNames }: FilterChainMatch) =>
    orAny(serverNames.map((name) => (name.startsWith('*.') ? name.slice(1) : name))),
  ({ transportProtocol }: FilterChainMatch) => [transportProtocol],
  ({ applicationProtocols }: FilterChainMatch) => orAny(applicationProtocols),
  ({ directSourcePrefixRanges }: FilterChainMatch) => orAny(directSourcePrefixRanges.map(cidrKey)),
  ({ sourceType }: FilterChainMatch) => [sourceType === 'ANY' ? anyKey : sourceType],
  ({ sourcePrefixRanges }: FilterChainMatch) => orAny(sourcePrefixRanges.map(cidrKey)),
  ({ sourcePorts }: FilterChainMatch) => orAny(sourcePorts.map(String)),
] as const satisfies readonly ((match: FilterChainMatch) => readonly string[])[];

/** The items by each key that they have; one may be under several. */
export function groupByKey<T>(items: readonly T[], keysOf: (item: T) => readonly string[]): ReadonlyMap<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items)
    for (const key of new Set(keysOf(item))) {
      const group = groups.get(key);
      if (group) group.push(item);
      else groups.set(key, [item]);
    }
  return groups;
}

/** Chains share values in so many ways only where somebody tries to keep us busy. */
const mostSteps = 100_000;

/**
 * Two chains that would have to serve the same connection, by their positions.
 *
 * @throws Error when that takes too long to find out
 */
export function findOverlap(matches: readonly FilterChainMatch[]): readonly [number, number] | undefined {
  let steps = 0;
  function search(chains: readonly number[], criterion: number): readonly [number, number] | undefined {
    const keysOf = criteria[criterion];
    if (keysOf === undefined) return [chains[0] as number, chains[1] as number];
    for (const group of groupByKey(chains, (chain) => keysOf(matches[chain] as FilterChainMatch)).values()) {
      if (++steps > mostSteps) throw new Error('the filter chains have too many criteria in common');
      const found = group.length > 1 ? search(group, criterion + 1) : undefined;
      if (found) return found;
    }
    return undefined;
  }
  return matches.length > 1
    ? search(
        matches.map((_, index) => index),
        0,
      )
    : undefined;
}
