import { RE2JS } from 're2js';
import { acceptedDetails, missingStatus, rejectedDetails } from './client-resource-status.js';
import { inlineRouteConfigs, loadAssignmentOf } from './derived-configs.js';
import { type AdminEndpoint, indented, text } from './endpoint.js';
import type { AdminSources, DumpedKind, DumpedResource, DumpedVersion } from './sources.js';

/** Turns serialized messages into ProtoJSON with proto names, secrets redacted. Never throws: what can't be shown is told instead. */
export type ToJson = (typeName: string, bytes: Uint8Array) => unknown;

/** Whether a resource's name is asked for. */
type Wanted = (name: string) => boolean;

interface Section {
  readonly kind: DumpedKind;
  readonly typeName: string;
  /** The field of one entry that holds the resource. */
  readonly field: string;
  /** The resource's own name. */
  readonly nameField: string;
  /** @type of the section, and of each resource where the entry holds an Any. */
  readonly dumpType: string;
  readonly staticKey: string;
}

const sections: readonly Section[] = [
  {
    kind: 'clusters',
    typeName: 'envoy.config.cluster.v3.Cluster',
    field: 'cluster',
    nameField: 'name',
    dumpType: 'ClustersConfigDump',
    staticKey: 'static_clusters',
  },
  {
    kind: 'endpoints',
    typeName: 'envoy.config.endpoint.v3.ClusterLoadAssignment',
    field: 'endpoint_config',
    nameField: 'cluster_name',
    dumpType: 'EndpointsConfigDump',
    staticKey: 'static_endpoint_configs',
  },
  {
    kind: 'listeners',
    typeName: 'envoy.config.listener.v3.Listener',
    field: 'listener',
    nameField: 'name',
    dumpType: 'ListenersConfigDump',
    staticKey: 'static_listeners',
  },
  {
    kind: 'routes',
    typeName: 'envoy.config.route.v3.RouteConfiguration',
    field: 'route_config',
    nameField: 'name',
    dumpType: 'RoutesConfigDump',
    staticKey: 'static_route_configs',
  },
  {
    kind: 'secrets',
    typeName: 'envoy.extensions.transport_sockets.tls.v3.Secret',
    field: 'secret',
    nameField: 'name',
    dumpType: 'SecretsConfigDump',
    staticKey: 'static_secrets',
  },
];

const dynamicKeys = {
  clusters: ['dynamic_active_clusters', 'dynamic_warming_clusters'],
  endpoints: ['dynamic_endpoint_configs'],
  listeners: ['dynamic_listeners'],
  routes: ['dynamic_route_configs'],
  secrets: ['dynamic_active_secrets', 'dynamic_warming_secrets'],
} as const satisfies Record<DumpedKind, readonly string[]>;

/** One list of the dump, as in `dynamic_active_clusters`, with its entries made one at a time; undefined is no entry, but a place for a pause. */
interface List {
  readonly key: string;
  readonly entries: Iterable<unknown>;
}

function shown(section: Section, name: string, version: DumpedVersion, toJson: ToJson): Record<string, unknown> {
  return {
    ...(section.kind === 'secrets' && { name }),
    ...(version.version !== '' && { version_info: version.version }),
    [section.field]: {
      '@type': `type.googleapis.com/${section.typeName}`,
      ...(toJson(section.typeName, version.bytes) as object),
    },
    last_updated: version.lastUpdated.toISOString(),
  };
}

/** envoy.admin.v3.UpdateFailureState; also where a parked resource tells why it does not run. */
function errorState(section: Section, resource: DumpedResource, toJson: ToJson): Record<string, unknown> {
  const { error, missing } = resource;
  if (missing && !error)
    return {
      ...(missing.since && { last_updated: missing.since.toISOString() }),
      client_status: missingStatus[missing.status],
    };
  if (error) {
    return {
      error_state: {
        failed_configuration: {
          '@type': `type.googleapis.com/${section.typeName}`,
          ...(toJson(section.typeName, error.bytes) as object),
        },
        last_update_attempt: error.lastAttempt.toISOString(),
        details: rejectedDetails(error),
        ...(error.version !== '' && { version_info: error.version }),
      },
      client_status: 'NACKED',
    };
  }
  const details = acceptedDetails(resource);
  if (details !== '')
    return {
      error_state: { details },
      client_status: resource.stale ? 'REQUESTED' : 'ACKED',
    };
  return resource.origin === 'dynamic' ? { client_status: 'ACKED' } : {};
}

function* select(
  resources: readonly DumpedResource[],
  make: (resource: DumpedResource) => Record<string, unknown> | undefined,
): Generator<unknown> {
  for (const resource of resources) {
    yield make(resource);
  }
}

