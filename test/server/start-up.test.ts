import { readdirSync, readFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { startControlPlane } from '../../control-plane-sample/control-plane.js';
import { createLogging } from '../../src/log.js';
import { parseJson } from '../../src/protobuf/json.js';
import { loadSchema } from '../../src/protobuf/schema.js';
import { adsBootstrap } from '../support/ads-bootstrap.js';
import { type Pontoon, projectRoot, startPontoon } from '../support/pontoon.js';
import { bridgeClusterResource, endpointsResource, listenerResource, routesResource } from '../support/resources.js';
import { type ScriptedStream, ScriptedXdsServer } from '../support/scripted-xds-server.js';
import { until } from '../support/until.js';

const log = createLogging('off').logger('test');
const library = 'plugins/length-prefixed/index.ts';
const cluster = bridgeClusterResource({ name: 'echo', library, plugin: 'length_prefixed' });
const state = async (pontoon: Pontoon): Promise<string> => (await pontoon.get('/ready')).trim();
const live = (pontoon: Pontoon): Promise<unknown> =>
  until('LIVE', async () => ((await state(pontoon)) === 'LIVE' ? true : undefined), 10_000);
const onPort = (listener: object, port: number): object => ({
  ...listener,
  address: { socket_address: { address: '127.0.0.1', port_value: port } },
});
const inline = (listener: object, routes: object): object =>
  JSON.parse(JSON.stringify(listener), (key, value) => (key === 'filters' ? inlined(value, routes) : value));
function inlined([filter]: { typed_config: object }[], routes: object): object[] {
  return [{ ...filter, typed_config: { ...filter?.typed_config, rds: undefined, route_config: routes } }];
}

describe('starting up', function () {
  this.timeout(30_000);
  const cleanups: (() => unknown)[] = [];
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });

  async function start(bootstrap: string, ...args: string[]): Promise<Pontoon> {
    const pontoon = await startPontoon({ bootstrap, args: ['-l', 'error', '--drain-time-s', '1', ...args] });
    cleanups.push(() => pontoon.stop('SIGKILL'));
    return pontoon;
  }

  it('ends without a control plane, after initial_fetch_timeout of CDS and then of LDS', async () => {
    const bootstrap = adsBootstrap({ variant: 'SOTW', address: '127.0.0.1:1', nodeId: 'n' }).replaceAll(
      'ads: {}',
      'ads: {}, initial_fetch_timeout: 1s',
    );
    const pontoon = await start(bootstrap);
    expect(await state(pontoon)).to.equal('INITIALIZING');
    await live(pontoon);
    expect(await pontoon.stat('cluster_manager.cds.init_fetch_timeout')).to.equal(1);
    expect(await pontoon.stat('listener_manager.lds.init_fetch_timeout')).to.equal(1);
  });

  for (const variant of ['SOTW', 'DELTA'] as const) {
    it(`ends where the first endpoints are rejected, ${variant}`, async () => {
      const bad = { ...endpointsResource('echo', [1]), endpoints: [{ priority: 129 }] };
      const controlPlane = await startControlPlane({
        resources: { clusters: [cluster], endpoints: [bad], listeners: [], routes: [] },
        port: 0,
        httpPort: 0,
        log,
      });
      cleanups.push(controlPlane.close);
      const address = `127.0.0.1:${controlPlane.xdsPort}`;
      const pontoon = await start(adsBootstrap({ variant, address, nodeId: 'n' }));
      await live(pontoon);
      expect(await pontoon.stat('cluster.echo.update_rejected')).to.be.at.least(1);
      expect(await pontoon.stat('cluster.echo.update_success')).to.equal(0);
      expect(await pontoon.get('/config_dump?include_eds')).to.match(
        /"cluster_name": "echo"[\s\S]*"client_status": "NACKED"/,
      );
      controlPlane.setResources({ clusters: [cluster], endpoints: [endpointsResource('echo', [1])] });
      await until('the endpoints', async () => (await pontoon.stat('cluster.echo.membership_total')) || undefined);
      expect(await pontoon.stat('cluster.echo.update_success')).to.equal(1);
    });

    it(`waits for the routes of the first listeners, ${variant}`, async () => {
      const server = await ScriptedXdsServer.start();
      cleanups.push(() => server.stop());
      const pontoon = await start(adsBootstrap({ variant, address: server.address, nodeId: 'n' }));
      const stream = await server.nextStream();
      await stream.next();
      send(stream, 'cluster.v3.Cluster', []);
      await stream.next();
      expect((await stream.next()).type_url).to.match(/Listener$/);
      send(stream, 'listener.v3.Listener', [listenerResource('http', 'ingress', 'late')]);
      while ((await stream.next()).type_url !== `${types}route.v3.RouteConfiguration`);
      expect(await state(pontoon)).to.equal('INITIALIZING');
      expect(await pontoon.get('/init_dump')).to.contain('listener http: its routes');
      send(stream, 'route.v3.RouteConfiguration', [routesResource('late', { '/': 'echo' })]);
      await live(pontoon);
      expect(await pontoon.get('/listeners')).to.match(/^http::127\.0\.0\.1:\d+\n$/);
    });

    it(`rejects a listener whose address is taken, serves its sibling, and takes it when the address is free, ${variant}`, async () => {
      const taken = createServer();
      await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
      cleanups.push(() => taken.close());
      const { port } = taken.address() as AddressInfo;
      const routes = routesResource('inline', { '/': 'echo' });
      const listeners = [
        inline(listenerResource('good', 'good', ''), routes),
        onPort(inline(listenerResource('blocked', 'blocked', ''), routes), port),
      ];
      const clusters = [bridgeClusterResource({ name: 'echo', ports: [1], library, plugin: 'length_prefixed' })];
      const controlPlane = await startControlPlane({ resources: { clusters, listeners }, port: 0, httpPort: 0, log });
      cleanups.push(controlPlane.close);
      const address = `127.0.0.1:${controlPlane.xdsPort}`;
      const pontoon = await start(adsBootstrap({ variant, address, nodeId: 'n' }));
      await live(pontoon);
      await pontoon.listener('good');
      const nack = new RegExp(`1 of 2 resources rejected: blocked: .*127\\.0\\.0\\.1:${port}.*EADDRINUSE`);
      await until('the NACK', () => (nack.test(JSON.stringify(controlPlane.nodes())) ? true : undefined));
      const dump = JSON.parse(await pontoon.get('/config_dump?resource=dynamic_listeners'));
      const blocked = dump.configs.find(({ name }: { name: string }) => name === 'blocked');
      expect(blocked.client_status).to.equal('NACKED');
      expect(blocked.error_state.details).to.contain('EADDRINUSE');
      expect(blocked.active_state).to.equal(undefined);
      const all = JSON.parse(await pontoon.get('/config_dump')).configs;
      const lds = all.find((each: Record<string, unknown>) => String(each['@type']).endsWith('ListenersConfigDump'));
      expect(lds.version_info).to.equal(undefined);
      taken.close();
      expect(await pontoon.listener('blocked')).to.equal(`http://127.0.0.1:${port}`);
    });
  }

  // What meshes send is mostly not for us: parked, never a reason to stay unready.
  const captures = join(projectRoot, 'test/fixtures/captures');
  for (const mesh of ['istio/sidecar-delta', 'kuma/web-delta', 'gcp/seq-delta']) {
    it(`ends with what ${mesh} sent`, async () => {
      const server = await ScriptedXdsServer.start();
      cleanups.push(() => server.stop());
      const pontoon = await start(adsBootstrap({ variant: 'DELTA', address: server.address, nodeId: 'n' }));
      void replay(await server.nextStream(), join(captures, mesh));
      await until('LIVE', async () => ((await state(pontoon)) === 'LIVE' ? true : undefined), 25_000).catch(
        async (error: Error) => {
          throw new Error(`${error.message}: ${await pontoon.get('/init_dump')}`);
        },
      );
      // Go libraries that are not on this machine, and one that is meant to be bad.
      for (const line of pontoon
        .log()
        .split('\n')
        .filter((each) => each.includes('rejected'))) {
        expect(line).to.match(/library_path: \S+\.so does not exist|"name":"bad"/);
      }
      expect(await pontoon.stat('listener_manager.lds.update_rejected'), 'LDS').to.equal(0);
    });
  }
});

