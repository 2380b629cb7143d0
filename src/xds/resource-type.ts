import type { Problem, Verdict } from '../model/verdict.js';

/** What the streams know of a type: enough to run the protocol, nothing of what a resource means. `T` is what a judged resource became. */
export interface ResourceType<T> {
  /** `type.googleapis.com/envoy.config.cluster.v3.Cluster` … */
  readonly typeUrl: string;
  /** Envoy's short name, for stats and logs: `cds`, `eds`, `lds`, `rds`. */
  readonly shortName: string;
  /** A state-of-the-world response lists all there is: what it leaves out is deleted (LDS and CDS). */
  readonly fullState: boolean;
  /**
   * Responses of such types are applied in the order in which they come, across types, because one refers to what another brings: a route to
   * its cluster. Control planes rely on it when they send one after the other without waiting for answers
   * (https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#eventual-consistency-considerations). Others pass a slow judge.
   */
  readonly inStreamOrder?: boolean;
  /**
   * Where `update_success` and the like are counted: `cluster_manager.cds`, `listener_manager.lds`. Absent for types whose statistics
   * belong to each watcher (`cluster.NAME.update_success`).
   */
  readonly statPrefix?: string;
  /**
   * The resource's own name field. Throws when the bytes can't be decoded. It is asked for new and changed resources, so a reader of
   * this one field is better than a decoder of the whole.
   */
  nameOf(bytes: Uint8Array): string;
  /** Decides about one new or changed resource; never rejects. */
  judge(resource: { readonly name: string; readonly version: string; readonly bytes: Uint8Array }): Promise<Verdict<T>>;
  /**
   * For one response: gives the question whether what a model's bytes refer to outside (a plugin's file) changed since they were judged, so
   * that equal bytes must be judged again. Answers may be shared within the response: what is known is answered at once. Absent: equal bytes
   * always mean the same.
   */
  staleCheck?(): (model: T) => boolean | Promise<boolean>;
  /** What `staleCheck` depends on: those with the same are stale together. undefined: the model never is. */
  staleGroup?(model: T): string | undefined;
  /** Frees what a judged model holds when it is dropped instead of applied (superseded, stream gone). */
  discard?(model: T): void;
}

/** One accepted resource: active or parked. */
export interface AcceptedResource<T> {
  readonly name: string;
  readonly version: string;
  readonly bytes: Uint8Array;
  readonly verdict: Verdict<T>;
}

/** One resource that was not accepted. What it would have replaced goes on. */
export interface RejectedResource {
  readonly name: string;
  readonly problems: readonly Problem[];
}

/** One batch that was judged, for whoever applies it: the part of it that a watcher asked for. */
export interface ResourceUpdate<T> {
  /**
   * - `response`: the control plane sent something.
   * - `cache`: another watcher's subscription already holds what this one asked for.
   * - `initial_fetch_timeout`: nothing came in time; `removed` has the names (none for a wildcard).
   * - `source_failure`: what they are to come from cannot be used, and nobody knows for how long; `rejected` has the names (none for a
   *   wildcard). They may come later.
   * - `ttl`: the time to live of those in `removed` passed, and the control plane did not renew it.
   * - `last_known`: the control plane was silent for too long; this is what it said to an earlier process.
   */
  readonly cause: 'response' | 'cache' | 'initial_fetch_timeout' | 'source_failure' | 'ttl' | 'last_known';
  /** `version_info`, for Delta `system_version_info`; '' where the control plane has none. */
  readonly version: string;
  readonly changed: readonly AcceptedResource<T>[];
  /** Names that the control plane deleted, or (named subscriptions) that do not exist: initial_fetch_timeout passed. */
  readonly removed: readonly string[];
  readonly rejected: readonly RejectedResource[];
  /** Names that were sent again with the bytes that are held already. */
  readonly unchanged: readonly string[];
}

/** State of one resource as the client sees it, for /config_dump. `bytes` of the last accepted version. */
export interface ResourceState {
  readonly name: string;
  readonly status: 'requested' | 'active' | 'parked' | 'rejected' | 'does_not_exist' | 'timed_out';
  readonly version: string;
  readonly bytes: Uint8Array | undefined;
  /** Of the last accepted version. */
  readonly verdict: Verdict<unknown> | undefined;
  /** When the version was accepted, or when it was known that there is none. */
  readonly lastUpdated: Date | undefined;
  /** The version is what an earlier process knew, and the control plane has said nothing about it to this one. */
  readonly stale: boolean;
  /** The last rejected version. */
  readonly error:
    | {
        readonly version: string;
        readonly details: string;
        readonly lastAttempt: Date;
        readonly bytes: Uint8Array;
      }
    | undefined;
}
