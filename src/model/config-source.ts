import type { GrpcService } from './grpc-service.js';

/** A gRPC control plane (envoy.config.core.v3.ApiConfigSource): the first service, the others when it is away. */
export interface ApiSource {
  readonly kind: 'api';
  readonly variant: 'SOTW' | 'DELTA';
  readonly services: readonly [GrpcService, ...GrpcService[]];
  readonly setNodeOnFirstMessageOnly: boolean;
  /** Requests at once, and per second; undefined: as many as there are. */
  readonly rateLimit: { readonly maxTokens: number; readonly fillRate: number } | undefined;
}

/** A file that has a DiscoveryResponse. */
export interface PathSource {
  readonly kind: 'path';
  readonly path: string;
  /** undefined: the folder of `path`. */
  readonly watchedDirectory: string | undefined;
  /** For file systems that tell of no changes: how often it is looked at besides. */
  readonly pollIntervalMs: number | undefined;
}

/** Where a dynamic resource comes from (envoy.config.core.v3.ConfigSource). `initialFetchTimeoutMs` 0 means: wait for ever. */
export type ConfigSource = { readonly initialFetchTimeoutMs: number } & (
  | { readonly kind: 'ads' }
  /** Where the resource that says so came from. */
  | { readonly kind: 'self' }
  | ApiSource
  | PathSource
);

/** What tells sources apart: all but how long they are waited for. */
export function sourceKey(source: ConfigSource): string {
  // Nearly all of ten thousand clusters have these, and nothing else tells them apart.
  if (source.kind === 'ads' || source.kind === 'self') return source.kind;
  return JSON.stringify({ ...source, initialFetchTimeoutMs: undefined });
}
