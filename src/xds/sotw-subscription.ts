import { type DiscoveryRequest, wildcardName } from './discovery.js';
import type { Interest } from './interest.js';
import { readDiscoveryResponse } from './response-reader.js';
import { SotwResources } from './sotw-resources.js';
import type { Answer, ReceivedResponse, Subscription, Variant } from './subscription.js';

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
  #names(): readonly string[] {
    const { names, wildcard, revision } = this.#interest;
    const withWildcard = wildcard && (names.size > 0 || this.#explicit);
    // The very list, where nothing changed: it is not written again.
    const known = withWildcard === (this.#said[0] === wildcardName);
    if (this.#requested && this.#saidRevision === revision && known) return this.#said;
    return withWildcard ? [wildcardName, ...names] : [...names];
  }
}

function sameNames(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false;
  const known = new Set(b);
  return a.every((name) => known.has(name));
}

export const sotw: Variant = {
  kind: 'SOTW',
  requestType: 'envoy.service.discovery.v3.DiscoveryRequest',
  nameFields: { resource_names: 3 },
  answersSupersede: true,
  createSubscription: (typeUrl, interest) => new SotwSubscription(typeUrl, interest),
  unpack(bytes): ReceivedResponse {
    const response = readDiscoveryResponse(bytes);
    return {
      typeUrl: response.type_url,
      nonce: response.nonce,
      version: response.version_info,
      resources: new SotwResources(response.resources, response.version_info),
      removed: [],
      mayBeComplete: true,
    };
  },
};
