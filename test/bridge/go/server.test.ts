import { copyFileSync, mkdtempSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { runChild } from '../../support/child.js';
import { buildPeer } from '../../support/go-libraries.js';
import { bridgeCluster, cliPath, httpListener, type Pontoon, startPontoon } from '../../support/pontoon.js';
import { until } from '../../support/until.js';

const panicText = 'error happened in golang http-tcp bridge\r\n';

describe('Go bridges in a Pontoon process', () => {
  let conformance: string;
  let rogue: string;
  let folder: string;
  let path: string;
  let pontoon: Pontoon | undefined;

  before(async function () {
    conformance = await buildPeer(this, 'conformance');
    rogue = await buildPeer(this, 'rogue');
  });

  beforeEach(() => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'pontoon-go-server-')));
    path = join(folder, 'library.so');
    place(conformance);
  });

  afterEach(async () => {
    await pontoon?.stop();
    pontoon = undefined;
    rmSync(folder, { recursive: true, force: true });
  });

  /** Puts a build in the library's place, as an installer does. */
  function place(build: string): void {
    copyFileSync(build, `${path}.new`);
    renameSync(`${path}.new`, path);
  }

  /** A cluster for each plugin, whose server is not needed, and a route to each under its name. */
  function bootstrap(plugins: readonly string[], port: number, config?: string): string {
    const clusters = plugins.map((plugin) =>
      bridgeCluster({ name: plugin, ports: [port], library: path, plugin, ...(config !== undefined && { config }) }),
    );
    const routes = plugins.map((plugin) => `{match: {prefix: /${plugin}}, route: {cluster: ${plugin}}}`);
    const listener = httpListener(
      'front',
      'front',
      `route_config: {name: r, virtual_hosts: [{name: v, domains: ["*"], routes: [${routes.join(', ')}]}]}`,
    );
    return `admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}\nstatic_resources: {clusters: [${clusters.join(', ')}], listeners: [${listener}]}`;
  }

  async function get(url: string): Promise<string> {
    const response = await fetch(url, { headers: { connection: 'close' } });
    return `${response.status} ${await response.text()}`;
  }

  it('answers, panics and is replaced while it serves', async () => {
    // Any server that takes connections will do: the admin interface of the process itself.
    const backend = await startPontoon({ bootstrap: bootstrap([], 1) });
    try {
      const port = Number(new URL(backend.admin).port);
      pontoon = await startPontoon({
        bootstrap: bootstrap(['local_reply', 'panic', 'property'], port),
        args: ['--plugin-root', folder],
      });
      const url = await pontoon.listener('front');
      expect(await get(`${url}/local_reply`)).to.equal('200 local_reply-http-to-tcp-encode_headers');
      expect(await get(`${url}/property`)).to.equal('200 property-http-to-tcp-encode_headers-r-property');
      expect(await get(`${url}/panic`)).to.equal(`200 ${panicText}`);
      await until('the log', () => pontoon?.log().includes('panic serving: panic') || undefined);
      place(rogue);
      await fetch(`${pontoon.admin}/bridges/reload`, { method: 'POST' });
      // The new build has no such plugin, which shows with the first exchange.
      await until('the new library', async () => (await get(`${url}/local_reply`)) === `500 ${panicText}` || undefined);
      expect(await pontoon.stat('bridge.local_reply.plugin_not_found')).to.be.greaterThan(0);
      expect(await pontoon.stat('bridge.go_libraries')).to.equal(2);
      expect(await pontoon.stat('cluster.local_reply.bridge.plugin_not_found')).to.be.greaterThan(0);
      await until('the log', () => pontoon?.log().includes('of cluster local_reply has no plugin') || undefined);
    } finally {
      await backend.stop();
    }
  });

  it('is judged by --mode validate, with the words of the plugin', async () => {
    const file = join(folder, 'bootstrap.yaml');
    const validate = (plugin: string) => {
      writeFileSync(file, bootstrap([plugin], 1, '{x: 1}'));
      return runChild(process.execPath, [cliPath, '-c', file, '--mode', 'validate', '--plugin-root', folder]);
    };
    const good = await validate('parsing');
    expect(good.stdout).to.include(' OK\n');
    expect(good.code).to.equal(0);
    const bad = await validate('bad_config');
    expect(bad.stdout).to.include('plugin_config').and.include('panic: bad configuration');
    expect(bad.code).to.equal(1);
  });
});
