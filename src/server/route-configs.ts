import type { Clock } from '../clock.js';
import type { Logger } from '../log.js';
import type { ConfigSource } from '../model/config-source.js';
import type { HttpConnectionManager } from '../model/listener.js';
import { compileRouteTable, type RouteTable } from '../routing/route-table.js';
import type { StatsStore } from '../stats/store.js';
import type { Watcher } from '../xds/ads-client.js';
import type { ResourceUpdate } from '../xds/resource-type.js';
import type { JudgedRoutes } from './resource-types.js';
import { createSubscriptionStats } from './subscription-stats.js';

/** The routes of one connection manager. */
export interface Routes {
  /** What is current now; undefined: none came yet, and every request is answered 404. */
  current(): RouteTable | undefined;
  /** Resolves when the routes are known, known not to exist, or did not come in time. undefined: they are known already. */
  readonly ready: Promise<void> | undefined;
  close(): void;
}

/** Asks the control plane for one route configuration. */
export type SubscribeRoutes = (
  name: string,
  source: ConfigSource,
  watcher: Omit<Watcher<JudgedRoutes>, 'initialFetchTimeoutMs'>,
) => { close(): void };

/** Hands out the routes of connection managers, inline or by RDS. Listeners that name the same configuration share one subscription of the client. */
export function createRouteConfigs(options: {
  readonly subscribe: SubscribeRoutes;
  readonly stats: StatsStore;
  readonly log: Logger;
  readonly clock: Clock;
}) {
  const { subscribe, stats, log, clock } = options;
  /** Those who follow routes under the same statistics, as versions of a listener do: the first of them counts. */
  const followers = new Map<string, Set<object>>();

  function follow(statPrefix: string, name: string, source: ConfigSource): Routes {
    const prefix = `http.${statPrefix}.rds.${name.replaceAll(':', '_')}`;
    const scope = stats.scope(prefix);
    const users = followers.get(prefix) ?? new Set();
    followers.set(prefix, users);
    const self = {};
    users.add(self);
    const counting = () => users.values().next().value === self;
    const counts = {
      ...createSubscriptionStats(scope, clock),
      reload: scope.counter('config_reload'),
      reloadTime: scope.gauge('config_reload_time_ms'),
      empty: scope.counter('update_empty'),
    };
    let table: RouteTable | undefined;
    let resolveReady: () => void = () => undefined;
    const ready = new Promise<void>((resolve) => {
      resolveReady = resolve;
    });
    if (counting()) counts.attempt.value++;
    function count({ cause, version, changed, unchanged, rejected, removed }: ResourceUpdate<JudgedRoutes>): void {
      // What another one brought before.
      if (cause === 'cache' || !counting()) return;
      counts.attempt.value++;
      counts.rejected.value += rejected.length;
      if (unchanged.length > 0) counts.accepted(version);
      for (const resource of changed) {
        counts.accepted(resource.version);
        if (resource.verdict.kind !== 'active') continue;
        counts.reload.value++;
        counts.reloadTime.value = clock.now();
      }
      (cause === 'initial_fetch_timeout' ? counts.timeout : counts.empty).value += removed.length;
    }
    const onUpdate: Watcher<JudgedRoutes>['onUpdate'] = (update) => {
      const { cause, changed, removed, rejected } = update;
      count(update);
      if (rejected.length > 0) {
        // A bad first version must not keep the listener from ever starting: it answers 404, and a good one heals it.
        resolveReady();
      }
      for (const { verdict } of changed) {
        if (verdict.kind !== 'active') continue;
        table = verdict.model.table;
        resolveReady();
      }
      if (removed.length === 0) return;
      if (cause === 'initial_fetch_timeout') {
        log.warn(
          { routeConfiguration: name },
          'no route configuration in time: requests are answered 404 until it comes',
        );
      } else {
        // As Envoy: a listener still uses it, so what it had goes on.
        log.warn(
          { routeConfiguration: name, kept: table !== undefined },
          'the control plane has no such route configuration',
        );
      }
      resolveReady();
    };
    const onConnectionFailure = () => {
      if (!counting()) return;
      counts.attempt.value++;
      counts.failure.value++;
    };
    const subscription = subscribe(name, source, { onUpdate, onConnectionFailure });
    return {
      current: () => table,
      ready,
      close() {
        subscription.close();
        users.delete(self);
        if (users.size === 0) followers.delete(prefix);
        scope.remove();
      },
    };
  }

  return {
    open({ statPrefix, routes }: HttpConnectionManager): Routes {
      if (routes.kind === 'rds') return follow(statPrefix, routes.name, routes.source);
      const table = compileRouteTable(routes.config);
      return {
        current: () => table,
        ready: undefined,
        close: () => undefined,
      };
    },
  };
}
