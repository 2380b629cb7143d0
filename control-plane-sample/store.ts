import type { Change, SnapshotCache } from './cache.js';
import type { ResourceKind } from './resource-kind.js';
import type { Resource } from './snapshot.js';

/** A resource's place in the store. */
export interface ResourceId {
  readonly kind: ResourceKind;
  readonly name: string;
}

/** What was pushed, by key; undefined hides a resource of the files. */
type Pushed = ReadonlyMap<string, Resource | undefined>;

const key = ({ kind, name }: ResourceId) => `${kind.typeUrl} ${name}`;

/**
 * Where the served resources come from: those of the files and, over them, those that were pushed. Each change is taken as a
 * whole or, when the cache refuses the result, not at all. `source` says where it came from.
 */
export class ResourceStore {
  #files: readonly Resource[] = [];
  #pushed: Pushed = new Map();

  constructor(readonly cache: SnapshotCache) {}

  /** Replaces the files' resources. @throws {InconsistentSnapshot} */
  setFiles(resources: readonly Resource[], source: string): Change | undefined {
    const change = this.#serve(resources, this.#pushed, source);
    this.#files = resources;
    return change;
  }

  /** Adds or replaces resources by name, over those of the files. @throws {InconsistentSnapshot} */
  push(resources: readonly Resource[], source: string): Change | undefined {
    return this.#setPushed(
      new Map([...this.#pushed, ...resources.map((resource) => [key(resource), resource] as const)]),
      source,
    );
  }

  /** Removes a resource, pushed or from a file; false when there is none. @throws {InconsistentSnapshot} */
  remove(id: ResourceId, source: string): Change | false | undefined {
    const isServed = this.cache.snapshot.types.get(id.kind.typeUrl)?.resources.has(id.name) ?? false;
    if (!isServed) return false;
    const pushed = new Map(this.#pushed);
    if (this.#files.some((resource) => key(resource) === key(id))) pushed.set(key(id), undefined);
    else pushed.delete(key(id));
    return this.#setPushed(pushed, source);
  }

  /** Forgets all that was pushed or removed: back to the files. @throws {InconsistentSnapshot} */
  reset(source: string): Change | undefined {
    return this.#setPushed(new Map(), source);
  }

  #setPushed(pushed: Pushed, source: string): Change | undefined {
    const change = this.#serve(this.#files, pushed, source);
    this.#pushed = pushed;
    return change;
  }

  #serve(files: readonly Resource[], pushed: Pushed, source: string): Change | undefined {
    const kept = files.filter((resource) => !pushed.has(key(resource)));
    return this.cache.set([...kept, ...[...pushed.values()].flatMap((resource) => resource ?? [])], source);
  }
}
