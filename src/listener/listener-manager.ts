import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../clock.js';
import type { Logger } from '../log.js';
import { formatAddress } from '../model/endpoint.js';
import type { Listener } from '../model/listener.js';
import type { Resource } from '../model/verdict.js';
import { type AcceptNext, leaveToNode } from '../sockets/accept.js';
import type { StatsStore } from '../stats/store.js';
import { acquireSockets, isFixed } from './acquire-sockets.js';
import type { BoundSocket } from './bound-socket.js';
import { createListenerManagerStats } from './listener-manager-stats.js';
import { type Entry, type ListenerOrigin, type ListenerStatus, snapshot, type Warming } from './listener-status.js';
import type { RouteProvider } from './route-provider.js';
import type { ListenerServing, ServingListener } from './serving.js';

export interface ListenerManagerOptions {
  readonly stats: StatsStore;
  readonly log: Logger;
  readonly clock: Clock;
  readonly serving: ListenerServing;
  /** Made anew for every accepted version. */
  readonly routes: (listener: Listener) => RouteProvider;
  /** How long connections of a removed listener may last, milliseconds. */
  readonly drainTimeMs: number;
  /** A listener has nothing to wait for any more: its warming version serves, failed or was removed. */
  readonly onWarmed?: () => void;
  /** Takes new connections beside Node; Node alone unless told otherwise. */
  readonly acceptNext?: AcceptNext;
}

/** An address that is in use may become free (the process that has it ends): a failed listener is tried again after this long, and twice as long each time. */
const firstRetryMs = 1_000;
const longestRetryMs = 30_000;

/** A listener that could not be taken into service; what served before goes on. */
export interface ListenerFailure {
  readonly name: string;
  /** What, where, why, and what to do. */
  readonly message: string;
}

export interface ListenerManager {
  /**
   * Takes over judged listeners and lets go of removed ones. Resolves when every changed one serves, is parked, waits for its routes, or
   * has failed (an address that can't be bound, or that another listener has); never rejects. What failed is tried again from time to
   * time. Sockets go from a removed listener to an added one at the same address without a moment unbound.
   */
  apply(
    update: { readonly changed: readonly Resource<Listener>[]; readonly removed: readonly string[] },
    origin: ListenerOrigin,
  ): Promise<readonly ListenerFailure[]>;
  /** How many listeners have a version on its way that should be waited for: what it lacks may still come in time. */
  readonly warming: number;
  snapshot(): readonly ListenerStatus[];
  /** While true every response says `connection: close` (`/healthcheck/fail`). */
  setDraining(draining: boolean): void;
  /** Stops accepting and drains. Resolves when no connection is left, at the latest after the drain time. */
  close(): Promise<void>;
}

