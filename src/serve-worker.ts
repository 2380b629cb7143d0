import { createAccessLogManager } from './access-log/access-logger.js';
import { loadNativeHost } from './bridge/go/native-host.js';
import type { PreparedBridge } from './bridge/prepared-bridge.js';
import { createBridgeRuntime } from './bridge/runtime.js';
import { systemClock } from './clock.js';
import { provideRoutes } from './listener/provide-routes.js';
import type { RouteProvider } from './listener/route-provider.js';
import type { ServingListener } from './listener/serving.js';
import { createLogging, type Logging } from './log.js';
import type { Listener } from './model/listener.js';
import { describeProblems } from './model/verdict.js';
import { loadSchema } from './protobuf/schema.js';
import { compileRouteTable, type RouteTable } from './routing/route-table.js';
import { createRequestPath } from './server/request-path.js';
import { trimMemory } from './server/trim-memory.js';
import { unpackPluginConfig } from './server/unpack-plugin-config.js';
import { shareOf } from './server/workers/circuit-breaker-share.js';
import { createHandedConnections } from './server/workers/handed-connections.js';
import type {
  ClusterMessage,
  ConnectionTarget,
  WorkerMessage,
  WorkerNumbers,
  WorkerReport,
  WorkerSettings,
} from './server/workers/messages.js';
import { openSockets } from './sockets/open-sockets.js';
import { createStatsStore } from './stats/create-store.js';
import { createStatsExporter } from './stats/export.js';
import { isServingStat } from './stats/serving-stats.js';
import { createGivenSecrets } from './tls/given-secrets.js';
import { createGivenHosts } from './upstream/cluster-followers.js';
import { createClusterManager } from './upstream/create-cluster-manager.js';
import { createHostStatsExporter } from './upstream/host-stats-transfer.js';
import { serveAsWorker, type WorkerLink, type WorkerTasks } from './workers/worker-link.js';

const nothing = new Uint8Array();

/**
 * Where the number of the plugin that runs is written: memory that the main process reads when this one has ended. It needs the native host, which may be built
 * only when the first Go library comes: until then nobody reads it.
 */
function createCallMarkCell(file: () => string): () => Uint32Array {
  const unread = new Uint32Array(1);
  let shared: Uint32Array | undefined;
  return () => {
    if (shared) return shared;
    const native = loadNativeHost();
    if (native.available) shared = new Uint32Array(native.host.mapSharedMemory(file(), 4096));
    return shared ?? unread;
  };
}