/** Routes and endpoints that listeners and clusters have inside; for clusters and listeners those of the bootstrap. */
function* staticEntries(sources: AdminSources, section: Section, wanted: Wanted, toJson: ToJson): Generator<unknown> {
  if (section.kind === 'routes') {
    const listener = 'envoy.config.listener.v3.Listener';
    for (const resource of sources.dump('listeners')) {
      yield undefined;
      if (!resource?.active || resource.parked) continue;
      const { active } = resource;
      for (const routes of inlineRouteConfigs(toJson(listener, active.bytes) as Record<string, unknown>)) {
        if (wanted(String(routes.name ?? '')))
          yield { route_config: routes, last_updated: active.lastUpdated.toISOString() };
      }
    }
  } else if (section.kind === 'endpoints') {
    for (const status of sources.clusters()) {
      yield undefined;
      const { name, active } = status;
      if (active && active.config.discovery.type !== 'EDS' && wanted(name))
        yield { endpoint_config: loadAssignmentOf(status) };
    }
  } else {
    for (const resource of sources.dump(section.kind)) {
      yield undefined;
      if (resource?.origin === 'static' && resource.active && wanted(resource.name))
        yield { ...shown(section, resource.name, resource.active, toJson), ...errorState(section, resource, toJson) };
    }
  }
}

/** Clusters, endpoints and routes: a list per origin and state. Listeners: one entry per name with a state each. */
function* listsOf(
  sources: AdminSources,
  section: Section,
  wanted: Wanted,
  toJson: ToJson,
): Generator<string, readonly List[]> {
  const { kind } = section;
  const fixed: List = { key: section.staticKey, entries: staticEntries(sources, section, wanted, toJson) };
  // Once for all lists, so that nothing is missed that goes from one to another meanwhile.
  const dynamic: DumpedResource[] = [];
  for (const resource of sources.dump(kind)) {
    if (resource?.origin === 'dynamic' && wanted(resource.name)) dynamic.push(resource);
    yield '';
  }
  if (kind === 'listeners') {
    const states = (resource: DumpedResource) => ({
      name: resource.name,
      ...(resource.active && {
        active_state: shown(section, resource.name, resource.active, toJson),
      }),
      ...(resource.warming && {
        warming_state: shown(section, resource.name, resource.warming, toJson),
      }),
      ...(resource.draining && {
        draining_state: shown(section, resource.name, resource.draining, toJson),
      }),
      ...errorState(section, resource, toJson),
      // Its routes have not come yet.
      ...(resource.warming && !resource.active && !resource.error && { client_status: 'REQUESTED' }),
    });
    return [fixed, { key: dynamicKeys[kind][0], entries: select(dynamic, states) }];
  }
  // A resource whose only version was refused has no version to show: it is listed with its error alone.
  const active = (resource: DumpedResource) => {
    if (!resource.active && resource.warming && !resource.error) return undefined;
    return resource.active
      ? {
          ...shown(section, resource.name, resource.active, toJson),
          ...errorState(section, resource, toJson),
        }
      : {
          ...(kind === 'secrets' && { name: resource.name }),
          [section.field]: {
            '@type': `type.googleapis.com/${section.typeName}`,
            [section.nameField]: resource.name,
          },
          ...errorState(section, resource, toJson),
        };
  };
  if (kind === 'secrets') {
    // As Envoy: what has never come, or never was good, warms whoever uses it.
    const isActive = ({ active: version }: DumpedResource) => version !== undefined;
    const waiting = dynamic.filter((resource) => !isActive(resource));
    return [
      fixed,
      { key: dynamicKeys[kind][0], entries: select(dynamic.filter(isActive), active) },
      { key: dynamicKeys[kind][1], entries: select(waiting, active) },
    ];
  }
  if (kind !== 'clusters') {
    return [fixed, { key: dynamicKeys[kind][0], entries: select(dynamic, active) }];
  }
  const warming = (resource: DumpedResource) =>
    resource.warming && {
      ...shown(section, resource.name, resource.warming, toJson),
      client_status: 'REQUESTED',
    };
  return [
    fixed,
    { key: dynamicKeys.clusters[0], entries: select(dynamic, active) },
    { key: dynamicKeys.clusters[1], entries: select(dynamic, warming) },
  ];
}

