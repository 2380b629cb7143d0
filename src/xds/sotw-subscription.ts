import { type Any, type DiscoveryRequest, wildcardName, wrappedResourceType } from './discovery.js';
import type { Interest } from './interest.js';
import { readDiscoveryResponse, readWrappedResource } from './response-reader.js';
import {
  type Answer,
  type ReceivedResource,
  type ReceivedResponse,
  type Subscription,
  timeToLive,
  UnreadResource,
  unwrap,
  type Variant,
} from './subscription.js';

/** State of the world: every request repeats all names, the last accepted version and the last nonce. */
class SotwSubscription implements Subscription {
  readonly #typeUrl: string;
  readonly #interest: Interest;
  #version = '';
  #nonce = '';
  #requested = false;
  /** A name was given on this stream: an empty list no longer means everything. */
  #explicit = false;
  #saidRevision = -1;
  #said: readonly string[] = [];

  constructor(typeUrl: string, interest: Interest) {
    this.#typeUrl = typeUrl;
    this.#interest = interest;
  }

  /** The version is the resources', not the stream's: it is named again on the next one. The nonce is the stream's. */
  streamStarted(): void {
    this.#nonce = '';
    this.#requested = false;
    this.#explicit = false;
    this.#said = [];
  }

  get requested(): boolean {
    return this.#requested;
  }

  get pending(): boolean {
    // An empty first request would ask for everything.
    if (!this.#requested) return !this.#interest.empty;
    return this.#saidRevision !== this.#interest.revision;
  }

  nextRequest(answer?: Answer): DiscoveryRequest | undefined {
    const names = this.#names();
    this.#saidRevision = this.#interest.revision;
    if (!answer && this.#requested && sameNames(names, this.#said)) return undefined;
    this.#requested = true;
    this.#said = names;
    if (names.length > 0) this.#explicit = true;
    if (answer) this.#nonce = answer.nonce;
    return {
      type_url: this.#typeUrl,
      resource_names: names,
      version_info: this.#version,
      response_nonce: this.#nonce,
      ...(answer?.error ? { error_detail: answer.error } : {}),
    };
  }

  accepted(version: string): void {
    this.#version = version;
  }

  /** Servers exist that know only the empty list as the wildcard, so `*` is written where it can't be left out. */
  #names(): string[] {
    const names = [...this.#interest.names];
    if (this.#interest.wildcard && (names.length > 0 || this.#explicit)) names.unshift(wildcardName);
    return names;
  }
}

function sameNames(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false;
  const known = new Set(b);
  return a.every((name) => known.has(name));
}

function unpackResource(any: Any, version: string): ReceivedResource {
  if (any.type_url !== `type.googleapis.com/${wrappedResourceType}`) {
    return {
      name: undefined,
      version,
      body: { kind: 'message', typeUrl: any.type_url, bytes: any.value },
    };
  }
  try {
    const wrapped = readWrappedResource(any.value);
    return { name: wrapped.name, version, ttlMs: timeToLive(wrapped), body: unwrap(wrapped) };
  } catch (error) {
    const problem = `the ${wrappedResourceType} around it cannot be decoded: ${String(error)}`;
    return { name: undefined, version, body: { kind: 'malformed', problem } };
  }
}

export const sotw: Variant = {
  kind: 'SOTW',
  requestType: 'envoy.service.discovery.v3.DiscoveryRequest',
  nameFields: { resource_names: 3 },
  answersSupersede: true,
  createSubscription: (typeUrl, interest) => new SotwSubscription(typeUrl, interest),
  unpack(bytes): ReceivedResponse {
    const response = readDiscoveryResponse(bytes);
    const { version_info: version } = response;
    const resources = response.resources.map((any) => new UnreadResource(() => unpackResource(any.read(), version)));
    return {
      typeUrl: response.type_url,
      nonce: response.nonce,
      version,
      resources,
      removed: [],
      // Heartbeats come alone: resources without a TTL are left out and still there.
      get mayBeComplete() {
        return resources.every(({ body }) => body.kind !== 'heartbeat');
      },
    };
  },
};
