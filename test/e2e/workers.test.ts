import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { type RunningControlPlane, startControlPlane } from '../../control-plane-sample/control-plane.js';
import { startFramedServer } from '../../control-plane-sample/framed-server.js';
import { createLogging } from '../../src/log.js';
import { adsBootstrap } from '../support/ads-bootstrap.js';
import { bridgeCluster, httpListener, type Pontoon, startPontoon } from '../support/pontoon.js';
import { bridgeClusterResource, listenerResource, routesResource } from '../support/resources.js';
import { lengthPrefixed, staticBootstrap } from '../support/static-bootstrap.js';
import { until } from '../support/until.js';

interface Worker {
  readonly worker: number;
  readonly pid: number;
  readonly state: string;
  readonly connections: number;
}

/** A library whose plugin `plugin` answers what `answer`, an expression in `path`, gives. */
const library = (answer: string): string => `
  export const bridges = {
    plugin: {
      createBridge: (_config, callbacks) => ({
        encodeHeaders(headers) {
          const path = headers.get(':path');
          callbacks.sendLocalReply(200, ${answer});
        },
      }),
    },
  };`;

const ends = "path === '/exit' ? process.exit(7) : path === '/hang' ? (() => { for (;;); })() : 'answered'";

/** `STATUS BODY` of a POST of `hello`. */
const post = (url: string, agent: Agent): Promise<string> =>
  new Promise((resolve, reject) => {
    const sent = request(url, { method: 'POST', agent }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (data: string) => {
        body += data;
      });
      response.on('end', () => resolve(`${response.statusCode} ${body}`)).on('error', reject);
    });
    sent.on('error', reject).end('hello');
  });

