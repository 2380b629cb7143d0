import { type Answer, type DiscoveryRequest, type DiscoveryResponse, Rejected, type TypeState } from './discovery.js';
import { kindByTypeUrl } from './resource-kind.js';
import type { Resource, TypeSnapshot } from './snapshot.js';
import { Subscription } from './subscription.js';

/**
 * State of the world.
 * https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#the-xds-transport-protocol
 */
export class SotwState implements TypeState<DiscoveryRequest> {
  readonly subscription = new Subscription();
  readonly #fullState: boolean;
  #inFlight: DiscoveryResponse | undefined;
  /** What was sent last, name → version. undefined: nothing was sent on this stream. */
  #sent: Map<string, string> | undefined;
  /** Types with full state: what the client accepted last. */
  #accepted: ReadonlyMap<string, string> = new Map();
  /** Types with full state: what a rejected response led to; until that changes, what was sent counts as held. */
  #rejectedTarget: string | undefined;
  /** The other types: what was rejected, one by one. */
  readonly #rejected = new Rejected();
  #nonce = '';
  #target = '';

  constructor(readonly typeUrl: string) {
    this.#fullState = kindByTypeUrl.get(typeUrl)?.fullState ?? false;
  }

  get inFlight(): DiscoveryResponse | undefined {
    return this.#inFlight;
  }

  receive(request: DiscoveryRequest, current: TypeSnapshot): Answer {
    // https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#resource-updates: requests with a stale nonce are not answered;
    // the client repeats its names when it answers the response that it had not seen yet.
    if (this.#nonce !== '' && request.responseNonce !== this.#nonce) return 'stale';
    const isFirst = this.#sent === undefined && this.#nonce === '';
    const answered = this.#inFlight;
    this.#inFlight = undefined;
    if (answered && request.errorDetail) this.#reject(answered);
    else if (answered && this.#sent) this.#accepted = new Map(this.#sent);
    this.#subscribe(request.resourceNames);
    if (isFirst) this.#resume(request, current);
    if (!answered) return 'subscribe';
    return request.errorDetail ? 'nack' : 'ack';
  }

  next(target: TypeSnapshot, step: TypeSnapshot, nonce: string): DiscoveryResponse | undefined {
    if (this.#inFlight || this.subscription.isEmpty) return undefined;
    if (this.#rejectedTarget !== undefined && this.#rejectedTarget !== target.version) {
      this.#rejectedTarget = undefined;
      this.#sent = undefined;
    }
    const wanted = [...target.resources.values()].filter((resource) => this.subscription.wants(resource.name));
    const leaving = this.#fullState ? this.#leaving(target, step) : [];
    const resources = this.#fullState ? this.#wholeState([...wanted, ...leaving]) : this.#changed(wanted, target);
    if (!resources) return undefined;
    const sent = this.#sent ?? new Map<string, string>();
    if (this.#fullState) sent.clear();
    for (const resource of resources) sent.set(resource.name, resource.version);
    this.#sent = sent;
    this.#target = target.version;
    this.#nonce = nonce;
    const version = leaving.length > 0 ? step.version : target.version;
    this.#inFlight = { typeUrl: this.typeUrl, version, nonce, resources, removed: [] };
    return this.#inFlight;
  }

  #subscribe(names: readonly string[]): void {
    const added = this.subscription.replace(names);
    // Newly requested names are sent even where the client had them before:
    // https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#how-the-client-specifies-what-resources-to-return
    for (const name of added) {
      this.#sent?.delete(name);
      this.#rejected.forget(name);
    }
    for (const name of this.#sent?.keys() ?? []) {
      if (!this.subscription.wants(name)) this.#sent?.delete(name);
    }
  }

  /**
   * A client that comes back says what it has. Only where it wants everything is that enough to know that it lacks nothing:
   * https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#ack-nack-and-resource-type-instance-version
   */
  #resume(request: DiscoveryRequest, current: TypeSnapshot): void {
    if (this.subscription.names.size > 0 || request.versionInfo !== current.version) return;
    this.#sent = new Map([...current.resources.values()].map((resource) => [resource.name, resource.version]));
    this.#accepted = new Map(this.#sent);
  }

  /** What the client runs and may keep until this step is over. */
  #leaving(target: TypeSnapshot, step: TypeSnapshot): Resource[] {
    if (step === target) return [];
    return [...step.resources.values()].filter(
      ({ name, version }) => !target.resources.has(name) && this.#accepted.get(name) === version,
    );
  }

  /** Everything, when anything differs from what was sent last. */
  #wholeState(wanted: Resource[]): Resource[] | undefined {
    const sent = this.#sent;
    if (!sent) return wanted;
    const same =
      sent.size === wanted.length && wanted.every((resource) => sent.get(resource.name) === resource.version);
    return same ? undefined : wanted;
  }

  /** Only what the client lacks, which these types allow; what doesn't exist can't be told. */
  #changed(wanted: Resource[], target: TypeSnapshot): Resource[] | undefined {
    const due = wanted.filter(
      ({ name, version }) => this.#sent?.get(name) !== version && !this.#rejected.has(name, version, target.version),
    );
    return due.length > 0 ? due : undefined;
  }

  #reject(response: DiscoveryResponse): void {
    if (this.#fullState) {
      this.#rejectedTarget = this.#target;
      return;
    }
    this.#rejected.add(
      response.resources.map(({ name, version }) => [name, version]),
      this.#target,
    );
    // Valid siblings may or may not have been applied, so all of it goes out again with the next change.
    for (const { name } of response.resources) this.#sent?.delete(name);
  }
}
