import type { JudgedBridge } from '../bridge/prepared-bridge.js';
import type { Clock } from '../clock.js';
import type { ListenerManager } from '../listener/listener-manager.js';
import type { Logger } from '../log.js';
import type { Bootstrap } from '../model/bootstrap.js';
import type { Cluster } from '../model/cluster.js';
import type { ConfigSource } from '../model/config-source.js';
import { formatAddress } from '../model/endpoint.js';
import type { Listener } from '../model/listener.js';
import type { Verdict } from '../model/verdict.js';
import { describeProblems } from '../model/verdict.js';
import type { Schema } from '../protobuf/schema.js';
import type { StatsStore } from '../stats/store.js';
import type { ClusterManager } from '../upstream/cluster-manager.js';
import {
  type AdsClient,
  channelDefaults,
  createAdsClient,
  type WatchedResources,
  type Watcher,
} from '../xds/ads-client.js';
import type { AcceptedResource, RejectedResource, ResourceUpdate } from '../xds/resource-type.js';
import type { JudgedCluster, JudgedRoutes, ResourceTypes } from './resource-types.js';

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
}

/** What the control plane gives: clusters and listeners by wildcard, endpoints and routes by the names that those need. */
export interface DynamicConfig {
  readonly client: AdsClient | undefined;
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
  close(): void;
}

/** The control plane's addresses, as gRPC names them, from its cluster's endpoints. */
function addressesOf(bootstrap: Bootstrap, clusterName: string): readonly string[] {
  const verdict = bootstrap.clusters.find(({ name }) => name === clusterName)?.verdict;
  const cluster = verdict && verdict.kind !== 'rejected' ? verdict.model : undefined;
  if (cluster === undefined || cluster.discovery.type === 'EDS') return [];
  return cluster.discovery.loadAssignment.localities.flatMap(({ endpoints }) =>
    endpoints.map(({ address }) => (address.kind === 'pipe' ? `unix:${address.path}` : formatAddress(address))),
  );
}

function connectTimeoutOf(bootstrap: Bootstrap, clusterName: string): number {
  const verdict = bootstrap.clusters.find(({ name }) => name === clusterName)?.verdict;
  return (verdict?.kind === 'parked' && verdict.model?.connectTimeoutMs) || channelDefaults.connectTimeoutMs;
}

function clientOf<B extends JudgedBridge>(options: DynamicConfigOptions<B>): AdsClient | undefined {
  const { bootstrap, schema, version, clock, stats, log } = options;
  const { ads, node } = bootstrap;
  if (ads === undefined) return undefined;
  return createAdsClient({
    variant: ads.variant,
    channel: {
      ...channelDefaults,
      addresses: () => addressesOf(bootstrap, ads.clusterName),
      authority: ads.clusterName,
      initialMetadata: ads.initialMetadata,
      connectTimeoutMs: connectTimeoutOf(bootstrap, ads.clusterName),
    },
    node,
    version,
    nodeInEveryRequest: !ads.setNodeOnFirstMessageOnly,
    codec: schema,
    stats,
    log,
    clock,
    random: Math.random,
  });
}

/** One line per answer that changed something, one per warning and per refusal; each accepted resource at debug. */
function logUpdate(log: Logger, what: string, update: ResourceUpdate<unknown>): void {
  const { cause, version, changed, removed, rejected } = update;
  if (cause === 'initial_fetch_timeout') {
    log.warn({ names: removed }, `${what}: no answer within initial_fetch_timeout`);
    return;
  }
  for (const { name, version: own, verdict } of changed) {
    if (verdict.kind === 'parked') log.debug({ name, version: own, reason: verdict.reason }, `${what} parked`);
    else if (verdict.kind === 'active' && verdict.warnings.length > 0) {
      log.warn({ name, version: own }, `${what} accepted with warnings: ${describeProblems(verdict.warnings)}`);
    } else log.debug({ name, version: own }, `${what} accepted`);
  }
  for (const { name, problems } of rejected) {
    log.error({ name, version }, `${what} rejected, what ran before goes on: ${describeProblems(problems)}`);
  }
  if (changed.length + removed.length + rejected.length === 0) return;
  const parked = changed.filter(({ verdict }) => verdict.kind === 'parked').length;
  log.info(
    { version, changed: changed.length, parked, removed: removed.length, rejected: rejected.length },
    `${what} update`,
  );
}

