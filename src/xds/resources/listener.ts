import type { SocketAddress } from '../../model/endpoint.js';
import type { HttpConnectionManager, Listener } from '../../model/listener.js';
import type { DownstreamTls } from '../../model/tls.js';
import type { Address__Output } from '../../protobuf/generated/envoy/config/core/v3/Address.js';
import type { FilterChain__Output } from '../../protobuf/generated/envoy/config/listener/v3/FilterChain.js';
import type { FilterChainMatch__Output } from '../../protobuf/generated/envoy/config/listener/v3/FilterChainMatch.js';
import type { Listener__Output } from '../../protobuf/generated/envoy/config/listener/v3/Listener.js';
import type { HttpConnectionManager__Output } from '../../protobuf/generated/envoy/extensions/filters/network/http_connection_manager/v3/HttpConnectionManager.js';
import type { DownstreamTlsContext__Output } from '../../protobuf/generated/envoy/extensions/transport_sockets/tls/v3/DownstreamTlsContext.js';
import type { Schema } from '../../protobuf/schema.js';
import { readAddress } from './address.js';
import { join, newFindings } from './findings.js';
import { readHttpConnectionManager } from './http-connection-manager.js';
import { readDuration } from './read-duration.js';
import { checkFields, extensionRule, report } from './support/check.js';
import {
  additionalAddressSupport,
  filterChainMatchSupport,
  filterChainSupport,
  filterSupport,
  listenerFilterFieldsSupport,
  listenerSupport,
} from './support/listener.js';
import {
  downstreamTransportSocketSupport,
  listenerFilterSupport,
  networkFilterSupport,
} from './support/network-filters.js';
import { noStaticSecrets, readDownstreamTls, type StaticSecrets } from './tls-context.js';
import { type Context, extensionType, type ResourceTranslator, readExtension, translateResource } from './translate.js';

const typeName = 'envoy.config.listener.v3.Listener';
const tlsType = 'envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext';

const defaultBufferLimitBytes = 1024 * 1024;
/** Node's default where the resource has none. */
const defaultBacklog = 511;

/** Addresses that we don't bind park the listener. */
function readListenerAddress(
  context: Context,
  address: Address__Output | null,
  path: string,
): SocketAddress | undefined {
  const findings = newFindings();
  const read = readAddress({ ...context, findings }, address, path, 'ip');
  context.findings.malformed.push(...findings.malformed);
  context.findings.parked.push(...findings.unsupported);
  context.findings.warnings.push(...findings.warnings);
  return read;
}

function readAddresses(context: Context, listener: Listener__Output): SocketAddress[] {
  // Neither has an address of its own, and both are parked.
  if (listener.api_listener !== null || listener.internal_listener) return [];
  const addresses = [readListenerAddress(context, listener.address, 'address')];
  for (const [index, additional] of listener.additional_addresses.entries()) {
    const path = `additional_addresses[${index}]`;
    checkFields(additionalAddressSupport, additional, path, context.findings);
    addresses.push(readListenerAddress(context, additional.address, join(path, 'address')));
  }
  return addresses.filter((address) => address !== undefined);
}

function checkIpv4Compat(context: Context, listener: Listener__Output): boolean {
  const socket = listener.address?.socket_address;
  if (!socket?.ipv4_compat) return false;
  if (socket.address !== '::' && !socket.address.toLowerCase().startsWith('::ffff:'))
    context.findings.malformed.push({
      path: 'address.socket_address.ipv4_compat',
      message: 'is allowed with the address :: or an IPv4-mapped IPv6 address only',
    });
  return true;
}

function checkListenerFilters(context: Context, listener: Listener__Output): void {
  for (const [index, filter] of listener.listener_filters.entries()) {
    const path = `listener_filters[${index}]`;
    checkFields(listenerFilterFieldsSupport, filter, path, context.findings);
    if (filter.config_discovery) continue;
    const type = extensionType(context, filter.typed_config, path);
    const rule = type === undefined ? undefined : extensionRule(listenerFilterSupport, type);
    if (rule !== undefined)
      report(context.findings, rule.treatment, path, `listener filter ${filter.name}: ${rule.reason}`);
  }
}

/**
 * Whether every connection fits. `raw_buffer` is what a connection counts as that no listener filter has found to be TLS; of a chain that
 * is for TLS, `tls` leaves out only connections that can't shake hands with it.
 */
function matchesAll(match: FilterChainMatch__Output | null, encrypted: boolean): boolean {
  if (match === null) return true;
  const { transport_protocol, source_type, ...rest } = match;
  if (transport_protocol !== '' && transport_protocol !== (encrypted ? 'tls' : 'raw_buffer')) return false;
  if (source_type !== 'ANY') return false;
  return Object.values(rest).every(
    (value) => value === null || value === '' || (Array.isArray(value) && value.length === 0),
  );
}

/** The one chain that serves all connections, with its path; otherwise the listener is parked. */
function chooseChain(
  context: Context,
  listener: Listener__Output,
): { chain: FilterChain__Output; path: string } | undefined {
  const { findings } = context;
  const { filter_chains: chains, default_filter_chain: fallback } = listener;
  const [first] = chains;
  if (first === undefined) {
    if (fallback !== null) return { chain: fallback, path: 'default_filter_chain' };
    // What has no filter chains by its nature is parked for that already.
    if (findings.parked.length === 0)
      findings.malformed.push({
        path: 'filter_chains',
        message: 'no filter chains specified',
      });
    return undefined;
  }
  const encrypted = first.transport_socket?.typed_config?.type_url.endsWith('.DownstreamTlsContext') ?? false;
  if (chains.length === 1 && matchesAll(first.filter_chain_match, encrypted))
    return { chain: first, path: 'filter_chains[0]' };
  for (const [index, { filter_chain_match: match }] of chains.entries())
    if (match) checkFields(filterChainMatchSupport, match, `filter_chains[${index}].filter_chain_match`, findings);
  findings.parked.push({
    path: 'filter_chains',
    message:
      'not supported: connections are not matched to filter chains; one chain without filter_chain_match is served',
  });
  return undefined;
}

