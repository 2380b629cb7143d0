import { stalePrefix } from '../../admin/client-resource-status.js';
import { toJson } from '../../protobuf/json.js';
import { parseJson } from '../../protobuf/parse-json.js';
import type { Schema } from '../../protobuf/schema.js';
import type { Origin } from '../../upstream/cluster-manager.js';
import { clusterResource } from '../../xds/resources/cluster.js';
import { endpointResource } from '../../xds/resources/endpoint.js';
import { listenerResource } from '../../xds/resources/listener.js';
import { routeResource } from '../../xds/resources/route.js';
import {
  type Absence,
  asList,
  asObject,
  asText,
  type ConfigView,
  InspectError,
  isObject,
  type JsonObject,
  type Kind,
  typeNames,
  type VerdictWord,
  type ViewedResource,
} from './view.js';

interface Section {
  readonly kind: Kind;
  readonly field: string;
  readonly lists: Readonly<Record<string, Origin>>;
}

/** What the admin interface calls them. Warming clusters come after those that run. */
const sections: Readonly<Record<string, Section>> = {
  ClustersConfigDump: {
    kind: 'cluster',
    field: 'cluster',
    lists: { static_clusters: 'static', dynamic_active_clusters: 'dynamic', dynamic_warming_clusters: 'dynamic' },
  },
  EndpointsConfigDump: {
    kind: 'endpoints',
    field: 'endpoint_config',
    lists: { static_endpoint_configs: 'static', dynamic_endpoint_configs: 'dynamic' },
  },
  ListenersConfigDump: {
    kind: 'listener',
    field: 'listener',
    lists: { static_listeners: 'static', dynamic_listeners: 'dynamic' },
  },
  RoutesConfigDump: {
    kind: 'route',
    field: 'route_config',
    lists: { static_route_configs: 'static', dynamic_route_configs: 'dynamic' },
  },
  SecretsConfigDump: {
    kind: 'secret',
    field: 'secret',
    lists: { static_secrets: 'static', dynamic_active_secrets: 'dynamic', dynamic_warming_secrets: 'dynamic' },
  },
};

const absences: Readonly<Record<string, Absence>> = {
  REQUESTED: 'requested',
  DOES_NOT_EXIST: 'does not exist',
  TIMEOUT: 'timed out',
};

/** `stale: …; parked: …` or `warned: …; …`, as /config_dump words them. */
function readDetails(details: string): {
  readonly stale: boolean;
  readonly verdict: VerdictWord;
  readonly reasons: string[];
} {
  const stale = details.startsWith(stalePrefix);
  const rest = stale ? details.replace(/^stale: [^;]*(; )?/, '') : details;
  const [, word, text = ''] = /^(parked|warned): ([\s\S]*)$/.exec(rest) ?? [];
  if (word === 'parked') return { stale, verdict: 'parked', reasons: [text] };
  if (word === 'warned') return { stale, verdict: 'warned', reasons: [text] };
  return { stale, verdict: 'active', reasons: [] };
}

/** Whether this is what /config_dump answers. */
export function isConfigDump(json: unknown): boolean {
  return asList(asObject(json).configs).some((section) =>
    asText(asObject(section)['@type']).includes('envoy.admin.v3.'),
  );
}

/**
 * What an instance told of itself: its verdicts are those that it gave.
 *
 * @throws InspectError for JSON that is no config dump
 */
export function dumpView(schema: Schema, source: string, json: unknown): ConfigView {
  if (!isConfigDump(json)) throw new InspectError(`${source} is not what /config_dump answers`);
  const resources: ViewedResource[] = [];
  const covered = new Set<Kind>();
  let bootstrap: JsonObject | undefined;
  for (const section of asList(asObject(json).configs)) {
    const type = asText(asObject(section)['@type']).split('.').at(-1) ?? '';
    if (type === 'BootstrapConfigDump') bootstrap = asObject(asObject(section).bootstrap);
    const known = sections[type];
    if (known === undefined) continue;
    covered.add(known.kind);
    for (const [list, origin] of Object.entries(known.lists))
      for (const entry of asList(asObject(section)[list]))
        resources.push(readEntry(schema, known, origin, list, asObject(entry)));
  }
  return { source, resources: distinct(resources), covers: (kind) => covered.has(kind), bootstrap };
}

