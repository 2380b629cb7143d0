import type { Timer } from '../clock.js';
import type { SocketAddress } from '../model/endpoint.js';
import type { Listener } from '../model/listener.js';
import type { Resource } from '../model/verdict.js';
import type { RouteProvider } from './route-provider.js';
import type { ServingListener } from './serving.js';

export type ListenerOrigin = 'static' | 'dynamic';

/** A version that waits for its routes, or for its sockets to be bound. */
export interface Warming {
  resource: Resource<Listener>;
  readonly config: Listener;
  readonly since: Date;
  readonly routes: RouteProvider;
}

/** A version that could not be taken into service, and is tried again when `retry` ends. */
export interface Failed {
  readonly resource: Resource<Listener>;
  readonly at: Date;
  readonly message: string;
  readonly attempts: number;
  readonly retry: Timer;
}

/** What the manager keeps of one listener. */
export interface Entry {
  readonly name: string;
  readonly origin: ListenerOrigin;
  active: { resource: Resource<Listener>; since: Date; readonly listener: ServingListener } | undefined;
  warming: Warming | undefined;
  parked: { readonly resource: Resource<Listener>; readonly since: Date; readonly reason: string } | undefined;
  failed: Failed | undefined;
  /** Binding takes a moment: one after the other. */
  busy: Promise<void>;
}

/** One listener for `/listeners` and `/config_dump`. */
export interface ListenerStatus {
  readonly name: string;
  readonly origin: ListenerOrigin;
  /** The version that serves, and where. */
  readonly active:
    | {
        readonly resource: Resource<Listener>;
        readonly lastUpdated: Date;
        readonly localAddresses: readonly SocketAddress[];
      }
    | undefined;
  /** The version that waits for its routes. */
  readonly warming: { readonly resource: Resource<Listener>; readonly lastUpdated: Date } | undefined;
  /** Accepted, but not ours to run. */
  readonly parked:
    | { readonly resource: Resource<Listener>; readonly lastUpdated: Date; readonly reason: string }
    | undefined;
  /** The last version that could not be taken into service. */
  readonly failed:
    | { readonly resource: Resource<Listener>; readonly lastAttempt: Date; readonly message: string }
    | undefined;
  /** Open connections, those of removed listeners of that name included. */
  readonly connections: number;
  /** Removed listeners of that name whose connections are not all gone. */
  readonly draining: number;
}

/** @param draining listeners that were removed and still have connections */
export function snapshot(
  entries: ReadonlyMap<string, Entry>,
  draining: ReadonlyMap<ServingListener, { readonly name: string; readonly origin: ListenerOrigin }>,
): ListenerStatus[] {
  const drainingOf = (name: string): ServingListener[] =>
    [...draining].filter(([, one]) => one.name === name).map(([listener]) => listener);
  const connectionsOf = (listeners: readonly ServingListener[]): number =>
    listeners.reduce((sum, one) => sum + one.connections, 0);
  const statuses: ListenerStatus[] = [...entries.values()].map(({ name, origin, active, warming, parked, failed }) => ({
    name,
    origin,
    active: active && {
      resource: active.resource,
      lastUpdated: active.since,
      localAddresses: active.listener.sockets.map((socket) => socket.localAddress),
    },
    warming: warming && { resource: warming.resource, lastUpdated: warming.since },
    parked: parked && { resource: parked.resource, lastUpdated: parked.since, reason: parked.reason },
    failed: failed && { resource: failed.resource, lastAttempt: failed.at, message: failed.message },
    connections: (active?.listener.connections ?? 0) + connectionsOf(drainingOf(name)),
    draining: drainingOf(name).length,
  }));
  const gone = new Map(
    [...draining.values()].filter(({ name }) => !entries.has(name)).map((one) => [one.name, one.origin]),
  );
  for (const [name, origin] of gone) {
    const listeners = drainingOf(name);
    const nothing = { active: undefined, warming: undefined, parked: undefined, failed: undefined };
    statuses.push({ name, origin, ...nothing, connections: connectionsOf(listeners), draining: listeners.length });
  }
  return statuses;
}
