import type { Node } from '../model/bootstrap.js';

/**
 * The messages of envoy.service.discovery.v3, as plain objects with the proto files' field names.
 * https://www.envoyproxy.io/docs/envoy/latest/api-v3/service/discovery/v3/discovery.proto
 */
export interface Any {
  readonly type_url: string;
  readonly value: Uint8Array;
}

export interface Status {
  readonly code: number;
  readonly message: string;
}

export interface DiscoveryRequest {
  readonly version_info: string;
  readonly node?: object;
  readonly resource_names: readonly string[];
  readonly type_url: string;
  readonly response_nonce: string;
  readonly error_detail?: Status;
}

export interface DeltaDiscoveryRequest {
  readonly node?: object;
  readonly type_url: string;
  readonly resource_names_subscribe: readonly string[];
  readonly resource_names_unsubscribe: readonly string[];
  readonly initial_resource_versions: Readonly<Record<string, string>>;
  readonly response_nonce: string;
  readonly error_detail?: Status;
}

export interface DiscoveryResponse {
  readonly version_info: string;
  readonly resources: readonly Any[];
  readonly type_url: string;
  readonly nonce: string;
}

export interface WrappedResource {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly version: string;
  readonly resource: Any | null;
  readonly ttl: object | null;
}

export interface DeltaDiscoveryResponse {
  readonly system_version_info: string;
  readonly resources: readonly WrappedResource[];
  readonly type_url: string;
  readonly removed_resources: readonly string[];
  readonly nonce: string;
}

/** Reads and writes protobuf messages by their full type name. `decode` throws for malformed bytes. */
export interface MessageCodec {
  decode<T>(typeName: string, bytes: Uint8Array): T;
  encode(typeName: string, plain: object): Buffer;
}

export const wrappedResourceType = 'envoy.service.discovery.v3.Resource';

/** The special name of https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#how-the-client-specifies-what-resources-to-return */
export const wildcardName = '*';

/**
 * The message envoy.config.core.v3.Node that tells a control plane who asks.
 *
 * Overprovisioning factors are honoured, so `envoy.lb.does_not_support_overprovisioning` is not claimed.
 *
 * @param version of the program, `major.minor.patch`
 * @param features that only some of the control plane's services ask for
 */
export function nodeMessage(node: Node, version: string, features: readonly string[] = []): object {
  const { region, zone, subZone } = node.locality;
  const [major = 0, minor = 0, patch = 0] = version.split('.').map((part) => Number.parseInt(part, 10) || 0);
  return {
    id: node.id,
    cluster: node.cluster,
    metadata: structOf(node.metadata),
    ...(region || zone || subZone ? { locality: { region, zone, sub_zone: subZone } } : {}),
    user_agent_name: 'pontoon',
    user_agent_build_version: {
      version: { major_number: major, minor_number: minor, patch },
    },
    client_features: ['xds.config.resource-in-sotw', 'xds.config.supports-resource-ttl', ...features],
  };
}

function structOf(fields: Readonly<Record<string, unknown>>): object {
  return {
    fields: Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, structValue(value)])),
  };
}

/** Plain JSON as google.protobuf.Value, whose fields protobufjs knows by their JSON names. */
function structValue(value: unknown): object {
  switch (typeof value) {
    case 'string':
      return { stringValue: value };
    case 'number':
      return { numberValue: value };
    case 'boolean':
      return { boolValue: value };
  }
  if (Array.isArray(value)) return { listValue: { values: value.map(structValue) } };
  if (typeof value === 'object' && value !== null) return { structValue: structOf(value as Record<string, unknown>) };
  return { nullValue: 0 };
}