function* dumpSection(sources: AdminSources, section: Section, wanted: Wanted, toJson: ToJson): Generator<string> {
  yield `{\n   "@type": "type.googleapis.com/envoy.admin.v3.${section.dumpType}"`;
  const version = sources.versionInfo(section.kind);
  if (version !== '' && (section.kind === 'clusters' || section.kind === 'listeners'))
    yield `,\n   "version_info": ${JSON.stringify(version)}`;
  for (const { key, entries } of yield* listsOf(sources, section, wanted, toJson)) {
    let separator = `,\n   "${key}": [\n    `;
    let any = false;
    for (const entry of entries) {
      if (entry === undefined) {
        yield '';
        continue;
      }
      yield separator + indented(entry, 4);
      separator = ',\n    ';
      any = true;
    }
    if (any) yield '\n   ]';
  }
  yield '\n  }';
}

function* dumpAll(sources: AdminSources, includeEds: boolean, wanted: Wanted, toJson: ToJson): Generator<string> {
  const bootstrap = {
    '@type': 'type.googleapis.com/envoy.admin.v3.BootstrapConfigDump',
    bootstrap: toJson('envoy.config.bootstrap.v3.Bootstrap', sources.bootstrap.bytes),
    last_updated: sources.startTime.toISOString(),
  };
  yield `{\n "configs": [\n  ${indented(bootstrap, 2)}`;
  for (const section of sections) {
    if (section.kind === 'endpoints' && !includeEds) continue;
    yield ',\n  ';
    yield* dumpSection(sources, section, wanted, toJson);
  }
  yield '\n ]\n}\n';
}

/** `?resource=dynamic_active_clusters`: the entries of that list alone. */
function* dumpList(lists: Generator<string, readonly List[]>, wantedKey: string): Generator<string> {
  const type = `type.googleapis.com/envoy.admin.v3.${entryTypes[wantedKey]}`;
  let separator = '{\n "configs": [\n  ';
  let any = false;
  const found = (yield* lists).find(({ key }) => key === wantedKey);
  for (const entry of found?.entries ?? []) {
    if (entry === undefined) {
      yield '';
      continue;
    }
    yield separator + indented({ '@type': type, ...(entry as object) }, 2);
    separator = ',\n  ';
    any = true;
  }
  yield any ? '\n ]\n}\n' : '{}\n';
}

const entryTypes: Readonly<Record<string, string>> = {
  static_clusters: 'ClustersConfigDump.StaticCluster',
  dynamic_active_clusters: 'ClustersConfigDump.DynamicCluster',
  dynamic_warming_clusters: 'ClustersConfigDump.DynamicCluster',
  static_listeners: 'ListenersConfigDump.StaticListener',
  dynamic_listeners: 'ListenersConfigDump.DynamicListener',
  static_route_configs: 'RoutesConfigDump.StaticRouteConfig',
  dynamic_route_configs: 'RoutesConfigDump.DynamicRouteConfig',
  static_secrets: 'SecretsConfigDump.StaticSecret',
  dynamic_active_secrets: 'SecretsConfigDump.DynamicSecret',
  dynamic_warming_secrets: 'SecretsConfigDump.DynamicSecret',
  static_endpoint_configs: 'EndpointsConfigDump.StaticEndpointConfig',
  dynamic_endpoint_configs: 'EndpointsConfigDump.DynamicEndpointConfig',
};

/** GET /config_dump */
export function configDumpEndpoint(sources: AdminSources, toJson: ToJson): AdminEndpoint {
  return {
    path: '/config_dump',
    method: 'GET',
    help: 'dump current configs, with what was rejected or parked and why',
    parameters: {
      resource: 'The list to dump, as in dynamic_active_clusters',
      name_regex: 'Dump only the configurations whose names match the specified regex (RE2)',
      include_eds: 'Dump endpoints too',
    },
    handle({ query }) {
      const nameRegex = query.get('name_regex');
      let pattern: RE2JS | undefined;
      try {
        pattern = nameRegex ? RE2JS.compile(nameRegex) : undefined;
      } catch (error) {
        return text(`Error while parsing name_regex: ${error instanceof Error ? error.message : String(error)}\n`, 400);
      }
      const wanted: Wanted = (name) => !pattern || pattern.matcher(name).matches();
      const resource = query.get('resource');
      if (!resource) {
        return {
          status: 200,
          contentType: 'application/json',
          body: dumpAll(sources, query.has('include_eds'), wanted, toJson),
        };
      }
      if (resource === 'bootstrap') {
        return text('bootstrap is not a repeated field. Use ?mask=bootstrap to get only this field', 400);
      }
      const section = sections.find(({ kind, staticKey }) => [staticKey, ...dynamicKeys[kind]].includes(resource));
      if (!section || (section.kind === 'endpoints' && !query.has('include_eds')))
        return text(`${resource} not found in config dump`, 404);
      const body = dumpList(listsOf(sources, section, wanted, toJson), resource);
      return { status: 200, contentType: 'application/json', body };
    },
  };
}
