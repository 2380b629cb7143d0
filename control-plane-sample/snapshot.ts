import { createHash } from 'node:crypto';
import { kindsInOrder, type ResourceKind } from './resource-kind.js';

/** One resource, ready to be sent. Immutable. */
export interface Resource {
  readonly kind: ResourceKind;
  readonly name: string;
  /** Hash of `bytes`: the same content has the same version, also after a restart. */
  readonly version: string;
  /** The serialized message, without its Any. */
  readonly bytes: Uint8Array;
  /** Where it came from, for people: a file's path, or `pushed`. */
  readonly source: string;
  /** The resources that it needs to be served with. */
  readonly references: readonly Reference[];
}

export interface Reference {
  readonly kind: ResourceKind;
  readonly name: string;
  /** The field that names it. */
  readonly field: string;
}

/** All resources of one kind. */
export interface TypeSnapshot {
  /** Changes when any of the resources does: what goes out as `version_info`. */
  readonly version: string;
  readonly resources: ReadonlyMap<string, Resource>;
}

/** Everything there is at one moment. Immutable: a change makes a new one. */
export interface Snapshot {
  readonly version: string;
  /** By type URL. */
  readonly types: ReadonlyMap<string, TypeSnapshot>;
}

const empty: TypeSnapshot = { version: hash([]), resources: new Map() };

/** Short content hash: 12 hexadecimal digits. Parts are told apart by their lengths. */
export function hash(parts: readonly (string | Uint8Array)[]): string {
  const sha = createHash('sha256');
  for (const part of parts) sha.update(`${part.length}:`).update(part);
  return sha.digest('hex').slice(0, 12);
}

/** The resources of a type; none for a type that nobody has. */
export function typeOf(snapshot: Snapshot, typeUrl: string): TypeSnapshot {
  return snapshot.types.get(typeUrl) ?? empty;
}

/** Makes a snapshot; of two resources with one kind and name the later counts. */
export function createSnapshot(resources: Iterable<Resource>): Snapshot {
  const byType = new Map<string, Map<string, Resource>>(kindsInOrder.map((kind) => [kind.typeUrl, new Map()]));
  for (const resource of resources) byType.get(resource.kind.typeUrl)?.set(resource.name, resource);
  const types = new Map<string, TypeSnapshot>();
  for (const [typeUrl, unsorted] of byType) {
    const sorted = [...unsorted.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
    types.set(typeUrl, {
      version: hash(sorted.flatMap((resource) => [resource.name, resource.version])),
      resources: new Map(sorted.map((resource) => [resource.name, resource])),
    });
  }
  return { version: hash([...types].flatMap(([typeUrl, type]) => [typeUrl, type.version])), types };
}

/** All resources, in the order in which they are sent. */
export function allResources(snapshot: Snapshot): Resource[] {
  return [...snapshot.types.values()].flatMap((type) => [...type.resources.values()]);
}

/**
 * Why a snapshot must not be served: each reference to a resource that is not in it. A client would wait for that resource
 * (a cluster for its endpoints, a listener for its routes) until its timeout.
 */
export function inconsistencies(snapshot: Snapshot): string[] {
  const reasons: string[] = [];
  for (const resource of allResources(snapshot)) {
    for (const { kind, name, field } of resource.references) {
      if (typeOf(snapshot, kind.typeUrl).resources.has(name)) continue;
      reasons.push(
        `${resource.kind.group} "${resource.name}" (${resource.source}): ${field} names "${name}", but there is no such resource in ${kind.group}; add it together with this one`,
      );
    }
  }
  return reasons;
}

/**
 * The way from one snapshot to the next: first all that is new beside all that is old, then without the old.
 * A single step when nothing is removed.
 * https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#eventual-consistency-considerations
 */
export function steps(from: Snapshot, to: Snapshot): Snapshot[] {
  const leaving = allResources(from).filter(
    (resource) => !typeOf(to, resource.kind.typeUrl).resources.has(resource.name),
  );
  if (leaving.length === 0) return [to];
  return [createSnapshot([...leaving, ...allResources(to)]), to];
}
