import type { Timer } from '../clock.js';
import type { CircuitBreakers } from './circuit-breakers.js';
import type { PoolFailure } from './connection.js';
import type { ConnectionRequest, RequestQueue } from './connection-request.js';
import type { Host } from './host.js';
import { type Closing, type ConnectionContext, type ConnectionOwner, PooledConnection } from './pooled-connection.js';

export interface PoolContext extends ConnectionContext {
  /** 0: idle connections are never closed for their age. */
  readonly idleTimeoutMs: number;
  readonly breakers: CircuitBreakers;
  /** A request or a connection went away: a draining pool may be empty now. */
  onShrunk(pool: HostPool): void;
}

/**
 * The connections to one host at one priority, and the requests that wait for one. One exchange per connection at a time.
 * Rules, where nothing else is said, are those of Envoy's ConnPoolImplBase.
 */
export class HostPool implements ConnectionOwner, RequestQueue {
  /** New connections go here. An update of the host replaces it. */
  host: Host;
  readonly #context: PoolContext;
  /** Last in, first out; so the first has been idle for longest. */
  readonly #idle: PooledConnection[] = [];
  readonly #connections = new Set<PooledConnection>();
  readonly #pending = new Set<ConnectionRequest>();
  #connecting = 0;
  #leased = 0;
  #idleTimer: Timer | undefined;
  #draining = false;

  constructor(host: Host, context: PoolContext) {
    this.host = host;
    this.#context = context;
  }

  /** Nothing uses it and nothing waits for it. */
  get quiet(): boolean {
    return this.#leased === 0 && this.#pending.size === 0;
  }

  get empty(): boolean {
    return this.#connections.size === 0 && this.#pending.size === 0;
  }

