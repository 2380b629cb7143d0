import { ChannelCredentials } from '@grpc/grpc-js';
import { formatAddress, type SocketAddress } from '../model/endpoint.js';
import type { GrpcCluster, GrpcService } from '../model/grpc-service.js';
import { readNow } from '../tls/data-source.js';
import { type ChannelConfig, channelDefaults, type MetadataEntry } from '../xds/ads-client.js';
import { clientTls, type SecretFiles } from './upstream-tls.js';

type Target<K> = Extract<GrpcService['target'], { kind: K }>;

/** Tokens are longer than they need to be, but not by this. */
const mostTokenBytes = 64 * 1024;

export interface GrpcChannelContext {
  readonly clusters: ReadonlyMap<string, GrpcCluster>;
  readonly files: SecretFiles;
  /** From 0 up to but not including 1. */
  readonly random: () => number;
}

const addressText = (address: SocketAddress) =>
  address.kind === 'pipe' ? `unix:${address.path}` : formatAddress(address);

/** Round robin: each stream begins with the next endpoint, the first with any. Those of a lower priority come after all of a higher one. */
function balanced({ priorities }: GrpcCluster, random: () => number): ChannelConfig['addresses'] {
  let turn = Math.floor(random() * 1_000);
  return (attempt) => {
    if (attempt === 0) turn++;
    return priorities.flatMap((addresses) => {
      const first = turn % Math.max(addresses.length, 1);
      return [...addresses.slice(first), ...addresses.slice(0, first)].map(addressText);
    });
  };
}

function clusterChannel(target: Target<'cluster'>, context: GrpcChannelContext): ChannelConfig {
  const cluster = context.clusters.get(target.clusterName);
  if (cluster === undefined) return { ...channelDefaults, addresses: () => [] };
  const authority = target.authority ?? cluster.name;
  const { tls, keepalive } = cluster;
  const serverName = tls?.sni || authority.replace(/:\d+$/, '');
  return {
    addresses: balanced(cluster, context.random),
    authority,
    connectTimeoutMs: cluster.connectTimeoutMs,
    keepaliveTimeMs: keepalive?.timeMs ?? channelDefaults.keepaliveTimeMs,
    keepaliveTimeoutMs: keepalive?.timeoutMs ?? channelDefaults.keepaliveTimeoutMs,
    ...(tls && {
      options: { 'grpc.ssl_target_name_override': serverName },
      credentials() {
        const { secureContext, verify, check } = clientTls(tls, serverName, context.files);
        return ChannelCredentials.createFromSecureContext(secureContext, {
          rejectUnauthorized: verify,
          checkServerIdentity: (_host, certificate) => check(certificate),
        });
      },
    }),
  };
}

function addressChannel(target: Target<'address'>): ChannelConfig {
  const { security, args } = target;
  const number = (name: string) => (typeof args[name] === 'number' ? (args[name] as number) : undefined);
  return {
    addresses: () => [target.uri],
    connectTimeoutMs: channelDefaults.connectTimeoutMs,
    keepaliveTimeMs: number('grpc.keepalive_time_ms') ?? channelDefaults.keepaliveTimeMs,
    keepaliveTimeoutMs: number('grpc.keepalive_timeout_ms') ?? channelDefaults.keepaliveTimeoutMs,
    options: args,
    ...(security.kind === 'tls' && {
      credentials: () =>
        ChannelCredentials.createSsl(
          security.rootCerts ? readNow(security.rootCerts) : null,
          security.privateKey ? readNow(security.privateKey) : null,
          security.certChain ? readNow(security.certChain) : null,
        ),
    }),
  };
}

/** A token file ends in a newline more often than not, which no header may have. */
function tokenOf({ secret, prefix, header }: Target<'address'>['credentials'][number]): MetadataEntry {
  const token = readNow(secret);
  if (token.length > mostTokenBytes) throw new Error(`the value of ${header} is ${token.length} bytes`);
  return { key: header, value: `${prefix}${token.toString('latin1').trim()}` };
}

/** How to reach a control plane. Files are read at each attempt: credentials that were rotated count from the next one on. */
export function grpcChannel(service: GrpcService, context: GrpcChannelContext): ChannelConfig {
  const { target, initialMetadata, maxReceiveMessageLength } = service;
  const channel = target.kind === 'cluster' ? clusterChannel(target, context) : addressChannel(target);
  const given = initialMetadata.map(({ key, value }) => ({
    key,
    value: typeof value === 'string' ? value : Buffer.from(value),
  }));
  return {
    ...channel,
    ...(maxReceiveMessageLength !== undefined && { largestResponse: maxReceiveMessageLength }),
    metadata: () => [...given, ...(target.kind === 'address' ? target.credentials.map(tokenOf) : [])],
  };
}
