import { expect } from 'chai';
import { createAuthority } from '../support/certificates.js';
import { GoControlPlane } from '../support/go-control-plane.js';
import { type Pontoon, startPontoon } from '../support/pontoon.js';
import { bridgeClusterResource, endpointsResource, listenerResource, routesResource } from '../support/resources.js';
import { downstreamTls, tlsCertificate, withTransportSocket } from '../support/tls-config.js';
import { until } from '../support/until.js';
import { bootstrapOf, modeNodeId, type Setup, setups, withSource } from '../support/xds-modes.js';

type Json = Record<string, unknown>;

const bridge = { library: 'test/fixtures/plugins/recorded.ts', plugin: 'simple', config: {} };

/** Gives up after `seconds`; 0: never. */
const within = (resource: object, seconds: number) =>
  JSON.parse(
    JSON.stringify(resource).replaceAll(
      '"resource_api_version"',
      `"initial_fetch_timeout":"${seconds}s","resource_api_version"`,
    ),
  ) as object;

const sds = (name: string) => ({ name, sds_config: { ads: {}, resource_api_version: 'V3' } });
const secure = (name: string) =>
  withTransportSocket(
    listenerResource(name, name, 'routes'),
    downstreamTls({ tls_certificate_sds_secret_configs: [sds(name)] }),
  );

const plain = (name: string) => ({
  name,
  type: 'STATIC',
  load_assignment: endpointsResource(name, [1]),
});
const proxy = (name: string) => ({
  name,
  address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
  filter_chains: [
    {
      filters: [
        {
          name: 'tcp',
          typed_config: {
            '@type': 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy',
            stat_prefix: name,
            cluster: 'active',
          },
        },
      ],
    },
  ],
});

/** Every resource is named for what becomes of it. */
function resourcesOf(setup: Setup, which: 'first' | 'later') {
  const authority = createAuthority();
  const secret = (name: string) => ({ name, tls_certificate: tlsCertificate(authority.issue([`${name}.test`])) });
  // What is given first and later not is what the control plane says to be gone.
  const gone = which === 'first' ? ['gone'] : [];
  // Starting waits for what has no timeout, as Envoy's does.
  const later = which === 'later' ? ['waiting'] : [];
  const eds = (name: string) => withSource(setup, bridgeClusterResource({ name, ...bridge }));
  const rds = (name: string) => withSource(setup, listenerResource(name, name, name));
  return {
    clusters: [
      bridgeClusterResource({ name: 'warned', ports: [1], ...bridge }),
      plain('parked'),
      bridgeClusterResource({ name: 'rejected', ports: [1], ...bridge, plugin: 'no-such-plugin' }),
      ...['active', 'gone', 'refused'].map(eds),
      ...later.map((name) => within(eds(name), 0)),
      within(eds('late'), 1),
    ].map((cluster) => ((cluster as Json).name === 'warned' ? { ...cluster, outlier_detection: {} } : cluster)),
    endpoints: [
      ...['active', ...gone].map((name) => endpointsResource(name, [1])),
      { cluster_name: 'refused', endpoints: [{ priority: 200 }] },
    ],
    listeners: [
      proxy('parked'),
      { ...listenerResource('rejected', 'rejected', 'x'), address: undefined },
      ...['active', 'gone', 'refused'].flatMap((name) => [rds(name), withSource(setup, secure(`tls-${name}`))]),
      ...later.flatMap((name) => [within(rds(name), 0), within(withSource(setup, secure(`tls-${name}`)), 0)]),
      within(rds('late'), 1),
      within(withSource(setup, secure('tls-late')), 1),
    ],
    routes: [
      ...['active', 'routes', ...gone].map((name) => routesResource(name, { '/': 'active' })),
      routesResource('refused', { '': 'active' }),
    ].map((routes) =>
      (routes as Json).name === 'refused'
        ? JSON.parse(JSON.stringify(routes).replace('"prefix":""', '"safe_regex":{"regex":"("}'))
        : routes,
    ),
    secrets: [
      ...['tls-active', ...gone.map((name) => `tls-${name}`)].map(secret),
      { name: 'tls-refused', tls_certificate: tlsCertificate({ cert: 'none', key: 'none' }) },
    ],
  };
}

/** /config_dump in short: `type name: STATUS, what is wrong`. */
async function statesIn(pontoon: Pontoon): Promise<Map<string, string>> {
  const { configs } = JSON.parse(await pontoon.get('/config_dump?include_eds')) as { configs: Json[] };
  const found = new Map<string, string>();
  for (const config of configs)
    for (const [list, entries] of Object.entries(config)) {
      if (!list.startsWith('dynamic_')) continue;
      for (const entry of entries as Json[]) {
        const inner = (entry.cluster ?? entry.endpoint_config ?? entry.route_config ?? entry) as Json;
        const name = String(inner.cluster_name ?? inner.name);
        const type = list.replace(/^dynamic_(active_|warming_)?|s$/g, '').replace('_config', '');
        const details = String((entry.error_state as Json | undefined)?.details ?? '').replace(
          /^(rejected: [^:;]*|\w+)?.*/s,
          '$1',
        );
        const warming = list.includes('warming') || entry.warming_state !== undefined ? ' warming' : '';
        found.set(`${type} ${name}`, `${entry.client_status}${warming}${details && `, ${details}`}`);
      }
    }
  return found;
}

