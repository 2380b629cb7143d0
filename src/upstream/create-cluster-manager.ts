import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../clock.js';
import type { Logger } from '../log.js';
import type { Cluster } from '../model/cluster.js';
import type { ConfigSource } from '../model/config-source.js';
import type { Resource } from '../model/verdict.js';
import { adoptNodeSocket } from '../sockets/node-socket.js';
import type { AdoptSocket } from '../sockets/stream-socket.js';
import type { StatsStore } from '../stats/store.js';
import { noSecrets, type Secrets } from '../tls/secrets.js';
import type { ClusterFollowers } from './cluster-followers.js';
import type {
  ClusterLookup,
  ClusterManager,
  ClusterStatus,
  Origin,
  Pipeline,
  VersionStatus,
} from './cluster-manager.js';
import { ClusterVersion, type VersionContext } from './cluster-version.js';
import { createSystemResolver, type DnsResolver } from './dns-resolver.js';
import { EdsAssignments } from './eds-assignments.js';
import type { HostSource } from './host-source.js';
import { createHostSources } from './host-sources.js';

export interface ClusterManagerOptions<P extends Pipeline> {
  readonly stats: StatsStore;
  readonly log: Logger;
  readonly clock: Clock;
  /** How long a replaced or removed version may finish its exchanges, ms. */
  readonly drainTimeMs: number;
  /**
   * A service name of a source is wanted by its first cluster, or by none any more: subscribe, or unsubscribe. May answer at once with
   * `setLoadAssignment`.
   */
  onEdsInterest(serviceName: string, source: ConfigSource, wanted: boolean): void;
  /** A cluster has nothing to wait for any more: its warming version serves, or was removed. */
  onWarmed?(name: string): void;
  readonly resolver?: DnsResolver;
  /** From 0 up to, not including, 1. */
  readonly random?: () => number;
  /** Reads and writes connections that are not encrypted; Node's own sockets unless told otherwise. */
  readonly adoptSocket?: AdoptSocket;
  /** Other processes serve what is decided here. */
  readonly followers?: ClusterFollowers<P>;
  /** How hosts are learned where that is not done here: a follower is told. */
  readonly hostSource?: (config: Cluster) => HostSource;
  /** Where clusters with TLS get their secrets; without it none ever does. */
  readonly secrets?: Secrets;
}

/** A parked resource: nothing runs under its name. */
interface Parked extends VersionStatus {
  readonly reason: string;
}

interface Entry<P extends Pipeline> {
  readonly name: string;
  readonly origin: Origin;
  active: ClusterVersion<P> | undefined;
  warming: ClusterVersion<P> | undefined;
  parked: Parked | undefined;
  /** What `lookup` answers: made by the first one after a change, and kept for the next. */
  found: ClusterLookup<P> | undefined;
}

const unknown = { kind: 'unknown' } as const;
const warming = { kind: 'warming' } as const;

