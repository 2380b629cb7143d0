import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { loadBootstrap } from '../../bootstrap/load.js';
import { bootstrapReport } from '../../bootstrap/report.js';
import { parseYaml } from '../../bootstrap/yaml.js';
import { describeProblems } from '../../model/verdict.js';
import { type AnyValue, typeNameOf } from '../../protobuf/any.js';
import { toJson } from '../../protobuf/json.js';
import { readNameField } from '../../protobuf/name-field.js';
import { looksLikeSnapshot, SnapshotError } from '../../snapshot/format.js';
import { readSnapshotFile } from '../../snapshot/store.js';
import { decodeDiscoveryFile } from '../discovery-file.js';
import { dumpView, isConfigDump } from './dump-view.js';
import type { Unjudged, ViewJudge } from './judge.js';
import { type ConfigView, InspectError, isObject, type JsonObject, type Kind, kindOf } from './view.js';

/** An instance that says nothing for so long won't. */
const adminTimeoutMs = 30_000;
/** Of an answer or a file that is not a snapshot, bytes. */
const largestText = 512 * 1024 * 1024;
const responseType = 'envoy.service.discovery.v3.DiscoveryResponse';
const wrapperType = 'envoy.service.discovery.v3.Resource';
const bootstrapType = 'envoy.config.bootstrap.v3.Bootstrap';

/** How a source is read: found out from its name and what is there. */
export const sourceKinds =
  'an admin address (http://HOST:PORT or HOST:PORT), a bootstrap, a snapshot or its folder, a DiscoveryResponse (YAML, JSON, .pb), or what /config_dump answered';

/**
 * Reads what a command line names: `sourceKinds`.
 *
 * @throws InspectError that names the source and says what is wrong with it
 */
export async function readView(source: string, judge: ViewJudge): Promise<ConfigView> {
  const found = await stat(source).catch(() => undefined);
  if (found?.isDirectory()) return snapshotView(await onlySnapshot(source), judge);
  if (found) return fileView(source, found.size, judge);
  const address = /^https?:\/\//.test(source) ? source : /^\S+:\d{1,5}$/.test(source) ? `http://${source}` : undefined;
  if (address === undefined)
    throw new InspectError(`${source}: there is no such file, and it is no address; it may be ${sourceKinds}`);
  return dumpView(judge.schema, source, await fetchDump(address));
}

async function fetchDump(address: string): Promise<unknown> {
  const url = new URL('/config_dump?include_eds', address);
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(adminTimeoutMs) });
    if (!response.ok) throw new Error(`status ${response.status}`);
    const text = await response.text();
    return JSON.parse(text);
  } catch (error) {
    const cause = (error as Error).cause;
    const reason = cause instanceof Error ? cause.message : (error as Error).message;
    throw new InspectError(`${url}: ${reason}; is it the address of an admin interface?`);
  }
}

async function onlySnapshot(folder: string): Promise<string> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.snapshot'));
  const [only] = names;
  if (only === undefined) throw new InspectError(`${folder}: there is no snapshot in it`);
  if (names.length > 1)
    throw new InspectError(`${folder}: there are snapshots of several nodes, name one: ${names.join(', ')}`);
  return join(folder, only);
}

async function fileView(path: string, size: number, judge: ViewJudge): Promise<ConfigView> {
  if (size > largestText) throw new InspectError(`${path} is larger than ${largestText} bytes`);
  const content = await readFile(path);
  if (looksLikeSnapshot(content)) return snapshotView(path, judge);
  if (/\.pb$/i.test(path)) return responseView(path, content, judge);
  const json = readText(path, content);
  if (isConfigDump(json)) return dumpView(judge.schema, path, json);
  if (isObject(json) && ('resources' in json || 'version_info' in json || 'versionInfo' in json))
    return responseView(path, content, judge);
  return bootstrapView(path, judge);
}

