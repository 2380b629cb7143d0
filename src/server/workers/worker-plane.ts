import type { AccessLogManager } from '../../access-log/access-logger.js';
import type { Clock } from '../../clock.js';
import type { Http1CodecName } from '../../http/http1-codec.js';
import type { Logging } from '../../log.js';
import { programFile } from '../../own-files.js';
import type { SocketsName } from '../../sockets/open-sockets.js';
import type { StatsRegistry } from '../../stats/create-store.js';
import { createStatsImporter } from '../../stats/import.js';
import type { ClusterManager } from '../../upstream/cluster-manager.js';
import { createHostStatsImporter } from '../../upstream/host-stats-transfer.js';
import { createFleet, type Fleet, type WorkerEnd } from '../../workers/fleet.js';
import type { AcceptedBridge } from '../judge-process/accepted-bridge.js';
import { createJudgeProcess } from '../judge-process/judge-process.js';
import type { Plane } from '../plane.js';
import { createRollBack, type RollBack } from '../roll-back.js';
import { createClusterRelay, type WorkerLine } from './cluster-relay.js';
import { createListenerRelay } from './listener-relay.js';
import type { WorkerMessage, WorkerNumbers, WorkerQuestion, WorkerReport, WorkerSettings } from './messages.js';
import { createRouteRelay } from './route-relay.js';
import { createSecretRelay } from './secret-relay.js';

export interface WorkerPlaneOptions {
  readonly count: number;
  readonly logging: Logging;
  readonly logPath: string | undefined;
  readonly clock: Clock;
  readonly stats: StatsRegistry;
  readonly accessLogs: AccessLogManager;
  readonly pluginRoots: readonly string[];
  readonly maxGoLibraries: number;
  readonly http1Codec: Http1CodecName;
  readonly sockets: SocketsName;
  readonly drainTimeMs: number;
  /** Numbers come at least this often, so that a worker that crashes loses few. */
  readonly collectIntervalMs: number;
  /** Nobody caught it, in a worker. */
  readonly onUncaught: () => void;
}

const program = programFile('worker.js');
/** A worker that does not answer in time is busy, or hangs: what it counted comes next time. */
const answerTimeoutMs = 1_000;
/** The control plane hears that all workers have a listener or routes. It must not wait, with what it sends to mend them, for workers that end again and again. */
const longestWaitMs = 5_000;
/** Go libraries can't be unloaded: a worker that carries so many that nobody uses is replaced. */
const mostRetiredLibraries = 8;

