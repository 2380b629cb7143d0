import { createAccessLogManager } from './access-log/access-logger.js';
import { startAdminServer } from './admin/admin-server.js';
import { clustersEndpoint } from './admin/clusters.js';
import { configDumpEndpoint } from './admin/config-dump.js';
import type { AdminEndpoint } from './admin/endpoint.js';
import { lifecycleEndpoints } from './admin/lifecycle.js';
import { listenersEndpoint } from './admin/listeners.js';
import { loggingEndpoint } from './admin/logging.js';
import type { AdminSources } from './admin/sources.js';
import { statsEndpoints } from './admin/stats.js';
import { createExchangeFactory } from './bridge/exchange-factory.js';
import type { PreparedBridge } from './bridge/prepared-bridge.js';
import { createBridgeRuntime } from './bridge/runtime.js';
import { systemClock } from './clock.js';
import type { Http1CodecName } from './http/http1-codec.js';
import { explainBindError } from './listener/bound-socket.js';
import { createListenerManager } from './listener/listener-manager.js';
import type { RouteProvider } from './listener/route-provider.js';
import type { Logging } from './log.js';
import type { Bootstrap } from './model/bootstrap.js';
import { formatAddress, type SocketAddress } from './model/endpoint.js';
import type { Listener } from './model/listener.js';
import { describeProblems } from './model/verdict.js';
import { toJson } from './protobuf/json.js';
import type { Schema } from './protobuf/schema.js';
import { createRouter } from './routing/router.js';
import { createAdminAccessLog } from './server/admin-access-log.js';
import { createAdminSources } from './server/admin-sources.js';
import { createBridgeReload, reloadEndpoint } from './server/bridge-reload.js';
import { createDynamicConfig, type DynamicConfig } from './server/dynamic-config.js';
import { createReadiness } from './server/readiness.js';
import { createResourceTypes, judgeBridge, judgeListener } from './server/resource-types.js';
import { createRouteConfigs } from './server/route-configs.js';
import { createServerStats } from './server/server-stats.js';
import { createStartUp } from './server/start-up.js';
import { unpackPluginConfig } from './server/unpack-plugin-config.js';
import { inStatic } from './server/validate.js';
import { createStatsStore } from './stats/create-store.js';
import { createClusterManager } from './upstream/create-cluster-manager.js';
import { version } from './version.js';

export interface ServerOptions {
  readonly bootstrap: Bootstrap;
  readonly schema: Schema;
  readonly logging: Logging;
  readonly drainTimeMs: number;
  readonly pluginRoots: readonly string[];
  /** 'own' unless set. */
  readonly http1Codec?: Http1CodecName;
  /** For /server_info. */
  readonly commandLine: Readonly<Record<string, unknown>>;
  /** `POST /quitquitquit`. */
  readonly onQuit: () => void;
}

export interface Server {
  readonly adminAddress: SocketAddress | undefined;
  /** SIGUSR1: opens access log files anew under their paths. */
  reopenLogs(): void;
  /** Counts a rejection or exception that nobody caught. */
  countUncaught(): void;
  /** Stops accepting, lets running requests end within the drain time, then ends every part. */
  stop(): Promise<void>;
}

/**
 * Builds every part and wires the two flows: configuration from the bootstrap and the control plane, requests from listeners to clusters.
 *
 * @throws Error when a static bridge, a static listener or the admin interface can't be brought up: nothing is left running then
 */
