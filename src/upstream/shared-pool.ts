import type { Timer } from '../clock.js';
import type { PoolFailure } from './connection.js';
import type { ConnectionRequest, RequestQueue } from './connection-request.js';
import type { Host } from './host.js';
import { HostPool } from './host-pool.js';
import { type Pool, PoolAccounts, type PoolContext } from './pool-accounts.js';
import { type Closing, type ConnectionOwner, PooledConnection } from './pooled-connection.js';
import { SharedConnection, type SharedConnectionOwner, type SharingContext } from './shared-connection.js';

export type SharingOptions = Pick<SharingContext, 'protocol' | 'sharing'>;

/** In order, so many wait for each other on one connection before another one is made, */
const usualDepth = 8;
/** as long as there are not so many: requests come in bursts, and a server has few connections of each of its clients. */
const mostForDepth = 4;

/**
 * A pool whose connections are shared: an exchange goes to the first that is ready, and another connection is made when none is. What it counts has the meaning of
 * Envoy's HTTP/2 pools: connections are connections, requests are exchanges, and those that wait for a connection are pending.
 */
export class SharedPool implements Pool, ConnectionOwner, RequestQueue, SharedConnectionOwner {
  readonly #context: PoolContext;
  readonly #sharing: SharingContext;
  readonly #accounts: PoolAccounts;
  /** For exchanges that need a connection to themselves. */
  readonly #exclusive: HostPool;
  /** undefined: not yet connected. */
  readonly #connections = new Map<PooledConnection, SharedConnection | undefined>();
  /** In the order of their making. */
  readonly #open: SharedConnection[] = [];
  #connecting = 0;
  #idleTimer: Timer | undefined;
  #draining = false;

  constructor(host: Host, context: PoolContext, sharing: SharingOptions) {
    this.#context = { ...context, onShrunk: () => context.onShrunk(this) };
    this.#sharing = { ...context, ...sharing };
    this.#accounts = new PoolAccounts(host, context);
    this.#exclusive = new HostPool(host, this.#context);
  }

  get host(): Host {
    return this.#accounts.host;
  }

  get quiet(): boolean {
    return this.#accounts.quiet && this.#exclusive.quiet;
  }

  get empty(): boolean {
    return this.#connections.size === 0 && this.#accounts.pending.size === 0 && this.#exclusive.empty;
  }

