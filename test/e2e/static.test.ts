import { mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { type RunningControlPlane, startControlPlane } from '../../control-plane-sample/control-plane.js';
import { startFramedServer } from '../../control-plane-sample/framed-server.js';
import { createLogging } from '../../src/log.js';
import { adsBootstrap } from '../support/ads-bootstrap.js';
import { bridgeCluster, httpListener, type Pontoon, startPontoon } from '../support/pontoon.js';
import { bridgeClusterResource, listenerResource, routesResource } from '../support/resources.js';
import { bridgeBootstrap, lengthPrefixed, routesTo } from '../support/static-bootstrap.js';
import { startTcpServer } from '../support/tcp-server.js';
import { until } from '../support/until.js';

const quiet = createLogging('off').logger('control-plane');

/** A library whose plugin `plugin` answers each request itself, after `before` ran in its encodeHeaders. */
function answering(text: string, before = '', top = ''): string {
  return `
    ${top}
    export const bridges = {
      plugin: {
        createBridge: (_config, callbacks) => ({
          encodeHeaders() {
            ${before}
            callbacks.sendLocalReply(200, ${JSON.stringify(text)});
          },
        }),
      },
    };`;
}

/** How many descriptors it has to wait for others with. */
function pollers({ child }: Pontoon): number {
  const folder = `/proc/${child.pid}/fd`;
  return readdirSync(folder).filter((fd) => readlinkSync(join(folder, fd)) === 'anon_inode:[eventpoll]').length;
}

/** `uncaught`: two of each of two exchanges, and one for each process that loads the library. */
const modes = [
  { name: 'in one process', flags: [], uncaught: 5 },
  { name: 'with one worker', flags: ['--isolate'], uncaught: 5 },
  { name: 'with two workers', flags: ['--concurrency', '2'], uncaught: 6 },
];

for (const { name, flags, uncaught } of modes) {
  describe(`a running pontoon, ${name}`, function () {
    this.timeout(60_000);
    let folder: string;
    let library: string;
    const closers: (() => Promise<unknown>)[] = [];

    const start = async (bootstrap: string, ...args: string[]): Promise<Pontoon> => {
      const pontoon = await startPontoon({ bootstrap, args: ['--plugin-root', folder, ...flags, ...args] });
      closers.push(() => pontoon.stop('SIGKILL'));
      return pontoon;
    };
    const post = async (pontoon: Pontoon, path: string) =>
      (await fetch(pontoon.admin + path, { method: 'POST' })).text();
    const text = async (url: string, init?: RequestInit): Promise<string> => {
      const response = await fetch(url, init);
      return `${response.status} ${await response.text()}`;
    };
    const ready = (pontoon: Pontoon) => text(`${pontoon.admin}/ready`);
    const whenLive = (pontoon: Pontoon) =>
      until('LIVE', async () => ((await ready(pontoon)) === '200 LIVE\n' ? true : undefined), 20_000);
    const startServer = async (): Promise<number> => {
      const server = await startFramedServer('server', 0);
      closers.push(() => server.close());
      return server.port;
    };
    const controlPlane = async (options: Parameters<typeof startControlPlane>[0]): Promise<RunningControlPlane> => {
      const started = await startControlPlane(options);
      closers.push(() => started.close());
      return started;
    };

    beforeEach(() => {
      folder = mkdtempSync(join(tmpdir(), 'pontoon-static-'));
      library = join(folder, 'library.mjs');
    });
    afterEach(async () => {
      for (const close of closers.splice(0).reverse()) await close();
      rmSync(folder, { recursive: true, force: true });
    });

    it('serves a bridge of its bootstrap', async () => {
      const pontoon = await start(bridgeBootstrap(await startServer()));
      const url = await pontoon.listener('http');
      expect(await text(url, { method: 'POST', body: 'hello' })).to.equal('200 server: hello\n');
      expect(await ready(pontoon)).to.equal('200 LIVE\n');
      expect(await pontoon.stat('http.ingress.downstream_rq_2xx')).to.equal(1);
      expect(await pontoon.stat('cluster.bridge.upstream_rq_2xx')).to.equal(1);
    });

    // What tells the codecs apart: docs/downstream.md.
    for (const { codec, versionStatus } of [
      { codec: 'own', versionStatus: 426 },
      { codec: 'node', versionStatus: 400 },
    ]) {
      it(`reads requests with the parser of --http1-codec ${codec}`, async () => {
        const pontoon = await start(bridgeBootstrap(await startServer()), '--http1-codec', codec);
        const url = await pontoon.listener('http');
        expect(await text(url, { method: 'POST', body: 'hello' })).to.equal('200 server: hello\n');
        expect(await text(url, { method: 'POST', body: 'x'.repeat(100_000) })).to.have.length.greaterThan(100_000);
        const socket = connect(Number(new URL(url).port), '127.0.0.1');
        closers.push(async () => socket.destroy());
        socket.write('GET / HTTP/1.2\r\nHost: a\r\n\r\n');
        let received = '';
        for await (const data of socket) received += data;
        expect(received).to.match(new RegExp(`^HTTP/1\\.1 ${versionStatus} `));
      });
    }

    it('serves alike whatever reads and writes its sockets', async () => {
      const server = await startServer();
      const waiting: number[] = [];
      for (const sockets of ['checked', 'node']) {
        const pontoon = await start(bridgeBootstrap(server), '--sockets', sockets);
        const url = await pontoon.listener('http');
        expect(await text(url, { method: 'POST', body: 'hello' })).to.equal('200 server: hello\n');
        expect(await text(url, { method: 'POST', body: 'x'.repeat(1_000_000) })).to.have.length.greaterThan(1_000_000);
        expect(pontoon.log()).not.to.include('Node reads and writes connections');
        waiting.push(pollers(pontoon));
      }
      // The native part waits for its sockets by a descriptor of its own.
      if (flags.length === 0) expect(waiting[0]).to.equal((waiting[1] ?? 0) + 1);
    });

    it('is LIVE only when all static clusters are known', async () => {
      const clusters = ['one', 'two', 'three'].map((name) => bridgeCluster({ name, ports: [1], ...lengthPrefixed }));
      const pontoon = await start(
        bridgeBootstrap(1).replace('  listeners:', `${clusters.map((each) => `  - ${each}`).join('\n')}\n  listeners:`),
      );
      expect(await ready(pontoon)).to.equal('200 LIVE\n');
      expect(await pontoon.stat('cluster_manager.active_clusters')).to.equal(4);
    });

    it('survives what its plugins throw where nobody catches it, and counts it', async () => {
      const later =
        "setTimeout(() => { throw new Error('thrown late'); }, 0); Promise.reject(new Error('rejected late'));";
      writeFileSync(library, answering('served', later, "Promise.reject(new Error('rejected while loading'));"));
      const pontoon = await start(bridgeBootstrap(await startServer(), { library, plugin: 'plugin' }));
      const url = await pontoon.listener('http');
      expect(await text(url)).to.equal('200 served');
      expect(await text(url)).to.equal('200 served');
      await until('the errors', async () =>
        (await pontoon.stat('server.uncaught_errors')) === uncaught ? true : undefined,
      );
      for (const told of ['thrown late', 'rejected late', 'rejected while loading'])
        await until('the log', () => pontoon.log().includes(told) || undefined);
      expect(await ready(pontoon)).to.equal('200 LIVE\n');
      expect(await pontoon.stop()).to.equal(0);
    });

    it('serves its static resources without a control plane, becomes LIVE, and takes up what comes later', async () => {
      const port = await startServer();
      const absent = await startTcpServer();
      await absent.close();
      const ads = adsBootstrap({ variant: 'DELTA', address: absent.address, nodeId: 'test' });
      const bootstrap = ads
        .replaceAll('resource_api_version: V3}', 'resource_api_version: V3, initial_fetch_timeout: 0.5s}')
        .concat(`    - ${bridgeCluster({ name: 'bridge', ports: [port], ...lengthPrefixed })}\n`)
        .concat(`  listeners:\n    - ${httpListener('http', 'ingress', routesTo('bridge'))}\n`);
      const pontoon = await start(bootstrap);
      const url = await pontoon.listener('http');
      expect(await text(url, { method: 'POST', body: 'hello' })).to.equal('200 server: hello\n');
      await whenLive(pontoon);
      expect(await pontoon.stat('control_plane.connected_state')).to.equal(0);
      expect(await pontoon.stat('cluster_manager.cds.init_fetch_timeout')).to.equal(1);
      expect(await pontoon.stat('listener_manager.lds.init_fetch_timeout')).to.equal(1);

      await controlPlane({
        resources: {
          clusters: [bridgeClusterResource({ name: 'dynamic', ports: [port], ...lengthPrefixed })],
          listeners: [listenerResource('later', 'later', 'routes')],
          routes: [routesResource('routes', { '/': 'dynamic' })],
        },
        port: absent.port,
        httpPort: 0,
        log: quiet,
      });
      const later = await until('the listener', () => pontoon.listener('later').catch(() => undefined), 40_000);
      expect(await text(later, { method: 'POST', body: 'hello' })).to.equal('200 server: hello\n');
    });

    it('POST /bridges/reload takes a library that changed, and keeps the old one when the new one is broken', async () => {
      writeFileSync(library, answering('one'));
      const pontoon = await start(bridgeBootstrap(await startServer(), { library, plugin: 'plugin' }));
      const url = await pontoon.listener('http');
      expect(await text(url)).to.equal('200 one');

      writeFileSync(library, answering('two'));
      expect(await text(url)).to.equal('200 one');
      expect(await post(pontoon, '/bridges/reload')).to.equal('OK\n');
      await until('the new library', async () => ((await text(url)) === '200 two' ? true : undefined));

      writeFileSync(library, 'export const bridges = {');
      expect(await post(pontoon, '/bridges/reload')).to.equal('OK\n');
      await until('the refusal', () => (pontoon.log().includes('the new library was refused') ? true : undefined));
      expect(await text(url)).to.equal('200 two');
    });

    it('GET /config_dump shows what is rejected and parked with its reason, and no secrets', async () => {
      const tls = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext';
      const key = 'MII-this-is-the-key';
      const certificate = { certificate_chain: { inline_string: 'chain' }, private_key: { inline_string: key } };
      const served = await controlPlane({
        resources: {
          clusters: [
            bridgeClusterResource({ name: 'good', ports: [1], ...lengthPrefixed }),
            bridgeClusterResource({ name: 'bad', ports: [1], library: 'no/such.ts', plugin: 'x' }),
            {
              name: 'mesh',
              type: 'STATIC',
              load_assignment: { cluster_name: 'mesh' },
              transport_socket: {
                name: 'tls',
                typed_config: { '@type': tls, common_tls_context: { tls_certificates: [certificate] } },
              },
            },
          ],
        },
        port: 0,
        httpPort: 0,
        log: quiet,
      });
      const pontoon = await start(
        adsBootstrap({ variant: 'SOTW', address: `127.0.0.1:${served.xdsPort}`, nodeId: 'test' }),
      );
      await whenLive(pontoon);
      const dump = await pontoon.get('/config_dump?resource=dynamic_active_clusters');
      expect(dump).to.not.contain(key);
      const { configs } = JSON.parse(dump) as {
        configs: { cluster: { name: string }; client_status: string; error_state?: { details: string } }[];
      };
      const shown = configs.map(({ cluster: { name }, client_status: status, error_state: error }) => ({
        name,
        status,
        details: error?.details,
      }));
      expect(shown.sort((a, b) => (a.name < b.name ? -1 : 1))).to.deep.equal([
        {
          name: 'bad',
          status: 'NACKED',
          details: shown.find(({ name }) => name === 'bad')?.details,
        },
        { name: 'good', status: 'ACKED', details: undefined },
        {
          name: 'mesh',
          status: 'ACKED',
          details: 'parked: the cluster has no HTTP-TCP bridge (upstream_config is not set)',
        },
      ]);
      expect(shown[0]?.details).to.match(/upstream_config\.typed_config\.library_path: .*no\/such\.ts does not exist/);
      expect(await pontoon.get('/config_dump'))
        .to.contain('mesh')
        .and.not.contain(key);
      expect(await pontoon.get('/clusters')).to.contain('good::');
    });

    it('POST /healthcheck/fail and /ok: 503 on /ready, and clients are asked to go', async () => {
      const pontoon = await start(bridgeBootstrap(await startServer()));
      const url = await pontoon.listener('http');
      const closes = async () => {
        const response = await fetch(url, { method: 'POST', body: 'hello' });
        return `${await response.text()}${response.headers.get('connection')}`;
      };
      expect(await closes()).to.equal('server: hello\nnull');
      await post(pontoon, '/healthcheck/fail');
      expect(await ready(pontoon)).to.equal('503 DRAINING\n');
      expect(await closes()).to.equal('server: hello\nclose');
      await post(pontoon, '/healthcheck/ok');
      expect(await ready(pontoon)).to.equal('200 LIVE\n');
      expect(await closes()).to.equal('server: hello\nnull');
    });

    it('POST /drain_listeners stops accepting; running requests end, the process stays', async () => {
      const server = await startTcpServer();
      closers.push(() => server.close());
      const pontoon = await start(bridgeBootstrap(server.port));
      const url = new URL(await pontoon.listener('http'));
      const running = text(url.href, { method: 'POST', body: 'hello' });
      const connection = await until('the request', () =>
        server.connections.find((each) => each.received().length > 8),
      );
      expect(await post(pontoon, '/drain_listeners')).to.equal('OK\n');
      await until('a refused connection', () => refused(url));
      connection.socket.write(Buffer.from('\0\0\0\x05world'));
      expect(await running).to.equal('200 world');
      expect(pontoon.child.exitCode).to.equal(null);
      expect(await pontoon.stop()).to.equal(0);
    });

    it('POST /drain_listeners?graceful asks clients to go first, and stops accepting after the drain time', async () => {
      const pontoon = await start(bridgeBootstrap(await startServer()), '--drain-time-s', '1');
      const url = new URL(await pontoon.listener('http'));
      await post(pontoon, '/drain_listeners?graceful');
      const response = await fetch(url, { method: 'POST', body: 'hello' });
      expect([await response.text(), response.headers.get('connection')]).to.deep.equal(['server: hello\n', 'close']);
      await until('a refused connection', () => refused(url));
      expect(pontoon.child.exitCode).to.equal(null);
    });
  });
}

/** true when nothing accepts connections there, undefined when something does. */
function refused({ hostname, port }: URL): Promise<true | undefined> {
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname);
    socket.on('connect', () => {
      socket.destroy();
      resolve(undefined);
    });
    socket.on('error', () => resolve(true));
  });
}
