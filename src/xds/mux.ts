import type { Clock } from '../clock.js';
import type { Logger } from '../log.js';
import type { Steps } from '../turns.js';
import { AnswerQueue } from './answer-queue.js';
import type { ApplyHold } from './apply-hold.js';
import type { MessageCodec } from './discovery.js';
import { statusOf } from './error-detail.js';
import { Interest } from './interest.js';
import { type KeepableType, LastKnown, type LastKnownOptions } from './last-known.js';
import type { RequestRate } from './request-rate.js';
import { encodeRequest, type WrittenNames } from './request-writer.js';
import type { ResourceType } from './resource-type.js';
import type { ReceivedResponse, Variant } from './subscription.js';
import { TypeMux } from './type-mux.js';
import type { TypeStats } from './type-stats.js';

/** The stream, as far as the types need it. */
export interface Outlet {
  readonly connected: boolean;
  send(message: Buffer): boolean;
  setPaused(paused: boolean): void;
  succeeded(): void;
  abandon(reason: string): void;
}

export interface MuxOptions {
  readonly variant: Variant;
  readonly codec: MessageCodec;
  readonly node: object;
  /** Also in every later request, as Envoy does unless `set_node_on_first_message_only`. */
  readonly nodeInEveryRequest: boolean;
  readonly clock: Clock;
  readonly log: Logger;
  readonly typeStats: <T>(type: ResourceType<T>) => TypeStats;
  readonly onPendingRequests: (count: number) => void;
  /** The one type of a stream that is not aggregated: there a response need not name it. */
  readonly onlyType: string | undefined;
  /** Shared by all streams. */
  readonly hold: ApplyHold;
  /** How many requests may go out, if that is limited. `onFilled` of it is the mux' `flush`. */
  readonly rate: ((onFilled: () => void) => RequestRate) | undefined;
  readonly lastKnown: LastKnownOptions | undefined;
  /** What is accepted is not what it was, or it is what is known from before. */
  readonly onChanged: (cause: 'response' | 'last_known') => void;
}

/** Reading stops when more than this waits for its turn behind other responses of its type. */
const mostWaitingBytes = 16 * 1024 * 1024;
const mostWaitingResponses = 64;
/** Types that a server may send unasked before that is taken as a fault. */
const mostStrangers = 32;

/** Answers to such a type that wait for their turn; what comes behind them is not answered. */
const mostRefusals = 256;

/** Many resource types on one stream: who may speak when. */
export class Mux {
  readonly #options: MuxOptions;
  /** In the order of the first subscription, which is the order of requests. */
  // biome-ignore lint/suspicious/noExplicitAny: each type has its own model, which only its watchers see
  readonly #types = new Map<string, TypeMux<any>>();
  /** Types that were sent without being asked for. */
  readonly #strangers = new Map<string, AnswerQueue>();
  #outlet: Outlet | undefined;
  #writable = false;
  #nodeSent = false;
  #server = 0;
  #scheduled = false;
  /** Resolves when the last response whose order counts is over. */
  #inOrder: Promise<void> | undefined;

  readonly #writtenNames: WrittenNames = new WeakMap();
  readonly #flush = () => this.flush();
  readonly #rate: RequestRate | undefined;
  readonly #leaveHold: () => void;
  readonly #lastKnown: LastKnown | undefined;

  constructor(options: MuxOptions) {
    this.#options = options;
    this.#rate = options.rate?.(this.#flush);
    this.#leaveHold = options.hold.join(this.#flush);
    const { lastKnown, clock } = options;
    this.#lastKnown = lastKnown && new LastKnown(lastKnown, clock, () => [...this.#types.values()]);
  }

  attach(outlet: Outlet): void {
    this.#outlet = outlet;
  }

  /** The part of one type, made when it is first needed. */
  type<T>(type: ResourceType<T>): TypeMux<T> {
    let known = this.#types.get(type.typeUrl) as TypeMux<T> | undefined;
    if (!known) {
      const { variant, clock, log, typeStats } = this.#options;
      known = new TypeMux<T>({
        type,
        variant,
        clock,
        log,
        stats: typeStats(type),
        server: () => this.#server,
        onChanged: this.#options.onChanged,
        onProgress: () => this.#progress(),
        hold: this.#options.hold,
      });
      this.#types.set(type.typeUrl, known);
    }
    return known;
  }

  find(typeUrl: string): TypeMux<unknown> | undefined {
    return this.#types.get(typeUrl);
  }

  /** From now on the source should be speaking. */
  started(): void {
    this.#lastKnown?.start();
  }

  /** The server has what it needs. */
  serverIsUp(): void {
    this.#lastKnown?.serverIsUp();
  }

