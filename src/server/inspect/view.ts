import type { Origin } from '../../upstream/cluster-manager.js';

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export type JsonObject = { readonly [key: string]: Json };

export const kinds = ['cluster', 'endpoints', 'listener', 'route', 'secret'] as const;
/** A resource type by its short name. */
export type Kind = (typeof kinds)[number];

export const typeNames: Readonly<Record<Kind, string>> = {
  cluster: 'envoy.config.cluster.v3.Cluster',
  endpoints: 'envoy.config.endpoint.v3.ClusterLoadAssignment',
  listener: 'envoy.config.listener.v3.Listener',
  route: 'envoy.config.route.v3.RouteConfiguration',
  secret: 'envoy.extensions.transport_sockets.tls.v3.Secret',
};

/** What was, or would be, decided about a resource; `warned` is active with fields that were ignored. */
export type VerdictWord = 'active' | 'warned' | 'parked' | 'rejected';

/** How a resource is there without a verdict. */
export type Absence = 'requested' | 'does not exist' | 'timed out' | 'warming';

/** One resource in a view. */
export interface ViewedResource {
  readonly kind: Kind;
  readonly name: string;
  readonly origin: Origin;
  /** Of the version that runs or would run, what the API marks as sensitive hidden; undefined: there is none. */
  readonly json: JsonObject | undefined;
  /** The serialized message, where nothing in it is hidden. */
  readonly bytes: Uint8Array | undefined;
  readonly verdict: VerdictWord | Absence;
  /** Why it is parked or rejected, or which fields were ignored. */
  readonly reasons: readonly string[];
  readonly version: string;
  /** ISO 8601; undefined: not known. */
  readonly since: string | undefined;
  /** It is what an earlier process knew. */
  readonly stale: boolean;
  /** A later version that was refused while this one runs, and why. */
  readonly refused: { readonly version: string; readonly at: string | undefined } | undefined;
  /** The model that it became, where there is one: what is equal here changes nothing. */
  readonly model: unknown;
}

/** Resources of one place: a running instance, a file. */
export interface ConfigView {
  /** As it was named. */
  readonly source: string;
  readonly resources: readonly ViewedResource[];
  /** Whether a resource that is not in the view does not exist, as far as it goes. */
  covers(kind: Kind, origin: Origin): boolean;
  /** The bootstrap as JSON, where it is known: it names clusters, too. */
  readonly bootstrap: JsonObject | undefined;
}

/** What can't be read or compared; the message is for the user. */
export class InspectError extends Error {}

export const isObject = (json: unknown): json is JsonObject =>
  typeof json === 'object' && json !== null && !Array.isArray(json);

export const asObject = (json: unknown): JsonObject => (isObject(json) ? json : {});
export const asList = (json: unknown): readonly Json[] => (Array.isArray(json) ? (json as Json[]) : []);
export const asText = (json: unknown): string => (typeof json === 'string' ? json : '');

/** The kind of a type URL or a type's full name. */
export function kindOf(typeUrl: string): Kind | undefined {
  const typeName = typeUrl.slice(typeUrl.lastIndexOf('/') + 1);
  return kinds.find((kind) => typeNames[kind] === typeName);
}
