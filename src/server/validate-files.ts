import { readFileSync, statSync } from 'node:fs';
import type { JudgedBridge } from '../bridge/prepared-bridge.js';
import type { Bootstrap } from '../model/bootstrap.js';
import type { ConfigSource, PathSource } from '../model/config-source.js';
import { type Verdict, verdictLines, verdictWord } from '../model/verdict.js';
import { typeNameOf } from '../protobuf/any.js';
import type { Schema } from '../protobuf/schema.js';
import { largestResponse } from '../xds/channel.js';
import type { ResourceType } from '../xds/resource-type.js';
import { type NamedSource, sourcesOfCluster, sourcesOfListener } from './check-sources.js';
import { type FileResource, resourcesOfFile } from './discovery-file.js';
import type { ResourceTypes } from './resource-types.js';

/** What the files of a configuration have in them. */
export interface JudgedFiles {
  /** `FILE: cluster NAME: rejected: field path: reason`, and `FILE: rejected: reason` for one that can't be used. */
  readonly problems: readonly string[];
  /** The same for what is warned of and what is parked; nothing of what is simply active. */
  readonly notes: readonly string[];
}

type Kind = keyof ResourceTypes<JudgedBridge>;

/** As the log names them. */
const kinds: Readonly<Record<Kind, string>> = {
  clusters: 'cluster',
  endpoints: 'endpoints',
  listeners: 'listener',
  routes: 'route configuration',
  secrets: 'secret',
};

function readResources(schema: Schema, path: string): FileResource[] {
  const { size } = statSync(path);
  if (size > largestResponse) throw new Error(`is ${size} bytes; the maximum is ${largestResponse}`);
  return resourcesOfFile(schema, path, readFileSync(path));
}

function nameOf(type: Pick<ResourceType<unknown>, 'nameOf'>, bytes: Uint8Array): string {
  try {
    return type.nameOf(bytes);
  } catch {
    return '';
  }
}

/** `self` is the file that the resource came from. */
function fileOf(source: ConfigSource, parent: PathSource | undefined): PathSource | undefined {
  if (source.kind === 'self') return parent;
  return source.kind === 'path' ? source : undefined;
}

/** Judges what is in the files that a configuration takes its resources from, and in those that these name, as starting would. */
export async function judgeFiles<B extends JudgedBridge>(
  schema: Schema,
  bootstrap: Bootstrap,
  types: ResourceTypes<B>,
): Promise<JudgedFiles> {
  const problems: string[] = [];
  const notes: string[] = [];
  /** File and kind → the names that it has. */
  const read = new Map<string, Set<string>>();

  async function judgeResource<T>(
    type: ResourceType<T>,
    { typeName, bytes }: FileResource,
    at: string,
  ): Promise<Verdict<T> | undefined> {
    const own = typeNameOf(type.typeUrl);
    if (typeName !== own) {
      problems.push(`${at}: rejected: it is a ${typeName}; allowed is ${own}`);
      return undefined;
    }
    const verdict = await type.judge({ name: nameOf(type, bytes), version: '', bytes });
    if (verdict.kind === 'rejected') problems.push(...verdictLines(verdict).map((line) => `${at}: ${line}`));
    else if (verdictWord(verdict) !== 'active') notes.push(...verdictLines(verdict).map((line) => `${at}: ${line}`));
    return verdict;
  }

  /** Each file is read once for each kind. */
  async function judgeFile<T>(
    kind: Kind,
    type: ResourceType<T>,
    source: PathSource,
    sourcesOf: (model: T) => readonly NamedSource[],
  ): Promise<ReadonlySet<string>> {
    const { path } = source;
    const names = read.get(`${kind} ${path}`) ?? new Set<string>();
    if (read.has(`${kind} ${path}`)) return names;
    read.set(`${kind} ${path}`, names);
    try {
      for (const [index, resource] of readResources(schema, path).entries()) {
        const name = nameOf(type, resource.bytes);
        const at = `${path}: ${name === '' ? `resources[${index}]` : `${kinds[kind]} ${name}`}`;
        if (names.has(name)) problems.push(`${at}: rejected: there is another of that name in the file`);
        names.add(name);
        const verdict = await judgeResource(type, resource, at);
        if (verdict === undefined || verdict.kind === 'rejected' || verdict.model === undefined) continue;
        if (verdict.kind === 'active') await follow(sourcesOf(verdict.model), source);
        type.discard?.(verdict.model);
      }
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      problems.push(`${path}: rejected: ${message.replace(`${path}: `, '')}`);
    }
    return names;
  }

  /** The files that a resource names, and whether they have what it wants. */
  async function follow(sources: readonly NamedSource[], parent: PathSource | undefined): Promise<void> {
    for (const { kind, name, source } of sources) {
      const file = fileOf(source, parent);
      if (file === undefined) continue;
      const names = await judgeFile(kind, types[kind] as ResourceType<unknown>, file, () => []);
      if (!names.has(name)) notes.push(`${file.path}: ${kinds[kind]} ${name}: does not exist`);
    }
  }

  for (const { verdict } of bootstrap.clusters)
    if (verdict.kind === 'active') await follow(sourcesOfCluster({ cluster: verdict.model }), undefined);
  for (const { verdict } of bootstrap.listeners)
    if (verdict.kind === 'active') await follow(sourcesOfListener(verdict.model), undefined);
  if (bootstrap.cds?.kind === 'path') await judgeFile('clusters', types.clusters, bootstrap.cds, sourcesOfCluster);
  if (bootstrap.lds?.kind === 'path') await judgeFile('listeners', types.listeners, bootstrap.lds, sourcesOfListener);
  return { problems, notes };
}
