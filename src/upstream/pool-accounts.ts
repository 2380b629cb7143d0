import type { CircuitBreakers } from './circuit-breakers.js';
import type { PoolFailure } from './connection.js';
import type { ConnectionRequest, RequestQueue } from './connection-request.js';
import type { Host } from './host.js';
import type { Closing, ConnectionContext, PooledConnection } from './pooled-connection.js';

export interface PoolContext extends ConnectionContext {
  /** 0: idle connections are never closed for their age. */
  readonly idleTimeoutMs: number;
  readonly breakers: CircuitBreakers;
  /** A request or a connection went away: a draining pool may be empty now. */
  onShrunk(pool: Pool): void;
}

/** The connections to one host at one priority, and the requests that wait for one. */
export interface Pool {
  /** New connections go here. An update of the host replaces it. */
  readonly host: Host;
  /** Nothing uses it and nothing waits for it. */
  readonly quiet: boolean;
  readonly empty: boolean;
  add(request: ConnectionRequest): void;
  /** Closes what is idle; running exchanges and waiting requests finish, and their connections close after them. */
  drain(): void;
  /** The host is wanted (again), as it is now. */
  serve(host: Host): void;
  /** Takes the waiting requests away, to send them elsewhere. */
  takePending(): ConnectionRequest[];
  /** Ends everything at once. */
  destroy(failure: PoolFailure): void;
}

/** The requests that wait in a pool, and the statistics and limits that a pool's exchanges and connections count against. */
export class PoolAccounts {
  host: Host;
  readonly pending = new Set<ConnectionRequest>();
  /** How many of them are to be written as they come. */
  pendingStreamed = 0;
  /** Exchanges that have a connection. */
  exchanges = 0;
  readonly #context: PoolContext;

  constructor(host: Host, context: PoolContext) {
    this.host = host;
    this.#context = context;
  }

  get quiet(): boolean {
    return this.exchanges === 0 && this.pending.size === 0;
  }

  /** False: max_pending_requests is reached, and the request failed. */
  enqueue(request: ConnectionRequest, queue: RequestQueue): boolean {
    const { breakers, stats } = this.#context;
    if (!breakers.pendingRequests.canCreate()) {
      stats.rqPendingOverflow.value++;
      request.fail({ kind: 'overflow', host: this.host });
      return false;
    }
    this.pending.add(request);
    if (request.streamed) this.pendingStreamed++;
    request.queued(queue);
    stats.rqPendingTotal.value++;
    stats.rqPendingActive.value++;
    breakers.pendingRequests.add(1);
    return true;
  }

  dequeue(request: ConnectionRequest): void {
    if (!this.pending.delete(request)) return;
    if (request.streamed) this.pendingStreamed--;
    this.#context.stats.rqPendingActive.value--;
    this.#context.breakers.pendingRequests.add(-1);
  }

  takePending(): ConnectionRequest[] {
    const requests = [...this.pending];
    for (const request of requests) this.dequeue(request);
    return requests;
  }

  /** False: max_requests is reached, and the request failed. */
  beginExchange(request: ConnectionRequest): boolean {
    const { breakers, stats } = this.#context;
    if (!breakers.requests.canCreate()) {
      stats.rqPendingOverflow.value++;
      request.fail({ kind: 'overflow', host: this.host });
      return false;
    }
    this.exchanges++;
    const hostStats = this.host.stats;
    hostStats.rqTotal++;
    hostStats.rqActive++;
    stats.rqTotal.value++;
    stats.rqActive.value++;
    breakers.requests.add(1);
    return true;
  }

  endExchange(): void {
    this.exchanges--;
    this.host.stats.rqActive--;
    this.#context.stats.rqActive.value--;
    this.#context.breakers.requests.add(-1);
  }

  /** Whether max_connections allows another one. Counts when it does not. */
  mayConnect(): boolean {
    const allowed = this.#context.breakers.connections.canCreate();
    if (!allowed) this.#context.stats.cxOverflow.value++;
    return allowed;
  }

  connectionMade(): void {
    const { breakers, stats } = this.#context;
    breakers.connections.add(1);
    stats.cxTotal.value++;
    stats.cxActive.value++;
    this.host.stats.cxTotal++;
    this.host.stats.cxActive++;
  }

  connectionClosed(): void {
    this.#context.breakers.connections.add(-1);
    this.#context.stats.cxActive.value--;
    this.host.stats.cxActive--;
  }

  /** All who wait fail with it: the caller knows best what to do next, and a dead host must not keep them one connect timeout each. */
  connectFailed(connection: PooledConnection, { reason, timedOut, local }: Closing): void {
    const { stats } = this.#context;
    // Closed because nobody needs it: not the host's fault.
    if (local && !timedOut) return;
    stats.cxConnectFail.value++;
    this.host.stats.cxConnectFail++;
    const { host } = connection;
    const failure: PoolFailure = timedOut
      ? { kind: 'connect_timeout', host }
      : { kind: 'connect_failure', host, reason };
    for (const request of this.takePending()) {
      stats.rqPendingFailureEject.value++;
      request.fail(failure);
    }
  }
}
