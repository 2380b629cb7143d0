import type { Cluster } from '../model/cluster.js';
import { formatAddress } from '../model/endpoint.js';
import type { Listener } from '../model/listener.js';
import type { Secret } from '../model/tls.js';
import type { Problem, Resource } from '../model/verdict.js';
import type { Bootstrap__Output } from '../protobuf/generated/envoy/config/bootstrap/v3/Bootstrap.js';
import type { Schema } from '../protobuf/schema.js';
import { clusterResource } from '../xds/resources/cluster.js';
import { join } from '../xds/resources/findings.js';
import { listenerResource } from '../xds/resources/listener.js';
import { secretResource } from '../xds/resources/secret.js';
import type { ResourceTranslator } from '../xds/resources/translate.js';

interface Judged<T> {
  readonly resources: Resource<T>[];
  readonly problems: Problem[];
}

function judge<T>(
  schema: Schema,
  translator: ResourceTranslator<T>,
  messages: readonly { readonly name: string }[],
  path: string,
): Judged<T> {
  const judged: Judged<T> = { resources: [], problems: [] };
  const typeName = translator.typeUrl.slice(translator.typeUrl.indexOf('/') + 1);
  const names = new Set<string>();
  for (const [index, message] of messages.entries()) {
    const at = `${path}[${index}]`;
    const bytes = schema.encode(typeName, message);
    const verdict = translator.translate(bytes, 'static');
    if (verdict.kind === 'rejected')
      for (const problem of verdict.problems)
        judged.problems.push({
          path: problem.path === '' ? at : join(at, problem.path),
          message: problem.message,
        });
    const name = verdict.kind === 'active' ? (verdict.model as { readonly name: string }).name : message.name;
    if (name !== '' && names.has(name))
      judged.problems.push({
        path: join(at, 'name'),
        message: `duplicate name ${name}`,
      });
    names.add(name);
    judged.resources.push({ name, version: '', bytes, verdict });
  }
  return judged;
}

/** Two listeners can't have one address; port 0 is another one each time. */
function addressConflicts(listeners: readonly Resource<Listener>[]): Problem[] {
  const problems: Problem[] = [];
  const owners = new Map<string, string>();
  for (const [index, { name, verdict }] of listeners.entries()) {
    if (verdict.kind !== 'active') continue;
    for (const address of verdict.model.addresses) {
      if (address.kind === 'tcp' && address.port === 0) continue;
      const text = formatAddress(address);
      const owner = owners.get(text);
      owners.set(text, owner ?? name);
      if (owner === undefined) continue;
      const message = `${text} is the address of listener ${owner} already; give one of them another address`;
      problems.push({ path: `static_resources.listeners[${index}].address`, message });
    }
  }
  return problems;
}

export interface StaticResources {
  readonly clusters: readonly Resource<Cluster>[];
  readonly listeners: readonly Resource<Listener>[];
  readonly secrets: readonly Resource<Secret>[];
  readonly problems: readonly Problem[];
}

/** The secrets that can be used, by name. */
export function secretsByName(resources: readonly Resource<Secret>[]): ReadonlyMap<string, Secret> {
  return new Map(resources.flatMap(({ name, verdict }) => (verdict.kind === 'active' ? [[name, verdict.model]] : [])));
}

/** Judges static clusters, listeners and secrets by the same translators as dynamic ones. A rejected one is a problem of the file. */
export function readStaticResources(schema: Schema, bootstrap: Bootstrap__Output): StaticResources {
  const secrets = judge(
    schema,
    secretResource(schema),
    bootstrap.static_resources?.secrets ?? [],
    'static_resources.secrets',
  );
  const known = secretsByName(secrets.resources);
  const clusters = judge(
    schema,
    clusterResource(schema, known),
    bootstrap.static_resources?.clusters ?? [],
    'static_resources.clusters',
  );
  const listeners = judge(
    schema,
    listenerResource(schema, known),
    bootstrap.static_resources?.listeners ?? [],
    'static_resources.listeners',
  );
  return {
    clusters: clusters.resources,
    listeners: listeners.resources,
    secrets: secrets.resources,
    problems: [
      ...secrets.problems,
      ...clusters.problems,
      ...listeners.problems,
      ...addressConflicts(listeners.resources),
    ],
  };
}