/** Dumps are large, and JSON is read much faster as that. */
function readText(path: string, content: Buffer): unknown {
  const text = content.toString('utf8');
  if (text.trimStart().startsWith('{')) {
    try {
      return JSON.parse(text) as unknown;
    } catch {
      // YAML in flow style begins so, too.
    }
  }
  const yaml = parseYaml(text);
  if (!yaml.ok) throw new InspectError(`${path}: ${describeProblems(yaml.problems)}`);
  return yaml.json;
}

async function judged(
  source: string,
  judge: ViewJudge,
  resources: readonly Unjudged[],
  covers: ConfigView['covers'],
): Promise<ConfigView> {
  const viewed = [];
  for (const resource of resources) viewed.push(await judge.judge(resource));
  return { source, resources: viewed, covers, bootstrap: undefined };
}

async function bootstrapView(path: string, judge: ViewJudge): Promise<ConfigView> {
  const loaded = loadBootstrap({ schema: judge.schema, file: path });
  if (!loaded.ok) throw new InspectError(bootstrapReport(loaded).join('\n'));
  return {
    source: path,
    resources: await judge.judgeStatic(loaded.bootstrap),
    covers: (kind, origin) => origin === 'static' && kind !== 'endpoints' && kind !== 'route',
    bootstrap: toJson(judge.schema, bootstrapType, loaded.bootstrap.bytes, { redact: true }) as JsonObject,
  };
}

async function snapshotView(path: string, judge: ViewJudge): Promise<ConfigView> {
  const snapshot = await readSnapshotFile(path).catch((error: Error) => {
    throw new InspectError(error instanceof SnapshotError ? `${path} ${error.message}` : error.message);
  });
  const resources = snapshot.resources.flatMap(({ typeUrl, name, version, bytes, acceptedAt }): Unjudged[] => {
    const kind = kindOf(typeUrl);
    return kind ? [{ kind, name, version, bytes, origin: 'dynamic', since: acceptedAt.toISOString() }] : [];
  });
  const hasSecrets = resources.some(({ kind }) => kind === 'secret');
  // Secrets may have been left out of it.
  const covers: ConfigView['covers'] = (kind, origin) => origin === 'dynamic' && (kind !== 'secret' || hasSecrets);
  return judged(path, judge, resources, covers);
}

async function responseView(path: string, content: Buffer, judge: ViewJudge): Promise<ConfigView> {
  const { schema } = judge;
  interface Response {
    readonly version_info: string;
    readonly type_url: string;
    readonly resources: readonly AnyValue[];
  }
  let response: Response;
  try {
    response = schema.decode<Response>(responseType, decodeDiscoveryFile(schema, path, content));
  } catch (error) {
    throw new InspectError(
      `${path.length > 0 && String((error as Error).message).startsWith(path) ? '' : `${path}: `}${(error as Error).message}`,
    );
  }
  const resources = response.resources.map((any, index): Unjudged => {
    const wrapped = typeNameOf(any.type_url) === wrapperType;
    const inner = wrapped
      ? schema.decode<{ resource: AnyValue | null; version: string }>(wrapperType, any.value)
      : { resource: any, version: response.version_info };
    const kind = kindOf(inner.resource?.type_url ?? '');
    if (!inner.resource || kind === undefined)
      throw new InspectError(
        `${path}: resources[${index}]: ${inner.resource?.type_url || 'nothing'} is not a type that is served`,
      );
    const bytes = inner.resource.value;
    return {
      kind,
      name: nameIn(bytes, index),
      version: inner.version || response.version_info,
      bytes,
      origin: 'dynamic',
    };
  });
  const kinds = new Set<Kind | undefined>([kindOf(response.type_url), ...resources.map(({ kind }) => kind)]);
  // A response lists all clusters and listeners; of other types it has what it has.
  const covers: ConfigView['covers'] = (kind, origin) =>
    origin === 'dynamic' && (kind === 'cluster' || kind === 'listener') && kinds.has(kind);
  return judged(path, judge, resources, covers);
}

function nameIn(bytes: Uint8Array, index: number): string {
  try {
    return readNameField(bytes);
  } catch {
    return `resources[${index}]`;
  }
}
