import type { BridgeJudge } from '../bridge/prepared-bridge.js';
import type { Clock } from '../clock.js';
import type { Logger } from '../log.js';
import type { Cluster } from '../model/cluster.js';
import { describeProblems, type Resource } from '../model/verdict.js';
import type { StatsStore } from '../stats/store.js';
import type { ClusterManager, Origin } from '../upstream/cluster-manager.js';
import { createCrashHistory } from '../workers/crash-history.js';
import type { AcceptedBridge } from './judge-process/accepted-bridge.js';
import type { JudgeProcess } from './judge-process/judge-process.js';

export interface RollBackOptions {
  readonly clusters: ClusterManager<AcceptedBridge>;
  readonly judge: Pick<JudgeProcess, keyof BridgeJudge | 'pluginOf' | 'block' | 'isBlocked'>;
  readonly stats: StatsStore;
  readonly log: Logger;
  readonly clock: Clock;
}

/** The version of a cluster that was taken back. */
export interface RolledBack {
  readonly resource: Resource<Cluster>;
  readonly message: string;
  readonly at: Date;
}

/**
 * Takes clusters back to the version before when the library that they run ends workers again and again. One that has no version before is
 * taken out of service. The next version from the control plane is applied as ever.
 */
export interface RollBack {
  /** The manager, for whoever sets and removes clusters. */
  readonly clusters: ClusterManager<AcceptedBridge>;
  /** A worker crashed or hung with this number in its call mark; 0: no plugin's code was on the stack. `detail` is how it ended, for people. */
  onCrash(mark: number, detail: string): void;
  rolledBack(name: string): RolledBack | undefined;
  /** Looks at the libraries of versions that were taken back: one whose file has changed is judged and applied. Never rejects. */
  retry(): Promise<void>;
  /** Lets go of what is kept to be gone back to. */
  close(): void;
}

interface Version {
  readonly resource: Resource<Cluster>;
  /** A spare of what the manager was given. */
  readonly bridge: AcceptedBridge;
}

/** What is known of one cluster. */
interface History {
  readonly origin: Origin;
  readonly current: Version | undefined;
  /** The one before it that ran another bridge. */
  readonly previous: Version | undefined;
  readonly refused:
    | (RolledBack & { readonly bridge: Pick<AcceptedBridge, 'id' | 'config' | 'libraryHash'> })
    | undefined;
}

