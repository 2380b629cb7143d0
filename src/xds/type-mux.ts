import type { Clock } from '../clock.js';
import type { Logger } from '../log.js';
import { createTurns, type Steps, type Turns } from '../turns.js';
import { AnswerQueue } from './answer-queue.js';
import { Applier } from './applier.js';
import type { ApplyHold } from './apply-hold.js';
import { errorDetail, statusOf } from './error-detail.js';
import { Interest } from './interest.js';
import type { KeepableType, KeptResource } from './last-known.js';
import { type LastResponse, rememberResponse } from './last-response.js';
import { Leaving } from './leaving.js';
import { emptyPlan, type Plan, planResponse } from './plan-response.js';
import { ResourceCache } from './resource-cache.js';
import type { ResourceState, ResourceType, ResourceUpdate } from './resource-type.js';
import type { Answer, ReceivedResponse, Subscription, Variant } from './subscription.js';
import { TimesToLive } from './ttl.js';
import type { TypeStats } from './type-stats.js';
import { Unconfirmed } from './unconfirmed.js';
import { WatchMap } from './watch-map.js';

export interface TypeMuxOptions<T> {
  readonly type: ResourceType<T>;
  readonly variant: Variant;
  readonly clock: Clock;
  readonly log: Logger;
  readonly stats: TypeStats;
  /** Which of several control planes the last stream went to. */
  readonly server: () => number;
  /** Something can be sent, or a response is done with. */
  readonly onProgress: () => void;
  /** Around the time that watchers need to take in a batch. */
  readonly hold: ApplyHold;
  /** What is accepted is not what it was. */
  readonly onChanged: (cause: 'response' | 'last_known') => void;
}

/** What is to be said of a response. */
type Outcome = Omit<Answer, 'nonce'>;
const accepted: Outcome = { error: undefined };

/** So many resources are looked at in one step. */
const keepableAtOnce = 256;

interface Arrived {
  readonly response: ReceivedResponse;
  readonly size: number;
  /** What must be over before it is handled. */
  readonly before: Promise<void> | undefined;
  /** It is handled, dropped, or must wait for longer than others should wait for it. */
  readonly done: () => void;
}

/**
 * One resource type on the stream. Its responses are taken one after another: sorted, judged, applied, answered. Other types go on
 * meanwhile.
 */
export class TypeMux<T> {
  /** Responses whose rejections are still held back, before the next one of the type must wait. */
  static readonly mostHeldAnswers = 256;

  readonly watches: WatchMap<T>;
  /** Counts a request for other names. */
  readonly attempted: () => void;
  readonly #options: TypeMuxOptions<T>;
  readonly #interest = new Interest();
  readonly #cache = new ResourceCache<T>();
  readonly #subscription: Subscription;
  readonly #answers: AnswerQueue;
  readonly #ttls: TimesToLive;
  readonly #unconfirmed: Unconfirmed;
  readonly #leaving: Leaving;
  readonly #applier: Applier<T>;
  /** What is known from before and waits for its turn. */
  #kept: readonly KeptResource[] | undefined;
  /** The interest's revision that it was last asked about. */
  #keptRevision = -1;
  #heard = false;
  /** Grows with each stream: answers belong to the stream that the response came on. */
  #stream = 0;
  #arrived: Arrived[] = [];
  #busy = false;
  #closed = false;
  /** The interest's revision that the cache was last cut down to. */
  #retained = 0;
  #version = '';
  #last: LastResponse<T> | undefined;
  /** The control plane that gave the versions: to another one they say nothing. */
  #versionsOf: number | undefined;