const states = (delta: boolean): Record<string, string> => ({
  'cluster active': 'ACKED',
  'cluster gone': 'ACKED',
  'cluster warned': 'ACKED, warned',
  'cluster parked': 'ACKED, parked',
  'cluster rejected': 'NACKED, rejected: upstream_config.typed_config.plugin_name',
  // A cluster without endpoints waits for them, unless they are known to be bad or not to come.
  'cluster waiting': 'REQUESTED warming',
  'cluster late': 'ACKED',
  'cluster refused': 'ACKED',
  'endpoint active': 'ACKED',
  // In state of the world nobody can say that a single resource is gone.
  'endpoint gone': delta ? 'DOES_NOT_EXIST' : 'ACKED',
  'endpoint refused': 'NACKED, rejected: endpoints[0].priority',
  'endpoint waiting': 'REQUESTED',
  'endpoint late': 'TIMEOUT',
  'listener active': 'ACKED',
  'listener gone': 'ACKED',
  'listener parked': 'ACKED, parked',
  'listener rejected': 'NACKED, rejected: address',
  'listener waiting': 'REQUESTED warming',
  'listener late': 'ACKED',
  'listener refused': 'ACKED',
  'listener tls-active': 'ACKED',
  'listener tls-gone': 'ACKED',
  // Without its certificate it never serves.
  'listener tls-waiting': 'REQUESTED warming',
  'listener tls-late': 'REQUESTED warming',
  'listener tls-refused': 'REQUESTED warming',
  'route active': 'ACKED',
  'route routes': 'ACKED',
  'route gone': delta ? 'DOES_NOT_EXIST' : 'ACKED',
  'route refused': 'NACKED, rejected: virtual_hosts[0].routes[0].match.safe_regex.regex',
  'route waiting': 'REQUESTED',
  'route late': 'TIMEOUT',
  'secret tls-active': 'ACKED',
  'secret tls-gone': delta ? 'DOES_NOT_EXIST warming' : 'ACKED',
  'secret tls-refused': 'NACKED warming, rejected: tls_certificate.certificate_chain',
  'secret tls-waiting': 'REQUESTED warming',
  'secret tls-late': 'TIMEOUT warming',
});

describe('every state of every type', () => {
  before(function () {
    GoControlPlane.require(this);
  });
  for (const title of ['xds', 'delta'])
    it(`is what /config_dump and /init_dump say, and the log once: ${title}`, async function () {
      this.timeout(60_000);
      const setup = setups.find((each) => each.title === title) as Setup;
      const controlPlane = await GoControlPlane.start(setup.args);
      let pontoon: Pontoon | undefined;
      try {
        const resources = resourcesOf(setup, 'first');
        await controlPlane.putSnapshot({ version: '1', nodeId: modeNodeId, resources });
        pontoon = await startPontoon({ bootstrap: bootstrapOf(setup, controlPlane.address) });
        const live = pontoon;
        await until('what will be gone', async () => {
          const found = await statesIn(live);
          const gone = ['endpoint gone', 'route gone', 'secret tls-gone', 'listener tls-gone'];
          return gone.every((name) => found.get(name) === 'ACKED') ? true : undefined;
        });
        const later = resourcesOf(setup, 'later');
        await controlPlane.putSnapshot({
          version: '2',
          nodeId: modeNodeId,
          resources: { ...later, secrets: resources.secrets.filter(({ name }) => name !== 'tls-gone') },
        });
        const expected = Object.entries(states(setup.variant === 'DELTA_GRPC'))
          .map((entry) => entry.join(': '))
          .sort();
        const all = async () => [...(await statesIn(live))].map((entry) => entry.join(': ')).sort();
        await until('all states', async () => ((await all()).join() === expected.join() ? true : undefined)).catch(
          async () => expect(await all()).to.deep.equal(expected),
        );
        const waiting = await live.get('/init_dump');
        for (const text of ['cluster waiting', 'listener waiting', 'listener tls-waiting', 'EDS waiting'])
          expect(waiting).to.contain(text);
        // Nothing is told twice, however often the control plane repeats what is bad.
        const told = (text: RegExp) =>
          live
            .log()
            .split('\n')
            .filter((line) => text.test(line)).length;
        for (const name of ['rejected', 'refused', 'tls-refused'])
          expect(
            told(new RegExp(`"name":"${name}".*(cluster|listener|endpoints|route configuration|secret) rejected`)),
            name,
          ).to.equal(2 - Number(name === 'tls-refused'));
        expect(told(/no answer within initial_fetch_timeout/)).to.equal(3);
      } finally {
        await pontoon?.stop('SIGKILL');
        await controlPlane.close();
      }
    });
});