export function createRollBack(options: RollBackOptions): RollBack {
  const { clusters, judge, stats, log, clock } = options;
  const history = createCrashHistory();
  const known = new Map<string, History>();
  const rollbacks = stats.counter('bridge.library_rollbacks');
  const withoutLibrary = stats.counter('bridge.crashes_without_library');
  const byLibrary = stats.counter('bridge.crashes_by_library');
  const rolledBackClusters = stats.gauge('bridge.rolled_back_clusters');

  function remember(name: string, next: History | undefined): void {
    if (known.get(name)?.refused) rolledBackClusters.value -= 1;
    if (next?.refused) rolledBackClusters.value += 1;
    if (next) known.set(name, next);
    else known.delete(name);
  }

  function setCluster(resource: Resource<Cluster>, bridge: AcceptedBridge | undefined, origin: Origin): void {
    const { name } = resource;
    const last = known.get(name);
    // The manager ignores it: a static one has its name.
    const ignored = last?.origin === 'static' && origin === 'dynamic';
    if (!ignored && bridge !== undefined && bridge.id === last?.refused?.bridge.id) {
      // It was accepted before it was taken back.
      bridge.release();
      return;
    }
    if (!ignored) remember(name, follow(last, resource, bridge, origin));
    clusters.setCluster(resource, bridge, origin);
  }

  function removeCluster(name: string): void {
    const last = known.get(name);
    if (last?.origin === 'dynamic') {
      letGo(last);
      remember(name, undefined);
    }
    clusters.removeCluster(name);
  }

  function onCrash(mark: number, detail: string): void {
    const plugin = judge.pluginOf(mark);
    if (plugin === undefined) {
      withoutLibrary.value += 1;
      log.error({ mark }, 'a worker ended while no plugin was called: nothing is rolled back');
      return;
    }
    const { libraryHash, libraryPath, pluginName } = plugin;
    byLibrary.value += 1;
    log.error({ plugin: pluginName, library: libraryPath, hash: libraryHash }, 'a worker ended in a call of a plugin');
    if (!history.record(libraryHash, clock.monotonic())) return;
    const why = `plugin ${JSON.stringify(pluginName)} of ${libraryPath} (sha256 ${libraryHash.slice(0, 16)}…) has ended three workers within a minute, the last time: ${inOneLine(detail)}`;
    rollBack(libraryHash, why);
  }

  function rollBack(libraryHash: string, why: string): void {
    const bad = [...known].filter(([, { current }]) => current?.bridge.libraryHash === libraryHash);
    if (bad.length === 0) return;
    rollbacks.value += 1;
    // All of them before the first goes back: one's current version may be another's previous.
    for (const [, { current }] of bad) {
      if (current)
        judge.block(current.bridge.id, `${why}: it is refused until the library's file or its configuration changes`);
    }
    for (const [name, last] of bad) if (last.current) goBack(name, last, last.current, why);
  }

  function goBack(name: string, { origin, previous }: History, { resource, bridge }: Version, why: string): void {
    const target = previous && !judge.isBlocked(previous.bridge.id) ? previous : undefined;
    const outcome = target
      ? `the version before (${JSON.stringify(target.resource.version)}) runs again`
      : 'there is no version before, so it is out of service';
    const message = `${why}: ${outcome}; change the library's file or the configuration`;
    const { id, config, libraryHash } = bridge;
    const refused = { resource, message, at: new Date(clock.now()), bridge: { id, config, libraryHash } };
    remember(name, { origin, current: target, previous: undefined, refused });
    log.error({ cluster: name, version: resource.version }, `cluster rolled back: ${message}`);
    if (target) {
      clusters.setCluster(target.resource, target.bridge.retain(), origin);
    } else {
      const model = resource.verdict.kind === 'active' ? resource.verdict.model : undefined;
      clusters.setCluster({ ...resource, verdict: { kind: 'parked', model, reason: message } }, undefined, origin);
      previous?.bridge.release();
    }
    bridge.release();
  }

  async function retryOne(name: string, { origin, refused }: History): Promise<void> {
    if (!refused) return;
    const { config, libraryHash } = refused.bridge;
    const hash = await judge.currentHash(config);
    if (hash === undefined || hash === libraryHash) return;
    const prepared = await judge.prepare(config);
    if (!prepared.ok) {
      log.error({ cluster: name }, `the new library was refused: ${describeProblems(prepared.problems)}`);
      return;
    }
    // The control plane may have sent another version meanwhile.
    if (known.get(name)?.refused !== refused) return prepared.bridge.release();
    setCluster(refused.resource, prepared.bridge, origin);
    log.info({ cluster: name, library: config.libraryPath }, 'library reloaded');
  }

  return {
    clusters: {
      setCluster,
      removeCluster,
      lookup: (name) => clusters.lookup(name),
      setLoadAssignment: (serviceName, answer, source) => clusters.setLoadAssignment(serviceName, answer, source),
      get isWarming() {
        return clusters.isWarming;
      },
      snapshot: () => clusters.snapshot(),
      statuses: () => clusters.statuses(),
      status: (name) => clusters.status(name),
      close: () => clusters.close(),
    },
    onCrash,
    rolledBack: (name) => known.get(name)?.refused,
    async retry() {
      for (const [name, history] of [...known]) await retryOne(name, history);
    },
    close() {
      for (const last of known.values()) letGo(last);
      known.clear();
    },
  };
}

/** What is remembered after the control plane (or the bootstrap) has set a cluster. */
function follow(
  last: History | undefined,
  resource: Resource<Cluster>,
  bridge: AcceptedBridge | undefined,
  origin: Origin,
): History | undefined {
  if (bridge === undefined || resource.verdict.kind !== 'active') {
    if (last) letGo(last);
    // That its name is a static one's is still to be known.
    return origin === 'static' ? { origin, current: undefined, previous: undefined, refused: undefined } : undefined;
  }
  if (last?.current?.bridge.id === bridge.id) {
    return { ...last, current: { ...last.current, resource }, refused: undefined };
  }
  last?.previous?.bridge.release();
  return { origin, current: { resource, bridge: bridge.retain('spare') }, previous: last?.current, refused: undefined };
}

function letGo({ current, previous }: History): void {
  current?.bridge.release();
  previous?.bridge.release();
}

const mostDetail = 400;

/** What a process wrote at its end has many lines; this is for a message of one. */
function inOneLine(text: string): string {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .join('; ')
    .slice(0, mostDetail);
}
