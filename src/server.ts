import { createAccessLogManager } from './access-log/access-logger.js';
import { startAdminServer } from './admin/admin-server.js';
import { certsEndpoint } from './admin/certs.js';
import { clustersEndpoint } from './admin/clusters.js';
import { configDumpEndpoint } from './admin/config-dump.js';
import type { CsdsServer } from './admin/csds/csds-server.js';
import type { AdminEndpoint } from './admin/endpoint.js';
import { lifecycleEndpoints } from './admin/lifecycle.js';
import { listenersEndpoint } from './admin/listeners.js';
import { loggingEndpoint } from './admin/logging.js';
import { snapshotEndpoint } from './admin/snapshot.js';
import type { AdminSources } from './admin/sources.js';
import { statsEndpoints } from './admin/stats.js';
import { workersEndpoints } from './admin/workers.js';
import { secretsByName } from './bootstrap/static-resources.js';
import type { JudgedBridge } from './bridge/prepared-bridge.js';
import { systemClock } from './clock.js';
import type { Http1CodecName } from './http/http1-codec.js';
import { explainBindError } from './listener/bound-socket.js';
import { createListenerManager } from './listener/listener-manager.js';
import { provideRoutes } from './listener/provide-routes.js';
import type { RouteProvider } from './listener/route-provider.js';
import type { Logging } from './log.js';
import type { Bootstrap } from './model/bootstrap.js';
import { formatAddress, type SocketAddress } from './model/endpoint.js';
import type { Listener } from './model/listener.js';
import { describeProblems } from './model/verdict.js';
import { toJson } from './protobuf/json.js';
import type { Schema } from './protobuf/schema.js';
import { createAdminAccessLog } from './server/admin-access-log.js';
import { createAdminSources } from './server/admin-sources.js';
import { createBridgeReload, reloadEndpoint } from './server/bridge-reload.js';
import { checkSources } from './server/check-sources.js';
import { createDynamicConfig, type DynamicConfig } from './server/dynamic-config.js';
import { judgeStaticClusters, problemsOfStaticListeners } from './server/judge-static.js';
import type { LoadReporter } from './server/load-reports/load-reporter.js';
import { startLoadReports } from './server/load-reports/start-load-reports.js';
import { createLocalPlane } from './server/local-plane.js';
import type { Plane } from './server/plane.js';
import { createReadiness } from './server/readiness.js';
import { createResourceTypes } from './server/resource-types.js';
import { createRouteConfigs } from './server/route-configs.js';
import { createSecretStore } from './server/secret-store.js';
import { createServerStats } from './server/server-stats.js';
import { openSnapshots, type SnapshotOptions } from './server/snapshots.js';
import { createStartUp } from './server/start-up.js';
import { createTextReadouts } from './server/text-readouts.js';
import { createWorkerPlane } from './server/workers/worker-plane.js';
import { openAccept, openSockets, type SocketsName } from './sockets/open-sockets.js';
import { createStatsStore } from './stats/create-store.js';
import { createClusterManager } from './upstream/create-cluster-manager.js';
import { version } from './version.js';

export interface ServerOptions {
  readonly bootstrap: Bootstrap;
  readonly schema: Schema;
  readonly logging: Logging;
  /** Where the logs go; undefined: stderr. */
  readonly logPath: string | undefined;
  readonly drainTimeMs: number;
  /** How long new connections are still taken after `stop`, for those who find out by `/ready` that they should go elsewhere; 0 unless set. */
  readonly shutdownDelayMs?: number;
  readonly pluginRoots: readonly string[];
  /** How many different Go libraries one process may load. */
  readonly maxGoLibraries: number;
  /** How many processes serve; 0: this one. */
  readonly workers: number;
  readonly http1Codec: Http1CodecName;
  readonly sockets: SocketsName;
  /** undefined: nothing is kept on disk. */
  readonly snapshots?: SnapshotOptions | undefined;
  /** For /server_info. */
  readonly commandLine: Readonly<Record<string, unknown>>;
  /** Where CSDS is served; undefined: nowhere. */
  readonly csdsAddress: SocketAddress | undefined;
  /** `POST /quitquitquit`. */
  readonly onQuit: () => void;
}

export interface Server {
  readonly adminAddress: SocketAddress | undefined;
  /** SIGUSR1: opens access log files anew under their paths. */
  reopenLogs(): void;
  /** SIGHUP: workers are replaced, one after the other, by those of the program that is on disk now. */
  hotRestart(): void;
  /** Counts a rejection or exception that nobody caught. */
  countUncaught(): void;
  /** Fails `/ready`, stops accepting after the shutdown delay, lets running requests end within the drain time, then ends every part. */
  stop(): Promise<void>;
}