/** What can't be run parks the listener. */
function readTls(
  outer: Context,
  chain: FilterChain__Output,
  path: string,
  secrets: StaticSecrets,
): DownstreamTls | undefined {
  if (chain.transport_socket === null) return undefined;
  const findings = newFindings();
  const context = { ...outer, findings };
  const at = join(path, 'transport_socket.typed_config');
  const any = chain.transport_socket.typed_config ?? null;
  const type = extensionType(context, any, at);
  const rule = type === undefined ? undefined : extensionRule(downstreamTransportSocketSupport, type);
  let tls: DownstreamTls | undefined;
  if (rule !== undefined) report(findings, rule.treatment, at, `${rule.reason} (${type})`);
  else if (type === tlsType && any) {
    const config = readExtension<DownstreamTlsContext__Output>(context, any, at);
    const timeoutAt = join(path, 'transport_socket_connect_timeout');
    const timeoutMs = readDuration(context, chain.transport_socket_connect_timeout, 0, timeoutAt);
    tls = config && readDownstreamTls(context, config, at, secrets, timeoutMs);
  }
  outer.findings.malformed.push(...findings.malformed);
  outer.findings.warnings.push(...findings.warnings);
  outer.findings.parked.push(...findings.parked, ...findings.unsupported);
  return tls;
}

function readFilters(context: Context, chain: FilterChain__Output, path: string): HttpConnectionManager | undefined {
  const { findings } = context;
  for (const [index, filter] of chain.filters.entries()) {
    const at = join(path, `filters[${index}]`);
    checkFields(filterSupport, filter, at, findings);
    if (filter.config_discovery) continue;
    const any = filter.typed_config ?? null;
    const type = extensionType(context, any, join(at, 'typed_config'));
    if (type === undefined) return undefined;
    const rule = extensionRule(networkFilterSupport, type);
    if (rule !== undefined) {
      report(findings, rule.treatment, at, `network filter ${filter.name} (${type}): ${rule.reason}`);
      continue;
    }
    if (index < chain.filters.length - 1)
      findings.malformed.push({
        path: at,
        message: 'the HTTP connection manager must be the last filter of its chain',
      });
    const manager = any && readExtension<HttpConnectionManager__Output>(context, any, join(at, 'typed_config'));
    return manager ? readHttpConnectionManager(context, manager, join(at, 'typed_config')) : undefined;
  }
  if (findings.parked.length === 0)
    findings.parked.push({
      path: join(path, 'filters'),
      message: 'not supported: there is no HTTP connection manager',
    });
  return undefined;
}

function readChain(
  context: Context,
  listener: Listener__Output,
  secrets: StaticSecrets,
): Pick<Listener, 'tls' | 'httpConnectionManager'> | undefined {
  const chosen = chooseChain(context, listener);
  if (chosen === undefined) return undefined;
  checkFields(filterChainSupport, chosen.chain, chosen.path, context.findings);
  const tls = readTls(context, chosen.chain, chosen.path, secrets);
  const httpConnectionManager = readFilters(context, chosen.chain, chosen.path);
  return httpConnectionManager && { ...(tls && { tls }), httpConnectionManager };
}

function addressText(address: SocketAddress): string {
  if (address.kind === 'pipe') return address.path;
  return address.address.includes(':') ? `[${address.address}]:${address.port}` : `${address.address}:${address.port}`;
}

function readListener(listener: Listener__Output, context: Context, secrets: StaticSecrets): Listener | undefined {
  checkFields(listenerSupport, listener, '', context.findings);
  if (listener.internal_listener)
    context.findings.parked.push({
      path: 'internal_listener',
      message: 'not supported: the listener is reached only through another one',
    });
  const addresses = readAddresses(context, listener);
  checkListenerFilters(context, listener);
  const ipv4Compat = checkIpv4Compat(context, listener);
  const chain = readChain(context, listener, secrets);
  const [first] = addresses;
  if (chain === undefined || first === undefined) return undefined;
  return {
    name: listener.name || addressText(first),
    statPrefix: listener.stat_prefix || addressText(first).replaceAll(':', '_'),
    addresses,
    perConnectionBufferLimitBytes: listener.per_connection_buffer_limit_bytes?.value ?? defaultBufferLimitBytes,
    backlog: listener.tcp_backlog_size?.value ?? defaultBacklog,
    ipv4Compat,
    ...chain,
  };
}

/**
 * LDS. A listener is ours when all its connections go to one HTTP connection manager, in plain text or TLS; any other is parked.
 * https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/listener/v3/listener.proto
 */
export function listenerResource(schema: Schema, secrets = noStaticSecrets): ResourceTranslator<Listener> {
  return {
    typeUrl: `type.googleapis.com/${typeName}`,
    nameOf: (bytes) => schema.decode<Listener__Output>(typeName, bytes).name,
    translate: (bytes, origin) =>
      translateResource(schema, typeName, bytes, origin, (message: Listener__Output, context) =>
        readListener(message, context, secrets),
      ),
  };
}