/** The cluster's own verdict, without the prepared bridge that travels beside it. */
function clusterVerdict(verdict: Verdict<JudgedCluster<JudgedBridge>>): Verdict<Cluster> {
  if (verdict.kind === 'rejected') return verdict;
  if (verdict.kind === 'active') return { ...verdict, model: verdict.model.cluster };
  return { ...verdict, model: verdict.model?.cluster };
}

/** Wires the streams to the rooms that run what they bring. Without `ads_config` nothing is subscribed. */
export function createDynamicConfig<B extends JudgedBridge>(options: DynamicConfigOptions<B>): DynamicConfig {
  const { bootstrap, types, clusters, listeners, log, onFirstAnswer } = options;
  const staticListeners = new Set(bootstrap.listeners.map(({ name }) => name));
  const client = clientOf(options);
  const endpointWatches = new Map<string, WatchedResources>();

  function applyCluster({ name, version, bytes, verdict }: AcceptedResource<JudgedCluster<B>>): void {
    const pipeline = verdict.kind === 'active' ? verdict.model.bridge : undefined;
    clusters.setCluster({ name, version, bytes, verdict: clusterVerdict(verdict) }, pipeline, 'dynamic');
  }
  function onClusters(update: ResourceUpdate<JudgedCluster<B>>): void {
    logUpdate(log, 'cluster', update);
    for (const resource of update.changed) applyCluster(resource);
    for (const name of update.removed) clusters.removeCluster(name);
    onFirstAnswer('cds');
  }
  async function onListeners(update: ResourceUpdate<Listener>): Promise<readonly RejectedResource[]> {
    logUpdate(log, 'listener', update);
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
    client,
    start() {
      if (client === undefined) return;
      client.start();
      if (bootstrap.cds === undefined) return;
      client.subscribe(types.clusters, 'wildcard', {
        initialFetchTimeoutMs: bootstrap.cds.initialFetchTimeoutMs,
        onUpdate: onClusters,
      });
    },
    startListeners() {
      if (client === undefined || bootstrap.lds === undefined) return;
      client.subscribe(types.listeners, 'wildcard', {
        initialFetchTimeoutMs: bootstrap.lds.initialFetchTimeoutMs,
        onUpdate: onListeners,
      });
    },
    setEdsInterest(serviceName, source, wanted) {
      if (!wanted) {
        endpointWatches.get(serviceName)?.close();
        endpointWatches.delete(serviceName);
        return;
      }
      const watch = client?.subscribe(types.endpoints, [serviceName], {
        initialFetchTimeoutMs: source.initialFetchTimeoutMs,
        onUpdate(update) {
          logUpdate(log, 'endpoints', update);
          for (const { name, verdict } of update.changed) {
            if (verdict.kind !== 'rejected') clusters.setLoadAssignment(name, verdict.model ?? 'does_not_exist');
          }
          for (const { name } of update.rejected) clusters.setLoadAssignment(name, 'rejected');
          const missing = update.cause === 'initial_fetch_timeout' ? 'timed_out' : 'does_not_exist';
          for (const name of update.removed) clusters.setLoadAssignment(name, missing);
        },
        onConnectionFailure: () => clusters.setLoadAssignment(serviceName, 'disconnected'),
      });
      if (watch) endpointWatches.set(serviceName, watch);
    },
    subscribeRoutes(name, source, watcher) {
      if (client === undefined) return { close: () => undefined };
      return client.subscribe(types.routes, [name], {
        ...watcher,
        initialFetchTimeoutMs: source.initialFetchTimeoutMs,
        onUpdate(update) {
          logUpdate(log, 'route configuration', update);
          return watcher.onUpdate(update);
        },
      });
    },
    close: () => client?.close(),
  };
}
