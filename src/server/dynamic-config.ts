import type { JudgedBridge } from '../bridge/prepared-bridge.js';
import type { Clock } from '../clock.js';
import type { ListenerManager } from '../listener/listener-manager.js';
import type { Logger } from '../log.js';
import type { Bootstrap } from '../model/bootstrap.js';
import type { Cluster } from '../model/cluster.js';
import { type ConfigSource, sourceKey } from '../model/config-source.js';
import type { LoadAssignment } from '../model/endpoint.js';
import type { Listener } from '../model/listener.js';
import type { Verdict } from '../model/verdict.js';
import type { Schema } from '../protobuf/schema.js';
import type { StatsStore } from '../stats/store.js';
import type { Turns } from '../turns.js';
import type { ClusterManager, NoAssignment } from '../upstream/cluster-manager.js';
import type { WatchedResources, Watcher } from '../xds/ads-client.js';
import type { AcceptedResource, RejectedResource, ResourceUpdate } from '../xds/resource-type.js';
import { type ConfigSources, createConfigSources } from './config-sources.js';
import { createUpdateLog, type UpdateLog } from './log-update.js';
import type { JudgedCluster, JudgedRoutes, ResourceTypes } from './resource-types.js';
import type { SubscribeSecrets } from './secret-store.js';
import type { KeptConfig } from './snapshots.js';

export interface DynamicConfigOptions<B extends JudgedBridge> {
  readonly bootstrap: Bootstrap;
  readonly schema: Schema;
  readonly types: ResourceTypes<B>;
  readonly version: string;
  readonly clock: Clock;
  readonly stats: StatsStore;
  readonly log: Logger;
  readonly clusters: ClusterManager<B>;
  readonly listeners: ListenerManager;
  /** A whole type was answered for the first time, or didn't come in time. */
  readonly onFirstAnswer: (shortName: 'cds' | 'lds') => void;
  /** Remembers what control planes say, for the next process. */
  readonly kept?: KeptConfig | undefined;
}

/** What the control plane gives: clusters and listeners by wildcard, endpoints and routes by the names that those need. */
export interface DynamicConfig {
  /** What is known of single resources. */
  readonly client: Pick<
    ConfigSources,
    'states' | 'state' | 'versionOf' | 'version' | 'keepable' | 'stale' | 'serverIsUp'
  >;
  /** Connects and asks for clusters. */
  start(): void;
  /** Asks for listeners: once the first clusters can carry what their routes send. */
  startListeners(): void;
  /** For `ClusterManagerOptions.onEdsInterest`. */
  setEdsInterest(serviceName: string, source: ConfigSource, wanted: boolean): void;
  /** The watcher's timeout is that of `source`. */
  subscribeRoutes(
    name: string,
    source: ConfigSource,
    watcher: Omit<Watcher<JudgedRoutes>, 'initialFetchTimeoutMs'>,
  ): { close(): void };
  /** The watcher's timeout is that of `source`. */
  subscribeSecrets: SubscribeSecrets;
  close(): void;
}

/** The cluster's own verdict, without the prepared bridge that travels beside it. */
function clusterVerdict(verdict: Verdict<JudgedCluster<JudgedBridge>>): Verdict<Cluster> {
  if (verdict.kind === 'rejected') return verdict;
  if (verdict.kind === 'active') return { ...verdict, model: verdict.model.cluster };
  return { ...verdict, model: verdict.model?.cluster };
}

interface EndpointSink {
  readonly clusters: Pick<ClusterManager<never>, 'setLoadAssignment'>;
  readonly logUpdate: UpdateLog;
  /** What was wrong is told to be right again; else it is no news. */
  readonly skipsUnchanged: () => boolean;
}

/** Hands the endpoints of one name on. A class: there are as many as clusters. */
class EndpointWatcher implements Watcher<LoadAssignment> {
  readonly #serviceName: string;
  readonly #source: ConfigSource;
  readonly #sink: EndpointSink;

  constructor(serviceName: string, source: ConfigSource, sink: EndpointSink) {
    this.#serviceName = serviceName;
    this.#source = source;
    this.#sink = sink;
  }

  get initialFetchTimeoutMs(): number {
    return this.#source.initialFetchTimeoutMs;
  }

  get skipsUnchanged(): () => boolean {
    return this.#sink.skipsUnchanged;
  }

  onUpdate(update: ResourceUpdate<LoadAssignment>): void {
    this.#sink.logUpdate.tell(update);
    for (const { name, verdict } of update.changed) {
      if (verdict.kind !== 'rejected') this.#answer(name, verdict.model ?? 'does_not_exist');
    }
    for (const { name } of update.rejected) this.#answer(name, 'rejected');
    const missing = update.cause === 'initial_fetch_timeout' ? 'timed_out' : 'does_not_exist';
    for (const name of update.removed) this.#answer(name, missing);
  }

  onConnectionFailure(): void {
    this.#answer(this.#serviceName, 'disconnected');
  }

  #answer(name: string, answer: LoadAssignment | NoAssignment): void {
    this.#sink.clusters.setLoadAssignment(name, answer, this.#source);
  }
}

