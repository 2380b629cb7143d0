import type { Logger } from '../log.js';
import type { Priority } from './circuit-breakers.js';
import type { AcquireOptions, Acquisition, AvoidedHosts } from './cluster-manager.js';
import type { PoolCallbacks, PoolFailure, UpstreamConnection } from './connection.js';

/** Where a waiting request can be taken out again. */
export interface RequestQueue {
  onCancel(request: ConnectionRequest): void;
}

type State =
  | { readonly kind: 'new' }
  | { readonly kind: 'queued'; readonly queue: RequestQueue }
  /** Decided; the callback comes when the stack has unwound. */
  | { readonly kind: 'ready'; readonly connection: UpstreamConnection }
  | { readonly kind: 'failed'; readonly failure: PoolFailure }
  | { readonly kind: 'done' };

const fresh: State = { kind: 'new' };
const done: State = { kind: 'done' };

/**
 * One exchange's wish for a connection: new → queued → ready or failed → done. Its callback always comes on an empty stack, since a
 * connection is often given on while another exchange, or a plugin, is in the middle of something.
 */
export class ConnectionRequest implements Acquisition {
  readonly priority: Priority;
  /** A connection that served before is of no use to it. */
  readonly freshOnly: boolean;
  /** It needs a connection to itself. */
  readonly exclusive: boolean;
  /** A shared one should be its alone until its request is written. */
  readonly streamed: boolean;
  readonly avoid: AvoidedHosts | undefined;
  readonly #callbacks: PoolCallbacks;
  readonly #log: Logger;
  #state: State = fresh;
  /** Of those that were decided: the one after it. */
  next: ConnectionRequest | undefined;

  constructor(priority: Priority, options: AcquireOptions | undefined, callbacks: PoolCallbacks, log: Logger) {
    this.priority = priority;
    this.freshOnly = options?.freshOnly === true;
    this.exclusive = options?.exclusive === true;
    this.streamed = options?.streamed === true;
    this.avoid = options?.avoid;
    this.#callbacks = callbacks;
    this.#log = log;
  }

  get decided(): boolean {
    return this.#state.kind === 'ready' || this.#state.kind === 'failed';
  }

  queued(queue: RequestQueue): void {
    this.#state = { kind: 'queued', queue };
  }

  ready(connection: UpstreamConnection): void {
    this.#state = { kind: 'ready', connection };
    settleLater(this);
  }

  fail(failure: PoolFailure): void {
    this.#state = { kind: 'failed', failure };
    settleLater(this);
  }

  cancel(): void {
    const state = this.#state;
    this.#state = done;
    if (state.kind === 'queued') state.queue.onCancel(this);
    // Nothing was written to it: the next one may have it.
    else if (state.kind === 'ready') state.connection.release(true);
  }

  settle(): void {
    const state = this.#state;
    this.#state = done;
    try {
      if (state.kind === 'ready') this.#callbacks.onReady(state.connection);
      else if (state.kind === 'failed') this.#callbacks.onFailure(state.failure);
    } catch (error) {
      this.#log.error({ err: error }, 'a request failed while it was given its connection');
      if (state.kind === 'ready') state.connection.release(false);
    }
  }
}

/** Those that were decided in this turn, chained: they need one tick, not one each. */
let first: ConnectionRequest | undefined;
let last: ConnectionRequest | undefined;

function settleLater(request: ConnectionRequest): void {
  if (last === undefined) {
    first = request;
    process.nextTick(settleDecided);
  } else {
    last.next = request;
  }
  last = request;
}

/** Also those that are decided meanwhile. */
function settleDecided(): void {
  try {
    for (; first !== undefined; first = first.next) first.settle();
  } finally {
    // One threw: the others are not to suffer for it.
    first = first?.next;
    if (first === undefined) last = undefined;
    else process.nextTick(settleDecided);
  }
}
