import type { Listener } from '../model/listener.js';
import type { StatsStore } from '../stats/store.js';
import type { Secrets } from '../tls/secrets.js';
import { createServerTls } from '../tls/server-tls.js';
import { listenerScope } from './listener-stats.js';
import type { RouteProvider } from './route-provider.js';

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
 * Adds a listener's TLS to what it needs: it is ready when it has its certificates, too. Without them it never serves, however long they
 * take; but after their initial_fetch_timeout nothing else waits for it.
 */
export function withTls(routes: RouteProvider, listener: Listener, secrets: Secrets, stats: StatsStore): RouteProvider {
  if (listener.tls === undefined) return routes;
  const complete = newSignal();
  const late = newSignal();
  const check = (): void => {
    if (tls.waitingFor().length === 0) complete.give();
    else if (tls.overdue) late.give();
  };
  const tls = createServerTls(listener.tls, secrets, listenerScope(stats, listener), check);
  let routed = routes.ready === undefined;
  void routes.ready?.then(
    () => {
      routed = true;
    },
    () => undefined,
  );
  const waits = tls.waitingFor().length > 0;
  if (waits) check();
  return {
    ready: waits ? Promise.all([complete.given, routes.ready]).then(() => undefined) : routes.ready,
    overdue: late.given,
    waitingFor: () => [...(routed ? [] : ['its routes']), ...tls.waitingFor()],
    tls,
    handle: (stream) => routes.handle(stream),
    close() {
      tls.close();
      routes.close();
    },
  };
}