/** Wires the sources to the rooms that run what they bring. */
export function createDynamicConfig<B extends JudgedBridge>(options: DynamicConfigOptions<B>): DynamicConfig {
  const { bootstrap, types, clusters, listeners, log, clock, stats, onFirstAnswer } = options;
  let closed = false;
  const staticListeners = new Set(bootstrap.listeners.map(({ name }) => name));
  const sources = createConfigSources(options);
  const logClusters = createUpdateLog(log, 'cluster');
  const logListeners = createUpdateLog(log, 'listener');
  const logRoutes = createUpdateLog(log, 'route configuration');
  const logSecrets = createUpdateLog(log, 'secret');
  /** By the source's key, then by the name. */
  const endpointWatches = new Map<string, Map<string, WatchedResources>>();
  const logEndpoints = createUpdateLog(log, 'endpoints', 'debug');
  const skipsUnchanged = () => !logEndpoints.somethingWrong;
  const endpointSink: EndpointSink = { clusters, logUpdate: logEndpoints, skipsUnchanged };

  function applyCluster({ name, version, bytes, verdict }: AcceptedResource<JudgedCluster<B>>): void {
    const pipeline = verdict.kind === 'active' ? verdict.model.bridge : undefined;
    clusters.setCluster({ name, version, bytes, verdict: clusterVerdict(verdict) }, pipeline, 'dynamic');
  }
  const reloads = stats.counter('cluster_manager.cds.config_reload');
  const reloadTime = stats.gauge('cluster_manager.cds.config_reload_time_ms');
  async function onClusters(update: ResourceUpdate<JudgedCluster<B>>, turns: Turns): Promise<void> {
    for (const _ of logClusters.tellInSteps(update)) {
      const pause = turns();
      if (pause) await pause;
      if (closed) return;
    }
    if (update.changed.length + update.removed.length > 0) {
      reloads.value++;
      reloadTime.value = clock.now();
    }
    const inTurns = async <T>(items: readonly T[], apply: (item: T) => void) => {
      for (const item of items) {
        const pause = turns();
        if (pause) await pause;
        if (closed) return;
        apply(item);
      }
    };
    await inTurns(update.changed, applyCluster);
    await inTurns(update.removed, (name) => clusters.removeCluster(name));
    if (!closed) onFirstAnswer('cds');
  }
  async function onListeners(update: ResourceUpdate<Listener>): Promise<readonly RejectedResource[]> {
    logListeners.tell(update);
    const changed = update.changed.filter((resource) => !staticListeners.has(resource.name));
    for (const { name } of update.changed) {
      if (staticListeners.has(name))
        log.warn({ name }, 'listener ignored: the bootstrap has a static one of that name');
    }
    const removed = update.removed.filter((name) => !staticListeners.has(name));
    const failures = await listeners.apply({ changed, removed }, 'dynamic');
    onFirstAnswer('lds');
    return failures.map(({ name, message }) => ({ name, problems: [{ path: '', message }] }));
  }
  return {
    client: sources,
    start() {
      sources.start();
      if (bootstrap.cds === undefined) return;
      sources.subscribe(types.clusters, bootstrap.cds, undefined, 'wildcard', {
        initialFetchTimeoutMs: bootstrap.cds.initialFetchTimeoutMs,
        onUpdate: onClusters,
      });
    },
    startListeners() {
      if (bootstrap.lds === undefined) return;
      sources.subscribe(types.listeners, bootstrap.lds, undefined, 'wildcard', {
        initialFetchTimeoutMs: bootstrap.lds.initialFetchTimeoutMs,
        onUpdate: onListeners,
      });
    },
    setEdsInterest(serviceName, source, wanted) {
      const key = sourceKey(source);
      let watches = endpointWatches.get(key);
      if (!wanted) {
        watches?.get(serviceName)?.close();
        watches?.delete(serviceName);
        if (watches?.size === 0) endpointWatches.delete(key);
        return;
      }
      watches ??= new Map();
      endpointWatches.set(key, watches);
      const watcher = new EndpointWatcher(serviceName, source, endpointSink);
      watches.set(serviceName, sources.subscribe(types.endpoints, source, bootstrap.cds, [serviceName], watcher));
    },
    subscribeRoutes(name, source, watcher) {
      return sources.subscribe(types.routes, source, bootstrap.lds, [name], {
        ...watcher,
        initialFetchTimeoutMs: source.initialFetchTimeoutMs,
        onUpdate(update, turns) {
          logRoutes.tell(update);
          return watcher.onUpdate(update, turns);
        },
      });
    },
    subscribeSecrets(name, source, watcher) {
      return sources.subscribe(types.secrets, source, bootstrap.lds ?? bootstrap.cds, [name], {
        ...watcher,
        initialFetchTimeoutMs: source.initialFetchTimeoutMs,
        onUpdate(update, turns) {
          logSecrets.tell(update);
          return watcher.onUpdate(update, turns);
        },
      });
    },
    close() {
      closed = true;
      sources.close();
    },
  };
}