/** Makes the manager. It throws on a rejected resource, which is the caller's mistake. */
export function createClusterManager<P extends Pipeline>(options: ClusterManagerOptions<P>): ClusterManager<P> {
  const {
    stats,
    log,
    clock,
    drainTimeMs,
    followers,
    random = Math.random,
    adoptSocket = adoptNodeSocket,
    resolver = createSystemResolver(),
    secrets = noSecrets,
  } = options;
  const entries = new Map<string, Entry<P>>();
  const warmingEntries = new Set<Entry<P>>();
  const draining = new Set<ClusterVersion<P>>();
  const assignments = new EdsAssignments((name, source, wanted) => options.onEdsInterest(name, source, wanted));
  const counts = {
    added: stats.counter('cluster_manager.cluster_added'),
    modified: stats.counter('cluster_manager.cluster_modified'),
    removed: stats.counter('cluster_manager.cluster_removed'),
    updated: stats.counter('cluster_manager.cluster_updated'),
    active: stats.gauge('cluster_manager.active_clusters'),
    warming: stats.gauge('cluster_manager.warming_clusters'),
  };
  let onQuiet: (() => void) | undefined;

  const sourceOf = createHostSources({ assignments, resolver, clock, random, log });
  const context: VersionContext<P> = {
    clock,
    log,
    random,
    adoptSocket,
    secrets,
    followers,
    callbacks: {
      onWarm,
      onHandOver: ({ resource }) => entries.get(resource.name)?.active?.unfollow(),
      onHostsChanged() {
        counts.updated.value++;
      },
      onOverdue: ({ resource }) => options.onWarmed?.(resource.name),
      onClosed(version) {
        draining.delete(version);
        if (draining.size === 0) onQuiet?.();
      },
    },
  };

  function entryOf(name: string, origin: Origin): Entry<P> {
    let entry = entries.get(name);
    if (!entry) {
      entry = {
        name,
        origin,
        active: undefined,
        warming: undefined,
        parked: undefined,
        found: undefined,
      };
      entries.set(name, entry);
      counts.added.value++;
    } else {
      counts.modified.value++;
    }
    return entry;
  }

  function setWarming(entry: Entry<P>, version: ClusterVersion<P> | undefined): void {
    entry.warming = version;
    if (version) warmingEntries.add(entry);
    else warmingEntries.delete(entry);
    counts.warming.value = warmingEntries.size;
  }

  /** After every change of an entry. */
  function refresh(entry: Entry<P>): void {
    entry.found = undefined;
    (entry.warming ?? entry.active)?.showWarming(entry.warming !== undefined);
  }

  function retire(version: ClusterVersion<P> | undefined): void {
    if (!version) return;
    draining.add(version);
    version.drain(drainTimeMs);
  }

  /** The followers were told of a version that is given up: they go back to what served before, or to nothing. */
  function followBack(entry: Entry<P>): void {
    if (entry.active) entry.active.follow(() => undefined);
    else followers?.remove(entry.name);
  }

  function dropWarming(entry: Entry<P>): void {
    const version = entry.warming;
    if (!version) return;
    setWarming(entry, undefined);
    const { followed } = version;
    retire(version);
    if (followed) followBack(entry);
    refresh(entry);
    options.onWarmed?.(entry.name);
  }

  function onWarm(version: ClusterVersion<P>): void {
    const entry = entries.get(version.resource.name);
    if (entry?.warming !== version) return;
    const old = entry.active;
    setWarming(entry, undefined);
    entry.active = version;
    entry.parked = undefined;
    if (!old) counts.active.value++;
    // The old one's limits are taken from the gauges before the new one's are shown.
    retire(old);
    version.activate();
    refresh(entry);
    log.debug(
      {
        cluster: entry.name,
        version: version.version,
        hosts: version.hostCount,
      },
      'cluster is active',
    );
    options.onWarmed?.(entry.name);
  }

  function park(resource: Resource<Cluster>, reason: string, origin: Origin): void {
    const known = entries.get(resource.name);
    if (known?.parked && !known.warming && Buffer.compare(known.parked.resource.bytes, resource.bytes) === 0) {
      known.parked = { ...known.parked, resource };
      return;
    }
    const entry = entryOf(resource.name, origin);
    entry.parked = { resource, reason, lastUpdated: new Date(clock.now()) };
    if (entry.active) counts.active.value--;
    const old = entry.active;
    entry.active = undefined;
    dropWarming(entry);
    retire(old);
    followers?.park(entry.name, reason);
    refresh(entry);
  }

  function warm(resource: Resource<Cluster>, config: Cluster, pipeline: P, origin: Origin): void {
    const entry = entryOf(resource.name, origin);
    const previous = entry.active;
    const scope = stats.scope(`cluster.${config.statName}`);
    const source = options.hostSource?.(config) ?? sourceOf(config, previous);
    const version = new ClusterVersion<P>({ resource, config, pipeline, source, scope }, context, previous);
    const superseded = entry.warming;
    setWarming(entry, version);
    version.start();
    const orphaned = superseded?.followed === true && !version.followed;
    // Only now: what both want from EDS must not be given up in between.
    retire(superseded);
    if (orphaned) followBack(entry);
    if (entry.warming === version) {
      refresh(entry);
      log.debug(
        {
          cluster: entry.name,
          version: resource.version,
          waitingFor: version.waitingFor(),
        },
        'cluster is warming',
      );
    }
  }

  function isProtected(name: string, origin: Origin): boolean {
    return origin === 'dynamic' && entries.get(name)?.origin === 'static';
  }

  function* statuses(): Generator<ClusterStatus> {
    const drainingByName = new Map<string, number>();
    for (const { config } of draining) drainingByName.set(config.name, (drainingByName.get(config.name) ?? 0) + 1);
    for (const entry of entries.values()) yield statusOf(entry, drainingByName.get(entry.name) ?? 0);
  }

  return {
    lookup(name) {
      const entry = entries.get(name);
      if (!entry) return unknown;
      entry.found ??= found(entry);
      return entry.found;
    },

    setCluster(resource, pipeline, origin) {
      const { name, verdict } = resource;
      if (verdict.kind === 'rejected') throw new Error(`cluster ${name}: a rejected resource can't be applied`);
      if (isProtected(name, origin)) {
        log.warn({ cluster: name }, 'ignored a dynamic cluster: a static one has the same name');
        pipeline?.release();
        return;
      }
      if (verdict.kind === 'parked' || !pipeline) {
        pipeline?.release();
        park(resource, verdict.kind === 'parked' ? verdict.reason : 'it has no bridge', origin);
        return;
      }
      const entry = entries.get(name);
      const newest = entry?.warming ?? entry?.active;
      const same = [newest, entry?.active].find((each) => each && sameMeaning(each, verdict.model, pipeline));
      if (!entry || !same) {
        warm(resource, verdict.model, pipeline, origin);
        return;
      }
      same.resource = resource;
      // Back to what serves: what was to replace it is not wanted any more.
      if (same === entry.active) dropWarming(entry);
      pipeline.release();
    },

    removeCluster(name) {
      const entry = entries.get(name);
      if (!entry || isProtected(name, 'dynamic')) return;
      entries.delete(name);
      counts.removed.value++;
      const { active } = entry;
      if (active) counts.active.value--;
      entry.active = undefined;
      dropWarming(entry);
      retire(active);
      followers?.remove(name);
      log.debug({ cluster: name }, 'cluster is removed');
    },

    setLoadAssignment: (serviceName, answer, source) => assignments.set(serviceName, answer, source),

    get isWarming() {
      // Ends at the first one: it is asked whenever one of ten thousand became warm.
      for (const { warming: version } of warmingEntries) if (version && !version.overdue) return true;
      return false;
    },

    snapshot: () => [...statuses()],
    statuses,

    status(name) {
      const entry = entries.get(name);
      return entry && statusOf(entry, [...draining].filter(({ config }) => config.name === name).length);
    },

    close() {
      for (const entry of entries.values()) {
        retire(entry.warming);
        retire(entry.active);
      }
      entries.clear();
      warmingEntries.clear();
      counts.active.value = 0;
      counts.warming.value = 0;
      if (draining.size === 0) return Promise.resolve();
      return new Promise<void>((resolve) => {
        onQuiet = resolve;
      });
    },
  };
}

