import type { Logger } from '../log.js';
import type { ConfigSource } from '../model/config-source.js';
import type { HttpConnectionManager } from '../model/listener.js';
import { compileRouteTable, type RouteTable } from '../routing/route-table.js';
import type { StatsStore } from '../stats/store.js';
import type { Watcher } from '../xds/ads-client.js';
import type { JudgedRoutes } from './resource-types.js';

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
}) {
  const { subscribe, stats, log } = options;

  function follow(statPrefix: string, name: string, source: ConfigSource): Routes {
    const scope = stats.scope(`http.${statPrefix}.rds.${name.replaceAll(':', '_')}`);
    const counts = {
      attempt: scope.counter('update_attempt'),
      success: scope.counter('update_success'),
      failure: scope.counter('update_failure'),
      rejected: scope.counter('update_rejected'),
      reload: scope.counter('config_reload'),
      empty: scope.counter('update_empty'),
      timeout: scope.counter('init_fetch_timeout'),
    };
    let table: RouteTable | undefined;
    let resolveReady: () => void = () => undefined;
    const ready = new Promise<void>((resolve) => {
      resolveReady = resolve;
    });
    counts.attempt.value++;
    const onUpdate: Watcher<JudgedRoutes>['onUpdate'] = ({ cause, changed, removed, rejected }) => {
      counts.attempt.value++;
      if (rejected.length > 0) {
        counts.rejected.value++;
        // A bad first version must not keep the listener from ever starting: it answers 404, and a good one heals it.
        resolveReady();
      }
      for (const { verdict } of changed) {
        counts.success.value++;
        if (verdict.kind !== 'active') continue;
        table = verdict.model.table;
        counts.reload.value++;
        resolveReady();
      }
      if (removed.length === 0) return;
      if (cause === 'initial_fetch_timeout') {
        counts.timeout.value++;
        log.warn(
          { routeConfiguration: name },
          'no route configuration in time: requests are answered 404 until it comes',
        );
      } else {
        counts.empty.value++;
        // As Envoy: a listener still uses it, so what it had goes on.
        log.warn(
          { routeConfiguration: name, kept: table !== undefined },
          'the control plane has no such route configuration',
        );
      }
      resolveReady();
    };
    const onConnectionFailure = () => {
      counts.attempt.value++;
      counts.failure.value++;
    };
    const subscription = subscribe(name, source, { onUpdate, onConnectionFailure });
    return {
      current: () => table,
      ready,
      close() {
        subscription.close();
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
