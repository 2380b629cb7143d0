import type { DataSource } from './data-source.js';
import type { SocketAddress } from './endpoint.js';
import type { UpstreamTls } from './tls.js';

/** When a ping looks for the other end, and how long its answer may take. */
export interface Keepalive {
  readonly timeMs: number;
  readonly timeoutMs: number;
}

/** A static cluster as far as gRPC needs it: the address of a control plane. */
export interface GrpcCluster {
  readonly name: string;
  /** Endpoints by priority, the most wanted first. Names are resolved at each attempt. */
  readonly priorities: readonly (readonly SocketAddress[])[];
  readonly connectTimeoutMs: number;
  /** undefined: plain text. */
  readonly tls: UpstreamTls | undefined;
  readonly keepalive: Keepalive | undefined;
}

/** Credentials of google_grpc. */
export type ChannelSecurity =
  | { readonly kind: 'plain' }
  | {
      readonly kind: 'tls';
      /** undefined: those of the system. */
      readonly rootCerts: DataSource | undefined;
      readonly privateKey: DataSource | undefined;
      readonly certChain: DataSource | undefined;
    };

/** A header of each stream whose value is read when the stream is opened: a token. */
export interface CallCredential {
  readonly header: string;
  readonly prefix: string;
  readonly secret: DataSource;
}

/** envoy.config.core.v3.GrpcService. */
export interface GrpcService {
  readonly target:
    | { readonly kind: 'cluster'; readonly clusterName: string; readonly authority: string | undefined }
    | {
        readonly kind: 'address';
        readonly uri: string;
        readonly security: ChannelSecurity;
        readonly credentials: readonly CallCredential[];
        /** Arguments of the channel that have a meaning here, under gRPC's names. */
        readonly args: Readonly<Record<string, string | number>>;
      };
  readonly initialMetadata: readonly { readonly key: string; readonly value: string | Uint8Array }[];
  /** Bytes; undefined: the default. */
  readonly maxReceiveMessageLength: number | undefined;
  readonly retry: { readonly firstMs: number; readonly longestMs: number } | undefined;
}
