/** A type of resource that this control plane serves: what the protocol and a folder of files must know of it. */
export interface ResourceKind {
  /** Folder and group name: `clusters/web.yaml`, or a key `clusters:` in a file. */
  readonly group: string;
  /** Envoy's short name. */
  readonly shortName: string;
  readonly typeName: string;
  readonly typeUrl: string;
  /** The field that holds a resource's name. */
  readonly nameField: string;
  /**
   * A state-of-the-world response must list every resource; what it leaves out is deleted.
   * https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#grouping-resources-into-responses
   */
  readonly fullState: boolean;
  /**
   * Types of a later stage wait for the answers to those of an earlier one. Within a stage it is enough that responses leave in order,
   * and more would be wrong: Envoy holds the ACK of a cluster back until its endpoints came.
   */
  readonly stage: 1 | 2;
  /** The service and methods of this type alone, for clients that don't aggregate. */
  readonly service: string;
  readonly streamMethod: string;
  readonly deltaMethod: string;
}

export const typeUrlPrefix = 'type.googleapis.com/';

function kind(
  group: string,
  shortName: string,
  typeName: string,
  nameField: string,
  fullState: boolean,
  stage: 1 | 2,
  service: string,
  methodSuffix: string,
): ResourceKind {
  return {
    group,
    shortName,
    typeName,
    typeUrl: `${typeUrlPrefix}${typeName}`,
    nameField,
    fullState,
    stage,
    service,
    streamMethod: `Stream${methodSuffix}`,
    deltaMethod: `Delta${methodSuffix}`,
  };
}

const cluster = kind(
  'clusters',
  'cds',
  'envoy.config.cluster.v3.Cluster',
  'name',
  true,
  1,
  'envoy.service.cluster.v3.ClusterDiscoveryService',
  'Clusters',
);
const endpoints = kind(
  'endpoints',
  'eds',
  'envoy.config.endpoint.v3.ClusterLoadAssignment',
  'cluster_name',
  false,
  1,
  'envoy.service.endpoint.v3.EndpointDiscoveryService',
  'Endpoints',
);
const listener = kind(
  'listeners',
  'lds',
  'envoy.config.listener.v3.Listener',
  'name',
  true,
  2,
  'envoy.service.listener.v3.ListenerDiscoveryService',
  'Listeners',
);
const route = kind(
  'routes',
  'rds',
  'envoy.config.route.v3.RouteConfiguration',
  'name',
  false,
  2,
  'envoy.service.route.v3.RouteDiscoveryService',
  'Routes',
);

export const kinds = { cluster, endpoints, listener, route } as const;

/**
 * All kinds, in the order in which a change is sent so that nothing refers to what isn't there yet (make before break).
 * https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#eventual-consistency-considerations
 */
export const kindsInOrder: readonly ResourceKind[] = [cluster, endpoints, listener, route];

export const kindByTypeUrl: ReadonlyMap<string, ResourceKind> = new Map(
  kindsInOrder.map((entry) => [entry.typeUrl, entry]),
);

/** The kind that a user means by `clusters`, `cds`, `Cluster` or a type URL. */
export function findKind(word: string): ResourceKind | undefined {
  return kindsInOrder.find(
    (entry) =>
      entry.group === word ||
      entry.shortName === word ||
      entry.typeUrl === word ||
      entry.typeName === word ||
      entry.typeName.endsWith(`.${word}`),
  );
}

/** The kind that a file's path tells, by its nearest name: `clusters/web.yaml`, `prod/clusters/web.yaml` and `clusters.yaml` hold clusters. */
export function kindOfPath(path: string): ResourceKind | undefined {
  const parts = path.replace(/\.[^./\\]*$/, '').split(/[/\\]/);
  return parts.reverse().flatMap((part) => findKind(part) ?? [])[0];
}