describe('workers', function () {
  this.timeout(90_000);
  let folder: string;
  let file: string;
  const closers: (() => Promise<unknown>)[] = [];

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'pontoon-workers-'));
    file = join(folder, 'library.mjs');
  });
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
    rmSync(folder, { recursive: true, force: true });
  });

  const start = async (bootstrap: string, ...args: string[]): Promise<Pontoon> => {
    const pontoon = await startPontoon({ bootstrap, args: ['--plugin-root', folder, ...args] });
    closers.push(() => pontoon.stop('SIGKILL'));
    return pontoon;
  };
  const startServer = async (): Promise<number> => {
    const server = await startFramedServer('server', 0);
    closers.push(() => server.close());
    return server.port;
  };
  const text = async (url: string, init?: RequestInit): Promise<string> => {
    const response = await fetch(url, init);
    return `${response.status} ${await response.text()}`;
  };
  const workers = async (pontoon: Pontoon): Promise<readonly Worker[]> =>
    (JSON.parse(await pontoon.get('/workers')) as { workers: Worker[] }).workers;
  /** A worker other than those, that serves. */
  const successor = (pontoon: Pontoon, of: readonly number[]): Promise<Worker> =>
    until('a successor', async () =>
      (await workers(pontoon)).find(({ worker, state }) => state === 'serving' && !of.includes(worker)),
    );
  /** `/good` goes to a bridge that does no harm, everything else to the library. */
  const twoClusters = async (): Promise<string> =>
    staticBootstrap({
      clusters: [
        bridgeCluster({ name: 'good', ports: [await startServer()], ...lengthPrefixed }),
        bridgeCluster({ name: 'bad', ports: [await startServer()], library: file, plugin: 'plugin' }),
      ],
      listeners: [
        httpListener(
          'http',
          'ingress',
          'route_config: {name: routes, virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /good}, route: {cluster: good}}, {match: {prefix: /}, route: {cluster: bad}}]}]}',
        ),
      ],
    });

  it('share the connections, and their numbers are one', async () => {
    writeFileSync(file, library(ends));
    const pontoon = await start(await twoClusters(), '--concurrency', '2');
    const url = await pontoon.listener('http');
    const exchanges = 40;
    await Promise.all(
      Array.from({ length: exchanges }, async () =>
        expect(await text(`${url}/good`, { method: 'POST', body: 'hello' })).to.equal('200 server: hello\n'),
      ),
    );
    expect(await pontoon.stat('cluster.good.upstream_rq_2xx')).to.equal(exchanges);
    expect(await pontoon.stat('http.ingress.downstream_rq_2xx')).to.equal(exchanges);
    expect(await pontoon.stat('cluster.good.membership_total')).to.equal(1);
    expect(await pontoon.stat('cluster_manager.cluster_added')).to.equal(2);
    expect(await pontoon.stat('server.concurrency')).to.equal(2);
    expect(await pontoon.get('/clusters')).to.match(new RegExp(`^good::.*::rq_success::${exchanges}$`, 'm'));
    expect((await workers(pontoon)).map(({ state }) => state)).to.deep.equal(['serving', 'serving']);
    expect(await pontoon.stop()).to.equal(0);
  });

  for (const { name, path, args, stat } of [
    { name: 'ends its process', path: '/exit', args: ['--isolate'], stat: 'workers.crashed' },
    { name: 'never comes back', path: '/hang', args: ['--isolate'], stat: 'workers.hung' },
    {
      name: 'never comes back, beside another worker',
      path: '/hang',
      args: ['--concurrency', '2'],
      stat: 'workers.hung',
    },
  ]) {
    it(`are replaced when a script ${name}`, async () => {
      writeFileSync(file, library(ends));
      const pontoon = await start(await twoClusters(), ...args);
      const url = await pontoon.listener('http');
      expect(await text(`${url}/`)).to.equal('200 answered');
      const before = (await workers(pontoon)).map(({ worker }) => worker);
      const failed = await fetch(url + path).then(
        () => 'answered',
        () => 'failed',
      );
      expect(failed).to.equal('failed');
      expect(await text(`${pontoon.admin}/ready`)).to.equal('200 LIVE\n');
      expect(await text(`${url}/good`, { method: 'POST', body: 'hello' })).to.equal('200 server: hello\n');
      expect(await text(`${url}/`)).to.equal('200 answered');
      await successor(pontoon, before);
      expect(await pontoon.stat(stat)).to.equal(1);
      expect(await pontoon.stop()).to.equal(0);
    });
  }

  it('lose only the exchanges of the one that is killed', async () => {
    writeFileSync(file, library(ends));
    const pontoon = await start(await twoClusters(), '--concurrency', '2');
    const url = await pontoon.listener('http');
    const all = await workers(pontoon);
    const [victim] = all;
    const results: string[] = [];
    let stopped = false;
    // One connection each, half of them on each worker.
    const clients = Array.from({ length: 16 }, async () => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      while (!stopped) results.push(await post(`${url}/good`, agent).catch(() => 'failed'));
      agent.destroy();
    });
    await until('some exchanges', () => (results.length > 200 ? true : undefined));
    process.kill((victim as Worker).pid, 'SIGKILL');
    await successor(
      pontoon,
      all.map(({ worker }) => worker),
    );
    const then = results.length;
    await until('more exchanges', () => (results.length > then + 200 ? true : undefined));
    stopped = true;
    await Promise.all(clients);
    const failed = (some: readonly string[]) => some.filter((result) => result !== '200 server: hello\n').length;
    // Each with at most one exchange on its way.
    expect(failed(results)).to.be.at.most(8);
    expect(failed(results.slice(then))).to.equal(0);
    expect(await pontoon.stat('workers.crashed')).to.equal(1);
  });

  describe('with a control plane', () => {
    let controlPlane: RunningControlPlane;
    let port: number;

    beforeEach(async () => {
      port = await startServer();
      controlPlane = await startControlPlane({
        resources: {},
        port: 0,
        httpPort: 0,
        log: createLogging('off').logger('control-plane'),
      });
      closers.push(() => controlPlane.close());
    });
    const push = (connectTimeout: string) =>
      controlPlane.setResources({
        clusters: [
          {
            ...bridgeClusterResource({ name: 'bridge', ports: [port], library: file, plugin: 'plugin' }),
            connect_timeout: connectTimeout,
          },
        ],
        listeners: [listenerResource('http', 'ingress', 'routes')],
        routes: [routesResource('routes', { '/': 'bridge' })],
      });
    const begin = (...args: string[]) =>
      start(
        adsBootstrap({ variant: 'DELTA', address: `127.0.0.1:${controlPlane.xdsPort}`, nodeId: 'test' }),
        '--isolate',
        ...args,
      );
    const crash = async (pontoon: Pontoon, url: string) => {
      const crashes = await pontoon.stat('workers.crashed');
      await fetch(`${url}/exit`).catch(() => undefined);
      await until('the crash', async () => ((await pontoon.stat('workers.crashed')) > crashes ? true : undefined));
    };

    it('go back to the version before when a library has ended three of them, and take a better one', async () => {
      writeFileSync(file, library("'first'"));
      push('1s');
      const pontoon = await begin();
      const url = await pontoon.listener('http');
      expect(await text(url)).to.equal('200 first');

      writeFileSync(file, library(ends));
      push('2s');
      await until('the bad version', async () => ((await text(url)) === '200 answered' ? true : undefined));
      for (let count = 0; count < 3; count++) await crash(pontoon, url);
      await until('the good version', async () => ((await text(url)) === '200 first' ? true : undefined));
      expect(await text(`${url}/exit`)).to.equal('200 first');
      expect(await pontoon.stat('bridge.library_rollbacks')).to.equal(1);
      await until(
        'the log',
        () => /"cluster":"bridge".*three|three.*"cluster":"bridge"/.exec(pontoon.log()) ?? undefined,
      );
      const dump = JSON.parse(await pontoon.get('/config_dump?resource=dynamic_active_clusters')) as {
        configs: { cluster: { connect_timeout: string }; error_state: { details: string } }[];
      };
      expect(dump.configs[0]?.cluster.connect_timeout).to.equal('1s');
      expect(dump.configs[0]?.error_state.details).to.include(file);

      writeFileSync(file, library("'third'"));
      push('3s');
      await until('a better version', async () => ((await text(url)) === '200 third' ? true : undefined));
      expect(await pontoon.get('/config_dump?resource=dynamic_active_clusters')).to.not.include('error_state');
    });

    it('take configuration from the copy of a library that was judged, whatever became of the file', async () => {
      writeFileSync(file, library(ends));
      push('1s');
      const pontoon = await begin();
      const url = await pontoon.listener('http');
      expect(await text(url)).to.equal('200 answered');
      rmSync(file);
      await crash(pontoon, url);
      expect(await text(url)).to.equal('200 answered');
    });

    it('are replaced one after the other by POST /hot_restart, and nobody notices', async () => {
      writeFileSync(file, library(ends));
      push('1s');
      const pontoon = await begin();
      const url = await pontoon.listener('http');
      const [before] = await workers(pontoon);
      let stopped = false;
      const results: string[] = [];
      const clients = Array.from({ length: 8 }, async () => {
        while (!stopped) results.push(await text(url).catch((error: Error) => `${error.cause ?? error}`));
      });
      expect(await text(`${pontoon.admin}/hot_restart`, { method: 'POST' })).to.equal('200 OK\n');
      await until('another worker alone', async () => {
        const now = await workers(pontoon);
        return (now.length === 1 && now[0]?.worker !== before?.worker) || undefined;
      });
      stopped = true;
      await Promise.all(clients);
      expect(results.filter((result) => result !== '200 answered')).to.deep.equal([]);
      expect(await pontoon.stat('workers.crashed')).to.equal(0);
    });
  });

  it('follow POST /logging', async () => {
    writeFileSync(file, library(ends));
    const bootstrap = (await twoClusters()).replace('cluster: good}', 'cluster: nowhere}');
    const pontoon = await start(bootstrap, '--isolate');
    const url = await pontoon.listener('http');
    expect(await text(`${url}/good`)).to.match(/^503/);
    const told = 'no cluster for a request';
    expect(pontoon.log()).to.not.include(told);
    await fetch(`${pontoon.admin}/logging?router=debug`, { method: 'POST' });
    await until('a line at the new level', async () => {
      await text(`${url}/good`);
      return pontoon.log().includes(told) || undefined;
    });
  });
});
