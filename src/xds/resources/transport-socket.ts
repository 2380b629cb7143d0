import type { TransportSocketMatch } from '../../model/cluster.js';
import { structToObject, typeNameOf } from '../../protobuf/any.js';
import type { Cluster__Output } from '../../protobuf/generated/envoy/config/cluster/v3/Cluster.js';
import type { TransportSocket__Output } from '../../protobuf/generated/envoy/config/core/v3/TransportSocket.js';
import { join } from './findings.js';
import { extensionRule, report } from './support/check.js';
import { transportSocketSupport } from './support/cluster.js';
import { type Context, extensionType } from './translate.js';

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

/** A cluster's own transport socket: only plain text runs; a type that Envoy's API doesn't know is malformed for every cluster. */
export function checkTransportSocket(context: Context, socket: TransportSocket__Output | null): void {
  if (socket === null) return;
  const path = 'transport_socket.typed_config';
  const type = extensionType(context, socket.typed_config, path);
  if (type === undefined) return;
  const rule = extensionRule(transportSocketSupport, type);
  if (rule !== undefined) report(context.findings, rule.treatment, path, `${rule.reason} (${type})`);
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

/** https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/cluster/v3/cluster.proto (transport_socket_matches) */
export function readTransportSocketMatches(context: Context, cluster: Cluster__Output): TransportSocketMatch[] {
  return cluster.transport_socket_matches.map((entry, index) => ({
    name: entry.name,
    match: structToObject(entry.match),
    plainText:
      isPlainText(context, entry.transport_socket, `transport_socket_matches[${index}].transport_socket`) === true,
  }));
}
