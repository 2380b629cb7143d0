import type { Clock, Timer } from '../src/clock.js';
import type { SnapshotCache } from './cache.js';
import type { Answer, DiscoveryRequestBase, DiscoveryResponse, Node, TypeState } from './discovery.js';
import type { EventLog } from './events.js';
import type { NodeRegistry, StreamInfo } from './nodes.js';
import { kindByTypeUrl, kindsInOrder } from './resource-kind.js';
import { type Snapshot, typeOf } from './snapshot.js';

/** How long the rest of a stream waits for the answer to a response, before it goes on without. */
export const answerTimeoutMs = 3_000;
/** Removed resources are withheld from a busy client for at most so long. */
export const removalDelayMs = 5_000;
const maxTypesPerStream = 64;
const maxErrorLength = 16_384;
/** Where types go that aren't served here. */
const lastStage = 2;

/** A client that breaks the protocol; its stream ends with INVALID_ARGUMENT. */
export class ProtocolError extends Error {}

export interface SessionOptions<Request extends DiscoveryRequestBase> {
  readonly stream: StreamInfo;
  /** The one type of a stream that isn't aggregated. */
  readonly onlyType: string | undefined;
  readonly cache: SnapshotCache;
  readonly nodes: NodeRegistry;
  readonly events: EventLog;
  readonly clock: Clock;
  readonly createState: (typeUrl: string) => TypeState<Request>;
  readonly send: (response: DiscoveryResponse) => void;
}

/**
 * One stream of one client, in either variant. It decides what is sent when: one unanswered response per type, types in
 * the order of make before break, removals last.
 * https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#eventual-consistency-considerations
 */
export class Session<Request extends DiscoveryRequestBase> {
  readonly #options: SessionOptions<Request>;
  readonly #types = new Map<string, TypeState<Request>>();
  readonly #overdue = new Set<TypeState<Request>>();
  readonly #timers = new Map<TypeState<Request>, Timer>();
  readonly #unwatch: () => void;
  /** Where the client is to be brought, one after the other; the last is what the cache has. */
  #steps: readonly [Snapshot, ...Snapshot[]];
  #removalsSince: number | undefined;
  #node: Node | undefined;
  #nonces = 0;

  constructor(options: SessionOptions<Request>) {
    this.#options = options;
    this.#steps = [options.cache.snapshot];
    this.#unwatch = options.cache.watch((snapshot) => this.#onSnapshot(snapshot));
  }