/** Workers serve; this process decides, accepts connections and shows what happens. */
export function createWorkerPlane(options: WorkerPlaneOptions): Plane<AcceptedBridge> {
  const { count, logging, clock, stats, accessLogs, pluginRoots, maxGoLibraries, drainTimeMs } = options;
  const log = logging.logger('workers');
  const judge = createJudgeProcess({ logging, pluginRoots, maxGoLibraries, stats, clock });
  const numbers = createStatsImporter(stats);
  let hosts: ReturnType<typeof createHostStatsImporter> | undefined;
  let rollBack: RollBack | undefined;
  const goLibraries = createWorkerGauges(stats);
  let fleet: Fleet;

  const line: WorkerLine = {
    send: (message) => fleet.broadcast(message),
    settled: () => fleet.settled(),
    settledOrLate: () =>
      new Promise((resolve) => {
        const timer = clock.setTimeout(resolve, longestWaitMs);
        void fleet.settled().then(() => {
          timer.cancel();
          resolve();
        });
      }),
  };
  const clusters = createClusterRelay(line);
  const listeners = createListenerRelay({
    ...line,
    stats,
    dispatch: (socket, target) => fleet.dispatch(socket, target),
  });
  const secrets = createSecretRelay(line);
  let routes: ReturnType<typeof createRouteRelay> | undefined;

  function take(worker: number, { stats: changes, hosts: report, connections }: WorkerNumbers): void {
    numbers.apply(worker, changes);
    hosts?.apply(worker, report);
    listeners.setConnections(worker, connections);
  }

  function onReport(worker: number, report: WorkerReport): void {
    switch (report.kind) {
      case 'started':
        listeners.workerStarted(worker);
        break;
      case 'listener_drained':
        listeners.listenerDrained(worker, report.id);
        break;
      case 'failed':
        stats.counter('workers.configuration_failed').value++;
        log.error({ worker, what: report.what }, `a worker could not carry out what was accepted: ${report.message}`);
        break;
      case 'go_libraries':
        goLibraries.set(worker, report);
        if (report.retired >= mostRetiredLibraries) {
          void fleet.replace(worker, `${report.retired} Go libraries that nobody uses any more are still loaded in it`);
        }
        break;
      case 'numbers':
        take(worker, report.numbers);
        break;
      case 'uncaught':
        options.onUncaught();
    }
  }

  function onEnd({ worker, cause, mark, detail }: WorkerEnd): void {
    numbers.forget(worker);
    hosts?.forget(worker);
    goLibraries.forget(worker);
    listeners.workerEnded(worker);
    if (cause !== 'retired') rollBack?.onCrash(mark, detail);
  }

  async function collect(): Promise<void> {
    const question: WorkerQuestion = { kind: 'numbers' };
    await fleet.ask(question, answerTimeoutMs);
  }

  const settings: WorkerSettings = {
    logLevel: logging.defaultLevel,
    logPath: options.logPath,
    drainTimeMs,
    workers: count,
    http1Codec: options.http1Codec,
    sockets: options.sockets,
  };
  fleet = createFleet({
    count,
    program,
    programArguments: [JSON.stringify(settings)],
    log,
    stats,
    clock,
    folder: judge.folder,
    drainTimeMs,
    replay(send: (message: WorkerMessage) => void) {
      send({ kind: 'log_level', component: undefined, level: logging.defaultLevel });
      for (const [component, level] of Object.entries(logging.levels())) send({ kind: 'log_level', component, level });
      secrets.replay(send);
      routes?.replay(send);
      clusters.replay(send);
      listeners.replay(send);
    },
    onReport: (worker, message) => onReport(worker, message as WorkerReport),
    onEnd,
  });

  let timer: NodeJS.Timeout | undefined;
  return {
    judge,
    followers: clusters,
    serveWith(manager: ClusterManager<AcceptedBridge>) {
      hosts = createHostStatsImporter(() => manager.snapshot());
      rollBack = createRollBack({ clusters: manager, judge, log: logging.logger('bridge'), stats, clock });
      return { serving: listeners, handler: () => neverHere, clusters: rollBack.clusters };
    },
    followSecret: secrets.set,
    followRoutes(subscribe) {
      routes = createRouteRelay(subscribe, line);
      return routes.subscribe;
    },
    logging: {
      ...logging,
      setLevel(level, component) {
        if (!logging.setLevel(level, component)) return false;
        line.send({ kind: 'log_level', level, component });
        return true;
      },
    },
    reopenLogs() {
      accessLogs.reopen();
      line.send({ kind: 'reopen_logs' });
    },
    collect,
    rolledBack: (name) => rollBack?.rolledBack(name),
    retryRolledBack: async () => rollBack?.retry(),
    workers: {
      workers: () => fleet.workers(),
      hotRestart: () => fleet.replaceAll('a hot restart was asked for'),
    },
    async start() {
      await fleet.start();
      timer = setInterval(() => void collect(), options.collectIntervalMs).unref();
    },
    async close() {
      clearInterval(timer);
      await fleet.close(drainTimeMs);
      rollBack?.close();
      await judge.close();
    },
  };
}

/** `bridge.go_libraries*` of all workers together. */
function createWorkerGauges(stats: StatsRegistry) {
  const open = stats.gauge('bridge.go_libraries');
  const retired = stats.gauge('bridge.go_libraries_retired');
  const workers = new Map<number, { readonly open: number; readonly retired: number }>();
  function show(): void {
    const all = [...workers.values()];
    open.value = all.reduce((sum, each) => sum + each.open, 0);
    retired.value = all.reduce((sum, each) => sum + each.retired, 0);
  }
  return {
    set(worker: number, counts: { readonly open: number; readonly retired: number }): void {
      workers.set(worker, counts);
      show();
    },
    forget(worker: number): void {
      workers.delete(worker);
      show();
    },
  };
}

function neverHere(): never {
  throw new Error('requests are served by workers');
}