/** What does not depend on who serves. */
function createBase({ logging, bootstrap, workers, sockets }: ServerOptions) {
  const clock = systemClock;
  const startTime = new Date();
  const stats = createStatsStore();
  const readiness = createReadiness();
  return {
    clock,
    startTime,
    stats,
    readiness,
    accessLogs: createAccessLogManager({ clock, log: logging.logger('access_log'), stats }),
    // Workers have their own.
    adoptSocket: openSockets(workers === 0 ? sockets : 'node', logging.logger('sockets')),
    acceptNext: openAccept(sockets, logging.logger('sockets')),
    serverStats: createServerStats(stats, readiness, startTime, {
      intervalMs: bootstrap.statsFlushIntervalMs,
      concurrency: Math.max(1, workers),
    }),
  };
}

type Base = ReturnType<typeof createBase>;

/**
 * Builds every part and wires the two flows: configuration from the bootstrap and the control plane, requests from listeners to clusters.
 *
 * @throws Error when a static bridge, a static listener or the admin interface can't be brought up: nothing is left running then
 */
export function startServer(options: ServerOptions): Promise<Server> {
  const base = createBase(options);
  if (options.workers === 0) return startWith(options, base, createLocalPlane({ ...options, ...base }));
  const plane = createWorkerPlane({
    ...options,
    ...base,
    count: options.workers,
    collectIntervalMs: options.bootstrap.statsFlushIntervalMs,
    onUncaught: () => base.serverStats.countUncaught(),
  });
  return startWith(options, base, plane);
}