  /** @throws {ProtocolError | RangeError} when the stream must end. */
  receive(request: Request): void {
    const node = this.#identify(request);
    const typeUrl = this.#typeUrl(request);
    const state = this.#state(typeUrl);
    const inFlight = state.inFlight;
    const answer = state.receive(request, typeOf(this.#target, typeUrl));
    if (answer === 'ack' || answer === 'nack') this.#answered(state);
    this.#record(node.id, state, typeUrl, answer, request, inFlight);
    this.#pump();
  }

  close(): void {
    this.#unwatch();
    for (const timer of this.#timers.values()) timer.cancel();
    if (!this.#node) return;
    this.#options.nodes.disconnect(this.#node.id, this.#options.stream.id);
    this.#options.events.add({ event: 'disconnected', node: this.#node.id, stream: this.#options.stream });
  }

  get #target(): Snapshot {
    return this.#steps[this.#steps.length - 1] ?? this.#steps[0];
  }

  #identify(request: Request): Node {
    if (this.#node) return this.#node;
    if (!request.node?.id)
      throw new ProtocolError('the first request of a stream must carry node.id; set it in the bootstrap');
    this.#node = request.node;
    this.#options.nodes.connect(this.#node, this.#options.stream);
    this.#options.events.add({ event: 'connected', node: this.#node.id, stream: this.#options.stream });
    return this.#node;
  }

  #typeUrl(request: Request): string {
    const { onlyType } = this.#options;
    if (request.typeUrl === '' && onlyType === undefined) {
      throw new ProtocolError('type_url is required on an aggregated stream');
    }
    if (onlyType !== undefined && request.typeUrl !== '' && request.typeUrl !== onlyType) {
      throw new ProtocolError(`this stream carries ${onlyType} only, not ${request.typeUrl}`);
    }
    return request.typeUrl || (onlyType ?? '');
  }

  #state(typeUrl: string): TypeState<Request> {
    let state = this.#types.get(typeUrl);
    if (!state) {
      if (this.#types.size >= maxTypesPerStream)
        throw new RangeError(`more than ${maxTypesPerStream} types on one stream`);
      state = this.#options.createState(typeUrl);
      this.#types.set(typeUrl, state);
    }
    return state;
  }

  #onSnapshot(snapshot: Snapshot): void {
    const { cache, clock, onlyType } = this.#options;
    const way = cache.wayFrom(this.#steps[0]);
    // Types on streams of their own can't be ordered, so there is nothing to wait for.
    if (way.length === 1 || onlyType !== undefined) {
      this.#steps = [snapshot];
    } else {
      this.#removalsSince ??= clock.monotonic();
      const isOverdue = clock.monotonic() - this.#removalsSince > removalDelayMs;
      this.#steps = isOverdue ? [snapshot] : [way[0] ?? snapshot, snapshot];
    }
    if (this.#steps.length === 1) this.#removalsSince = undefined;
    this.#pump();
  }

  /** Sends what is due, as far as it needs no answer first. */
  #pump(): void {
    for (;;) {
      if (this.#sendStep() === 'waiting') return;
      const [, next] = this.#steps;
      if (!next) return;
      this.#steps = [next];
      this.#removalsSince = undefined;
    }
  }

  #sendStep(): 'waiting' | 'done' {
    let isWaiting = false;
    let stage = 1;
    for (const [typeUrl, state] of this.#inOrder()) {
      const own = kindByTypeUrl.get(typeUrl)?.stage ?? lastStage;
      if (own > stage && isWaiting) return 'waiting';
      stage = own;
      const target = typeOf(this.#target, typeUrl);
      const response = state.next(target, typeOf(this.#steps[0], typeUrl), this.#nextNonce());
      if (response) this.#send(state, response);
      if (state.inFlight && !this.#overdue.has(state)) isWaiting = true;
    }
    return isWaiting ? 'waiting' : 'done';
  }

  #inOrder(): [string, TypeState<Request>][] {
    const known = kindsInOrder.flatMap(({ typeUrl }): [string, TypeState<Request>][] => {
      const state = this.#types.get(typeUrl);
      return state ? [[typeUrl, state]] : [];
    });
    return [...known, ...[...this.#types].filter(([typeUrl]) => !kindByTypeUrl.has(typeUrl))];
  }

  #nextNonce(): string {
    return String(this.#nonces + 1);
  }

  #send(state: TypeState<Request>, response: DiscoveryResponse): void {
    this.#nonces++;
    const { nodes, events, stream, clock } = this.#options;
    const timer = clock.setTimeout(() => {
      this.#timers.delete(state);
      this.#overdue.add(state);
      this.#pump();
    }, answerTimeoutMs);
    this.#timers.set(state, timer);
    const nodeId = this.#node?.id ?? '';
    const status = nodes.type(nodeId, stream.id, response.typeUrl);
    if (status) {
      status.sent = response.version;
      status.responses++;
      status.unanswered = 1;
    }
    events.add({
      event: 'sent',
      node: nodeId,
      stream: stream.id,
      type: shortName(response.typeUrl),
      version: response.version,
      nonce: response.nonce,
      resources: response.resources.length,
      removed: response.removed,
    });
    this.#options.send(response);
  }

  #answered(state: TypeState<Request>): void {
    this.#overdue.delete(state);
    this.#timers.get(state)?.cancel();
    this.#timers.delete(state);
  }

  #record(
    nodeId: string,
    state: TypeState<Request>,
    typeUrl: string,
    answer: Answer,
    request: Request,
    answered: DiscoveryResponse | undefined,
  ): void {
    const { nodes, events, stream } = this.#options;
    const status = nodes.type(nodeId, stream.id, typeUrl);
    if (status) status.subscribed = state.subscription.wildcard ? '*' : state.subscription.names.size;
    // A client that comes back says what it runs, and may need nothing.
    if (status && request.versionInfo !== '') status.accepted ??= request.versionInfo;
    if (!answered || (answer !== 'ack' && answer !== 'nack')) return;
    if (status) status.unanswered = 0;
    const { version, nonce } = answered;
    const common = { node: nodeId, stream: stream.id, type: shortName(typeUrl), version, nonce };
    if (answer === 'ack') {
      if (status) Object.assign(status, { accepted: version, rejected: undefined });
      events.add({ event: 'ack', ...common });
      return;
    }
    const error = (request.errorDetail?.message ?? '').slice(0, maxErrorLength);
    if (status) {
      const resources = [...answered.resources.map((resource) => resource.name), ...answered.removed].slice(0, 100);
      status.rejected = { version, error, resources, at: new Date(nodes.now()).toISOString() };
    }
    events.add({ event: 'nack', ...common, error });
  }
}

function shortName(typeUrl: string): string {
  return kindByTypeUrl.get(typeUrl)?.shortName ?? typeUrl;
}
