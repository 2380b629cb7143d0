import { isLoopback } from '../http/remote-address.js';
import { type AddressBits, addressBits, type Cidr, cidrContains } from '../model/cidr.js';
import { anyKey, cidrKey, criteria, type FilterChainMatch, groupByKey } from '../model/filter-chain-match.js';

/** What is known of a connection before it is served. */
export interface ConnectionFacts {
  /** IP addresses; '' for Unix domain sockets. */
  readonly localAddress: string;
  readonly localPort: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly transportProtocol: 'tls' | 'raw_buffer';
  /** In lower case; '' : none was asked for. */
  readonly serverName: string;
  readonly applicationProtocols: readonly string[];
}

/** What Envoy takes for the address of what has none. */
const noAddress: AddressBits = { bits: 32, value: 0xff_ff_ff_ffn };

const bitsOf = (address: string): AddressBits => addressBits(address) ?? noAddress;

/** The values to look for, the best one first. What fits everything is looked for last. */
type Candidates = (facts: ConnectionFacts) => readonly string[];

/** `a.b.c`: that name, then what is below `.b.c` and `.c`. */
function serverNames({ serverName }: ConnectionFacts): string[] {
  const names = [serverName];
  for (let dot = serverName.indexOf('.', 1); dot > 0; dot = serverName.indexOf('.', dot + 1))
    names.push(serverName.slice(dot));
  return names;
}

const sourceTypes: Candidates = ({ localAddress, remoteAddress }) => {
  const isLocal = remoteAddress === '' || isLoopback(remoteAddress) || localAddress === remoteAddress;
  return [isLocal ? 'SAME_IP_OR_LOOPBACK' : 'EXTERNAL'];
};

/** One set of chains that are still possible: which of them are left after the next criterion. */
interface Step {
  next(facts: ConnectionFacts): Step | number | undefined;
}

/** How each of `criteria` looks for its value. Ranges are looked for by the connection's address instead. */
const lookUps: readonly (
  | { readonly by: Candidates }
  | {
      readonly ranges: (match: FilterChainMatch) => readonly Cidr[];
      readonly address: (facts: ConnectionFacts) => string;
    }
)[] = [
  { by: ({ localPort }) => [String(localPort)] },
  { ranges: ({ prefixRanges }) => prefixRanges, address: ({ localAddress }) => localAddress },
  { by: serverNames },
  { by: ({ transportProtocol }) => [transportProtocol] },
  { by: ({ applicationProtocols }) => applicationProtocols },
  { ranges: ({ directSourcePrefixRanges }) => directSourcePrefixRanges, address: ({ remoteAddress }) => remoteAddress },
  { by: sourceTypes },
  { ranges: ({ sourcePrefixRanges }) => sourcePrefixRanges, address: ({ remoteAddress }) => remoteAddress },
  { by: ({ remotePort }) => [String(remotePort)] },
];

/**
 * Finds the filter chain of a connection as Envoy's `FilterChainManagerImpl::findFilterChain`: one criterion after the other, and of each the most
 * specific value that any chain has. There is no way back: a chain that fits in all is not found where another one fits better in an earlier
 * criterion and not at all in a later.
 *
 * @returns the position of the chain; undefined: none fits
 */
export function compileFilterChains(
  matches: readonly FilterChainMatch[],
): (facts: ConnectionFacts) => number | undefined {
  const matchOf = (chain: number): FilterChainMatch => matches[chain] as FilterChainMatch;

  function step(chains: readonly number[], criterion: number): Step | number | undefined {
    const keysOf = criteria[criterion];
    const lookUp = lookUps[criterion];
    if (keysOf === undefined || lookUp === undefined) return chains[0];
    const groups = groupByKey(chains, (chain) => keysOf(matchOf(chain)));
    // What no connection asks for is never worked out: the values of all criteria multiply.
    const made = new Map<string, Step | number | undefined>();
    const follow = (key: string, group: readonly number[]): Step | number | undefined => {
      if (!made.has(key)) made.set(key, step(group, criterion + 1));
      return made.get(key);
    };
    if ('by' in lookUp)
      return {
        next(facts) {
          for (const key of [...lookUp.by(facts), anyKey]) {
            const group = groups.get(key);
            if (group) return follow(key, group);
          }
          return undefined;
        },
      };
    const ranges = chains.flatMap((chain) => lookUp.ranges(matchOf(chain)));
    const rangeOf = new Map(ranges.map((range) => [cidrKey(range), range]));
    const longestFirst = [...rangeOf].sort(([, one], [, other]) => other.length - one.length);
    return {
      next(facts) {
        const address = longestFirst.length === 0 ? noAddress : bitsOf(lookUp.address(facts));
        const key = longestFirst.find(([, range]) => cidrContains(range, address))?.[0] ?? anyKey;
        const group = groups.get(key);
        return group && follow(key, group);
      },
    };
  }
  const first = step(
    matches.map((_, index) => index),
    0,
  );
  return (facts) => {
    let at = first;
    while (typeof at === 'object') at = at.next(facts);
    return at;
  };
}