const schema = loadSchema();
const types = 'type.googleapis.com/envoy.config.';

/** One whole response of version and nonce 1, in either variant. */
function send(stream: ScriptedStream, type: string, resources: readonly object[]): void {
  const typeUrl = types + type;
  const anys = resources.map((resource) => {
    const parsed = parseJson(schema, `envoy.config.${type}`, resource);
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
    return { type_url: typeUrl, value: parsed.bytes };
  });
  stream.send(
    stream.variant === 'SOTW'
      ? { version_info: '1', type_url: typeUrl, nonce: '1', resources: anys }
      : {
          system_version_info: '1',
          type_url: typeUrl,
          nonce: '1',
          resources: anys.map((resource, index) => ({
            name: (resources[index] as { name: string }).name,
            version: '1',
            resource,
          })),
        },
  );
}

/** Sends the recorded responses of each type one after the other: the first when it is asked for, each next one after an answer. */
async function replay(stream: ScriptedStream, folder: string): Promise<void> {
  const waiting = new Map<string, object[]>();
  for (const file of readdirSync(folder)
    .filter((name) => name.endsWith('.pb'))
    .sort()) {
    const bytes = readFileSync(join(folder, file));
    const response = schema.decode<{ type_url: string }>('envoy.service.discovery.v3.DeltaDiscoveryResponse', bytes);
    waiting.set(response.type_url, [...(waiting.get(response.type_url) ?? []), response]);
  }
  for (;;) {
    const request = await stream.next().catch(() => undefined);
    if (request === undefined) return;
    const next = waiting.get(request.type_url)?.shift();
    if (next) stream.send(next);
  }
}