  constructor(options: TypeMuxOptions<T>) {
    this.#options = options;
    const { type, variant, clock, log, stats } = options;
    this.#subscription = variant.createSubscription(type.typeUrl, this.#interest, () => this.#versions());
    this.#answers = new AnswerQueue(clock, variant.answersSupersede, () => {
      this.#options.onProgress();
      void this.#work();
    });
    this.#ttls = new TimesToLive(clock, {
      // A response that is being handled may renew it.
      mayBeRenewed: () => this.#busy,
      isHeld: (name) => this.#cache.accepted(name) !== undefined,
      onExpired: (name) => this.#expire(name),
    });
    this.#unconfirmed = new Unconfirmed(clock, (names) => this.#onLeftOut(names));
    this.attempted = () => stats.attempted();
    const onTimeout = () => stats.timedOut();
    this.#leaving = new Leaving(
      (name) => this.#forget(name),
      () => createTurns(clock),
    );
    this.watches = new WatchMap({
      interest: this.#interest,
      cache: this.#cache,
      clock,
      log,
      onTimeout,
      onWanted: (name) => (name === undefined ? this.#leaving.allBack() : this.#leaving.back(name)),
    });
    const [cache, interest, watches] = [this.#cache, this.#interest, this.watches];
    this.#applier = new Applier({ ...options, cache, interest, watches, isClosed: () => this.#closed });
  }

  get #foreign(): boolean {
    return this.#versionsOf !== undefined && this.#versionsOf !== this.#options.server();
  }

  get inStreamOrder(): boolean {
    return this.#options.type.inStreamOrder === true;
  }

  get typeUrl(): string {
    return this.#options.type.typeUrl;
  }

  /** Whether the control plane said something of this type, or nothing of it is wanted. */
  get heard(): boolean {
    return this.#heard || this.#interest.empty;
  }

  /** How many resources run that are known from before, and that the control plane has not mentioned. */
  get stale(): number {
    return this.#unconfirmed.names.size;
  }

  /** What is accepted and would be good for another process: not what ends unless it is renewed. */
  *keepable(): Steps<KeepableType> {
    // What comes again between two steps is met again.
    const resources = new Map<string, KeepableType['resources'][number]>();
    let looked = 0;
    for (const resource of this.#cache.acceptedResources()) {
      const { name } = resource;
      if (this.#interest.has(name) && !this.#ttls.has(name)) resources.set(name, resource);
      if (++looked % keepableAtOnce === 0) yield;
    }
    return { typeUrl: this.typeUrl, resources: [...resources.values()] };
  }

  /** Takes of what is known from before that which is wanted and which nothing is known of now. It is judged like all else. */
  takeKept(resources: readonly KeptResource[]): void {
    if (this.#interest.empty || this.#keptRevision === this.#interest.revision) return;
    this.#keptRevision = this.#interest.revision;
    if (!this.#heard) this.watches.settleWildcards();
    this.#kept = resources;
    void this.#work();
  }

  /** Whether nothing is wanted of which the control plane said nothing yet. */
  get satisfied(): boolean {
    if (this.stale > 0) return false;
    if (this.#interest.wildcard && !this.watches.answered) return false;
    return [...this.#interest.names].every((name) => this.#cache.accepted(name) || this.#cache.isMissing(name));
  }

  /** Bytes of the responses that wait for their turn. */
  get waitingBytes(): number {
    return this.#arrived.reduce((sum, { size }) => sum + size, 0);
  }

  get waitingResponses(): number {
    return this.#arrived.length;
  }

  /** Whether a response of this type is expected: something was asked for on this stream or is about to be. */
  get wanted(): boolean {
    return this.#subscription.requested || !this.#interest.empty;
  }

  get requestPending(): boolean {
    return this.#subscription.pending;
  }

  /** Whether an answer may be sent. */
  get answerPending(): boolean {
    return this.#answers.length > 0 && !this.#answers.held;
  }

  /** Everything that there is to say was said: whoever waits for an answer may begin to count. */
  spoken(): void {
    if (this.#subscription.requested && !this.#subscription.pending) this.watches.asked();
  }

  /** Of the last response that was accepted as a whole; '' before it, and where the control plane gives none. */
  get version(): string {
    return this.#version;
  }

  /** Of the accepted resource of that name, '' when there is none. */
  versionOf(name: string): string {
    return this.#interest.has(name) ? (this.#cache.accepted(name)?.version ?? '') : '';
  }

  states(): Iterable<ResourceState> {
    return this.#cache.states(this.#interest, this.#unconfirmed.names);
  }

  state(name: string): ResourceState | undefined {
    return this.#cache.state(name, this.#interest, this.#unconfirmed.names);
  }

  streamStarted(): void {
    this.#stream++;
    this.#forgetStream();
    if (this.#foreign) this.#subscription.accepted('');
    this.#cache.doubtRejections();
    this.#subscription.streamStarted();
    this.#retain();
  }

  /** What had arrived and was not begun is dropped: the next stream brings it again. */
  streamEnded(): void {
    this.#stream++;
    this.#forgetStream();
    this.#unconfirmed.streamEnded();
    this.attemptFailed();
    this.watches.stopTimers();
  }

  attemptFailed(): void {
    this.#options.stats.failed();
    this.watches.tellFailure();
  }

  close(): void {
    this.#closed = true;
    this.#stream++;
    this.#forgetStream();
    this.#ttls.close();
    this.#unconfirmed.close();
    this.watches.close();
  }

  /**
   * Takes a response, to be handled when `before` is over. Resolves when nobody need wait for it any more: it is handled, dropped with its
   * stream, or held up because too many rejections are not answered yet.
   */
  receive(response: ReceivedResponse, size: number, before?: Promise<void>): Promise<void> {
    const over = new Promise<void>((done) => this.#arrived.push({ response, size, before, done }));
    void this.#work();
    return over;
  }

  /** The next answer that may be sent, as a request. */
  nextAnswer(): object | undefined {
    // A request for other names goes with the answer: with the nonce before the last it would be ignored.
    if (this.#answers.held && !this.#subscription.pending) return undefined;
    const answer = this.#answers.take();
    if (!answer) return undefined;
    void this.#work();
    return this.#request(answer);
  }

  /** The next request without an answer, if there is something to say. */
  nextRequest(): object | undefined {
    return this.#subscription.pending ? this.#request() : undefined;
  }

  #request(answer?: Answer): object | undefined {
    this.#retain();
    return this.#subscription.nextRequest(answer);
  }

  /**
   * Drops what nobody wants any more. Not sooner than the control plane is told: a name that is dropped and wanted again in between must
   * not wait for a server that sees no change.
   */
  #retain(): void {
    if (this.#retained === this.#interest.revision) return;
    this.#retained = this.#interest.revision;
    this.#leaving.add(this.#interest.takeDropped(() => this.#cache.names()));
  }

  #forget(name: string): void {
    this.#cache.delete(name);
    this.#ttls.set(name, undefined);
    const before = this.stale;
    this.#unconfirmed.mentioned([name]);
    if (this.stale !== before) this.#options.onChanged('response');
  }

  async #work(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    if (this.#kept) await this.#handleKept();
    for (let next = this.#next(); next; next = this.#next()) {
      const { response, before, done } = next;
      const stream = this.#stream;
      if (before) await before;
      if (before && stream !== this.#stream) {
        done();
        continue;
      }
      const turns = this.#applier.turns();
      const outcome = await this.#handle(response, turns).catch((failure: unknown) => this.#failed(response, failure));
      // A request for what ten thousand resources name takes a turn of its own.
      const pause = turns();
      if (pause) await pause;
      this.#ttls.responseHandled();
      done();
      if (stream === this.#stream && !this.#closed) this.#answers.push({ nonce: response.nonce, ...outcome });
      if (!this.#closed) this.#options.onProgress();
      if (this.#kept) await this.#handleKept();
    }
    this.#busy = false;
    for (const { done } of this.#arrived) done();
  }

  /** Judges and applies what is known from before. The control plane hears nothing of it. */
  async #handleKept(): Promise<void> {
    while (this.#kept) {
      const kept = this.#kept;
      this.#kept = undefined;
      await this.#applyKept(kept).catch((failure: unknown) => {
        const { type, log } = this.#options;
        log.error({ err: failure, type: type.shortName }, 'what is known from before could not be taken');
      });
      if (!this.#closed) this.#options.onProgress();
    }
  }

  async #applyKept(kept: readonly KeptResource[]): Promise<void> {
    const { onChanged } = this.#options;
    const everything = this.#interest.wildcard && !this.#heard;
    const candidates = kept
      .filter(({ name }) => (everything || this.#interest.names.has(name)) && this.#lacks(name))
      .map((resource) => ({ ...resource, ownName: false }));
    if (candidates.length === 0 && !everything) return;
    const plan = emptyPlan<T>(candidates);
    const turns = this.#applier.turns();
    const judged = await this.#applier.judge({ version: '' }, plan, turns);
    const committed = judged && (await this.#applier.commit({ version: '' }, plan, judged, turns));
    if (!committed) return;
    const { update } = committed;
    for (const { name } of update.changed) this.#unconfirmed.add(name);
    onChanged('last_known');
    await this.#applier.apply({ ...update, cause: 'last_known' }, turns);
  }

  /** Whether nothing is known of it now. */
  #lacks(name: string): boolean {
    return !this.#cache.accepted(name) && !this.#cache.rejected(name) && !this.#cache.isMissing(name);
  }

  /** The control plane told in Delta all that there is, and these were not among it. */
  #onLeftOut(names: readonly string[]): void {
    if (this.#closed) return;
    if (this.#busy) {
      this.#unconfirmed.deltaResponse();
      return;
    }
    const removed = names.filter((name) => !this.#interest.names.has(name));
    for (const name of removed) this.#cache.delete(name);
    this.#unconfirmed.mentioned(removed);
    this.#options.onChanged('response');
    const update = { cause: 'response' as const, version: '', changed: [], rejected: [], unchanged: [], removed };
    void this.#applier.apply(update, this.#applier.turns()).then(() => this.#options.onProgress());
  }

  #next(): Arrived | undefined {
    return this.#answers.length < TypeMux.mostHeldAnswers ? this.#arrived.shift() : undefined;
  }

  /** Resolves to what was wrong, when all that was right is applied. */
  async #handle(response: ReceivedResponse, turns: Turns): Promise<Outcome> {
    const { type, clock, stats, log } = this.#options;
    this.#heard = true;
    const started = clock.monotonic();
    const stream = this.#stream;
    const last = this.#last;
    this.#last = undefined;
    const plan = await planResponse(type, response, this.#cache, this.#interest, started, turns, last);
    const judged = await this.#applier.judge(response, plan, turns);
    if (!judged) return accepted;
    if (stream === this.#stream) this.#versionsOf = this.#options.server();
    const committed = await this.#applier.commit(response, plan, judged, turns);
    if (!committed) return accepted;
    const { update, rejections } = committed;
    if (stream !== this.#stream) this.#cache.doubtRejections();
    await this.#ttls.keep(plan.ttls, update, turns);
    this.#confirm(plan, update);
    const { refused, failures } = await this.#applier.apply(update, turns);
    for (const { name } of failures.length > 0 ? update.changed : refused) this.#cache.distrust(name);
    const bad = [
      ...rejections,
      ...refused.map(({ name, problems }) => ({ label: name, problems, judgedAt: undefined })),
    ];
    if (bad.length + failures.length === 0) await this.#remember(response, plan.repetition, turns);
    if (this.#last !== last) last?.release();
    if (bad.length === 0 && failures.length === 0) {
      this.#version = response.version;
      this.#subscription.accepted(this.#foreign ? '' : response.version);
      stats.accepted(response.version, clock.monotonic() - started);
      return accepted;
    }
    stats.rejected();
    const error =
      bad.length > 0
        ? errorDetail(bad, response.resources.length)
        : statusOf(`could not be applied: ${failures.join('; ')}`);
    const repeated = failures.length === 0 && bad.every(({ judgedAt }) => Number.isFinite(judgedAt));
    const { version, nonce } = response;
    log[repeated ? 'debug' : 'warn']({ type: type.shortName, version, nonce }, error.message);
    return { error, repeated };
  }

  /** What comes again is recognised by it. */
  async #remember(
    { resources, version }: ReceivedResponse,
    repetition: Plan<T>['repetition'],
    turns: Turns,
  ): Promise<void> {
    const held = { cache: this.#cache, interest: this.#interest };
    this.#last = await rememberResponse(this.#options.type, resources, version, held, repetition, turns);
  }

  #failed({ version, nonce }: ReceivedResponse, failure: unknown): Outcome {
    const { type, log, stats } = this.#options;
    log.error({ err: failure, type: type.shortName, version, nonce }, 'a response could not be handled');
    stats.rejected();
    return { error: statusOf(`could not be handled: ${failure instanceof Error ? failure.message : String(failure)}`) };
  }

  /** Whatever the control plane mentions is its own from now on. */
  #confirm({ ttls }: Plan<T>, { changed, removed, rejected, unchanged }: ResourceUpdate<T>): void {
    const before = this.stale;
    for (const names of [ttls.keys(), removed, rejected.map(({ name }) => name), unchanged])
      this.#unconfirmed.mentioned(names);
    if (this.#options.variant.kind === 'DELTA' && this.#interest.wildcard) this.#unconfirmed.deltaResponse();
    if (changed.length + removed.length > 0 || this.stale !== before) this.#options.onChanged('response');
  }

  #expire(name: string): void {
    if (this.#closed || this.#leaving.has(name) || !this.#cache.accepted(name)) return;
    const { type, log, clock } = this.#options;
    log.warn({ type: type.shortName, name }, 'a resource has expired: its ttl passed and nothing renewed it');
    if (this.#interest.names.has(name)) this.#cache.setMissing(name, 'does_not_exist', new Date(clock.now()));
    else this.#cache.delete(name);
    // Otherwise a new stream would claim to hold a version that has it.
    this.#subscription.accepted('');
    this.#options.onChanged('response');
    const update = { cause: 'ttl' as const, version: '', changed: [], rejected: [], unchanged: [], removed: [name] };
    void this.#applier.apply(update, this.#applier.turns()).then(() => this.#options.onProgress());
  }

  #forgetStream(): void {
    for (const { done } of this.#arrived) done();
    this.#arrived = [];
    this.#answers.clear();
  }

  /** What is known from before is not claimed to be held, nor anything beside it: a server then tells everything, as to a new client. */
  *#versions(): Iterable<readonly [string, string]> {
    const unconfirmed = this.#unconfirmed.names;
    if (this.#interest.wildcard && unconfirmed.size > 0) return;
    for (const { name, version } of this.#cache.acceptedResources()) {
      // Without its version another control plane sends the resource, or says that it is gone.
      if (this.#interest.has(name) && this.#cache.isTrusted(name) && !unconfirmed.has(name))
        yield [name, this.#foreign ? '' : version];
    }
  }
}