/** Listeners by name, as Envoy's listener manager keeps them: warming ones wait for their routes and are bound only then. */
export function createListenerManager(options: ListenerManagerOptions): ListenerManager {
  const { log, clock, drainTimeMs, serving, acceptNext = leaveToNode } = options;
  const accepting = { pauseOnConnect: serving.handsOver, acceptNext };
  const stats = createListenerManagerStats(options.stats);
  const entries = new Map<string, Entry>();
  const draining = new Map<
    ServingListener,
    { readonly name: string; readonly origin: ListenerOrigin; readonly done: Promise<void> }
  >();
  let closed = false;

  const now = (): Date => new Date(clock.now());

  const updateGauges = (): void => {
    const all = [...entries.values()];
    stats.active.value = all.filter((entry) => entry.active).length;
    stats.warming.value = all.filter((entry) => entry.warming).length;
    stats.draining.value = draining.size;
  };

  const drainListener = (entry: Entry, listener: ServingListener): readonly BoundSocket[] => {
    const sockets = listener.sockets;
    const done = listener.drain(drainTimeMs).then(() => {
      draining.delete(listener);
      updateGauges();
    });
    draining.set(listener, { name: entry.name, origin: entry.origin, done });
    return sockets;
  };

  /** After the warming version of an entry went, whichever way. */
  const warmed = (): void => {
    updateGauges();
    options.onWarmed?.();
  };

  const forgetFailure = (entry: Entry): void => {
    entry.failed?.retry.cancel();
    entry.failed = undefined;
  };

  /** Stops serving; returns the sockets, which are the caller's to hand on or to close. */
  const retire = (entry: Entry): readonly BoundSocket[] => {
    forgetFailure(entry);
    entry.warming?.routes.close();
    entry.warming = undefined;
    const { active } = entry;
    entry.active = undefined;
    return active ? drainListener(entry, active.listener) : [];
  };

  const fail = (entry: Entry, resource: Resource<Listener>, config: Listener, problem: string): ListenerFailure => {
    const before = entry.failed?.resource === resource ? entry.failed : undefined;
    before?.retry.cancel();
    const message = `listener ${entry.name}: ${problem}`;
    const retryMs = Math.min(firstRetryMs * 2 ** (before?.attempts ?? 0), longestRetryMs);
    const retry = clock.setTimeout(() => void take(entry, resource, config, []), retryMs);
    entry.failed = { resource, at: now(), message, attempts: (before?.attempts ?? 0) + 1, retry };
    stats.createFailure.value++;
    log[before?.message === message ? 'debug' : 'error'](
      { listener: entry.name, version: resource.version, retryMs },
      message,
    );
    return { name: entry.name, message };
  };

  /** Brings a warm version into service: binds what is not bound yet, then swaps. */
  const activate = async (
    entry: Entry,
    warming: Warming,
    spare: BoundSocket[],
  ): Promise<ListenerFailure | undefined> => {
    const { config } = warming;
    const own = entry.active?.listener.sockets ?? [];
    const { sockets, fresh, error } = await acquireSockets(
      config,
      entry.active?.listener.config,
      own,
      spare,
      accepting,
    );
    // A newer version or a removal may have come while the sockets were bound.
    if (error !== undefined || entry.warming !== warming) {
      for (const socket of fresh) socket.close();
      if (entry.warming !== warming) return undefined;
      entry.warming = undefined;
      warming.routes.close();
      const failure = fail(entry, warming.resource, config, String(error));
      warmed();
      return failure;
    }
    const { resource } = warming;
    if (entry.active) {
      entry.active.listener.update(config, warming.routes);
      if (fresh.length === 0) stats.inPlaceUpdated.value++;
    }
    const listener = entry.active?.listener ?? serving.open(config, warming.routes);
    listener.setSockets(sockets, drainTimeMs);
    for (const socket of own) if (!sockets.includes(socket)) socket.close();
    entry.active = { resource, since: now(), listener };
    entry.warming = undefined;
    forgetFailure(entry);
    stats.createSuccess.value++;
    const at = sockets.map(({ localAddress: bound }) => formatAddress(bound));
    log.info({ listener: entry.name, version: resource.version, addresses: at }, 'listener is active');
    warmed();
    return undefined;
  };

  const setListener = async (
    resource: Resource<Listener>,
    origin: ListenerOrigin,
    spare: BoundSocket[],
  ): Promise<ListenerFailure | undefined> => {
    const { verdict, name } = resource;
    if (verdict.kind === 'rejected') return undefined;
    let entry = entries.get(name);
    const added = entry === undefined;
    if (!entry) {
      entry = {
        name,
        origin,
        active: undefined,
        warming: undefined,
        parked: undefined,
        failed: undefined,
        busy: Promise.resolve(),
      };
      entries.set(name, entry);
    }
    if (verdict.kind === 'parked') {
      for (const socket of retire(entry)) socket.close();
      entry.parked = { resource, since: now(), reason: verdict.reason };
      warmed();
      return undefined;
    }
    entry.parked = undefined;
    const config = verdict.model;
    if (isUnchanged(entry, resource, config)) return undefined;
    forgetFailure(entry);
    (added ? stats.added : stats.modified).value++;
    return take(entry, resource, config, spare);
  };

  const take = async (
    entry: Entry,
    resource: Resource<Listener>,
    config: Listener,
    spare: BoundSocket[],
  ): Promise<ListenerFailure | undefined> => {
    const other = findAddressConflict(config);
    if (other === undefined) return warm(entry, resource, config, spare);
    return fail(
      entry,
      resource,
      config,
      `has the address of listener ${other}; give one of them another address, or remove it`,
    );
  };

  const warm = (
    entry: Entry,
    resource: Resource<Listener>,
    config: Listener,
    spare: BoundSocket[],
  ): Promise<ListenerFailure | undefined> => {
    const routes = options.routes(config);
    const warming: Warming = { resource, config, since: now(), routes, overdue: false };
    entry.warming?.routes.close();
    entry.warming = warming;
    updateGauges();
    const start = (spareNow: BoundSocket[]): Promise<ListenerFailure | undefined> => {
      const activation = entry.busy.then(() =>
        entry.warming === warming ? activate(entry, warming, spareNow) : undefined,
      );
      entry.busy = activation.then(() => undefined);
      return activation;
    };
    if (routes.ready === undefined) return start(spare);
    void routes.overdue?.then(() => {
      warming.overdue = true;
      if (entry.warming === warming) warmed();
    });
    routes.ready.then(
      () => start([]),
      (error: unknown) => {
        if (entry.warming !== warming) return;
        entry.warming = undefined;
        routes.close();
        const why = error instanceof Error ? error.message : String(error);
        fail(entry, warming.resource, config, `its routes failed: ${why}`);
        warmed();
      },
    );
    return Promise.resolve(undefined);
  };

  /** The same meaning as what serves (or warms): the new bytes are shown, nothing else changes. */
  const isUnchanged = (entry: Entry, resource: Resource<Listener>, config: Listener): boolean => {
    const { active, warming } = entry;
    if (warming) {
      if (isDeepStrictEqual(warming.config, config)) {
        warming.resource = resource;
        return true;
      }
      if (!active || !isDeepStrictEqual(active.listener.config, config)) return false;
      // Back to what serves: the version on its way is given up.
      warming.routes.close();
      entry.warming = undefined;
      stats.modified.value++;
    } else if (!active || !isDeepStrictEqual(active.listener.config, config)) return false;
    active.resource = resource;
    forgetFailure(entry);
    warmed();
    return true;
  };

  const findAddressConflict = (listener: Listener): string | undefined => {
    const wanted = new Set(listener.addresses.filter(isFixed).map(formatAddress));
    for (const entry of entries.values()) {
      if (entry.name === listener.name) continue;
      const configs = [entry.warming?.config, entry.active?.listener.config];
      for (const config of configs) {
        if (config?.addresses.some((address) => wanted.has(formatAddress(address)))) return entry.name;
      }
    }
    return undefined;
  };

  return {
    async apply({ changed, removed }, origin) {
      if (closed) return [];
      const spare: BoundSocket[] = [];
      for (const name of removed) {
        const entry = entries.get(name);
        if (!entry) continue;
        spare.push(...retire(entry));
        entries.delete(name);
        stats.removed.value++;
        log.info({ listener: name }, 'listener removed');
      }
      const failures = await Promise.all(
        changed.map((resource) =>
          setListener(resource, origin, spare).catch((error: unknown) => ({
            name: resource.name,
            message: `listener ${resource.name}: ${error instanceof Error ? error.message : String(error)}`,
          })),
        ),
      );
      for (const socket of spare) socket.close();
      warmed();
      await serving.settled?.();
      return failures.filter((failure) => failure !== undefined);
    },
    get warming() {
      return [...entries.values()].filter(({ warming }) => warming && !warming.overdue).length;
    },
    snapshot: () => snapshot(entries, draining),
    setDraining: (value) => serving.setDraining(value),
    async close() {
      closed = true;
      for (const entry of entries.values()) {
        await entry.busy;
        for (const socket of retire(entry)) socket.close();
        stats.stopped.value++;
      }
      entries.clear();
      updateGauges();
      await Promise.all([...draining.values()].map(({ done }) => done));
    },
  };
}
