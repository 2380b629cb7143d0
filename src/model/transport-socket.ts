import type { Cluster } from './cluster.js';
import type { LbEndpoint, LoadAssignment } from './endpoint.js';
import { equalMeaning } from './equal.js';

/**
 * Whether an endpoint may be connected to as configured: not when the first entry of the cluster's transport_socket_matches
 * that fits its metadata asks for encryption, which is not done yet. Without a fitting entry the cluster's own, plain-text
 * transport socket is used.
 * https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/cluster/v3/cluster.proto (transport_socket_matches)
 */
export function isReachable(cluster: Pick<Cluster, 'transportSocketMatches'>, endpoint: LbEndpoint): boolean {
  const metadata = endpoint.transportSocketMatch ?? {};
  const chosen = (cluster.transportSocketMatches ?? []).find(({ match }) =>
    Object.entries(match).every(([key, value]) => Object.hasOwn(metadata, key) && equalMeaning(metadata[key], value)),
  );
  return chosen === undefined || chosen.plainText;
}

/** An assignment without the endpoints that the cluster can't reach as configured. */
export function reachableEndpoints(
  cluster: Pick<Cluster, 'transportSocketMatches'>,
  assignment: LoadAssignment,
): LoadAssignment {
  if ((cluster.transportSocketMatches ?? []).every(({ plainText }) => plainText)) return assignment;
  const localities = assignment.localities.map((locality) => ({
    ...locality,
    endpoints: locality.endpoints.filter((endpoint) => isReachable(cluster, endpoint)),
  }));
  return { ...assignment, localities };
}