export async function startServer(options: ServerOptions): Promise<Server> {
  const { bootstrap, schema, logging, drainTimeMs } = options;
  const clock = systemClock;
  const startTime = new Date();
  const stats = createStatsStore();
  const readiness = createReadiness();
  const accessLogs = createAccessLogManager({ clock, log: logging.logger('access_log'), stats });
  const runtime = createBridgeRuntime({
    log: logging.logger('bridge'),
    goLog: logging.logger('golang'),
    watchLogLevel: (listener) => logging.watchLevel('golang', listener),
    stats,
    unpackPluginConfig: (typeUrl, value) => unpackPluginConfig(schema, typeUrl, value),
    pluginRoots: options.pluginRoots,
    cwd: process.cwd(),
  });
  const types = createResourceTypes(schema, runtime);

  // The cluster manager asks for endpoints, the listeners for routes: both of the control plane, which needs both to give them what it brings.
  let dynamic: DynamicConfig | undefined;
  const clusters = createClusterManager<PreparedBridge>({
    stats,
    log: logging.logger('upstream'),
    clock,
    drainTimeMs,
    onEdsInterest: (serviceName, source, wanted) => dynamic?.setEdsInterest(serviceName, source, wanted),
    onWarmed: () => startUp.progressed(),
  });
  const router = createRouter({
    clusters,
    startExchange: createExchangeFactory({ stats, log: logging.logger('bridge'), clock }),
    stats,
    log: logging.logger('router'),
    clock,
    random: Math.random,
  });
  const routeConfigs = createRouteConfigs({
    subscribe: (name, source, watcher) => dynamic?.subscribeRoutes(name, source, watcher) ?? { close: () => undefined },
    stats,
    log: logging.logger('router'),
  });
  function routesOf(listener: Listener): RouteProvider {
    const { statPrefix, suppressEnvoyHeaders } = listener.httpConnectionManager;
    const routes = routeConfigs.open(listener.httpConnectionManager);
    const routing = {
      statPrefix,
      suppressEnvoyHeaders,
      listenerBufferLimitBytes: listener.perConnectionBufferLimitBytes,
    };
    return {
      ready: routes.ready,
      handle: (stream) => router.handle(stream, routes.current(), routing),
      close: () => routes.close(),
    };
  }
  const listeners = createListenerManager({
    stats,
    log: logging.logger('listener'),
    clock,
    accessLogs,
    routes: routesOf,
    drainTimeMs,
    ...(options.http1Codec && { http1Codec: options.http1Codec }),
    onWarmed: () => startUp.progressed(),
  });
  const startUp = createStartUp({
    bootstrap,
    readiness,
    warmingClusters: () => clusters.warming,
    warmingListeners: () => listeners.warming,
    startListeners: () => config.startListeners(),
  });
  const config = createDynamicConfig({
    bootstrap,
    schema,
    types,
    version,
    clock,
    stats,
    log: logging.logger('xds'),
    clusters,
    listeners,
    onFirstAnswer: startUp.answered,
  });
  dynamic = config;
  const reload = createBridgeReload({ clusters, runtime, log: logging.logger('bridge') });
  const serverStats = createServerStats(stats, readiness, startTime, bootstrap.statsFlushIntervalMs);

  const adminSources = createAdminSources({
    bootstrap,
    types,
    clusters,
    listeners,
    dynamic: config,
    readiness,
    startTime,
    version: `pontoon/${version}/node-${process.version}`,
    commandLine: options.commandLine,
  });
  const adminLog = accessLogs.createLogger(bootstrap.admin?.accessLogs ?? []);
  const admin = await startAdmin(options, adminSources, createAdminAccessLog(adminLog, clock), [
    ...statsEndpoints(stats),
    reloadEndpoint(reload),
    ...lifecycleEndpoints(adminSources, {
      quit: options.onQuit,
      reopenLogs: () => accessLogs.reopen(),
      failHealthCheck(failed) {
        readiness.failHealthCheck(failed);
        listeners.setDraining(failed);
      },
      drainListeners: (graceful) => {
        if (!graceful) return void listeners.close();
        // As Envoy: clients are asked to go for a while, then the listeners close.
        listeners.setDraining(true);
        clock.setTimeout(() => void listeners.close(), drainTimeMs);
      },
    }),
  ]);

  async function stop(): Promise<void> {
    readiness.drain();
    serverStats.close();
    config.close();
    await listeners.close();
    await clusters.close();
    await accessLogs.close();
    await admin?.close();
  }
  try {
    for (const [index, resource] of bootstrap.clusters.entries()) {
      const verdict = await judgeBridge(resource.verdict, runtime);
      if (verdict.kind === 'rejected') throw new Error(describeProblems(inStatic('clusters', index, verdict.problems)));
      clusters.setCluster(resource, verdict.kind === 'active' ? verdict.model.bridge : undefined, 'static');
    }
    for (const [index, { verdict }] of bootstrap.listeners.entries()) {
      const judged = judgeListener(verdict);
      if (judged.kind === 'rejected') throw new Error(describeProblems(inStatic('listeners', index, judged.problems)));
    }
    const [failure] = await listeners.apply({ changed: bootstrap.listeners, removed: [] }, 'static');
    if (failure) throw new Error(failure.message);
  } catch (error) {
    await stop();
    throw error;
  }
  config.start();
  startUp.staticApplied();
  return {
    adminAddress: admin?.address,
    reopenLogs: () => accessLogs.reopen(),
    countUncaught: () => serverStats.countUncaught(),
    stop,
  };
}

async function startAdmin(
  { bootstrap, schema, logging }: ServerOptions,
  sources: AdminSources,
  onRequest: ReturnType<typeof createAdminAccessLog>,
  more: readonly AdminEndpoint[],
) {
  if (bootstrap.admin === undefined) return undefined;
  const { address } = bootstrap.admin;
  return startAdminServer({
    address,
    log: logging.logger('admin'),
    onRequest,
    endpoints: [
      clustersEndpoint(sources),
      listenersEndpoint(sources),
      configDumpEndpoint(sources, (typeName, bytes) => toJson(schema, typeName, bytes, { redact: true })),
      loggingEndpoint(logging),
      ...more,
    ],
  }).catch((error: NodeJS.ErrnoException) => {
    throw new Error(`admin.address: cannot bind ${formatAddress(address)}: ${explainBindError(error)}`);
  });
}