/** Listeners have their versions one level deeper than the others. */
function readEntry(
  schema: Schema,
  { kind, field }: Section,
  origin: Origin,
  list: string,
  entry: JsonObject,
): ViewedResource {
  const running = list === 'dynamic_listeners' ? asObject(entry.active_state ?? entry.warming_state) : entry;
  const warming =
    list.includes('warming') || (list === 'dynamic_listeners' && !entry.active_state && !!entry.warming_state);
  const { '@type': _, ...raw } = asObject(running[field]);
  const error = asObject(entry.error_state);
  const status = asText(entry.client_status);
  const nameOnly = Object.keys(raw).length <= 1;
  const has =
    isObject(running[field]) && !(nameOnly && (status === 'NACKED' || status in absences) && kind !== 'endpoints');
  const name = asText(entry.name) || asText(raw[kind === 'endpoints' ? 'cluster_name' : 'name']);
  const details = readDetails(asText(error.details));
  const rejected = status === 'NACKED';
  const { json, bytes, model } = has
    ? normalized(schema, kind, origin, raw)
    : { json: undefined, bytes: undefined, model: undefined };
  const absent = absences[status];
  const verdict = rejected
    ? 'rejected'
    : warming && !details.stale
      ? 'warming'
      : absent !== undefined && !details.stale
        ? absent
        : details.verdict;
  return {
    kind,
    name,
    origin,
    json,
    bytes,
    model,
    verdict,
    reasons: rejected ? [asText(error.details)] : details.reasons,
    version: asText(running.version_info),
    since: asText(running.last_updated) || undefined,
    stale: details.stale,
    refused: rejected
      ? { version: asText(error.version_info), at: asText(error.last_update_attempt) || undefined }
      : undefined,
  };
}

/** In one spelling, however it was written: names of fields, defaults, durations. */
function normalized(
  schema: Schema,
  kind: Kind,
  origin: Origin,
  raw: JsonObject,
): Pick<ViewedResource, 'json' | 'bytes' | 'model'> {
  const parsed = parseJson(schema, typeNames[kind], raw);
  if (!parsed.ok) return { json: raw, bytes: undefined, model: undefined };
  const json = toJson(schema, typeNames[kind], parsed.bytes, { redact: true }) as JsonObject;
  const hidden = JSON.stringify(raw).includes('[redacted]') || JSON.stringify(raw).includes('W3JlZGFjdGVkX');
  return {
    json,
    bytes: hidden ? undefined : parsed.bytes,
    model: hidden ? undefined : modelOf(schema, kind, origin, parsed.bytes),
  };
}

/** The model without what only judging brings: undefined for one that does not become one. */
function modelOf(schema: Schema, kind: Kind, origin: Origin, bytes: Uint8Array): unknown {
  const translators = {
    cluster: clusterResource,
    endpoints: endpointResource,
    listener: listenerResource,
    route: routeResource,
  };
  if (kind === 'secret') return undefined;
  const verdict = translators[kind](schema).translate(bytes, origin);
  return verdict.kind === 'rejected' ? undefined : verdict.model;
}

/** A cluster that runs and has a new version on its way is in two lists: the one that runs counts. */
function distinct(resources: readonly ViewedResource[]): ViewedResource[] {
  const byKey = new Map<string, ViewedResource>();
  for (const resource of resources) {
    const key = JSON.stringify([resource.kind, resource.origin, resource.name]);
    if (!byKey.has(key)) byKey.set(key, resource);
  }
  return [...byKey.values()];
}
