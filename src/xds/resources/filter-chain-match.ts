import { isDeepStrictEqual } from 'node:util';
import { type Cidr, cidrOf } from '../../model/cidr.js';
import { type FilterChainMatch, findOverlap, matchesAll } from '../../model/filter-chain-match.js';
import type { CidrRange__Output } from '../../protobuf/generated/envoy/config/core/v3/CidrRange.js';
import type { FilterChainMatch__Output } from '../../protobuf/generated/envoy/config/listener/v3/FilterChainMatch.js';
import { join } from './findings.js';
import { checkFields } from './support/check.js';
import { filterChainMatchSupport } from './support/listener.js';
import type { Context } from './translate.js';

function readRanges(context: Context, ranges: readonly CidrRange__Output[], path: string): Cidr[] {
  return ranges.flatMap(({ address_prefix: address, prefix_len: length }, index) => {
    const range = cidrOf(address, length?.value ?? 0);
    if (range) return [range];
    const at = join(`${path}[${index}]`, 'address_prefix');
    context.findings.malformed.push({ path: at, message: `"${address}" is no IP address` });
    return [];
  });
}

function readServerNames(context: Context, names: readonly string[], path: string): string[] {
  for (const [index, name] of names.entries())
    if (name.includes('*') && !name.startsWith('*.'))
      context.findings.malformed.push({
        path: `${path}[${index}]`,
        message: `"${name}" has a wildcard that is not the whole first label; only *.example.com is matched`,
      });
  return names.map((name) => name.toLowerCase());
}

/** What connections a filter chain is for; null: those that no chain with a better match is for. */
export function readFilterChainMatch(
  context: Context,
  message: FilterChainMatch__Output | null,
  path: string,
): FilterChainMatch {
  if (message === null) return matchesAll;
  checkFields(filterChainMatchSupport, message, path, context.findings);
  return {
    destinationPort: message.destination_port?.value || undefined,
    prefixRanges: readRanges(context, message.prefix_ranges, join(path, 'prefix_ranges')),
    serverNames: readServerNames(context, message.server_names, join(path, 'server_names')),
    transportProtocol: message.transport_protocol,
    applicationProtocols: [...message.application_protocols],
    directSourcePrefixRanges: readRanges(
      context,
      message.direct_source_prefix_ranges,
      join(path, 'direct_source_prefix_ranges'),
    ),
    sourceType: message.source_type,
    sourcePrefixRanges: readRanges(context, message.source_prefix_ranges, join(path, 'source_prefix_ranges')),
    sourcePorts: [...message.source_ports],
  };
}

/** As in Envoy a listener is refused where two of its chains are for the same connections. */
export function checkOverlap({ findings }: Context, matches: readonly FilterChainMatch[]): void {
  try {
    const overlap = findOverlap(matches);
    if (overlap === undefined) return;
    const [one, other] = overlap;
    findings.malformed.push({
      path: `filter_chains[${other}].filter_chain_match`,
      message: `has matching rules that overlap with those of filter_chains[${one}]`,
    });
  } catch (error) {
    findings.malformed.push({ path: 'filter_chains', message: error instanceof Error ? error.message : String(error) });
  }
}

/** Whether it says nothing. */
export const fitsAll = (match: FilterChainMatch): boolean => isDeepStrictEqual(match, matchesAll);

/** Whether only what a client sends first tells if a connection fits. */
export const looksAtHello = ({ serverNames, transportProtocol, applicationProtocols }: FilterChainMatch): boolean =>
  serverNames.length + applicationProtocols.length > 0 || transportProtocol !== '';
