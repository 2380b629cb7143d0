import type { SnapshotStatus } from '../admin/snapshot.js';
import type { Clock } from '../clock.js';
import type { Logger } from '../log.js';
import type { Bootstrap } from '../model/bootstrap.js';
import type { UnsavedSnapshot } from '../snapshot/format.js';
import { createSnapshotStore, type LoadedSnapshot, type SnapshotStore } from '../snapshot/store.js';
import { createSnapshotWriter, type SnapshotWriter } from '../snapshot/writer.js';
import type { StatsStore } from '../stats/store.js';
import type { Steps } from '../turns.js';
import type { LastKnownOptions } from '../xds/last-known.js';

/** `--snapshot-dir` and what belongs to it. */
export interface SnapshotOptions {
  readonly folder: string;
  /** How long a control plane may be silent at the start. */
  readonly waitMs: number;
  /** The least time between two writes. */
  readonly intervalMs: number;
  /** Whether what SDS brought is kept, too. */
  readonly secrets: boolean;
}

/** What the sources of configuration need of it. */
export interface KeptConfig {
  /** What a source said to an earlier process; undefined: nothing is known. */
  lastKnown(source: string): LastKnownOptions | undefined;
  changed(cause: 'response' | 'last_known'): void;
  /** The server is up: no more sources will want to know. */
  forget(): void;
}

/** The last good configuration, on disk. */
export interface Snapshots extends KeptConfig {
  /** From now on what is accepted is written. */
  begin(config: RunningConfig): void;
  status(): SnapshotStatus;
  close(): Promise<void>;
}

export interface RunningConfig {
  /** @param isKept which types */
  keepable(isKept: (typeUrl: string) => boolean): Steps<UnsavedSnapshot['resources']>;
  /** How many resources run that no control plane has spoken of. */
  readonly stale: () => number;
  readonly readiness: () => 'no' | 'settling' | 'yes';
}

interface Context {
  readonly options: SnapshotOptions;
  readonly bootstrap: Bootstrap;
  readonly types: { readonly secrets: { readonly typeUrl: string } };
  /** `pontoon/0.1.0` */
  readonly writtenBy: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly stats: StatsStore;
}

/**
 * Nobody must hear that nothing came before what is known is there instead: so it is used some time before `initial_fetch_timeout` passes.
 */
function effectiveWait(waitMs: number, { cds, lds }: Bootstrap): number {
  const timeouts = [cds, lds].map((source) => source?.initialFetchTimeoutMs ?? 0).filter((ms) => ms > 0);
  return Math.min(waitMs, ...timeouts.map((ms) => ms * 0.8));
}

/** Opens the folder and reads what is there. Whatever is wrong with it is told, and keeps nothing from starting. */
export async function openSnapshots(context: Context): Promise<Snapshots> {
  const { options, bootstrap, log } = context;
  const { node } = bootstrap;
  const owner = { nodeId: node.id, nodeCluster: node.cluster };
  const store = createSnapshotStore(options.folder, owner);
  await store.clean();
  const loaded = await store.load();
  for (const problem of loaded.problems) log.error({ problem }, 'a snapshot cannot be used');
  return createSnapshots({ ...context, store, owner }, loaded);
}

function createSnapshots(
  context: Context & {
    readonly store: SnapshotStore;
    readonly owner: { readonly nodeId: string; readonly nodeCluster: string };
  },
  { snapshot, path, problems }: LoadedSnapshot,
): Snapshots {
  const { options, bootstrap, types, writtenBy, clock, log, store, owner } = context;
  const scope = context.stats.scope('server.snapshot');
  // They are a large part of the memory of a start, and nothing below may hold them longer than `known` does.
  let known = snapshot?.resources;
  const loaded = snapshot && { path, savedAt: snapshot.savedAt, resources: snapshot.resources.length };
  const waitMs = effectiveWait(options.waitMs, bootstrap);
  const isKept = (typeUrl: string) => options.secrets || typeUrl !== types.secrets.typeUrl;
  const staleResources = scope.gauge('stale_resources');
  const active = scope.gauge('active');
  scope.counter('load_success').value = loaded ? 1 : 0;
  scope.counter('load_failure').value = problems.length;
  if (loaded) scope.gauge('update_time').value = loaded.savedAt.getTime();
  let running: RunningConfig | undefined;
  let writer: SnapshotWriter | undefined;

  function showStale(): void {
    const before = staleResources.value;
    const now = running?.stale() ?? 0;
    staleResources.value = now;
    active.value = now > 0 ? 1 : 0;
    if (before === 0 && now > 0)
      log.warn(
        { path: loaded?.path, savedAt: loaded?.savedAt.toISOString(), waitMs },
        'the control plane says nothing: what it said to an earlier process is used until it does',
      );
    if (before > 0 && now === 0) log.info('the control plane has spoken of all that was taken from the snapshot');
  }

  return {
    lastKnown(source) {
      if (!known) return undefined;
      const resources = () => known?.filter((resource) => resource.source === source && isKept(resource.typeUrl)) ?? [];
      return { resources, waitMs, onSilence: () => log.debug({ source, waitMs }, 'the control plane says nothing') };
    },
    changed(cause) {
      showStale();
      // What was read is not written again: it would look newer than it is.
      if (cause === 'response') writer?.changed();
    },
    forget() {
      known = undefined;
    },
    begin(config) {
      running = config;
      writer = createSnapshotWriter({
        store,
        owner,
        writtenBy,
        collect: () => config.keepable(isKept),
        readiness: config.readiness,
        intervalMs: options.intervalMs,
        clock,
        log,
        stats: context.stats,
      });
    },
    status: () => ({
      path: store.path,
      loaded,
      problems,
      staleResources: staleResources.value,
      lastWrite: writer?.lastWrite,
      lastFailure: writer?.lastFailure,
    }),
    close: async () => writer?.close(),
  };
}
