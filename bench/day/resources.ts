import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Authority } from '../../test/support/certificates.js';
import type { Snapshot } from '../../test/support/go-control-plane.js';
import { projectRoot } from '../../test/support/pontoon.js';
import {
  bridgeClusterResource,
  endpointsResource,
  listenerResource,
  routesResource,
} from '../../test/support/resources.js';
import {
  adsSecret,
  downstreamTls,
  sanOf,
  secretResource,
  tlsCertificate,
  trusting,
  upstreamTls,
  withTransportSocket,
} from '../../test/support/tls-config.js';
import { type DayCluster, type DayConfig, hasEds, hasTls, nameOf } from './config.js';

/** The name in the certificates of TLS servers. */
export const tlsServerName = 'server.test';
/** The name in the certificates that Pontoon shows. */
export const pontoonName = 'pontoon.test';

export interface Surroundings {
  /** Of the TCP servers, by number. */
  readonly ports: readonly number[];
  /** Signs everything. */
  readonly authority: Authority;
  /** Signs nothing that is used. */
  readonly other: Authority;
}

const library = join(projectRoot, 'test', 'fixtures', 'plugins', 'stamp.ts');
const ours = { tls_certificate_sds_secret_configs: [adsSecret('ours')] };
const upstreamSocket = upstreamTls({
  ...ours,
  combined_validation_context: {
    default_validation_context: sanOf('DNS', { exact: tlsServerName }),
    validation_context_sds_secret_config: adsSecret('trusted'),
  },
});
const downstreamSocket = downstreamTls(
  { ...ours, validation_context_sds_secret_config: adsSecret('trusted') },
  { require_client_certificate: true },
);

function clusterResource(cluster: DayCluster, index: number, { ports }: Surroundings): object {
  const { version, plugin, servers, bad } = cluster;
  return {
    ...bridgeClusterResource({
      name: nameOf(index),
      library,
      plugin,
      // The plugin refuses what is no number.
      config: { version: bad === 'cluster' ? 'many' : version },
      ...(!hasEds(index) && { ports: servers.map((server) => ports[server] as number) }),
    }),
    // A machine that is busy must not be taken for a server that is away: a handshake needs its server's attention.
    connect_timeout: '10s',
    ...(hasTls(index) && { transport_socket: upstreamSocket }),
  };
}

function secrets({ certificate, badSecret, trustsOther }: DayConfig, { authority, other }: Surroundings): object[] {
  const shown = badSecret ? { ...certificate, key: authority.key } : certificate;
  const trusted = trustsOther ? { cert: `${authority.cert}${other.cert}` } : authority;
  return [
    secretResource('ours', { tls_certificate: tlsCertificate(shown) }),
    secretResource('trusted', { validation_context: trusting(trusted) }),
  ];
}

function routes({ clusters, routes: revision, badRoutes }: DayConfig): object {
  const paths = clusters.map(({ stage }, index) => [`/${nameOf(index)}`, nameOf(stage === 'routed' ? index : 0)]);
  const resource = routesResource('routes', Object.fromEntries(paths)) as { virtual_hosts: [{ routes: object[] }] };
  const [host] = resource.virtual_hosts;
  const refused = { match: { safe_regex: { regex: '(' } }, route: { cluster: nameOf(0) } };
  return {
    ...resource,
    virtual_hosts: [{ ...host, name: `v${revision}`, routes: [...host.routes, ...(badRoutes ? [refused] : [])] }],
  };
}

/** What the control plane is told to serve. */
export function resourcesOf(config: DayConfig, surroundings: Surroundings): Snapshot['resources'] {
  const there = config.clusters.flatMap((cluster, index) => (cluster.stage === 'absent' ? [] : [{ cluster, index }]));
  const prefix = `day-${config.listeners}`;
  const secure = (name: string) => withTransportSocket(listenerResource(name, prefix, 'routes'), downstreamSocket);
  return {
    clusters: there.map(({ cluster, index }) => clusterResource(cluster, index, surroundings)),
    endpoints: there
      .filter(({ index }) => hasEds(index))
      .map(({ cluster: { servers, bad }, index }) =>
        // There is no such port.
        endpointsResource(
          nameOf(index),
          bad === 'endpoints' ? [70_000] : servers.map((server) => surroundings.ports[server] as number),
        ),
      ),
    listeners: [
      listenerResource('plain', prefix, 'routes'),
      secure('secure'),
      ...(config.spareListener ? [secure('spare')] : []),
    ],
    routes: [routes(config)],
    secrets: secrets(config, surroundings),
  };
}

/** Each kind's version follows its content, as control planes do it that care. */
export function versionsOf(resources: Snapshot['resources'], restated: number): Record<string, string> {
  return Object.fromEntries(
    Object.entries(resources).map(([kind, list]) => [
      kind,
      `${createHash('sha256').update(JSON.stringify(list)).digest('hex').slice(0, 12)}-${restated}`,
    ]),
  );
}
