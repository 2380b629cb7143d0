import { connect } from 'node:tls';
import { expect } from 'chai';
import { type Authority, type Certificate, createAuthority } from '../support/certificates.js';
import { GoControlPlane, type ReceivedRequest } from '../support/go-control-plane.js';
import { type Pontoon, startPontoon } from '../support/pontoon.js';
import { bridgeClusterResource, endpointsResource, listenerResource, routesResource } from '../support/resources.js';
import { startTcpServer, type TcpServer } from '../support/tcp-server.js';
import { downstreamTls, tlsCertificate, withTransportSocket } from '../support/tls-config.js';
import { until } from '../support/until.js';
import { bootstrapOf, modeNodeId, type Setup, setups, withSource } from '../support/xds-modes.js';

const library = 'test/fixtures/plugins/recorded.ts';

type Json = Record<string, unknown>;
type Resources = { readonly [kind in (typeof kinds)[number]['resources']]: readonly object[] };

/** Each kind: what is wrong with its bad version, and where /config_dump has it. */
const kinds = [
  {
    type: 'CDS',
    resources: 'clusters',
    typeUrl: 'type.googleapis.com/envoy.config.cluster.v3.Cluster',
    list: 'dynamic_active_clusters',
    name: 'bridge',
    bad: (good: object) => JSON.parse(JSON.stringify(good).replaceAll('"simple"', '"no-such-plugin"')) as object,
    said: 'no-such-plugin',
  },
  {
    type: 'EDS',
    resources: 'endpoints',
    typeUrl: 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment',
    list: 'dynamic_endpoint_configs',
    name: 'bridge',
    bad: () => ({ cluster_name: 'bridge', endpoints: [{ priority: 200, lb_endpoints: [] }] }),
    said: 'priority',
  },
  {
    type: 'LDS',
    resources: 'listeners',
    typeUrl: 'type.googleapis.com/envoy.config.listener.v3.Listener',
    list: 'dynamic_listeners',
    name: 'in',
    bad: (good: object) => ({ ...good, address: undefined }),
    said: 'address',
  },
  {
    type: 'RDS',
    resources: 'routes',
    typeUrl: 'type.googleapis.com/envoy.config.route.v3.RouteConfiguration',
    list: 'dynamic_route_configs',
    name: 'routes',
    bad: () => ({
      name: 'routes',
      virtual_hosts: [
        {
          name: 'all',
          domains: ['*'],
          routes: [{ match: { safe_regex: { regex: '(' } }, route: { cluster: 'bridge' } }],
        },
      ],
    }),
    said: 'regex',
  },
  {
    type: 'SDS',
    resources: 'secrets',
    typeUrl: 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret',
    list: 'dynamic_active_secrets',
    name: 'ours',
    bad: () => ({ name: 'ours', tls_certificate: tlsCertificate({ cert: 'none', key: 'none' }) }),
    said: 'tls_certificate',
  },
] as const;

const secretOf = (identity: Certificate) => ({ name: 'ours', tls_certificate: tlsCertificate(identity) });

/** A plain listener and one with TLS, which share their routes to one bridge. */
function goodResources(setup: Setup, port: number, identity: Certificate): Resources {
  const sds = { name: 'ours', sds_config: { ads: {}, resource_api_version: 'V3' } };
  const secure = withTransportSocket(
    listenerResource('secure', 'secure', 'routes'),
    downstreamTls({ tls_certificate_sds_secret_configs: [sds] }),
  );
  return {
    clusters: [withSource(setup, bridgeClusterResource({ name: 'bridge', library, plugin: 'simple', config: {} }))],
    endpoints: [endpointsResource('bridge', [port])],
    listeners: [listenerResource('in', 'in', 'routes'), secure].map((listener) => withSource(setup, listener)),
    routes: [routesResource('routes', { '/': 'bridge' })],
    secrets: [secretOf(identity)],
  };
}

/** A good version that is another than the first. */
function fixed(good: Resources, authority: Authority): Resources {
  const replaced = (resources: readonly object[], from: string, to: string) =>
    JSON.parse(JSON.stringify(resources).replaceAll(from, to)) as object[];
  return {
    clusters: replaced(good.clusters, '"name":"bridge"', '"name":"bridge","metadata":{"filter_metadata":{"fixed":{}}}'),
    endpoints: replaced(good.endpoints, '"lb_endpoints"', '"locality":{"region":"fixed"},"lb_endpoints"'),
    listeners: replaced(good.listeners, '"stat_prefix":"in"', '"stat_prefix":"fixed"'),
    routes: replaced(good.routes, '"name":"all"', '"name":"fixed"'),
    secrets: [secretOf(authority.issue(['fixed.test']))],
  };
}

