import {
  allResources,
  createSnapshot,
  inconsistencies,
  type Resource,
  type Snapshot,
  steps,
  typeOf,
} from './snapshot.js';

/** What a refused set of resources is reported with. */
export class InconsistentSnapshot extends Error {
  constructor(readonly reasons: readonly string[]) {
    super(reasons.join('\n'));
    this.name = 'InconsistentSnapshot';
  }
}

/** The difference between two snapshots, in people's words: `clusters/echo`. */
export interface Change {
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
}

/** `source` says where the change came from. */
export type SnapshotWatcher = (snapshot: Snapshot, change: Change, source: string) => void;

/** Holds the one snapshot that is served. Knows neither where resources come from nor how they travel. */
export class SnapshotCache {
  #snapshot = createSnapshot([]);
  /** Ways to the snapshot that is served, by where they begin. */
  #ways = new WeakMap<Snapshot, readonly Snapshot[]>();
  readonly #watchers = new Set<SnapshotWatcher>();

  get snapshot(): Snapshot {
    return this.#snapshot;
  }

  /**
   * Replaces all resources at once and tells the watchers, in the order in which they came, if anything changed.
   * @throws {InconsistentSnapshot} leaving everything as it was.
   */
  set(resources: Iterable<Resource>, source: string): Change | undefined {
    const next = createSnapshot(resources);
    const reasons = inconsistencies(next);
    if (reasons.length > 0) throw new InconsistentSnapshot(reasons);
    const previous = this.#snapshot;
    // Even where nothing changed a resource may have moved to another file, which people want to see.
    this.#snapshot = next;
    this.#ways = new WeakMap();
    if (next.version === previous.version) return undefined;
    const change = difference(previous, next);
    for (const watcher of this.#watchers) watcher(next, change, source);
    return change;
  }

  /** The way from a client's snapshot to the one that is served, made once for all clients that are at the same. */
  wayFrom(from: Snapshot): readonly Snapshot[] {
    const known = this.#ways.get(from);
    if (known) return known;
    const way = steps(from, this.#snapshot);
    this.#ways.set(from, way);
    return way;
  }

  /** Calls `watcher` with each new snapshot, until the returned function is called. */
  watch(watcher: SnapshotWatcher): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }
}

/** A change of everything is not worth a list of everything. */
const maxListed = 100;

function difference(previous: Snapshot, next: Snapshot): Change {
  const inOther = (other: Snapshot, resource: Resource) =>
    typeOf(other, resource.kind.typeUrl).resources.get(resource.name);
  const now = allResources(next);
  return {
    added: list(now.filter((resource) => !inOther(previous, resource))),
    changed: list(
      now.filter((resource) => (inOther(previous, resource)?.version ?? resource.version) !== resource.version),
    ),
    removed: list(allResources(previous).filter((resource) => !inOther(next, resource))),
  };
}

function list(resources: readonly Resource[]): string[] {
  const names = resources.slice(0, maxListed).map(({ kind, name }) => `${kind.group}/${name}`);
  return resources.length > maxListed ? [...names, `and ${resources.length - maxListed} more`] : names;
}
