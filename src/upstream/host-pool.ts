import type { Timer } from '../clock.js';
import type { PoolFailure } from './connection.js';
import type { ConnectionRequest, RequestQueue } from './connection-request.js';
import type { Host } from './host.js';
import { type Pool, PoolAccounts, type PoolContext } from './pool-accounts.js';
import { type Closing, type ConnectionOwner, PooledConnection } from './pooled-connection.js';

/**
 * A pool whose connections serve one exchange at a time. Rules, where nothing else is said, are those of Envoy's ConnPoolImplBase.
 */
export class HostPool implements Pool, ConnectionOwner, RequestQueue {
  readonly #context: PoolContext;
  readonly #accounts: PoolAccounts;
  /** Last in, first out; so the first has been idle for longest. */
  readonly #idle: PooledConnection[] = [];
  readonly #connections = new Set<PooledConnection>();
  #connecting = 0;
  #idleTimer: Timer | undefined;
  #draining = false;

  constructor(host: Host, context: PoolContext) {
    this.#context = context;
    this.#accounts = new PoolAccounts(host, context);
  }

  get host(): Host {
    return this.#accounts.host;
  }

  get quiet(): boolean {
    return this.#accounts.quiet;
  }

  get empty(): boolean {
    return this.#connections.size === 0 && this.#accounts.pending.size === 0;
  }

  add(request: ConnectionRequest): void {
    const connection = request.freshOnly ? undefined : this.#idle.pop();
    if (connection) {
      if (!this.#assign(request, connection)) this.#idle.push(connection);
      return;
    }
    // What is idle must not keep the new connection from being made.
    if (request.freshOnly && !this.#context.breakers.connections.canCreate()) this.#idle[0]?.close('making room');
    if (this.#accounts.enqueue(request, this)) this.#connect();
  }

  drain(): void {
    this.#draining = true;
    this.#cancelIdleTimer();
    // A connection on its way is only kept for someone who waits for it.
    for (const connection of this.#accounts.pending.size === 0 ? [...this.#connections] : [...this.#idle]) {
      if (!connection.leased) connection.close('draining');
    }
  }

  serve(host: Host): void {
    this.#accounts.host = host;
    this.#draining = false;
  }

  takePending(): ConnectionRequest[] {
    return this.#accounts.takePending();
  }

  destroy(failure: PoolFailure): void {
    this.#draining = true;
    for (const request of this.takePending()) request.fail(failure);
    for (const connection of [...this.#connections]) connection.close('cluster removed');
    this.#cancelIdleTimer();
  }

  onCancel(request: ConnectionRequest): void {
    this.#accounts.dequeue(request);
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
    const { pending } = this.#accounts;
    if (pending.size > 0 && this.#serveNext(connection)) return;
    // Who still waits can't use this one, and may be waiting for its place.
    if (this.#draining || pending.size > this.#connecting) connection.close('draining');
    else this.#park(connection);
  }

  /** True: one of those who wait has it now. */
  #serveNext(connection: PooledConnection): boolean {
    for (const request of this.#accounts.pending) {
      if (request.freshOnly && connection.used) continue;
      this.#accounts.dequeue(request);
      if (this.#assign(request, connection)) return true;
    }
    return false;
  }

  onLeaseEnd(): void {
    this.#accounts.endExchange();
  }

  onClosed(connection: PooledConnection, closing: Closing): void {
    this.#connections.delete(connection);
    this.#accounts.connectionClosed();
    if (closing.from === 'idle') {
      const index = this.#idle.indexOf(connection);
      if (index >= 0) this.#idle.splice(index, 1);
    } else if (closing.from === 'connecting') {
      this.#connecting--;
      this.#accounts.connectFailed(connection, closing);
    }
    this.#connect();
    if (this.#connections.size === 0) this.#cancelIdleTimer();
    this.#context.onShrunk(this);
  }

  /** False: max_requests is reached, the request failed and the connection is still free. */
  #assign(request: ConnectionRequest, connection: PooledConnection): boolean {
    if (!this.#accounts.beginExchange(request)) return false;
    request.ready(connection.lease());
    return true;
  }

  #connect(): void {
    while (this.#accounts.pending.size > this.#connecting) {
      const allowed = this.#accounts.mayConnect();
      // The first one is always allowed: whoever waits here would wait for ever for the connections of other hosts.
      if (!allowed && this.#connections.size > 0) return;
      this.#connecting++;
      this.#accounts.connectionMade();
      this.#connections.add(new PooledConnection(this.host, this, this.#context));
      if (!allowed) return;
    }
  }

  #park(connection: PooledConnection): void {
    connection.idleSince = this.#context.clock.turnTime();
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
