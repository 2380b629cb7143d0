import {
  asList,
  asObject,
  asText,
  type ConfigView,
  isObject,
  type Json,
  type Kind,
  type ViewedResource,
} from './view.js';

/** One resource named by another. */
export interface Reference {
  readonly kind: Kind;
  readonly name: string;
  /** The field that names it. */
  readonly path: string;
}

type Found = (kind: Kind, name: string, path: string) => void;

const join = (path: string, key: string): string => (path === '' ? key : `${path}.${key}`);

/** Which fields name which resources, wherever they stand in a message. */
function visit(json: Json, path: string, found: Found): void {
  if (Array.isArray(json)) {
    for (const [index, item] of json.entries()) visit(item as Json, `${path}[${index}]`, found);
    return;
  }
  if (!isObject(json)) return;
  const { rds, weighted_clusters: weighted } = json;
  if (isObject(rds)) name('route', rds.route_config_name, `${join(path, 'rds')}.route_config_name`);
  for (const [index, entry] of asList(asObject(weighted).clusters).entries())
    name('cluster', asObject(entry).name, `${join(path, 'weighted_clusters')}.clusters[${index}].name`);
  if (/(^|\.)(route|request_mirror_policies\[\d+\])$/.test(path)) name('cluster', json.cluster, join(path, 'cluster'));
  if (/(^|\.)envoy_grpc$/.test(path)) name('cluster', json.cluster_name, join(path, 'cluster_name'));
  if (/sds_secret_configs?(\[\d+\])?$/.test(path)) name('secret', json.name, join(path, 'name'));
  for (const [key, value] of Object.entries(json)) visit(value, join(path, key), found);

  function name(kind: Kind, value: Json | undefined, at: string): void {
    if (typeof value === 'string' && value !== '') found(kind, value, at);
  }
}

/** What a resource names, each as often as it does. */
export function referencesOf({ kind, name, json }: Pick<ViewedResource, 'kind' | 'name' | 'json'>): Reference[] {
  if (json === undefined) return [];
  const references: Reference[] = [];
  visit(json, '', (to, target, path) => references.push({ kind: to, name: target, path }));
  if (kind === 'cluster' && json.type === 'EDS') {
    const service = asText(asObject(json.eds_cluster_config).service_name);
    references.push(
      service === ''
        ? { kind: 'endpoints', name, path: 'name' }
        : { kind: 'endpoints', name: service, path: 'eds_cluster_config.service_name' },
    );
  }
  return references;
}

/** A resource, or the bootstrap, that names another. */
export interface Referrer {
  /** undefined: the bootstrap. */
  readonly resource: ViewedResource | undefined;
  readonly path: string;
}

/** Who names whom in a view. */
export interface References {
  to(kind: Kind, name: string): readonly Referrer[];
}

/** Control planes are named by the bootstrap. Its own clusters and listeners are resources of the view. */
const bootstrapFields = ['dynamic_resources', 'stats_sinks', 'hds_config', 'cluster_manager'];

export function readReferences({ resources, bootstrap }: ConfigView): References {
  const referrers = new Map<string, Referrer[]>();
  const keyOf = (kind: Kind, name: string) => `${kind} ${name}`;
  function add({ kind, name, path }: Reference, resource: ViewedResource | undefined): void {
    const key = keyOf(kind, name);
    const list = referrers.get(key);
    if (list) list.push({ resource, path });
    else referrers.set(key, [{ resource, path }]);
  }
  for (const resource of resources) for (const reference of referencesOf(resource)) add(reference, resource);
  for (const field of bootstrapFields)
    visit(bootstrap?.[field] ?? null, field, (kind, name, path) => add({ kind, name, path }, undefined));
  return { to: (kind, name) => referrers.get(keyOf(kind, name)) ?? [] };
}
