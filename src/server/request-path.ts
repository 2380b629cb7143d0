import type { AccessLogManager } from '../access-log/access-logger.js';
import { createExchangeFactory } from '../bridge/exchange-factory.js';
import type { PreparedBridge } from '../bridge/prepared-bridge.js';
import type { Clock } from '../clock.js';
import type { Http1CodecName } from '../http/http1-codec.js';
import type { ChainRoutes } from '../listener/route-provider.js';
import { createLocalServing, type ListenerServing } from '../listener/serving.js';
import type { Logging } from '../log.js';
import type { FilterChain, Listener } from '../model/listener.js';
import type { RouteTable } from '../routing/route-table.js';
import { createRouter } from '../routing/router.js';
import type { AdoptSocket } from '../sockets/stream-socket.js';
import type { StatsStore } from '../stats/store.js';
import type { ClusterManager } from '../upstream/cluster-manager.js';

export interface RequestPathOptions {
  readonly stats: StatsStore;
  readonly logging: Logging;
  readonly clock: Clock;
  readonly accessLogs: AccessLogManager;
  readonly http1Codec: Http1CodecName;
  readonly adoptSocket: AdoptSocket;
  readonly clusters: Pick<ClusterManager<PreparedBridge>, 'lookup'>;
}

/** What a process that serves requests is made of, from the listener's connections to the clusters. */
export interface RequestPath {
  readonly serving: ListenerServing;
  /** Answers a filter chain's requests by the routes that `current` gives at the time; undefined: none are known, and all get 404. */
  handler(listener: Listener, chain: FilterChain, current: () => RouteTable | undefined): ChainRoutes['handle'];
}

export function createRequestPath(options: RequestPathOptions): RequestPath {
  const { stats, logging, clock, accessLogs, clusters, http1Codec, adoptSocket } = options;
  const router = createRouter({
    clusters,
    startExchange: createExchangeFactory({ stats, log: logging.logger('bridge'), clock }),
    stats,
    log: logging.logger('router'),
    clock,
    random: Math.random,
  });
  return {
    serving: createLocalServing({ stats, log: logging.logger('listener'), clock, accessLogs, http1Codec, adoptSocket }),
    handler(
      { perConnectionBufferLimitBytes },
      { httpConnectionManager: { statPrefix, suppressEnvoyHeaders } },
      current,
    ) {
      const routing = { statPrefix, suppressEnvoyHeaders, listenerBufferLimitBytes: perConnectionBufferLimitBytes };
      return (stream) => router.handle(stream, current(), routing);
    },
  };
}