  add(request: ConnectionRequest): void {
    const connection = request.freshOnly ? undefined : this.#idle.pop();
    if (connection) {
      if (!this.#assign(request, connection)) this.#idle.push(connection);
      return;
    }
    const { breakers, stats } = this.#context;
    // What is idle must not keep the new connection from being made.
    if (request.freshOnly && !breakers.connections.canCreate()) this.#idle[0]?.close('making room');
    if (!breakers.pendingRequests.canCreate()) {
      stats.rqPendingOverflow.value++;
      request.fail({ kind: 'overflow' });
      return;
    }
    this.#pending.add(request);
    request.queued(this);
    stats.rqPendingTotal.value++;
    stats.rqPendingActive.value++;
    breakers.pendingRequests.add(1);
    this.#connect();
  }

  /** Closes what is idle; running exchanges and waiting requests finish, and their connections close after them. */
  drain(): void {
    this.#draining = true;
    this.#cancelIdleTimer();
    // A connection on its way is only kept for someone who waits for it.
    for (const connection of this.#pending.size === 0 ? [...this.#connections] : [...this.#idle]) {
      if (!connection.leased) connection.close('draining');
    }
  }

  /** The host came back before its pool was empty. */
  serve(host: Host): void {
    this.host = host;
    this.#draining = false;
  }

  /** Takes the waiting requests away, to send them elsewhere. */
  takePending(): ConnectionRequest[] {
    const requests = [...this.#pending];
    for (const request of requests) this.#unqueue(request);
    return requests;
  }

  /** Ends everything at once. */
  destroy(failure: PoolFailure): void {
    this.#draining = true;
    for (const request of this.takePending()) request.fail(failure);
    for (const connection of [...this.#connections]) connection.close('cluster removed');
    this.#cancelIdleTimer();
  }

  onCancel(request: ConnectionRequest): void {
    this.#unqueue(request);
    this.#context.stats.rqCancelled.value++;
    // The connection that was made for it becomes idle, for the next one.
    if (this.#draining) this.drain();
    this.#context.onShrunk(this);
  }

  onConnected(connection: PooledConnection): void {
    this.#connecting--;
    this.onReusable(connection);
  }

  onReusable(connection: PooledConnection): void {
    for (const request of this.#pending) {
      if (request.freshOnly && connection.used) continue;
      this.#unqueue(request);
      if (this.#assign(request, connection)) return;
    }
    // Who still waits can't use this one, and may be waiting for its place.
    if (this.#draining || this.#pending.size > this.#connecting) connection.close('draining');
    else this.#park(connection);
  }

  onLeaseEnd(): void {
    this.#leased--;
    this.host.stats.rqActive--;
    this.#context.stats.rqActive.value--;
    this.#context.breakers.requests.add(-1);
  }

  onClosed(connection: PooledConnection, closing: Closing): void {
    const { stats, breakers } = this.#context;
    this.#connections.delete(connection);
    breakers.connections.add(-1);
    stats.cxActive.value--;
    this.host.stats.cxActive--;
    if (closing.from === 'idle') {
      const index = this.#idle.indexOf(connection);
      if (index >= 0) this.#idle.splice(index, 1);
    } else if (closing.from === 'connecting') {
      this.#connecting--;
      this.#onConnectFailed(connection, closing);
    }
    this.#connect();
    if (this.#connections.size === 0) this.#cancelIdleTimer();
    this.#context.onShrunk(this);
  }

  /** All who wait fail with it: the caller knows best what to do next, and a dead host must not keep them one connect timeout each. */
  #onConnectFailed(connection: PooledConnection, { reason, timedOut, local }: Closing): void {
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

  /** False: max_requests is reached, the request failed and the connection is still free. */
  #assign(request: ConnectionRequest, connection: PooledConnection): boolean {
    const { breakers, stats } = this.#context;
    if (!breakers.requests.canCreate()) {
      stats.rqPendingOverflow.value++;
      request.fail({ kind: 'overflow' });
      return false;
    }
    this.#leased++;
    const hostStats = this.host.stats;
    hostStats.rqTotal++;
    hostStats.rqActive++;
    stats.rqTotal.value++;
    stats.rqActive.value++;
    breakers.requests.add(1);
    request.ready(connection.lease());
    return true;
  }

  #connect(): void {
    const { breakers, stats } = this.#context;
    while (this.#pending.size > this.#connecting) {
      const allowed = breakers.connections.canCreate();
      if (!allowed) {
        stats.cxOverflow.value++;
        // The first one is always allowed: whoever waits here would wait for ever for the connections of other hosts.
        if (this.#connections.size > 0) return;
      }
      this.#connecting++;
      breakers.connections.add(1);
      stats.cxTotal.value++;
      stats.cxActive.value++;
      this.host.stats.cxTotal++;
      this.host.stats.cxActive++;
      this.#connections.add(new PooledConnection(this.host, this, this.#context));
      if (!allowed) return;
    }
  }

  #unqueue(request: ConnectionRequest): void {
    if (!this.#pending.delete(request)) return;
    this.#context.stats.rqPendingActive.value--;
    this.#context.breakers.pendingRequests.add(-1);
  }

  #park(connection: PooledConnection): void {
    connection.idleSince = this.#context.clock.monotonic();
    this.#idle.push(connection);
    // One timer for all of them, for the oldest: nothing to set or cancel per exchange.
    if (this.#idleTimer === undefined && this.#context.idleTimeoutMs > 0)
      this.#armIdleTimer(this.#context.idleTimeoutMs);
  }

  #armIdleTimer(ms: number): void {
    this.#idleTimer = this.#context.clock.setTimeout(() => this.#onIdleTimer(), ms);
  }

  #cancelIdleTimer(): void {
    this.#idleTimer?.cancel();
    this.#idleTimer = undefined;
  }

  #onIdleTimer(): void {
    this.#idleTimer = undefined;
    const { clock, idleTimeoutMs, stats } = this.#context;
    const deadline = clock.monotonic() - idleTimeoutMs;
    while (this.#idle[0] && this.#idle[0].idleSince <= deadline) {
      stats.cxIdleTimeout.value++;
      this.#idle[0].close('idle timeout');
    }
    const oldest = this.#idle[0];
    if (oldest) this.#armIdleTimer(Math.max(1, oldest.idleSince - deadline));
  }
}