  /** How many resources run that are known from before, and that the source has not mentioned. */
  get stale(): number {
    let stale = 0;
    for (const type of this.#types.values()) stale += type.stale;
    return stale;
  }

  *keepable(): Steps<KeepableType[]> {
    const kept: KeepableType[] = [];
    for (const type of this.#types.values()) kept.push(yield* type.keepable());
    return kept;
  }

  /** Interest changed: a request follows at the end of this turn, one for all changes of the turn. */
  schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#lastKnown?.asked();
      this.flush();
    });
  }

  /** @param server which of several control planes is at its other end */
  streamStarted(server = 0): void {
    this.#nodeSent = false;
    this.#writable = true;
    this.#server = server;
    for (const type of this.#types.values()) type.streamStarted();
    this.flush();
  }

  streamEnded(): void {
    this.#writable = false;
    this.#forgetStrangers();
    for (const type of this.#types.values()) type.streamEnded();
    this.#options.onPendingRequests(0);
    this.#outlet?.setPaused(false);
  }

  /** There was a try to hear something, in vain. What is held goes on. */
  attemptFailed(): void {
    for (const type of this.#types.values()) type.attemptFailed();
  }

  /** What is waited for is not to be had: nobody is to wait for it. */
  giveUp(reason: string): void {
    for (const type of this.#types.values()) type.watches.giveUp(reason);
  }

  writable(): void {
    this.#writable = true;
    this.flush();
  }

  close(): void {
    this.#writable = false;
    this.#rate?.close();
    this.#lastKnown?.close();
    this.#leaveHold();
    this.#forgetStrangers();
    for (const type of this.#types.values()) type.close();
  }

  receive(bytes: Buffer): void {
    let response: ReceivedResponse;
    try {
      response = this.#options.variant.unpack(bytes);
    } catch (error) {
      this.#outlet?.abandon(
        `a response could not be decoded: ${error instanceof Error ? error.message : String(error)}`,
      );
      return;
    }
    const { onlyType } = this.#options;
    if (response.typeUrl === '' && onlyType !== undefined) response = { ...response, typeUrl: onlyType };
    this.#outlet?.succeeded();
    const type = this.#types.get(response.typeUrl);
    if (type?.wanted) this.#take(type, response, bytes.length);
    else this.#refuse(response);
    this.#lastKnown?.heard();
    this.#gateReading();
  }

  #take(type: TypeMux<unknown>, response: ReceivedResponse, size: number): void {
    if (type.inStreamOrder) this.#inOrder = type.receive(response, size, this.#inOrder);
    else void type.receive(response, size);
  }

  /** Sends what there is to say. Answers come first: a server waits for them. */
  flush(): void {
    for (const type of this.#types.values()) {
      for (
        let request = this.#maySend() && type.nextAnswer();
        request;
        request = this.#maySend() && type.nextAnswer()
      ) {
        this.#send(request);
      }
    }
    for (const type of this.#types.values()) {
      for (
        let request = this.#mayAsk() && type.nextRequest();
        request;
        request = this.#mayAsk() && type.nextRequest()
      ) {
        this.#send(request);
      }
      if (this.#writable) type.spoken();
    }
    let pending = 0;
    if (this.#outlet?.connected) for (const type of this.#types.values()) if (type.requestPending) pending++;
    this.#options.onPendingRequests(pending);
    this.#awaitTokens();
  }

  /** Whether nothing is wanted of which the control plane said nothing yet. */
  get satisfied(): boolean {
    return [...this.#types.values()].every((type) => type.satisfied);
  }

  #maySend(): boolean {
    return this.#writable && (this.#rate?.ready() ?? true);
  }

  #mayAsk(): boolean {
    return !this.#options.hold.holding && this.#maySend();
  }

  #awaitTokens(): void {
    if (!this.#rate || !this.#writable || this.#rate.ready()) return;
    if ([...this.#types.values()].some((type) => type.requestPending || type.answerPending)) this.#rate.wait();
  }

  #progress(): void {
    this.flush();
    this.#options.hold.flushOthers(this.#flush);
    this.#gateReading();
  }

  #send(request: object): void {
    const { codec, variant, node, nodeInEveryRequest } = this.#options;
    const withNode = !this.#nodeSent || nodeInEveryRequest;
    this.#nodeSent = true;
    this.#rate?.take();
    const whole = withNode ? { node, ...request } : request;
    const bytes = encodeRequest(codec, variant.requestType, whole, variant.nameFields, this.#writtenNames);
    this.#writable = this.#outlet?.send(bytes) ?? false;
  }

  #gateReading(): void {
    let bytes = 0;
    let responses = 0;
    for (const type of this.#types.values()) {
      bytes += type.waitingBytes;
      responses += type.waitingResponses;
    }
    this.#outlet?.setPaused(bytes > mostWaitingBytes || responses > mostWaitingResponses);
  }

  /** A type that nobody asked for is answered, so that its sender hears of the mistake, and as patiently as any other rejection. */
  #refuse({ typeUrl, nonce }: ReceivedResponse): void {
    const { clock, log, variant } = this.#options;
    const known = this.#strangers.get(typeUrl);
    if (!known && this.#strangers.size >= mostStrangers) {
      this.#outlet?.abandon(`more than ${mostStrangers} resource types were sent that were never asked for`);
      return;
    }
    const error = statusOf(`'${typeUrl}' is not a resource type that was asked for`);
    log[known ? 'debug' : 'warn']({ typeUrl, nonce }, 'the control plane sent a resource type that was not asked for');
    const answers: AnswerQueue =
      known ?? new AnswerQueue(clock, variant.answersSupersede, () => this.#sendRefusals(typeUrl, answers));
    this.#strangers.set(typeUrl, answers);
    if (answers.length >= mostRefusals) return;
    answers.push({ nonce, error });
    this.#sendRefusals(typeUrl, answers);
  }

  #sendRefusals(typeUrl: string, answers: AnswerQueue): void {
    while (answers.length > 0 && !answers.held) {
      const subscription = this.#options.variant.createSubscription(typeUrl, new Interest(), () => []);
      const request = subscription.nextRequest(answers.take());
      if (request && this.#outlet?.connected) this.#send(request);
    }
  }

  #forgetStrangers(): void {
    for (const answers of this.#strangers.values()) answers.clear();
    this.#strangers.clear();
  }
}
