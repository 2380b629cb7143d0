import type { SocketAddress } from '../../model/endpoint.js';
import type { FilterChainMatch } from '../../model/filter-chain-match.js';
import type { FilterChain, HttpConnectionManager, Listener, TlsInspection } from '../../model/listener.js';
import type { DownstreamTls } from '../../model/tls.js';
import type { Address__Output } from '../../protobuf/generated/envoy/config/core/v3/Address.js';
import type { FilterChain__Output } from '../../protobuf/generated/envoy/config/listener/v3/FilterChain.js';
import type { Listener__Output } from '../../protobuf/generated/envoy/config/listener/v3/Listener.js';
import type { TlsInspector__Output } from '../../protobuf/generated/envoy/extensions/filters/listener/tls_inspector/v3/TlsInspector.js';
import type { HttpConnectionManager__Output } from '../../protobuf/generated/envoy/extensions/filters/network/http_connection_manager/v3/HttpConnectionManager.js';
import type { DownstreamTlsContext__Output } from '../../protobuf/generated/envoy/extensions/transport_sockets/tls/v3/DownstreamTlsContext.js';
import type { Schema } from '../../protobuf/schema.js';
import { readAddress } from './address.js';
import { checkOverlap, fitsAll, looksAtHello, readFilterChainMatch } from './filter-chain-match.js';
import { join, newFindings } from './findings.js';
import { readHttpConnectionManager } from './http-connection-manager.js';
import { readDuration } from './read-duration.js';
import { checkFields, extensionRule, report } from './support/check.js';
import {
  additionalAddressSupport,
  filterChainSupport,
  filterSupport,
  listenerFilterFieldsSupport,
  listenerSupport,
  tlsInspectorSupport,
} from './support/listener.js';
import {
  downstreamTransportSocketSupport,
  listenerFilterSupport,
  networkFilterSupport,
} from './support/network-filters.js';
import { noStaticSecrets, readDownstreamTls, type StaticSecrets } from './tls-context.js';
import { type Context, extensionType, type ResourceTranslator, readExtension, translateResource } from './translate.js';

const typeName = 'envoy.config.listener.v3.Listener';
const tlsInspectorType = 'envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector';
const httpInspectorType = 'envoy.extensions.filters.listener.http_inspector.v3.HttpInspector';
const tlsType = 'envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext';

const defaultBufferLimitBytes = 1024 * 1024;
/** Envoy's default. */
const defaultInspectionTimeoutMs = 15_000;
/** Envoy's default is what the system allows (net.core.somaxconn), to which it shortens any more. */
const defaultBacklog = 65_535;

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
    else if (type === tlsInspectorType && filter.typed_config) {
      const at = join(path, 'typed_config');
      const inspector = readExtension<TlsInspector__Output>(context, filter.typed_config, at);
      if (inspector) checkFields(tlsInspectorSupport, inspector, at, context.findings);
    }
  }
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
  chain: FilterChain__Output,
  path: string,
  match: FilterChainMatch | undefined,
  secrets: StaticSecrets,
): FilterChain | undefined {
  checkFields(filterChainSupport, chain, path, context.findings);
  const tls = readTls(context, chain, path, secrets);
  const httpConnectionManager = readFilters(context, chain, path);
  return httpConnectionManager && { name: chain.name, match, ...(tls && { tls }), httpConnectionManager };
}

/** undefined: one of them is not ours, and the listener is parked or refused for that. */
function readChains(
  context: Context,
  listener: Listener__Output,
  secrets: StaticSecrets,
): readonly FilterChain[] | undefined {
  const { findings } = context;
  const { filter_chains: messages, default_filter_chain: fallback } = listener;
  if (messages.length === 0 && fallback === null) {
    // What has no filter chains by its nature is parked for that already.
    if (findings.parked.length === 0)
      findings.malformed.push({ path: 'filter_chains', message: 'no filter chains specified' });
    return undefined;
  }
  const matches = messages.map(({ filter_chain_match: match }, index) =>
    readFilterChainMatch(context, match, `filter_chains[${index}].filter_chain_match`),
  );
  checkOverlap(context, matches);
  checkInspection(context, listener, matches);
  const takesAll = messages.length === 1 && fallback === null && matches.every(fitsAll);
  const chains = messages.map((message, index) =>
    readChain(context, message, `filter_chains[${index}]`, takesAll ? undefined : matches[index], secrets),
  );
  if (fallback) chains.push(readChain(context, fallback, 'default_filter_chain', undefined, secrets));
  const read = chains.filter((chain) => chain !== undefined);
  return read.length === chains.length ? read : undefined;
}

const hasFilter = (context: Context, { listener_filters: filters }: Listener__Output, type: string): boolean =>
  filters.some(
    ({ typed_config: any }) => any && extensionType({ ...context, findings: newFindings() }, any, '') === type,
  );

/** Whether what chains ask for is found out about connections at all. */
function checkInspection(context: Context, listener: Listener__Output, matches: readonly FilterChainMatch[]): void {
  const { findings } = context;
  for (const [index, match] of matches.entries()) {
    const path = `filter_chains[${index}].filter_chain_match`;
    if (match.applicationProtocols.length > 0 && hasFilter(context, listener, httpInspectorType))
      findings.parked.push({
        path: join(path, 'application_protocols'),
        message: 'not supported: the HTTP version of plain connections is not looked at (http_inspector)',
      });
    const asks = match.serverNames.length + match.applicationProtocols.length > 0 || match.transportProtocol === 'tls';
    if (asks && !hasFilter(context, listener, tlsInspectorType))
      findings.warnings.push({
        path,
        message:
          'no connection has a server name, an application protocol or the transport protocol tls without the listener filter tls_inspector',
      });
  }
}

/** What a client sends first is looked at only where that decides something. */
function readInspection(
  context: Context,
  listener: Listener__Output,
  chains: readonly FilterChain[],
): TlsInspection | undefined {
  if (!hasFilter(context, listener, tlsInspectorType)) return undefined;
  if (!chains.some(({ match }) => match && looksAtHello(match))) return undefined;
  const { listener_filters_timeout: timeout } = listener;
  return {
    timeoutMs: readDuration(context, timeout, defaultInspectionTimeoutMs, 'listener_filters_timeout'),
    continueOnTimeout: listener.continue_on_listener_filters_timeout,
  };
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
  const filterChains = readChains(context, listener, secrets);
  const [first] = addresses;
  if (filterChains === undefined || first === undefined) return undefined;
  return {
    name: listener.name || addressText(first),
    statPrefix: listener.stat_prefix || addressText(first).replaceAll(':', '_'),
    addresses,
    perConnectionBufferLimitBytes: listener.per_connection_buffer_limit_bytes?.value ?? defaultBufferLimitBytes,
    backlog: listener.tcp_backlog_size?.value ?? defaultBacklog,
    ipv4Compat,
    filterChains,
    tlsInspection: readInspection(context, listener, filterChains),
  };
}

/**
 * LDS. A listener is ours when all its filter chains go to an HTTP connection manager, in plain text or TLS; any other is parked.
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
