import type { HealthStatus, LbEndpoint, LoadAssignment, Locality, LocalityEndpoints } from '../../model/endpoint.js';
import { structToObject } from '../../protobuf/any.js';
import type { Locality__Output } from '../../protobuf/generated/envoy/config/core/v3/Locality.js';
import type { ClusterLoadAssignment__Output } from '../../protobuf/generated/envoy/config/endpoint/v3/ClusterLoadAssignment.js';
import type { LbEndpoint__Output } from '../../protobuf/generated/envoy/config/endpoint/v3/LbEndpoint.js';
import type { LocalityLbEndpoints__Output } from '../../protobuf/generated/envoy/config/endpoint/v3/LocalityLbEndpoints.js';
import type { Schema } from '../../protobuf/schema.js';
import { readAddress } from './address.js';
import { join, newFindings, verdictOf } from './findings.js';
import { defaultOverprovisioningFactor, noLocality, readPlainLoadAssignment } from './plain-endpoints.js';
import { checkFields } from './support/check.js';
import {
  endpointSupport,
  lbEndpointSupport,
  loadAssignmentSupport,
  localitySupport,
  policySupport,
} from './support/endpoint.js';
import { type Context, type ResourceTranslator, translateResource } from './translate.js';

const typeName = 'envoy.config.endpoint.v3.ClusterLoadAssignment';

const statuses: Readonly<Record<string, HealthStatus>> = {
  UNKNOWN: 'UNKNOWN',
  HEALTHY: 'HEALTHY',
  UNHEALTHY: 'UNHEALTHY',
  DRAINING: 'DRAINING',
  TIMEOUT: 'TIMEOUT',
  DEGRADED: 'DEGRADED',
};

export function readLocality(locality: Locality__Output | null): Locality {
  if (locality === null) return noLocality;
  return { region: locality.region, zone: locality.zone, subZone: locality.sub_zone };
}

function readEndpoint(
  context: Context,
  lb: LbEndpoint__Output,
  path: string,
  names: 'ip' | 'dns',
): LbEndpoint | undefined {
  checkFields(lbEndpointSupport, lb, path, context.findings);
  const at = join(path, 'endpoint');
  const address = readAddress(context, lb.endpoint?.address ?? null, join(at, 'address'), names);
  if (lb.endpoint) checkFields(endpointSupport, lb.endpoint, at, context.findings);
  if (address === undefined) return undefined;
  const match = lb.metadata?.filter_metadata['envoy.transport_socket_match'];
  return {
    address,
    hostname: lb.endpoint?.hostname ?? '',
    weight: lb.load_balancing_weight?.value ?? 1,
    healthStatus: statuses[lb.health_status] ?? 'UNKNOWN',
    ...(match === undefined ? {} : { transportSocketMatch: structToObject(match) }),
  };
}

function readLocalityEndpoints(
  context: Context,
  group: LocalityLbEndpoints__Output,
  path: string,
  names: 'ip' | 'dns',
): LocalityEndpoints {
  checkFields(localitySupport, group, path, context.findings);
  const endpoints: LbEndpoint[] = [];
  for (const [index, lb] of group.lb_endpoints.entries()) {
    const endpoint = readEndpoint(context, lb, join(path, `lb_endpoints[${index}]`), names);
    if (endpoint !== undefined) endpoints.push(endpoint);
  }
  return {
    locality: readLocality(group.locality),
    priority: group.priority,
    weight: group.load_balancing_weight?.value,
    endpoints,
  };
}

/** Of an EDS resource or inside a cluster; `names` as for readAddress. */
export function readLoadAssignment(
  context: Context,
  assignment: ClusterLoadAssignment__Output,
  path: string,
  names: 'ip' | 'dns',
): LoadAssignment {
  checkFields(loadAssignmentSupport, assignment, path, context.findings);
  if (assignment.policy) {
    const at = join(path, 'policy');
    checkFields(policySupport, assignment.policy, at, context.findings);
    if (assignment.policy.drop_overloads.length > 1)
      context.findings.malformed.push({
        path: join(at, 'drop_overloads'),
        message: 'only one category is allowed',
      });
  }
  return {
    clusterName: assignment.cluster_name,
    localities: assignment.endpoints.map((group, index) =>
      readLocalityEndpoints(context, group, join(path, `endpoints[${index}]`), names),
    ),
    overprovisioningFactor: assignment.policy?.overprovisioning_factor?.value ?? defaultOverprovisioningFactor,
  };
}

/** EDS. https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/endpoint/v3/endpoint.proto */
export function endpointResource(schema: Schema): ResourceTranslator<LoadAssignment> {
  return {
    typeUrl: `type.googleapis.com/${typeName}`,
    nameOf: (bytes) => schema.decode<ClusterLoadAssignment__Output>(typeName, bytes).cluster_name,
    translate(bytes, origin) {
      const plain = readPlainLoadAssignment(bytes);
      if (plain) return verdictOf(newFindings(), plain);
      return translateResource(schema, typeName, bytes, origin, (message: ClusterLoadAssignment__Output, context) =>
        readLoadAssignment(context, message, '', 'ip'),
      );
    },
  };
}
