import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { createAuthority } from '../support/certificates.js';
import { GoControlPlane } from '../support/go-control-plane.js';
import { type Pontoon, startPontoon } from '../support/pontoon.js';
import { bridgeClusterResource, endpointsResource, listenerResource, routesResource } from '../support/resources.js';
import { startTcpServer, type TcpServer } from '../support/tcp-server.js';
import { until } from '../support/until.js';
import { bootstrapOf, modeNodeId, type Setup, setups, withSource } from '../support/xds-modes.js';

const library = 'test/fixtures/plugins/recorded.ts';
const nodeId = modeNodeId;

describe('control planes of go-control-plane', () => {
  let server: TcpServer;
  before(async function () {
    GoControlPlane.require(this);
    server = await startTcpServer({ onData: ({ socket }, data) => socket.write(`served ${data}`) });
  });
  after(() => server?.close());

  const resources = (setup: Setup) => {
    const cluster = bridgeClusterResource({ name: 'bridge', library, plugin: 'simple', config: {} });
    return {
      clusters: [withSource(setup, cluster)],
      endpoints: [endpointsResource('bridge', [server.port])],
      listeners: [withSource(setup, listenerResource('in', 'in', 'routes'))],
      routes: [routesResource('routes', { '/': 'bridge' })],
    };
  };

  async function serves(pontoon: Pontoon): Promise<void> {
    const listener = await pontoon.listener('in');
    await until('a request that is served', async () => {
      const response = await fetch(`${listener}/x`);
      return (await response.text()) === 'served /x\n' ? true : undefined;
    });
  }

  for (const setup of setups)
    it(`bring all types, changes and removals: ${setup.title}`, async function () {
      this.timeout(30_000);
      const controlPlane = await GoControlPlane.start(setup.args);
      let pontoon: Pontoon | undefined;
      try {
        await controlPlane.putSnapshot({ version: '1', nodeId, resources: resources(setup) });
        pontoon = await startPontoon({ bootstrap: bootstrapOf(setup, controlPlane.address) });
        await serves(pontoon);
        const live = pontoon;
        const second = bridgeClusterResource({ name: 'second', library, plugin: 'simple', ports: [server.port] });
        const all = resources(setup);
        const seq = await controlPlane.putSnapshot({
          version: '2',
          nodeId,
          resources: { ...all, clusters: [...all.clusters, second] },
        });
        await until('the second cluster', async () =>
          (await live.get('/clusters')).includes('second::') ? true : undefined,
        );
        await serves(pontoon);
        await controlPlane.putSnapshot({ version: '3', nodeId, resources: all });
        await until('its removal', async () => ((await live.get('/clusters')).includes('second::') ? undefined : true));
        await serves(pontoon);
        expect((await controlPlane.acks(seq)).filter(({ ack }) => ack === 'nack')).to.deep.equal([]);
        // The control plane goes away and comes back: nothing that it brought is touched.
        await controlPlane.stopGrpc();
        await serves(pontoon);
        await controlPlane.startGrpc();
        await controlPlane.putSnapshot({
          version: '4',
          nodeId,
          resources: { ...all, clusters: [...all.clusters, second] },
        });
        await until('the second cluster again', async () =>
          (await live.get('/clusters')).includes('second::') ? true : undefined,
        );
      } finally {
        await pontoon?.stop();
        await controlPlane.close();
      }
    });

  it('tell /config_dump, /init_dump and statistics what every resource waits for, has, or was refused for', async function () {
    this.timeout(30_000);
    const setup = setups[3] as Setup;
    const controlPlane = await GoControlPlane.start(setup.args);
    let pontoon: Pontoon | undefined;
    try {
      const listener = JSON.stringify(withSource(setup, listenerResource('in', 'in', 'nowhere')));
      const cluster = JSON.stringify(
        withSource(setup, bridgeClusterResource({ name: 'lost', library, plugin: 'simple', config: {} })),
      );
      const timed = (text: string, seconds: number) =>
        JSON.parse(
          text.replaceAll('"resource_api_version"', `"initial_fetch_timeout":"${seconds}s","resource_api_version"`),
        ) as object;
      const bad = bridgeClusterResource({ name: 'bad', library, plugin: 'no-such-plugin', ports: [1] });
      await controlPlane.putSnapshot({
        version: '1',
        nodeId,
        resources: { clusters: [timed(cluster, 2), bad], listeners: [timed(listener, 3)] },
      });
      pontoon = await startPontoon({ bootstrap: bootstrapOf(setup, controlPlane.address) });
      const live = pontoon;
      const status = async (name: string) => {
        const { configs } = JSON.parse(await live.get('/config_dump?include_eds')) as {
          configs: Record<string, unknown>[];
        };
        const entries = configs.flatMap((config) => Object.values(config).filter(Array.isArray).flat()) as {
          client_status?: string;
          error_state?: { details: string };
        }[];
        return entries
          .filter((entry) => JSON.stringify({ ...entry, error_state: undefined }).includes(`"${name}"`))
          .map((entry) => `${entry.client_status} ${entry.error_state?.details ?? ''}`.trim());
      };
      await until('endpoints that are asked for', async () =>
        (await status('lost')).filter((one) => one === 'REQUESTED').length === 2 ? true : undefined,
      );
      expect(await live.get('/init_dump')).to.contain('endpoints (EDS lost)');
      expect((await status('bad')).join()).to.match(/^NACKED .*no-such-plugin/);
      await until('endpoints that did not come', async () =>
        (await status('lost')).includes('TIMEOUT') ? true : undefined,
      );
      await until('routes that are asked for', async () =>
        (await status('nowhere')).includes('REQUESTED') ? true : undefined,
      );
      await until('routes that did not come', async () =>
        (await status('nowhere')).includes('TIMEOUT') ? true : undefined,
      );
      expect(await live.stat('cluster_manager.cds.update_rejected')).to.be.greaterThan(0);
      expect(await live.stat('cluster.lost.init_fetch_timeout')).to.equal(1);
      expect(await live.stat('http.in.rds.nowhere.init_fetch_timeout')).to.equal(1);
      expect(await live.stat('cluster_manager.cds.control_plane.connected_state')).to.equal(1);
      expect(await live.stat('listener_manager.lds.control_plane.connected_state')).to.equal(1);
      // The server repeats what was refused as often as it is told so; the log says it once.
      await sleep(500);
      expect(live.log().split('no-such-plugin').length - 1).to.be.at.most(3);
    } finally {
      await pontoon?.stop();
      await controlPlane.close();
    }
  });

  // Its Delta server sends no ttl at all.
  it('end resources whose ttl nobody renews, also while they are away', async function () {
    const setup = setups[0] as Setup;
    this.timeout(30_000);
    const controlPlane = await GoControlPlane.start([...setup.args, '-heartbeat', '200ms']);
    let pontoon: Pontoon | undefined;
    try {
      const all = resources(setup);
      const passing = bridgeClusterResource({ name: 'passing', library, plugin: 'simple', ports: [server.port] });
      const ttls = { 'clusters/passing': '1.5s' };
      const snapshot = { version: '1', nodeId, resources: { ...all, clusters: [...all.clusters, passing] }, ttls };
      await controlPlane.putSnapshot(snapshot);
      pontoon = await startPontoon({ bootstrap: bootstrapOf(setup, controlPlane.address) });
      await serves(pontoon);
      const live = pontoon;
      const has = async () => (await live.get('/clusters')).includes('passing::');
      await sleep(2_500);
      expect(await has()).to.equal(true);
      await controlPlane.stopGrpc();
      await until('the end of the cluster', async () => ((await has()) ? undefined : true));
      await serves(pontoon);
      await until('the log', () => live.log().includes('a resource has expired') || undefined);
    } finally {
      await pontoon?.stop();
      await controlPlane.close();
    }
  });

  it('may be files, each type one', async function () {
    this.timeout(30_000);
    const folder = mkdtempSync(join(tmpdir(), 'pontoon-xds-files-'));
    const path = (name: string) => join(folder, `${name}.json`);
    const source = (name: string) => ({ path_config_source: { path: path(name) } });
    const write = (name: string, type: string, list: readonly object[]) => {
      const withType = list.map((resource) => ({ '@type': `type.googleapis.com/envoy.config.${type}`, ...resource }));
      const text = JSON.stringify({ resources: withType })
        .replaceAll(
          `"rds":{"route_config_name":"routes","config_source":{"ads":{},"resource_api_version":"V3"}}`,
          `"rds":${JSON.stringify({ route_config_name: 'routes', config_source: source('rds') })}`,
        )
        .replaceAll('{"ads":{},"resource_api_version":"V3"}', JSON.stringify(source('eds')));
      writeFileSync(`${path(name)}.tmp`, text);
      renameSync(`${path(name)}.tmp`, path(name));
    };
    const bridge = (name: string) => bridgeClusterResource({ name, library, plugin: 'simple', config: {} });
    write('eds', 'endpoint.v3.ClusterLoadAssignment', [endpointsResource('bridge', [server.port])]);
    write('rds', 'route.v3.RouteConfiguration', [routesResource('routes', { '/': 'bridge' })]);
    write('cds', 'cluster.v3.Cluster', [bridge('bridge')]);
    write('lds', 'listener.v3.Listener', [listenerResource('in', 'in', 'routes')]);
    // No control plane, and so no node.
    const pontoon = await startPontoon({
      bootstrap: `
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}
dynamic_resources:
  cds_config: ${JSON.stringify(source('cds'))}
  lds_config: ${JSON.stringify(source('lds'))}
`,
    });
    try {
      await serves(pontoon);
      expect((await pontoon.get('/ready')).trim()).to.equal('LIVE');
      // A second cluster has its endpoints and routes by the time that all four files are there.
      write('eds', 'endpoint.v3.ClusterLoadAssignment', [
        endpointsResource('bridge', [server.port]),
        endpointsResource('two', [server.port]),
      ]);
      write('cds', 'cluster.v3.Cluster', [bridge('bridge'), bridge('two')]);
      write('rds', 'route.v3.RouteConfiguration', [routesResource('routes', { '/two': 'two', '/': 'bridge' })]);
      await until('the second cluster', async () =>
        (await pontoon.get('/clusters')).includes('two::127') ? true : undefined,
      );
      const listener = await pontoon.listener('in');
      await until('its route', async () =>
        (await pontoon.stat('cluster.two.upstream_rq_total')) > 0 || (await fetch(`${listener}/two`)).status !== 200
          ? undefined
          : true,
      );
      // A bad file changes nothing.
      writeFileSync(`${path('cds')}.tmp`, '{');
      renameSync(`${path('cds')}.tmp`, path('cds'));
      await until('the complaint', () => (pontoon.log().includes('cannot be used') ? true : undefined));
      await serves(pontoon);
      write('lds', 'listener.v3.Listener', []);
      await until('the end of the listener', async () =>
        (await pontoon.get('/listeners')).includes('in::') ? undefined : true,
      );
    } finally {
      await pontoon.stop();
      rmSync(folder, { recursive: true });
    }
  });

  it('speak mutual TLS with certificates that are rotated', async function () {
    this.timeout(30_000);
    const folder = mkdtempSync(join(tmpdir(), 'pontoon-mtls-'));
    const [servers, clients] = [createAuthority('servers'), createAuthority('clients')];
    const write = (name: string, text: string) => {
      writeFileSync(join(folder, name), text);
      return join(folder, name);
    };
    const own = servers.issue(['xds.example.com']);
    const writeClient = () => {
      const { cert, key } = clients.issue(['client']);
      return [write('client.pem', cert), write('client.key', key)] as const;
    };
    const [cert, key] = writeClient();
    const setup = setups[1] as Setup;
    const controlPlane = await GoControlPlane.start([
      '-cert',
      write('server.pem', own.cert),
      '-key',
      write('server.key', own.key),
      '-ca',
      write('clients.pem', clients.cert),
    ]);
    let pontoon: Pontoon | undefined;
    try {
      await controlPlane.putSnapshot({ version: '1', nodeId, resources: resources(setup) });
      const tls = `transport_socket: {name: tls, typed_config: {"@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext, sni: xds.example.com, common_tls_context: {tls_certificates: [{certificate_chain: {filename: ${cert}}, private_key: {filename: ${key}}}], validation_context: {trusted_ca: {filename: ${write('servers.pem', servers.cert)}}, match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: xds.example.com}}]}}}}`;
      pontoon = await startPontoon({ bootstrap: bootstrapOf(setup, controlPlane.address, tls) });
      await serves(pontoon);
      writeClient();
      await controlPlane.stopGrpc();
      await controlPlane.startGrpc();
      const live = pontoon;
      await until('the new stream', async () =>
        (await live.stat('control_plane.connected_state')) === 1 ? true : undefined,
      );
      await serves(pontoon);
    } finally {
      await pontoon?.stop();
      await controlPlane.close();
      rmSync(folder, { recursive: true });
    }
  });
});
