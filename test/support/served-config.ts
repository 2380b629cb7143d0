import { isDeepStrictEqual } from 'node:util';
import type { Snapshot } from './go-control-plane.js';

type Json = Readonly<Record<string, unknown>>;

/** Where /config_dump has the resources of a kind that serve, and what each is called. */
const places = {
  clusters: { list: 'dynamic_active_clusters', path: ['cluster'], name: 'name' },
  endpoints: { list: 'dynamic_endpoint_configs', path: ['endpoint_config'], name: 'cluster_name' },
  listeners: { list: 'dynamic_listeners', path: ['active_state', 'listener'], name: 'name' },
  routes: { list: 'dynamic_route_configs', path: ['route_config'], name: 'name' },
  secrets: { list: 'dynamic_active_secrets', path: ['secret'], name: 'name' },
} as const;

export type DumpKind = keyof typeof places;

function entriesOf(dump: Json, list: string): readonly Json[] {
  const sections = dump.configs as readonly Json[];
  return sections.flatMap((section) => (section[list] ?? []) as readonly Json[]);
}

/** The resources of a kind that serve, by name. */
export function served(dump: Json, kind: DumpKind): Map<string, Json> {
  const { list, path, name } = places[kind];
  const resources = new Map<string, Json>();
  for (const entry of entriesOf(dump, list)) {
    const found = path.reduce<Json | undefined>((value, key) => value?.[key] as Json | undefined, entry);
    if (!found) continue;
    const { '@type': _, ...resource } = found;
    resources.set(String(resource[name]), resource);
  }
  return resources;
}

/** /config_dump does not show keys. */
const redacted = (resource: Json): Json => {
  const certificate = resource.tls_certificate as Json | undefined;
  return certificate
    ? { ...resource, tls_certificate: { ...certificate, private_key: { inline_string: '[redacted]' } } }
    : resource;
};

/** How what an instance serves, by its /config_dump, differs from what the control plane has; empty when it does not. */
export function differences(dump: Json, resources: Snapshot['resources']): string[] {
  const found: string[] = [];
  for (const [kind, { list, name }] of Object.entries(places) as [DumpKind, (typeof places)[DumpKind]][]) {
    const has = served(dump, kind);
    for (const resource of (resources[kind] ?? []) as readonly Json[]) {
      const own = String(resource[name]);
      const actual = has.get(own);
      has.delete(own);
      if (!actual) found.push(`${kind} ${own} is missing`);
      else if (!isDeepStrictEqual(actual, redacted(resource)))
        found.push(`${kind} ${own} is ${JSON.stringify(actual)} instead of ${JSON.stringify(resource)}`);
    }
    for (const own of has.keys()) found.push(`${kind} ${own} is still there`);
    for (const entry of entriesOf(dump, list)) {
      if ('error_state' in entry) found.push(`${kind}: ${JSON.stringify(entry.error_state).slice(0, 500)}`);
      if ('warming_state' in entry || 'draining_state' in entry) found.push(`${kind}: not at rest`);
    }
  }
  for (const list of ['dynamic_warming_clusters', 'dynamic_warming_secrets'])
    if (entriesOf(dump, list).length > 0) found.push(`there are ${list}`);
  return found;
}
