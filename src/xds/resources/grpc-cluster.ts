import type { Cluster } from '../../model/cluster.js';
import type { SocketAddress } from '../../model/endpoint.js';
import type { GrpcCluster, Keepalive } from '../../model/grpc-service.js';
import type { UpstreamTls } from '../../model/tls.js';
import type { Cluster__Output } from '../../protobuf/generated/envoy/config/cluster/v3/Cluster.js';
import type { KeepaliveSettings__Output } from '../../protobuf/generated/envoy/config/core/v3/KeepaliveSettings.js';
import type { UpstreamTlsContext__Output } from '../../protobuf/generated/envoy/extensions/transport_sockets/tls/v3/UpstreamTlsContext.js';
import type { HttpProtocolOptions__Output } from '../../protobuf/generated/envoy/extensions/upstreams/http/v3/HttpProtocolOptions.js';
import { newFindings } from './findings.js';
import { readDuration } from './read-duration.js';
import { readUpstreamTls, type StaticSecrets } from './tls-context.js';
import { type Context, extensionType, readExtension } from './translate.js';
import { rawBuffer } from './transport-socket.js';

const tlsType = 'envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext';
const httpOptionsType = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
const defaultConnectTimeoutMs = 5_000;

function prioritiesOf({ discovery }: Cluster): SocketAddress[][] {
  if (discovery.type === 'EDS') return [];
  const byPriority = new Map<number, SocketAddress[]>();
  for (const { priority, endpoints } of discovery.loadAssignment.localities) {
    const usable = endpoints.filter(({ healthStatus }) => healthStatus === 'UNKNOWN' || healthStatus === 'HEALTHY');
    byPriority.set(priority, [...(byPriority.get(priority) ?? []), ...usable.map(({ address }) => address)]);
  }
  return [...byPriority].sort(([a], [b]) => a - b).map(([, addresses]) => addresses);
}

function httpOptions(context: Context, cluster: Cluster__Output): HttpProtocolOptions__Output | undefined {
  // What is wrong with them was told when the cluster itself was judged.
  const quiet = { ...context, findings: newFindings() };
  for (const any of Object.values(cluster.typed_extension_protocol_options))
    if (extensionType(quiet, any, '') === httpOptionsType) return readExtension(quiet, any, '');
  return undefined;
}

function readKeepalive(
  context: Context,
  settings: KeepaliveSettings__Output | null | undefined,
): Keepalive | undefined {
  if (!settings?.interval) return undefined;
  const path = 'http2_protocol_options.connection_keepalive';
  const timeMs = readDuration(context, settings.interval, 0, `${path}.interval`);
  const timeoutMs = readDuration(context, settings.timeout, 20_000, `${path}.timeout`);
  return timeMs > 0 ? { timeMs, timeoutMs } : undefined;
}

/** The connection that brings secrets can't wait for one. */
function checkControlPlaneTls(
  { findings }: Context,
  { certificate, validation, defaultValidation }: UpstreamTls,
  path: string,
): void {
  for (const source of [certificate, validation])
    if (source?.kind === 'sds' && source.source.kind !== 'path')
      findings.unsupported.push({
        path: `${path}.${source === certificate ? 'tls_certificate_sds_secret_configs[0]' : 'validation_context_sds_secret_config'}.sds_config`,
        message:
          'not supported: the connection to a control plane cannot wait for a secret of one; use path_config_source or static_resources.secrets',
      });
  if (validation?.kind !== 'given') return;
  const { trustedCa, sanMatches, certificateHashes, publicKeyHashes } = validation.secret;
  if (trustedCa ?? defaultValidation?.trustedCa) return;
  if (sanMatches.length + certificateHashes.length + publicKeyHashes.length > 0)
    findings.malformed.push({
      path: `${path}.validation_context`,
      message: 'checks of the certificate need trusted_ca: without it anybody passes them',
    });
}

function readTls(context: Context, cluster: Cluster__Output, secrets: StaticSecrets): GrpcCluster['tls'] {
  const socket = cluster.transport_socket;
  if (socket === null) return undefined;
  const path = 'transport_socket.typed_config';
  const type = extensionType(context, socket.typed_config, path);
  if (type === undefined || type === rawBuffer || !socket.typed_config) return undefined;
  if (type !== tlsType) {
    const message = `${type} is not supported to a control plane; allowed are ${tlsType} and ${rawBuffer}`;
    context.findings.unsupported.push({ path, message });
    return undefined;
  }
  const config = readExtension<UpstreamTlsContext__Output>(context, socket.typed_config, path);
  const tls = config && readUpstreamTls(context, config, path, secrets, 'TLSv1.3');
  if (tls) checkControlPlaneTls(context, tls, `${path}.common_tls_context`);
  return tls;
}

/** A static cluster as the address of a control plane; what keeps it from being one is a finding. */
export function readGrpcCluster(
  context: Context,
  message: Cluster__Output,
  cluster: Cluster | undefined,
  secrets: StaticSecrets,
): GrpcCluster {
  const priorities = cluster ? prioritiesOf(cluster) : [];
  if (priorities.every((addresses) => addresses.length === 0))
    context.findings.malformed.push({
      path: 'load_assignment',
      message: 'the control plane needs a cluster of type STATIC, STRICT_DNS or LOGICAL_DNS with an endpoint',
    });
  if (message.transport_socket_matches.length > 0)
    context.findings.unsupported.push({
      path: 'transport_socket_matches',
      message: 'not supported for the control plane; use transport_socket',
    });
  const options = httpOptions(context, message);
  const http2 = options?.explicit_http_config?.http2_protocol_options ?? message.http2_protocol_options;
  return {
    name: message.name,
    priorities,
    connectTimeoutMs: readDuration(context, message.connect_timeout, defaultConnectTimeoutMs, 'connect_timeout'),
    tls: readTls(context, message, secrets),
    keepalive: readKeepalive(context, http2?.connection_keepalive),
  };
}