  add(request: ConnectionRequest): void {
    if (request.exclusive) {
      this.#exclusive.add(request);
      return;
    }
    const ready = request.freshOnly ? undefined : this.#choose(request.streamed);
    if (ready !== undefined) {
      this.#assign(request, ready);
      return;
    }
    if (!this.#accounts.enqueue(request, this)) return;
    this.#connect();
    if (this.#connecting === 0) this.#makeDo();
  }

  /** The first that is ready; in order, one where not too many have to wait if one's answer takes long. One that can be its alone for what is `streamed`. */
  #choose(streamed: boolean): SharedConnection | undefined {
    if (streamed) {
      const free = this.#open.find(isFree);
      if (free !== undefined) return free;
      if (this.#context.breakers.connections.canCreate()) return undefined;
    }
    if (this.#sharing.protocol.ids !== undefined) return this.#open.find(isReady);
    let least: SharedConnection | undefined;
    for (const connection of this.#open) {
      // One that is not overdue is not silent either.
      if (connection.depth < usualDepth && connection.hasRoom && !connection.overdue) return connection;
      if (!connection.ready) continue;
      if (least === undefined || connection.depth < least.depth) least = connection;
    }
    if (least !== undefined) this.#spread();
    return least;
  }

  drain(): void {
    this.#draining = true;
    this.#cancelIdleTimer();
    for (const connection of [...this.#open]) connection.retire('draining');
    if (this.#accounts.pending.size === 0) this.#closeConnecting('draining');
    this.#exclusive.drain();
  }

  serve(host: Host): void {
    this.#accounts.host = host;
    this.#draining = false;
    this.#exclusive.serve(host);
  }

  takePending(): ConnectionRequest[] {
    return [...this.#accounts.takePending(), ...this.#exclusive.takePending()];
  }

  destroy(failure: PoolFailure): void {
    this.#draining = true;
    for (const request of this.#accounts.takePending()) request.fail(failure);
    for (const connection of [...this.#open]) connection.close('cluster removed');
    this.#closeConnecting('cluster removed');
    this.#cancelIdleTimer();
    this.#exclusive.destroy(failure);
  }

  onCancel(request: ConnectionRequest): void {
    this.#accounts.dequeue(request);
    this.#context.stats.rqCancelled.value++;
    if (this.#draining && this.#accounts.pending.size === 0) this.#closeConnecting('draining');
    this.#context.onShrunk(this);
  }

  onConnected(pooled: PooledConnection): void {
    this.#connecting--;
    const connection = new SharedConnection(pooled.lease(), this, this.#sharing);
    this.#connections.set(pooled, connection);
    this.#open.push(connection);
    for (const request of this.#accounts.pending) {
      if (!connection.hasRoom) break;
      if (!this.#suits(request, connection)) continue;
      this.#accounts.dequeue(request);
      this.#assign(request, connection);
    }
    if (this.#draining) connection.retire('draining');
    else if (connection.idle) this.#onIdle(connection);
    // More came than fit.
    this.#connect();
  }

  onRoom(connection: SharedConnection): void {
    const { pending } = this.#accounts;
    if (pending.size === 0) return;
    for (const request of pending) {
      if (this.#connecting > 0 ? request.freshOnly || !connection.ready : !connection.hasRoom) return;
      if (!this.#suits(request, connection)) continue;
      this.#accounts.dequeue(request);
      this.#assign(request, connection);
    }
  }

  onShareEnd(connection: SharedConnection): void {
    this.#accounts.endExchange();
    if (connection.idle) this.#onIdle(connection);
  }

  /** Its exchanges tell of themselves. */
  onLeaseEnd(): void {}

  onReusable(): void {}

  onClosed(pooled: PooledConnection, closing: Closing): void {
    const connection = this.#connections.get(pooled);
    this.#connections.delete(pooled);
    this.#accounts.connectionClosed();
    if (connection !== undefined) {
      this.#open.splice(this.#open.indexOf(connection), 1);
    } else {
      this.#connecting--;
      this.#accounts.connectFailed(pooled, closing);
    }
    this.#connect();
    if (this.#open.length === 0) this.#cancelIdleTimer();
    this.#context.onShrunk(this);
  }

  /** When max_requests is reached the request fails. */
  #assign(request: ConnectionRequest, connection: SharedConnection): void {
    if (!this.#accounts.beginExchange(request)) return;
    request.ready(connection.open(request.streamed && this.#mayReserve(connection)));
  }

  /** What is to be streamed waits for a connection that can be its alone, as long as one is on its way. */
  #suits(request: ConnectionRequest, connection: SharedConnection): boolean {
    return !request.streamed || connection.free || this.#connecting === 0;
  }

  /** A slow upload must not be in the way of others: there is another connection for them, or there may be. */
  #mayReserve(connection: SharedConnection): boolean {
    if (!connection.free) return false;
    if (this.#context.breakers.connections.canCreate()) return true;
    return this.#open.some((other) => other !== connection && other.hasRoom);
  }

  /** As many connections as those who wait need. */
  #connect(): void {
    while (this.#wanted() > this.#connecting) {
      const allowed = this.#accounts.mayConnect();
      // The first one is always allowed: whoever waits here would wait for ever for the connections of other hosts, or for slow uploads.
      if (!allowed && this.#connections.size > this.#open.filter(isReserved).length) return;
      this.#addConnection();
      if (!allowed) return;
    }
  }

  #wanted(): number {
    const { pending, pendingStreamed } = this.#accounts;
    return pendingStreamed + Math.ceil((pending.size - pendingStreamed) / this.#sharing.protocol.maxInFlight);
  }

  #addConnection(): void {
    this.#connecting++;
    this.#accounts.connectionMade();
    this.#connections.set(new PooledConnection(this.host, this, this.#context), undefined);
  }

  /** Another one for those who come later, unless there are enough for that. */
  #spread(): void {
    if (this.#draining || this.#connections.size >= mostForDepth) return;
    if (this.#context.breakers.connections.canCreate()) this.#addConnection();
  }

  /** There may be no more connections: those that there are must do, if not the one that one would choose. */
  #makeDo(): void {
    const connection = this.#open.find((each) => each.hasRoom);
    if (connection !== undefined) this.onRoom(connection);
    // One that has no exchanges, and no room all the same, only keeps the place of a better one.
    else this.#open.find((each) => each.idle)?.close('making room');
  }

  #closeConnecting(reason: string): void {
    for (const [pooled, connection] of [...this.#connections]) if (connection === undefined) pooled.close(reason);
  }

  #onIdle(connection: SharedConnection): void {
    const { clock, idleTimeoutMs } = this.#context;
    connection.idleSince = clock.monotonic();
    // One timer for all of them, for the oldest: nothing to set or cancel per exchange.
    if (this.#idleTimer === undefined && idleTimeoutMs > 0 && !this.#draining) this.#armIdleTimer(idleTimeoutMs);
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
    let oldest = Number.POSITIVE_INFINITY;
    for (const connection of [...this.#open]) {
      if (!connection.idle) continue;
      if (connection.idleSince <= deadline) {
        stats.cxIdleTimeout.value++;
        connection.close('idle timeout');
      } else {
        oldest = Math.min(oldest, connection.idleSince);
      }
    }
    if (oldest < Number.POSITIVE_INFINITY) this.#armIdleTimer(Math.max(1, oldest - deadline));
  }
}

function isReady(connection: SharedConnection): boolean {
  return connection.ready;
}

function isFree(connection: SharedConnection): boolean {
  return connection.free;
}

function isReserved(connection: SharedConnection): boolean {
  return connection.reserved;
}
