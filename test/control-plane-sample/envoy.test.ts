import { expect } from 'chai';
import {
  type ResourceObjects,
  type RunningControlPlane,
  startControlPlane,
} from '../../control-plane-sample/control-plane.js';
import type { RecordedEvent } from '../../control-plane-sample/events.js';
import { createLogging } from '../../src/log.js';
import { type RunningEnvoy, requireEnvoy, startEnvoy } from '../support/envoy.js';
import { waitFor } from './wait.js';

const types = ['cds', 'eds', 'lds', 'rds'] as const;
const ads = { ads: {}, resource_api_version: 'V3' };

const apiOf = (api_type: string) => ({
  api_type,
  transport_api_version: 'V3',
  grpc_services: [{ envoy_grpc: { cluster_name: 'xds' } }],
});

/** Envoy on one control plane; `source` says whether on one aggregated stream or on a stream per type. */
function bootstrap(xdsPort: number, apiType: string, source: object): string {
  return JSON.stringify({
    node: { id: 'real-envoy', cluster: 'tests' },
    dynamic_resources: {
      ...(source === ads && { ads_config: apiOf(apiType) }),
      cds_config: source,
      lds_config: source,
    },
    static_resources: {
      clusters: [
        {
          name: 'xds',
          type: 'STATIC',
          typed_extension_protocol_options: {
            'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
              '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
              explicit_http_config: { http2_protocol_options: {} },
            },
          },
          load_assignment: assignment('xds', xdsPort),
        },
      ],
    },
  });
}

const assignment = (cluster_name: string, port_value: number, address = '127.0.0.1') => ({
  cluster_name,
  endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address, port_value } } } }] }],
});

/** A bridge cluster, as the sample's own resources have it. */
const cluster = (name: string, source: object) => ({
  name,
  type: 'EDS',
  eds_cluster_config: { eds_config: source },
  upstream_config: {
    name: 'envoy.upstreams.http.tcp.golang',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.tcp.golang.v3alpha.Config',
      library_id: 'l',
      library_path: 'plugins/length-prefixed/index.ts',
      plugin_name: 'length_prefixed',
      plugin_config: {
        '@type': 'type.googleapis.com/xds.type.v3.TypedStruct',
        type_url: 'type.googleapis.com/any.Name',
        value: { deep: { list: [1, true, null, 'text'] } },
      },
    },
  },
});

const listener = (name: string, source: object) => ({
  name,
  address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
  filter_chains: [
    {
      filters: [
        {
          name: 'hcm',
          typed_config: {
            '@type':
              'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
            stat_prefix: name,
            rds: { route_config_name: 'main', config_source: source },
            http_filters: [
              {
                name: 'router',
                typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
              },
            ],
          },
        },
      ],
    },
  ],
});

const route = (body: string) => ({
  name: 'main',
  virtual_hosts: [
    {
      name: 'all',
      domains: ['*'],
      routes: [{ match: { prefix: '/' }, direct_response: { status: 200, body: { inline_string: body } } }],
    },
  ],
});

