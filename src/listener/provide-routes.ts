import type { Listener } from '../model/listener.js';
import type { StatsStore } from '../stats/store.js';
import type { Secrets } from '../tls/secrets.js';
import { createServerTls, type ServerTls } from '../tls/server-tls.js';
import { listenerScope } from './listener-stats.js';
import type { ChainRoutes, RouteProvider } from './route-provider.js';

/** The routes of one filter chain. */
export interface PlainRoutes extends Pick<ChainRoutes, 'handle'> {
  /** Resolves when they are known; undefined: they are already. */
  readonly ready: Promise<void> | undefined;
  close(): void;
}

interface Signal {
  readonly given: Promise<void>;
  give(): void;
}

function newSignal(): Signal {
  let give: () => void = () => undefined;
  const given = new Promise<void>((resolve) => {
    give = resolve;
  });
  return { given, give };
}

/**
 * What a listener's version needs from outside: the routes of its filter chains, and their certificates. Without these it never serves, however
 * long they take; but after their initial_fetch_timeout nothing else waits for it.
 *
 * @param routes in the order of the filter chains
 */
export function provideRoutes(
  listener: Listener,
  routes: readonly PlainRoutes[],
  secrets: Secrets,
  stats: StatsStore,
): RouteProvider {
  const complete = newSignal();
  const late = newSignal();
  const scope = listenerScope(stats, listener);
  const contexts = listener.filterChains.map(
    ({ tls }): ServerTls | undefined => tls && createServerTls(tls, secrets, scope, check),
  );
  const missing = () => contexts.filter((tls) => tls !== undefined && tls.waitingFor().length > 0);
  function check(): void {
    const waiting = missing();
    if (waiting.length === 0) complete.give();
    else if (waiting.every((tls) => tls?.overdue)) late.give();
  }
  const unrouted = new Set(routes.filter(({ ready }) => ready !== undefined));
  for (const each of unrouted)
    void each.ready?.then(
      () => unrouted.delete(each),
      () => undefined,
    );
  const waits = missing().length > 0;
  if (waits) check();
  const needed = [...[...unrouted].map(({ ready }) => ready), ...(waits ? [complete.given] : [])];
  return {
    ready: needed.length > 0 ? Promise.all(needed).then(() => undefined) : undefined,
    overdue: late.given,
    waitingFor: () => [
      ...(unrouted.size > 0 ? ['its routes'] : []),
      ...new Set(missing().flatMap((tls) => tls?.waitingFor() ?? [])),
    ],
    chains: routes.map(({ handle }, index) => ({ handle, tls: contexts[index] })),
    close() {
      for (const tls of contexts) tls?.close();
      for (const each of routes) each.close();
    },
  };
}