function found<P extends Pipeline>({ active, warming: next, parked }: Entry<P>): ClusterLookup<P> {
  if (active) return { kind: 'active', cluster: active };
  if (next) return warming;
  return parked ? { kind: 'parked', reason: parked.reason } : unknown;
}

function statusOf<P extends Pipeline>(entry: Entry<P>, draining: number): ClusterStatus {
  const { name, origin, active, warming: next, parked } = entry;
  return {
    name,
    origin,
    active: active && {
      resource: active.resource,
      lastUpdated: active.lastUpdated,
      config: active.config,
      overprovisioningFactor: active.overprovisioningFactor,
    },
    warming: next && {
      resource: next.resource,
      lastUpdated: next.lastUpdated,
      waitingFor: next.waitingFor(),
    },
    parked,
    draining,
    get hosts() {
      return active?.hosts ?? [];
    },
    get shownHosts() {
      return active?.shownHosts ?? [];
    },
    get countedHosts() {
      return active?.countedHosts ?? [];
    },
  };
}

/** The bytes of the plugin's configuration may differ where their meaning, which the pipeline's id covers, does not. */
function sameMeaning<P extends Pipeline>(version: ClusterVersion<P>, config: Cluster, pipeline: P): boolean {
  if (version.pipeline.id !== pipeline.id) return false;
  return isDeepStrictEqual({ ...version.config, bridge: undefined }, { ...config, bridge: undefined });
}