for (const setup of setups)
  describe(`a NACK, a disconnect and a reconnect, with a real control plane: ${setup.title}`, function () {
    this.timeout(60_000);
    let server: TcpServer;
    let authority: Authority;
    let controlPlane: GoControlPlane;
    let pontoon: Pontoon;
    let good: Resources;
    let version = 0;
    before(async function () {
      GoControlPlane.require(this);
      authority = createAuthority();
      server = await startTcpServer({ onData: ({ socket }, data) => socket.write(`served ${data}`) });
      controlPlane = await GoControlPlane.start(setup.args);
      good = goodResources(setup, server.port, authority.issue(['first.test']));
      await put({});
      pontoon = await startPontoon({ bootstrap: bootstrapOf(setup, controlPlane.address) });
      await serves();
    });
    after(async () => {
      await pontoon?.stop();
      await controlPlane?.close();
      await server?.close();
    });

    /** Returns the number of the last request before. */
    async function put(other: Partial<Resources>): Promise<number> {
      const last = (await controlPlane.acks()).at(-1)?.seq ?? 0;
      await controlPlane.putSnapshot({
        version: `v${++version}`,
        nodeId: modeNodeId,
        resources: { ...good, ...other },
      });
      return last;
    }
    async function serves(): Promise<void> {
      await pontoon.listener('in');
      await until('a request that is served', async () => {
        const listener = await pontoon.listener('in');
        const response = await fetch(`${listener}/x`).catch(() => undefined);
        return (await response?.text()) === 'served /x\n' ? true : undefined;
      });
      await until('the certificate', async () => ((await certificate()) === '' ? undefined : true));
    }
    /** Whom the TLS listener says to be, '' when it does not answer. */
    async function certificate(): Promise<string> {
      const port = Number(new URL(await pontoon.listener('secure')).port);
      return await new Promise((resolve) => {
        const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false }, () => {
          resolve(socket.getPeerCertificate().subjectaltname ?? '');
          socket.destroy();
        });
        socket.on('error', () => resolve(''));
      });
    }
    const connected = () =>
      pontoon.stat(
        setup.aggregated ? 'control_plane.connected_state' : 'cluster_manager.cds.control_plane.connected_state',
      );
    async function entry(kind: (typeof kinds)[number]): Promise<Json> {
      const dump = JSON.parse(await pontoon.get('/config_dump?include_eds')) as { configs: Json[] };
      const entries = dump.configs.flatMap((config) => (config[kind.list] ?? []) as Json[]);
      const named = (one: Json) => {
        const inner = (one.cluster ?? one.endpoint_config ?? one.route_config ?? one) as Json;
        return (inner.cluster_name ?? inner.name) === kind.name;
      };
      return entries.find(named) ?? {};
    }
    const received = (typeUrl: string, condition: (request: ReceivedRequest) => boolean, since: number) =>
      controlPlane.waitForRequest((one) => one.type_url === typeUrl && condition(one), since);

    for (const kind of kinds)
      it(kind.type, async () => {
        const { typeUrl } = kind;
        const [first, ...others] = good[kind.resources] as readonly [object, ...object[]];
        let seq = await put({ [kind.resources]: [kind.bad(first), ...others] });
        const nack = await received(typeUrl, ({ ack }) => ack === 'nack', seq);
        expect(nack.error_detail).to.contain(kind.said);
        expect(nack.error_code).to.equal(13);
        const rejected = await until('the rejection', async () => {
          const found = await entry(kind);
          return found.client_status === 'NACKED' ? found : undefined;
        });
        const state = rejected.error_state as { details: string; last_update_attempt: string; version_info?: string };
        expect(state.details).to.contain(kind.said);
        expect(Date.now() - Date.parse(state.last_update_attempt)).to.be.within(0, 30_000);
        await serves();

        await controlPlane.stopGrpc();
        await until('the loss', async () => ((await connected()) === 0 ? true : undefined));
        await serves();
        expect((await entry(kind)).client_status).to.equal('NACKED');
        seq = (await controlPlane.acks()).at(-1)?.seq ?? 0;
        await controlPlane.startGrpc();
        // All types are asked for again, whichever was refused.
        for (const each of kinds) {
          const asked = await received(each.typeUrl, () => true, seq);
          expect([asked.nonce ?? '', asked.error_detail ?? ''], each.type).to.deep.equal(['', '']);
          if (setup.variant === 'GRPC') expect(asked.version_info, each.type).to.be.a('string').that.is.not.equal('');
          else expect(Object.keys(asked.initial_resource_versions ?? {}), each.type).to.include(each.name);
        }
        await serves();

        good = { ...good, [kind.resources]: fixed(good, authority)[kind.resources] };
        seq = await put({});
        await received(typeUrl, ({ ack }) => ack === 'ack', seq);
        await until('the good version', async () => {
          const found = await entry(kind);
          return found.client_status === 'ACKED' && found.error_state === undefined ? true : undefined;
        });
        const nacks = (await controlPlane.acks(seq)).filter((one) => one.type_url !== typeUrl && one.ack === 'nack');
        expect(nacks).to.deep.equal([]);
        await serves();
        if (kind.type === 'SDS') expect(await certificate()).to.equal('DNS:fixed.test');
        else expect(JSON.stringify(await entry(kind))).to.contain('fixed');
        // Told once, however often the server repeats itself and however many streams there are.
        const told = pontoon
          .log()
          .split('\n')
          .filter(
            (line) => line.includes('rejected, what ran before goes on') && line.includes(`"name":"${kind.name}"`),
          );
        expect(told.filter((line) => line.includes(kind.said)).length, told.join('\n')).to.equal(1);
      });
  });