for (const [apiType, transport] of [
  ['GRPC', 'ads'],
  ['DELTA_GRPC', 'ads'],
  ['GRPC', 'separate'],
  ['DELTA_GRPC', 'separate'],
] as const) {
  describe(`control-plane-sample: a real Envoy, ${apiType}, ${transport}`, function () {
    this.timeout(60_000);
    let controlPlane: RunningControlPlane;
    let envoy: RunningEnvoy;
    const source = transport === 'ads' ? ads : { api_config_source: apiOf(apiType), resource_api_version: 'V3' };

    const resources = (changes: Partial<Record<keyof ResourceObjects, unknown[]>> = {}): ResourceObjects => ({
      clusters: [cluster('echo', source), cluster('other', source)],
      endpoints: [assignment('echo', 19_001), assignment('other', 19_003)],
      listeners: [listener('http', source)],
      routes: [route('one')],
      ...changes,
    });
    const node = () => controlPlane.nodes().find(({ id }) => id === 'real-envoy');
    const events = (kind: RecordedEvent['event']) => controlPlane.events.since(0).filter(({ event }) => event === kind);
    /** Until Envoy accepted what is served, of all types. */
    const settled = () =>
      waitFor('all ACKs', () =>
        types.every((type) => {
          const status = node()?.types[type];
          return status?.accepted !== undefined && status.unanswered === 0 && !status.rejected;
        }),
      ).catch((error: unknown) => {
        throw new Error(
          `${String(error)}\n${JSON.stringify(controlPlane.nodes(), undefined, 1)}\n${envoy.log().slice(-3_000)}`,
        );
      });
    const reply = async () => {
      const listeners = JSON.parse(await envoy.admin('/listeners?format=json')) as {
        listener_statuses: { name: string; local_address: { socket_address: { port_value: number } } }[];
      };
      const port = listeners.listener_statuses.find(({ name }) => name === 'http')?.local_address.socket_address
        .port_value;
      if (!port) return undefined;
      return (await fetch(`http://127.0.0.1:${port}/`)).text().catch(() => undefined);
    };

    before(async function () {
      const binary = await requireEnvoy(this);
      const log = createLogging('off').logger('test');
      controlPlane = await startControlPlane({ resources: resources(), port: 0, httpPort: 0, log });
      envoy = await startEnvoy({ binary, bootstrapYaml: bootstrap(controlPlane.xdsPort, apiType, source) });
    });
    after(async () => {
      await envoy?.stop();
      await controlPlane?.close();
    });

    it('accepts all types, then an update of each, a removal and an addition', async () => {
      await settled();
      expect(events('nack')).to.deep.equal([]);
      expect(await waitFor('the listener', reply)).to.equal('one');
      expect(node()).to.deep.include({ userAgent: 'envoy 1.40.0', connected: true });
      expect(node()?.streams.map(({ variant }) => variant)).to.include(apiType === 'GRPC' ? 'sotw' : 'delta');

      const changed = { ...cluster('echo', source), circuit_breakers: { thresholds: [{ max_connections: 64 }] } };
      const clusters = [changed, cluster('third', source)];
      controlPlane.setResources(
        resources({
          clusters,
          endpoints: [assignment('echo', 19_002), assignment('third', 19_004)],
          listeners: [listener('http', source), listener('second', source)],
          routes: [route('two')],
        }),
      );
      await waitFor('the new route', async () => (await reply()) === 'two');
      await waitFor('the removal', async () => !(await envoy.admin('/clusters')).includes('other::'));
      await settled();
      await waitFor('the cluster', async () => (await envoy.admin('/clusters')).includes('::max_connections::64'));
      await waitFor('the endpoints', async () => (await envoy.admin('/clusters')).includes('echo::127.0.0.1:19002::'));
      await waitFor('the listener', async () => (await envoy.admin('/listeners')).includes('second::'));
      expect(events('nack')).to.deep.equal([]);
    });

    it('rejects what it finds wrong: that is remembered, shown, and not sent again until it changes', async () => {
      controlPlane.setResources(resources());
      await settled();
      const accepted = node()?.types.cds?.accepted;

      // Well formed, so the control plane serves it; but a STATIC cluster needs an address.
      const bad = { name: 'bad', type: 'STATIC', load_assignment: assignment('bad', 80, 'not-an-address') };
      const withBad = {
        clusters: [...(resources().clusters ?? []), bad, cluster('valid', source)],
        endpoints: [...(resources().endpoints ?? []), assignment('valid', 19_005)],
      };
      controlPlane.setResources(resources(withBad));
      const nack = await waitFor('the NACK', () => node()?.types.cds?.rejected);
      expect(nack.error).to.match(/bad.*malformed IP address: not-an-address/s);
      expect(nack.resources).to.include('bad');
      expect(node()?.types.cds?.accepted).to.equal(accepted);
      await waitFor('the valid sibling', async () => (await envoy.admin('/clusters')).includes('valid::'));

      // No loop: a change of another type is answered, and until then nothing more came.
      const sentClusters = () => events('sent').filter((event) => 'type' in event && event.type === 'cds').length;
      const before = { nacks: events('nack').length, sent: sentClusters() };
      controlPlane.setResources(resources({ ...withBad, routes: [route('three')] }));
      await waitFor('the route', async () => (await reply()) === 'three');
      expect({ nacks: events('nack').length, sent: sentClusters() }).to.deep.equal(before);
      expect(events('nack')).to.have.length(1);

      controlPlane.setResources(resources());
      await settled();
      expect(events('nack')).to.have.length(1);
    });

    it('has little to say when everything is settled', async () => {
      await settled();
      const before = controlPlane.events.lastSeq;
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      expect(controlPlane.events.since(before)).to.deep.equal([]);
    });
  });
}
