import { createExchangeFactory } from '../../src/bridge/exchange-factory.js';
import type { PreparedBridge } from '../../src/bridge/prepared-bridge.js';
import { systemClock } from '../../src/clock.js';
import { createLogging } from '../../src/log.js';
import type { RouteConfiguration } from '../../src/model/route.js';
import { compileRouteTable } from '../../src/routing/route-table.js';
import { createRouter } from '../../src/routing/router.js';
import { openSockets } from '../../src/sockets/open-sockets.js';
import { createStatsStore } from '../../src/stats/create-store.js';
import type { ClusterManager } from '../../src/upstream/cluster-manager.js';
import { createClusterManager } from '../../src/upstream/create-cluster-manager.js';
import { prepare, type TestPlugin } from '../bridge/harness.js';
import { clusterModel, resource } from '../upstream/support.js';
import { RecordingStream, requestHeaders } from './support.js';

export interface ServerOfBed {
  readonly port: number;
  readonly weight?: number;
}

export interface RealBedOptions {
  readonly config: RouteConfiguration;
  readonly plugin: TestPlugin;
  /** The servers of the cluster `echo`. */
  readonly servers: readonly ServerOfBed[];
}

/** A router over real exchanges, pools and connections, with one cluster, `echo`; only clients are recorded. */
export function realBed({ config, plugin, servers }: RealBedOptions) {
  const stats = createStatsStore();
  const log = createLogging('off').logger('routing');
  const manager: ClusterManager<PreparedBridge> = createClusterManager({
    stats,
    log,
    clock: systemClock,
    adoptSocket: openSockets('checked', log),
    drainTimeMs: 1000,
    random: () => 0,
    onEdsInterest: () => undefined,
  });
  const setCluster = (version: string, to: readonly ServerOfBed[], name = 'echo'): void => {
    const bridge = prepare(plugin);
    const endpoints = to.map(({ port, weight = 1 }) => ({ port, weight }));
    manager.setCluster(resource(clusterModel(endpoints, { name, bridge: bridge.config }), version), bridge, 'dynamic');
  };
  setCluster('1', servers);
  const router = createRouter({
    clusters: manager,
    startExchange: createExchangeFactory({ stats, log, clock: systemClock }),
    stats,
    log,
    clock: systemClock,
    random: () => 0,
  });
  const table = compileRouteTable(config);
  const options = { statPrefix: 'in', suppressEnvoyHeaders: false, listenerBufferLimitBytes: 1 << 20 };
  return {
    manager,
    setCluster,
    counter: (name: string, cluster = 'echo') => stats.counter(`cluster.${cluster}.${name}`).value,
    gauge: (name: string) => stats.gauge(name).value,
    send(headers: Record<string, string> = {}, end = true): RecordingStream {
      const stream = new RecordingStream(requestHeaders({ ':method': 'POST', ...headers }), end);
      router.handle(stream, table, options);
      return stream;
    },
    close: () => manager.close(),
  };
}
