import type { Resource, TypeSnapshot } from './snapshot.js';
import type { Subscription } from './subscription.js';

/** envoy.config.core.v3.Node, as far as this control plane looks at it. */
export interface Node {
  readonly id: string;
  readonly cluster: string;
  readonly userAgentName: string;
  readonly userAgentVersion: string;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** google.rpc.Status: why a client rejected a response. */
export interface ErrorDetail {
  readonly code: number;
  readonly message: string;
}

/** What requests of both variants have. */
export interface DiscoveryRequestBase {
  /** Only the first request of a stream must carry it. */
  readonly node: Node | undefined;
  readonly typeUrl: string;
  /** The version that the client runs; Delta has none. */
  readonly versionInfo: string;
  readonly responseNonce: string;
  readonly errorDetail: ErrorDetail | undefined;
}

/** envoy.service.discovery.v3.DiscoveryRequest */
export interface DiscoveryRequest extends DiscoveryRequestBase {
  readonly resourceNames: readonly string[];
}

/** envoy.service.discovery.v3.DeltaDiscoveryRequest */
export interface DeltaDiscoveryRequest extends DiscoveryRequestBase {
  readonly subscribe: readonly string[];
  readonly unsubscribe: readonly string[];
  /** Name → version that the client already has; counts on a type's first request of a stream. */
  readonly initialResourceVersions: ReadonlyMap<string, string>;
}

/** A DiscoveryResponse or DeltaDiscoveryResponse. */
export interface DiscoveryResponse {
  readonly typeUrl: string;
  /** `version_info`, in Delta `system_version_info`. */
  readonly version: string;
  readonly nonce: string;
  readonly resources: readonly Resource[];
  /** Delta only. */
  readonly removed: readonly string[];
}

/** What a request was. `stale` answers an older response than the last one, or none that was ever sent. */
export type Answer = 'subscribe' | 'ack' | 'nack' | 'stale';

/**
 * One type on one stream, in one of the protocol's two variants: turns what there is and what the client has into the next response.
 * It does no I/O and has no timers.
 */
export interface TypeState<Request extends DiscoveryRequestBase> {
  readonly subscription: Subscription;
  /** The response that the client has not answered yet; the next one waits for that. */
  readonly inFlight: DiscoveryResponse | undefined;
  /** Takes a request in. `current` is what is served now. */
  receive(request: Request, current: TypeSnapshot): Answer;
  /**
   * The response that brings the client to `target`, if one is due; it is then in flight. What `step` has beside that is leaving, but not yet:
   * a client that has it keeps it. Without a step the client is brought to `target` entirely.
   */
  next(target: TypeSnapshot, step: TypeSnapshot, nonce: string): DiscoveryResponse | undefined;
}

/** Remembers what a client rejected, so that the same content does not go back and forth for ever. */
export class Rejected {
  #versions = new Map<string, string>();
  #target = '';

  /** The client rejected a response; which of its resources is not known for sure. */
  add(versions: Iterable<readonly [string, string]>, target: string): void {
    if (this.#target !== target) this.#versions.clear();
    this.#target = target;
    for (const [name, version] of versions) this.#versions.set(name, version);
  }

  /** Whether this content was rejected and nothing of its type changed since. */
  has(name: string, version: string, target: string): boolean {
    return this.#target === target && this.#versions.get(name) === version;
  }

  forget(name: string): void {
    this.#versions.delete(name);
  }
}