async function startWith<B extends JudgedBridge>(
  options: ServerOptions,
  { clock, startTime, stats, readiness, accessLogs, adoptSocket, acceptNext, serverStats }: Base,
  plane: Plane<B>,
): Promise<Server> {
  const { bootstrap, schema, drainTimeMs } = options;
  const { judge, logging } = plane;
  const types = checkSources(createResourceTypes(schema, judge, secretsByName(bootstrap.secrets)), bootstrap);
  const snapshots =
    options.snapshots &&
    (await openSnapshots({
      options: options.snapshots,
      bootstrap,
      types,
      writtenBy: `pontoon/${version}`,
      clock,
      log: logging.logger('snapshot'),
      stats,
    }));

  // The cluster manager asks for endpoints, the listeners for routes: both of the control plane, which needs both to give them what it brings.
  let dynamic: DynamicConfig | undefined;
  let loadReports: LoadReporter | undefined;
  const secrets = createSecretStore({
    subscribe: (name, source, watcher) =>
      dynamic?.subscribeSecrets(name, source, watcher) ?? { close: () => undefined },
    stats,
    log: logging.logger('secret'),
    clock,
    ...(plane.followSecret && { onSecret: plane.followSecret }),
  });
  const manager = createClusterManager<B>({
    stats,
    log: logging.logger('upstream'),
    clock,
    drainTimeMs,
    onEdsInterest: (serviceName, source, wanted) => dynamic?.setEdsInterest(serviceName, source, wanted),
    onWarmed: () => startUp.progressed(),
    secrets,
    adoptSocket,
    ...(plane.followers && { followers: plane.followers }),
  });
  const { clusters, serving, handler } = plane.serveWith(manager);
  const routeConfigs = createRouteConfigs({
    subscribe: plane.followRoutes(
      (name, source, watcher) => dynamic?.subscribeRoutes(name, source, watcher) ?? { close: () => undefined },
    ),
    stats,
    log: logging.logger('router'),
    clock,
  });
  function routesOf(listener: Listener): RouteProvider {
    const chains = listener.filterChains.map((chain) => {
      const routes = routeConfigs.open(chain.httpConnectionManager);
      return { ready: routes.ready, handle: handler(listener, chain, routes.current), close: () => routes.close() };
    });
    return provideRoutes(listener, chains, secrets, stats);
  }
  const listeners = createListenerManager({
    stats,
    log: logging.logger('listener'),
    clock,
    serving,
    routes: routesOf,
    drainTimeMs,
    onWarmed: () => startUp.progressed(),
    acceptNext,
  });
  const startUp = createStartUp({
    bootstrap,
    readiness,
    clustersWarming: () => clusters.isWarming,
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
    kept: snapshots,
  });
  dynamic = config;
  readiness.onLive(() => config.client.serverIsUp());
  snapshots?.begin({
    keepable: (isKept) => config.client.keepable(isKept),
    stale: () => config.client.stale(),
    readiness() {
      if (readiness.state() === 'INITIALIZING') return 'no';
      return clusters.isWarming || listeners.warming > 0 ? 'settling' : 'yes';
    },
  });
  const reload = createBridgeReload({
    clusters,
    judge,
    log: logging.logger('bridge'),
    isRolledBack: (name) => plane.rolledBack(name) !== undefined,
  });

  const adminSources = createAdminSources({
    bootstrap,
    types,
    clusters,
    listeners,
    dynamic: config,
    secrets: () => secrets.materials(),
    readiness,
    startTime,
    version: `pontoon/${version}/node-${process.version}`,
    commandLine: options.commandLine,
    rolledBack: (name) => plane.rolledBack(name),
  });
  const adminLog = accessLogs.createLogger(bootstrap.admin?.accessLogs ?? []);
  const admin = await startAdmin({ ...options, logging }, plane, adminSources, createAdminAccessLog(adminLog, clock), [
    ...statsEndpoints(stats, createTextReadouts({ types, dynamic: config, clusters, listeners })),
    ...workersEndpoints(plane.workers),
    snapshotEndpoint(snapshots?.status),
    reloadEndpoint(async () => {
      await reload();
      await plane.retryRolledBack();
    }),
    ...lifecycleEndpoints(adminSources, {
      quit: options.onQuit,
      reopenLogs: () => plane.reopenLogs(),
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
  const csds = await serveCsds({ ...options, dump: adminSources.dump }).catch(async (error) => {
    await admin?.close();
    throw error;
  });

  async function stop(): Promise<void> {
    const saved = snapshots?.close();
    readiness.drain();
    serverStats.close();
    config.close();
    await listeners.close();
    loadReports?.close();
    await clusters.close();
    await plane.close();
    secrets.close();
    await accessLogs.close();
    csds?.close();
    await admin?.close();
    await saved;
  }
  // Whoever serves starts while the plugins are judged.
  const planeStarted = plane.start();
  try {
    for await (const { resource, verdict } of judgeStaticClusters(bootstrap, judge)) {
      if (verdict.kind === 'rejected') throw new Error(describeProblems(verdict.problems));
      clusters.setCluster(resource, verdict.kind === 'active' ? verdict.model.bridge : undefined, 'static');
    }
    const problems = problemsOfStaticListeners(bootstrap);
    if (problems.length > 0) throw new Error(describeProblems(problems));
    await planeStarted;
    const [failure] = await listeners.apply({ changed: bootstrap.listeners, removed: [] }, 'static');
    if (failure) throw new Error(failure.message);
  } catch (error) {
    await stop();
    throw error;
  }
  config.start();
  loadReports = startLoadReports({
    ...options,
    version,
    clock,
    stats,
    log: logging.logger('load_report'),
    clusters,
    collect: plane.collect,
  });
  startUp.staticApplied();
  return {
    adminAddress: admin?.address,
    reopenLogs: () => plane.reopenLogs(),
    hotRestart() {
      if (plane.workers) void plane.workers.hotRestart();
      else logging.logger('main').warn('SIGHUP: no workers to replace, this process serves');
    },
    countUncaught: () => serverStats.countUncaught(),
    async stop() {
      readiness.drain();
      const { shutdownDelayMs = 0 } = options;
      if (shutdownDelayMs > 0) {
        // Clients are asked to go; configuration is still taken, because requests are.
        listeners.setDraining(true);
        await new Promise<void>((resolve) => clock.setTimeout(resolve, shutdownDelayMs));
      }
      await stop();
    },
  };
}

async function startAdmin(
  { bootstrap, schema, logging }: ServerOptions,
  plane: Pick<Plane<JudgedBridge>, 'collect'>,
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
    ...(plane.collect && { collect: plane.collect }),
    endpoints: [
      clustersEndpoint(sources),
      listenersEndpoint(sources),
      certsEndpoint(sources),
      configDumpEndpoint(sources, (typeName, bytes) => toJson(schema, typeName, bytes, { redact: true })),
      loggingEndpoint(logging),
      ...more,
    ],
  }).catch((error: NodeJS.ErrnoException) => {
    throw new Error(`admin.address: cannot bind ${formatAddress(address)}: ${explainBindError(error)}`);
  });
}

/** Few have it on: what it is made of is only loaded then. */
async function serveCsds(options: ServerOptions & Pick<AdminSources, 'dump'>): Promise<CsdsServer | undefined> {
  const { csdsAddress: address } = options;
  if (address === undefined) return undefined;
  const { startCsds } = await import('./server/csds.js');
  return startCsds({ ...options, address, version });
}
