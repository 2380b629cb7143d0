import { appendFileSync, copyFileSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { startControlPlane } from '../../control-plane-sample/control-plane.js';
import { startFramedServer } from '../../control-plane-sample/framed-server.js';
import { createLogging } from '../../src/log.js';
import { adsBootstrap } from '../support/ads-bootstrap.js';
import { buildGoLibrary, buildPeer } from '../support/go-libraries.js';
import { bridgeCluster, httpListener, type Pontoon, projectRoot, startPontoon } from '../support/pontoon.js';
import { bridgeClusterResource, listenerResource, routesResource } from '../support/resources.js';
import { lengthPrefixed, staticBootstrap } from '../support/static-bootstrap.js';
import { until } from '../support/until.js';

/** What the worker that runs the plugin dies of (`stat` undefined: either), and whether it is known by then that the plugin's library was at it. */
const deaths = [
  { plugin: 'panic_in_factory', stat: 'workers.crashed', known: true },
  { plugin: 'exit', stat: 'workers.crashed', known: true },
  { plugin: 'panic_in_goroutine', stat: 'workers.crashed', known: true },
  { plugin: 'panic_later', stat: 'workers.crashed', known: false },
  { plugin: 'fatal_error', stat: 'workers.crashed', known: true },
  // Its stack grows to 1 GB first: that may take too long.
  { plugin: 'stack_overflow', stat: undefined, known: true },
  { plugin: 'endless_loop', stat: 'workers.hung', known: true },
  { plugin: 'blocked', stat: 'workers.hung', known: true },
];

describe('Go libraries in workers', function () {
  this.timeout(120_000);
  let deadly: string;
  let folder: string;
  const closers: (() => Promise<unknown>)[] = [];

  before(async function () {
    deadly = await buildPeer(this, 'deadly');
  });
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'pontoon-go-workers-'));
  });
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** `/good` goes to a bridge that does no harm, everything else to the plugin. */
  const start = async (library: string, plugin: string): Promise<{ pontoon: Pontoon; url: string }> => {
    const server = await startFramedServer('server', 0);
    closers.push(() => server.close());
    const bootstrap = staticBootstrap({
      clusters: [
        bridgeCluster({ name: 'good', ports: [server.port], ...lengthPrefixed }),
        bridgeCluster({ name: 'go', ports: [server.port], library, plugin }),
      ],
      listeners: [
        httpListener(
          'http',
          'ingress',
          'route_config: {name: routes, virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /good}, route: {cluster: good}}, {match: {prefix: /}, route: {cluster: go}}]}]}',
        ),
      ],
    });
    const pontoon = await startPontoon({ bootstrap, args: ['--isolate', '--plugin-root', folder] });
    closers.push(() => pontoon.stop('SIGKILL'));
    return { pontoon, url: await pontoon.listener('http') };
  };
  const text = async (url: string, init?: RequestInit): Promise<string> => {
    const response = await fetch(url, init);
    return `${response.status} ${await response.text()}`;
  };

  for (const { plugin, stat, known } of deaths) {
    it(`cost one worker when they end it or hang: ${plugin}`, async () => {
      const { pontoon, url } = await start(deadly, plugin);
      const lives = plugin !== 'panic_in_factory';
      if (lives) expect(await text(url)).to.equal('200 alive');
      await text(url, { headers: { 'x-die': '1' } }).catch(() => 'failed');
      const stats = stat === undefined ? ['workers.crashed', 'workers.hung'] : [stat];
      await until(
        'the end',
        async () => (await Promise.all(stats.map((name) => pontoon.stat(name)))).includes(1) || undefined,
        20_000,
      );
      expect(await text(`${pontoon.admin}/ready`)).to.equal('200 LIVE\n');
      expect(await text(`${url}/good`, { method: 'POST', body: 'hello' })).to.equal('200 server: hello\n');
      if (lives) expect(await text(url)).to.equal('200 alive');
      expect(await pontoon.stat('bridge.crashes_by_library')).to.equal(known ? 1 : 0);
      expect(await pontoon.stat('bridge.crashes_without_library')).to.equal(known ? 0 : 1);
      expect(await pontoon.stop()).to.equal(0);
    });
  }

  it('are refused by name over a live control plane, while what ran goes on', async function () {
    const library = await buildGoLibrary(this, join(projectRoot, 'plugins', 'go-length-prefixed'));
    const server = await startFramedServer('server', 0);
    closers.push(() => server.close());
    const controlPlane = await startControlPlane({
      resources: {},
      port: 0,
      httpPort: 0,
      log: createLogging('off').logger('control-plane'),
    });
    closers.push(() => controlPlane.close());
    const push = (path: string, config: object) =>
      controlPlane.setResources({
        clusters: [
          bridgeClusterResource({
            name: 'go',
            ports: [server.port],
            library: path,
            plugin: 'length_prefixed',
            config,
          }),
        ],
        listeners: [listenerResource('http', 'ingress', 'routes')],
        routes: [routesResource('routes', { '/': 'go' })],
      });
    push(library, {});
    const pontoon = await startPontoon({
      bootstrap: adsBootstrap({ variant: 'SOTW', address: `127.0.0.1:${controlPlane.xdsPort}`, nodeId: 'test' }),
      args: ['--isolate'],
    });
    closers.push(() => pontoon.stop('SIGKILL'));
    const url = await pontoon.listener('http');
    const served = () => text(url, { method: 'POST', body: 'hello' });
    expect(await served()).to.equal('200 server: hello\n');
    for (const { path, config, problem } of [
      { path: library, config: { length_size: 3.5 }, problem: /plugin_config: .*length_size/ },
      { path: join(folder, 'missing.so'), config: {}, problem: /library_path: .*missing\.so does not exist/ },
    ]) {
      push(path, config);
      await until(`a refusal with ${problem}`, () => problem.test(JSON.stringify(controlPlane.nodes())) || undefined);
      expect(await served()).to.equal('200 server: hello\n');
    }
    push(library, { length_size: 4 });
    await until('the good version', async () => ((await served()) === '200 server: hello\n' ? true : undefined));
  });

  it('move to another worker when too many builds are left over in one, and nobody notices', async () => {
    const library = join(folder, 'library.so');
    let builds = 0;
    /** Bytes after the end of an ELF file mean nothing, but the content is another one. */
    const build = () => {
      copyFileSync(deadly, `${library}.new`);
      appendFileSync(`${library}.new`, String(builds++));
      renameSync(`${library}.new`, library);
    };
    build();
    const { pontoon, url } = await start(library, 'exit');
    const results: string[] = [];
    let stopped = false;
    const client = (async () => {
      while (!stopped) results.push(await text(url).catch((error: Error) => String(error.cause ?? error)));
    })();
    for (let count = 0; count < 8; count++) {
      build();
      await fetch(`${pontoon.admin}/bridges/reload`, { method: 'POST' });
      await until(
        `reload ${count}`,
        () => pontoon.log().split('library reloaded').length > builds - 1 || undefined,
        20_000,
      );
    }
    await until('another worker', async () => ((await pontoon.stat('workers.replaced')) === 1 ? true : undefined));
    await until('the last build alone', async () => ((await pontoon.stat('workers.live')) === 1 ? true : undefined));
    stopped = true;
    await client;
    expect(results.filter((result) => result !== '200 alive')).to.deep.equal([]);
    expect(await pontoon.stat('workers.crashed')).to.equal(0);
  });
});
