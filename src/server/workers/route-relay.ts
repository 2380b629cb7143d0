import type { RouteConfiguration } from '../../model/route.js';
import type { SubscribeRoutes } from '../route-configs.js';
import type { Replayed, WorkerLine } from './cluster-relay.js';

interface Followed {
  /** Listeners that follow it. */
  users: number;
  config: RouteConfiguration | undefined;
}

/** Tells workers the route configurations that listeners follow by RDS. */
export function createRouteRelay(
  subscribe: SubscribeRoutes,
  { send, settledOrLate }: WorkerLine,
): { readonly subscribe: SubscribeRoutes } & Replayed {
  const followed = new Map<string, Followed>();

  return {
    subscribe(name, source, watcher) {
      const route = followed.get(name) ?? { users: 0, config: undefined };
      followed.set(name, route);
      route.users++;
      const subscription = subscribe(name, source, {
        ...watcher,
        async onUpdate(update, turns) {
          for (const { verdict } of update.changed) {
            if (verdict.kind !== 'active' || verdict.model.config === route.config) continue;
            route.config = verdict.model.config;
            send({ kind: 'routes', name, config: route.config });
          }
          await watcher.onUpdate(update, turns);
          // It is acknowledged when all workers route by it.
          await settledOrLate();
          return undefined;
        },
      });
      return {
        close() {
          subscription.close();
          if (--route.users > 0) return;
          followed.delete(name);
          send({ kind: 'routes', name, config: undefined });
        },
      };
    },
    replay(sendOne) {
      for (const [name, { config }] of followed) if (config) sendOne({ kind: 'routes', name, config });
    },
  };
}