/** Serves what the main process decides: a cluster manager that is told its hosts, listeners whose connections are handed to it. */
function createWorker(settings: WorkerSettings, logging: Logging, link: () => WorkerLink): WorkerTasks {
  const clock = systemClock;
  const { drainTimeMs, http1Codec } = settings;
  const adoptSocket = openSockets(settings.sockets, logging.logger('sockets'));
  const schema = loadSchema();
  const stats = createStatsStore();
  const exporter = createStatsExporter(stats, { includes: isServingStat });
  const accessLogs = createAccessLogManager({ clock, log: logging.logger('access_log'), stats });
  const runtime = createBridgeRuntime({
    log: logging.logger('bridge'),
    goLog: logging.logger('golang'),
    watchLogLevel: (listener) => logging.watchLevel('golang', listener),
    stats,
    unpackPluginConfig: (typeUrl, value) => unpackPluginConfig(schema, typeUrl, value),
    pluginRoots: [],
    cwd: process.cwd(),
    isolated: true,
    // The main process counts what is in use, and replaces a worker that carries too many that are not.
    maxGoLibraries: Number.POSITIVE_INFINITY,
  });
  const hosts = createGivenHosts();
  const secrets = createGivenSecrets();
  const clusters = createClusterManager<PreparedBridge>({
    stats,
    log: logging.logger('upstream'),
    clock,
    drainTimeMs,
    adoptSocket,
    onEdsInterest: () => undefined,
    hostSource: hosts.source,
    secrets,
  });
  const hostStats = createHostStatsExporter(() => clusters.snapshot());
  const requests = createRequestPath({ stats, logging, clock, accessLogs, http1Codec, adoptSocket, clusters });
  const tables = new Map<string, RouteTable>();
  const listeners = new Map<number, ServingListener>();
  const handed = createHandedConnections(clock);
  let goLibraries = { open: 0, retired: 0 };
  const markCell = createCallMarkCell(() => link().markFile);

  const report = (what: WorkerReport): void => link().report(what);

  function routesOf(listener: Listener): RouteProvider {
    const chains = listener.filterChains.map((chain) => {
      const { routes } = chain.httpConnectionManager;
      const inline = routes.kind === 'inline' ? compileRouteTable(routes.config) : undefined;
      const current = routes.kind === 'inline' ? () => inline : () => tables.get(routes.name);
      return { ready: undefined, handle: requests.handler(listener, chain, current), close: () => undefined };
    });
    // The main process has waited for the secrets.
    return { ...provideRoutes(listener, chains, secrets, stats), ready: undefined };
  }

  async function setCluster({ config, version, library, mark, hosts: update }: ClusterMessage): Promise<void> {
    const { name, bridge } = config;
    if (bridge === undefined) return;
    const prepared = await runtime.prepareStored(bridge, library, { cell: markCell(), number: mark });
    if (!prepared.ok) throw new Error(describeProblems(prepared.problems));
    hosts.set(name, update);
    const verdict = { kind: 'active', model: shareOf(config, settings.workers), warnings: [] } as const;
    clusters.setCluster({ name, version, bytes: nothing, verdict }, prepared.bridge, 'dynamic');
    tellGoLibraries();
  }

  /** What was retired is only known when the old version has drained, so this is asked again from time to time. */
  function tellGoLibraries(): void {
    const now = runtime.goLibraries();
    if (now.open === goLibraries.open && now.retired === goLibraries.retired) return;
    goLibraries = now;
    report({ kind: 'go_libraries', ...now });
  }

  function setListener(id: number, config: Listener): void {
    const listener = listeners.get(id);
    if (listener) listener.update(config, routesOf(config));
    else listeners.set(id, requests.serving.open(config, routesOf(config)));
  }

  async function drainListener(id: number, ms: number): Promise<void> {
    await listeners.get(id)?.drain(ms);
    listeners.delete(id);
    report({ kind: 'listener_drained', id });
  }

  function carryOut(message: WorkerMessage): void | Promise<void> {
    switch (message.kind) {
      case 'cluster':
        return setCluster(message);
      case 'hosts':
        return hosts.set(message.cluster, message.hosts);
      case 'cluster_parked': {
        const { cluster: name, reason } = message;
        const verdict = { kind: 'parked', model: undefined, reason } as const;
        return clusters.setCluster({ name, version: '', bytes: Buffer.from(reason), verdict }, undefined, 'dynamic');
      }
      case 'cluster_removed':
        clusters.removeCluster(message.cluster);
        return hosts.forget(message.cluster);
      case 'secret':
        return secrets.set(message.key, message.secret);
      case 'routes':
        if (message.config) tables.set(message.name, compileRouteTable(message.config));
        else tables.delete(message.name);
        return undefined;
      case 'listener':
        return setListener(message.id, message.config);
      case 'listener_sockets':
        return listeners.get(message.id)?.setSockets(handed.use(message.id, message.sockets), message.drainTimeMs);
      case 'listener_drain':
        handed.forget(message.id);
        void drainListener(message.id, message.drainTimeMs);
        return undefined;
      case 'draining':
        return requests.serving.setDraining(message.draining);
      case 'log_level':
        return void logging.setLevel(message.level, message.component);
      case 'reopen_logs':
        return accessLogs.reopen();
    }
  }

  function reportNumbers(): void {
    const numbers: WorkerNumbers = {
      stats: exporter.changes(),
      hosts: hostStats.report(),
      connections: [...listeners].map(([id, { connections }]) => [id, connections] as const),
    };
    report({ kind: 'numbers', numbers });
  }

  return {
    async apply(message) {
      const { kind } = message as WorkerMessage;
      try {
        await carryOut(message as WorkerMessage);
      } catch (error) {
        report({ kind: 'failed', what: kind, message: error instanceof Error ? error.message : String(error) });
      }
    },
    answer() {
      tellGoLibraries();
      reportNumbers();
    },
    onConnection: (socket, target) => handed.accept(socket, (target as ConnectionTarget).socket),
    async drain(ms) {
      await Promise.all([...listeners.values()].map((listener) => listener.drain(ms)));
      await clusters.close();
      await accessLogs.close();
      reportNumbers();
    },
    connections: () => [...listeners.values()].reduce((sum, { connections }) => sum + connections, 0),
  };
}

function main(): void {
  const native = loadNativeHost();
  // A worker that hangs when the main process is killed does not see that its channel is closed.
  if (native.available) native.host.addon.dieWithParent();
  const settings = JSON.parse(process.argv[2] ?? '') as WorkerSettings;
  const logging = createLogging(settings.logLevel, settings.logPath, { pid: process.pid });
  const log = logging.logger('main');
  const contain = (kind: string) => (error: unknown) => {
    log.fatal({ err: error }, `${kind}: nobody caught it; serving goes on`);
    const report: WorkerReport = { kind: 'uncaught' };
    link.report(report);
  };
  process.on('uncaughtException', contain('uncaught exception'));
  process.on('unhandledRejection', contain('unhandled rejection'));
  const link: WorkerLink = serveAsWorker(createWorker(settings, logging, () => link));
  const started: WorkerReport = { kind: 'started' };
  link.report(started);
  trimMemory(systemClock);
}

main();
