import {
  type Answer,
  type DeltaDiscoveryRequest,
  type DiscoveryResponse,
  Rejected,
  type TypeState,
} from './discovery.js';
import type { Resource, TypeSnapshot } from './snapshot.js';
import { Subscription } from './subscription.js';

/** In place of a version: the client was told that there is no such resource. No hash looks like it. */
const absent = '(absent)';
/** In place of a version: the client must be told again, whatever it has. */
const unknown = '(unknown)';

/**
 * Delta, also called incremental.
 * https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#incremental-xds
 */
export class DeltaState implements TypeState<DeltaDiscoveryRequest> {
  readonly subscription = new Subscription();
  #inFlight: DiscoveryResponse | undefined;
  /** What the client has, name → version. */
  readonly #held = new Map<string, string>();
  readonly #rejected = new Rejected();
  #isFirstRequest = true;
  #answeredOnce = false;
  #target = '';

  constructor(readonly typeUrl: string) {}

  get inFlight(): DiscoveryResponse | undefined {
    return this.#inFlight;
  }

  receive(request: DeltaDiscoveryRequest): Answer {
    const answer = this.#answer(request);
    if (this.#isFirstRequest) {
      for (const [name, version] of request.initialResourceVersions) this.#held.set(name, version);
    }
    // Names count in every request, also in one whose nonce is stale: nothing repeats them later.
    this.#subscribe(request);
    this.#isFirstRequest = false;
    return answer;
  }

  next(target: TypeSnapshot, step: TypeSnapshot, nonce: string): DiscoveryResponse | undefined {
    if (this.#inFlight || this.#isFirstRequest) return undefined;
    const resources = this.#candidates(target).filter(
      ({ name, version }) => this.#held.get(name) !== version && !this.#rejected.has(name, version, target.version),
    );
    const removed = this.#missing(step).filter((name) => !this.#rejected.has(name, absent, target.version));
    // A wildcard's first answer is sent even when it is empty: the client learns that there is nothing.
    const isFirstWildcard = !this.#answeredOnce && this.subscription.wildcard;
    if (resources.length === 0 && removed.length === 0 && !isFirstWildcard) return undefined;
    for (const { name, version } of resources) this.#held.set(name, version);
    for (const name of removed) {
      if (this.subscription.names.has(name)) this.#held.set(name, absent);
      else this.#held.delete(name);
    }
    this.#answeredOnce = true;
    this.#target = target.version;
    this.#inFlight = { typeUrl: this.typeUrl, version: target.version, nonce, resources, removed };
    return this.#inFlight;
  }

  #answer(request: DeltaDiscoveryRequest): Answer {
    if (request.responseNonce === '') return 'subscribe';
    if (request.responseNonce !== this.#inFlight?.nonce) return 'stale';
    const answered = this.#inFlight;
    this.#inFlight = undefined;
    if (!request.errorDetail) return 'ack';
    this.#reject(answered);
    return 'nack';
  }

  #subscribe({ subscribe, unsubscribe, initialResourceVersions }: DeltaDiscoveryRequest): void {
    const wasWildcard = this.subscription.wildcard;
    const wasNamed = new Set(unsubscribe.filter((name) => this.subscription.names.has(name)));
    this.subscription.update(subscribe, unsubscribe);
    for (const name of subscribe) {
      // A name that is subscribed to is answered even if the client seems to have it: it may have dropped it in between.
      // https://www.envoyproxy.io/docs/envoy/latest/api-v3/service/discovery/v3/discovery.proto#envoy-v3-api-field-service-discovery-v3-deltadiscoveryrequest-resource-names-subscribe
      if (!this.#isFirstRequest || !initialResourceVersions.has(name)) this.#held.delete(name);
      this.#rejected.forget(name);
    }
    for (const name of wasNamed) {
      // https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#unsubscribing-from-resources: beside a wildcard the server must
      // then say whether the resource is still there.
      if (this.subscription.wildcard) this.#held.set(name, unknown);
    }
    if (wasWildcard && this.subscription.wildcard) return;
    for (const name of this.#held.keys()) if (!this.subscription.wants(name)) this.#held.delete(name);
  }

  /** What there is of what is wanted. Names are looked up, so that one name of many resources costs one look. */
  #candidates(type: TypeSnapshot): Resource[] {
    if (this.subscription.wildcard) return [...type.resources.values()];
    return [...this.subscription.names].flatMap((name) => type.resources.get(name) ?? []);
  }

  /** What the client has, or asked for by name, that does not exist, and that it wasn't told so yet. */
  #missing(type: TypeSnapshot): string[] {
    const names = new Set([...this.#held.keys(), ...this.subscription.names]);
    return [...names].filter((name) => !type.resources.has(name) && this.#held.get(name) !== absent);
  }

  #reject(response: DiscoveryResponse): void {
    const versions = [
      ...response.resources.map(({ name, version }) => [name, version] as const),
      ...response.removed.map((name) => [name, absent] as const),
    ];
    this.#rejected.add(versions, this.#target);
    // Valid siblings may or may not have been applied, so all of it goes out again with the next change.
    for (const [name] of versions) this.#held.set(name, unknown);
  }
}
