import type { TransportSocketMatch } from '../../model/cluster.js';
import type { UpstreamTls } from '../../model/tls.js';
import { structToObject, typeNameOf } from '../../protobuf/any.js';
import type { Cluster__Output } from '../../protobuf/generated/envoy/config/cluster/v3/Cluster.js';
import type { TransportSocket__Output } from '../../protobuf/generated/envoy/config/core/v3/TransportSocket.js';
import type { UpstreamTlsContext__Output } from '../../protobuf/generated/envoy/extensions/transport_sockets/tls/v3/UpstreamTlsContext.js';
import { join, newFindings } from './findings.js';
import { extensionRule, report } from './support/check.js';
import { transportSocketSupport } from './support/network-filters.js';
import { readUpstreamTls, type StaticSecrets } from './tls-context.js';
import { type Context, extensionType, readExtension } from './translate.js';

export const rawBuffer = 'envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer';

/** Whether a transport socket is plain text; undefined when its type can't be told, which is a finding then. */
export function isPlainText(
  context: Context,
  socket: TransportSocket__Output | null,
  path: string,
): boolean | undefined {
  if (socket === null) return true;
  const type = extensionType(context, socket.typed_config, join(path, 'typed_config'));
  return type === undefined ? undefined : type === rawBuffer;
}

/**
 * How a cluster's own transport socket encrypts; undefined: not at all, or not as configured, which is a finding then. A type that Envoy's
 * API doesn't know is malformed for every cluster.
 */
export function readTransportSocket(
  context: Context,
  socket: TransportSocket__Output | null,
  path: string,
  secrets: StaticSecrets,
): UpstreamTls | undefined {
  if (socket === null) return undefined;
  const at = join(path, 'typed_config');
  const type = extensionType(context, socket.typed_config, at);
  if (type === undefined || type === rawBuffer || !socket.typed_config) return undefined;
  const rule = extensionRule(transportSocketSupport, type);
  if (rule !== undefined) {
    report(context.findings, rule.treatment, at, `${rule.reason} (${type})`);
    return undefined;
  }
  const config = readExtension<UpstreamTlsContext__Output>(context, socket.typed_config, at);
  return config && readUpstreamTls(context, config, at, secrets);
}

/** Finds transport sockets of types that Envoy's API doesn't know, which no Envoy could run. */
export function checkKnownTransportSockets(context: Context, cluster: Cluster__Output): void {
  const sockets: [string, TransportSocket__Output | null][] = [
    ['transport_socket', cluster.transport_socket],
    ...cluster.transport_socket_matches.map((match, index): [string, TransportSocket__Output | null] => [
      `transport_socket_matches[${index}].transport_socket`,
      match.transport_socket,
    ]),
  ];
  for (const [path, socket] of sockets) {
    const typeUrl = socket?.typed_config?.type_url ?? '';
    if (typeUrl === '' || context.schema.has(typeNameOf(typeUrl))) continue;
    context.findings.malformed.push({
      path: `${path}.typed_config`,
      message: `unknown transport socket type ${typeNameOf(typeUrl)}; allowed are the types of Envoy's API`,
    });
  }
}

/**
 * An entry that can't be run is left without a transport socket: the hosts that it fits can't be reached, and the others can.
 * https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/cluster/v3/cluster.proto (transport_socket_matches)
 */
export function readTransportSocketMatches(
  context: Context,
  cluster: Cluster__Output,
  secrets: StaticSecrets,
): TransportSocketMatch[] {
  return cluster.transport_socket_matches.map((entry, index) => {
    const path = `transport_socket_matches[${index}].transport_socket`;
    const findings = newFindings();
    const tls = readTransportSocket({ ...context, findings }, entry.transport_socket, path, secrets);
    const { malformed, unsupported, warnings } = findings;
    context.findings.malformed.push(...malformed);
    context.findings.warnings.push(...warnings);
    for (const { path: at, message } of unsupported)
      context.findings.warnings.push({ path: at, message: `hosts that match ${entry.name} are left out: ${message}` });
    const runs = malformed.length === 0 && unsupported.length === 0;
    const match = { name: entry.name, match: structToObject(entry.match), plainText: runs && tls === undefined };
    return runs && tls ? { ...match, tls } : match;
  });
}
