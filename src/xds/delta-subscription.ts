import { type DeltaDiscoveryRequest, type WrappedResource, wildcardName } from './discovery.js';
import type { Interest } from './interest.js';
import { readDeltaDiscoveryResponse } from './response-reader.js';
import {
  type AcceptedVersions,
  type Answer,
  type ReceivedResource,
  type ReceivedResponse,
  readOr,
  type Subscription,
  timeToLive,
  unwrap,
  type Variant,
} from './subscription.js';

/** Incremental: requests say what changed since the last one on the stream; the first says what is held already. */
class DeltaSubscription implements Subscription {
  readonly #typeUrl: string;
  readonly #interest: Interest;
  readonly #versions: AcceptedVersions;
  /** Names that are wanted and that the server of this stream does not know of. */
  #unsaid: Set<string>;
  /** Names that it knows of and that nobody wants any more. */
  #unwanted = new Set<string>();
  /** The server knows that all is wanted. */
  #wildcardSaid = false;
  #requested = false;
  #saidRevision = -1;

  constructor(typeUrl: string, interest: Interest, versions: AcceptedVersions) {
    this.#typeUrl = typeUrl;
    this.#interest = interest;
    this.#versions = versions;
    this.#unsaid = new Set(interest.names);
    interest.listen({
      added: (name) => void (this.#unwanted.delete(name) || this.#unsaid.add(name)),
      removed: (name) => void (this.#unsaid.delete(name) || this.#unwanted.add(name)),
    });
  }

  streamStarted(): void {
    this.#unsaid = new Set(this.#interest.names);
    this.#unwanted = new Set();
    this.#wildcardSaid = false;
    this.#requested = false;
  }

  get requested(): boolean {
    return this.#requested;
  }

  get pending(): boolean {
    if (!this.#requested) return !this.#interest.empty;
    return this.#saidRevision !== this.#interest.revision;
  }

  nextRequest(answer?: Answer): DeltaDiscoveryRequest | undefined {
    const first = !this.#requested;
    const { subscribe, unsubscribe } = first && this.#interest.wildcard ? this.#legacyWildcard() : this.#changes();
    if (!answer && !first && subscribe.length === 0 && unsubscribe.length === 0) return undefined;
    this.#requested = true;
    return {
      type_url: this.#typeUrl,
      resource_names_subscribe: subscribe,
      resource_names_unsubscribe: unsubscribe,
      initial_resource_versions: first ? Object.fromEntries(this.#versions()) : {},
      // Only answers carry a nonce: https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#incremental-xds
      response_nonce: answer?.nonce ?? '',
      ...(answer?.error ? { error_detail: answer.error } : {}),
    };
  }

  /** Which version a resource has is the cache's to know; a response has none that counts. */
  accepted(): void {}

  /**
   * An empty first request asks for everything, also where `*` is not understood. Names besides it follow in a second request, which
   * adds to it.
   */
  #legacyWildcard(): { subscribe: string[]; unsubscribe: string[] } {
    this.#wildcardSaid = true;
    this.#saidRevision = this.#interest.names.size === 0 ? this.#interest.revision : -1;
    return { subscribe: [], unsubscribe: [] };
  }

  #changes(): { subscribe: string[]; unsubscribe: string[] } {
    const { wildcard } = this.#interest;
    const [subscribe, unsubscribe] = [[...this.#unsaid], [...this.#unwanted]];
    if (wildcard && !this.#wildcardSaid) subscribe.unshift(wildcardName);
    if (!wildcard && this.#wildcardSaid) unsubscribe.push(wildcardName);
    this.#unsaid = new Set();
    this.#unwanted = new Set();
    this.#wildcardSaid = wildcard;
    this.#saidRevision = this.#interest.revision;
    return { subscribe, unsubscribe };
  }
}

function unpackResource(resource: WrappedResource): ReceivedResource {
  const { name, version } = resource;
  return { name, version, ttlMs: timeToLive(resource), body: unwrap(resource) };
}

export const delta: Variant = {
  kind: 'DELTA',
  requestType: 'envoy.service.discovery.v3.DeltaDiscoveryRequest',
  nameFields: { resource_names_subscribe: 3, resource_names_unsubscribe: 4 },
  answersSupersede: false,
  createSubscription: (typeUrl, interest, versions) => new DeltaSubscription(typeUrl, interest, versions),
  unpack(bytes): ReceivedResponse {
    const response = readDeltaDiscoveryResponse(bytes);
    const { resources } = response;
    return {
      typeUrl: response.type_url,
      nonce: response.nonce,
      version: response.system_version_info,
      resources: {
        length: resources.length,
        at: (index) => (index < resources.length ? readOr(() => unpackResource(resources.read(index))) : undefined),
      },
      removed: response.removed,
      mayBeComplete: false,
    };
  },
};
