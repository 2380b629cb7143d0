import { parse } from 'yaml';
import type { Cluster } from '../../../src/model/cluster.js';
import type { LoadAssignment } from '../../../src/model/endpoint.js';
import type { Listener } from '../../../src/model/listener.js';
import type { RouteConfiguration } from '../../../src/model/route.js';
import type { Verdict } from '../../../src/model/verdict.js';
import { parseJson } from '../../../src/protobuf/json.js';
import { loadSchema } from '../../../src/protobuf/schema.js';
import { clusterResource } from '../../../src/xds/resources/cluster.js';
import { endpointResource } from '../../../src/xds/resources/endpoint.js';
import { listenerResource } from '../../../src/xds/resources/listener.js';
import { routeResource } from '../../../src/xds/resources/route.js';
import type { Origin, ResourceTranslator } from '../../../src/xds/resources/translate.js';

export const schema = loadSchema();
export const translators = {
  cluster: clusterResource(schema),
  endpoint: endpointResource(schema),
  listener: listenerResource(schema),
  route: routeResource(schema),
};

/** The serialized message of a resource written in YAML. */
export function bytesOf(translator: ResourceTranslator<unknown>, yaml: string): Buffer {
  const parsed = parseJson(schema, translator.typeUrl.split('/')[1] ?? '', parse(yaml, { merge: true }));
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.bytes;
}

function translate<T>(translator: ResourceTranslator<T>, yaml: string, origin: Origin): Verdict<T> {
  return translator.translate(bytesOf(translator, yaml), origin);
}

export const cluster = (yaml: string, origin: Origin = 'dynamic'): Verdict<Cluster> =>
  translate(translators.cluster, yaml, origin);
export const endpoint = (yaml: string): Verdict<LoadAssignment> => translate(translators.endpoint, yaml, 'dynamic');
export const listener = (yaml: string, origin: Origin = 'dynamic'): Verdict<Listener> =>
  translate(translators.listener, yaml, origin);
export const route = (yaml: string): Verdict<RouteConfiguration> => translate(translators.route, yaml, 'dynamic');

/** The model of a verdict that must be active. */
export function active<T>(verdict: Verdict<T>): T {
  if (verdict.kind !== 'active') throw new Error(`not active: ${JSON.stringify(verdict)}`);
  return verdict.model;
}

/** `kind path: message` per finding, for comparisons in tables. */
export function summary(verdict: Verdict<unknown>): string {
  if (verdict.kind === 'parked') return `parked ${verdict.reason}`;
  const problems = verdict.kind === 'rejected' ? verdict.problems : verdict.warnings;
  return [verdict.kind, ...problems.map(({ path, message }) => `${path}: ${message}`)].join(' | ');
}
