import { unpackAny } from '../src/protobuf/any.js';
import type { Cluster__Output } from '../src/protobuf/generated/envoy/config/cluster/v3/Cluster.js';
import type { ConfigSource__Output } from '../src/protobuf/generated/envoy/config/core/v3/ConfigSource.js';
import type { Filter__Output } from '../src/protobuf/generated/envoy/config/listener/v3/Filter.js';
import type { Listener__Output } from '../src/protobuf/generated/envoy/config/listener/v3/Listener.js';
import type { HttpConnectionManager__Output } from '../src/protobuf/generated/envoy/extensions/filters/network/http_connection_manager/v3/HttpConnectionManager.js';
import type { Any__Output } from '../src/protobuf/generated/google/protobuf/Any.js';
import type { Schema } from '../src/protobuf/schema.js';
import { kinds, type ResourceKind } from './resource-kind.js';
import type { Reference } from './snapshot.js';

const httpConnectionManager = 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';

/** The resources that a client will ask for next because of this one: a cluster's endpoints, a listener's routes. */
export function referencesOf(schema: Schema, kind: ResourceKind, name: string, message: object): Reference[] {
  if (kind === kinds.cluster) return clusterReferences(name, message as Cluster__Output);
  if (kind === kinds.listener) return listenerReferences(schema, message as Listener__Output);
  return [];
}

function clusterReferences(name: string, cluster: Cluster__Output): Reference[] {
  if (cluster.type !== 'EDS' || !isFromControlPlane(cluster.eds_cluster_config?.eds_config)) return [];
  const serviceName = cluster.eds_cluster_config?.service_name;
  return [
    serviceName
      ? { kind: kinds.endpoints, name: serviceName, field: 'eds_cluster_config.service_name' }
      : { kind: kinds.endpoints, name, field: 'name' },
  ];
}

function listenerReferences(schema: Schema, listener: Listener__Output): Reference[] {
  const references: Reference[] = [];
  const add = (typedConfig: Any__Output | null | undefined, path: string) => {
    if (!typedConfig) return;
    const unpacked = unpackAny<HttpConnectionManager__Output>(schema, typedConfig);
    if (!unpacked.known || unpacked.typeName !== httpConnectionManager) return;
    const { rds } = unpacked.message;
    if (!rds || !isFromControlPlane(rds.config_source)) return;
    references.push({ kind: kinds.route, name: rds.route_config_name, field: `${path}.rds.route_config_name` });
  };
  const addFilters = (filters: readonly Filter__Output[], path: string) => {
    for (const [index, filter] of filters.entries()) add(filter.typed_config, `${path}.filters[${index}].typed_config`);
  };
  for (const [index, chain] of listener.filter_chains.entries()) addFilters(chain.filters, `filter_chains[${index}]`);
  addFilters(listener.default_filter_chain?.filters ?? [], 'default_filter_chain');
  add(listener.api_listener?.api_listener, 'api_listener.api_listener');
  return references;
}

/** Whether a source means xDS; a file on the client's disk is not ours to serve. */
function isFromControlPlane(source: ConfigSource__Output | null | undefined): boolean {
  return source?.config_source_specifier !== 'path' && source?.config_source_specifier !== 'path_config_source';
}
