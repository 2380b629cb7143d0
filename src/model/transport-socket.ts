import type { Cluster, TransportSocketMatch } from './cluster.js';
import type { LbEndpoint, LoadAssignment } from './endpoint.js';
import { equalMeaning } from './equal.js';
import type { UpstreamTls } from './tls.js';

type Sockets = Pick<Cluster, 'tls' | 'transportSocketMatches'>;
type Matched = Pick<LbEndpoint, 'transportSocketMatch'> & { readonly address: unknown };

/**
 * The first entry of the cluster's transport_socket_matches that fits an endpoint's metadata. undefined: none does, and the cluster's own
 * transport socket is used.
 * https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/cluster/v3/cluster.proto (transport_socket_matches)
 */
function matchOf(cluster: Sockets, { transportSocketMatch: metadata = {} }: Matched): TransportSocketMatch | undefined {
  return (cluster.transportSocketMatches ?? []).find(({ match }) =>
    Object.entries(match).every(([key, value]) => Object.hasOwn(metadata, key) && equalMeaning(metadata[key], value)),
  );
}

/** Whether an endpoint may be connected to as configured: not when its transport socket is neither plain text nor TLS. */
export function isReachable(cluster: Sockets, endpoint: Matched): boolean {
  const chosen = matchOf(cluster, endpoint);
  return chosen === undefined || chosen.plainText || chosen.tls !== undefined;
}

/** How connections to a reachable endpoint are encrypted; undefined: they are not. */
export function tlsOf(cluster: Sockets, endpoint: Matched): UpstreamTls | undefined {
  const chosen = matchOf(cluster, endpoint);
  return chosen === undefined ? cluster.tls : chosen.tls;
}

/** An assignment without the endpoints that the cluster can't reach as configured. */
export function reachableEndpoints(cluster: Sockets, assignment: LoadAssignment): LoadAssignment {
  if ((cluster.transportSocketMatches ?? []).every(({ plainText, tls }) => plainText || tls !== undefined))
    return assignment;
  const localities = assignment.localities.map((locality) => ({
    ...locality,
    endpoints: locality.endpoints.filter((endpoint) => isReachable(cluster, endpoint)),
  }));
  return { ...assignment, localities };
}
