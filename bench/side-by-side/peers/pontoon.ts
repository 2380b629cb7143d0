import { realpathSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { startControlPlane } from '../../../control-plane-sample/control-plane.js';
import { createLogging } from '../../../src/log.js';
import { version } from '../../../src/version.js';
import { echoService } from '../../../test/support/dubbo.js';
import { compileGoLibrary } from '../../../test/support/go-libraries.js';
import { executableOf, readTree } from '../measure/process-tree.js';
import { Unavailable } from '../tools/commands.js';
import { projectRoot } from '../tools/paths.js';
import { idHeader } from '../upstream/upstream.js';
import { adsBootstrap, cluster, listener, staticBootstrap } from './bootstrap.js';
import { type ChangingConfig, freePort, type Peer, type RunningPeer, readStat, type Site, startProxy } from './peer.js';

const cli = join(projectRoot, 'dist', 'program', 'cli.js');
const plugin = 'length_prefixed';
const script = join('plugins', 'length-prefixed', 'index.ts');

function bridge(library: string, config?: object, name = plugin): object {
  return {
    name: 'envoy.upstreams.http.tcp.golang',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.tcp.golang.v3alpha.Config',
      library_id: 'framed',
      library_path: library,
      plugin_name: name,
      ...(config && { plugin_config: { '@type': 'type.googleapis.com/xds.type.v3.TypedStruct', value: config } }),
    },
  };
}

async function start(
  site: Site,
  bootstrap: string,
  port: number,
  roots: readonly string[],
  options: {
    readonly flags?: readonly string[];
    readonly json?: boolean;
    readonly env?: Readonly<Record<string, string>>;
  } = {},
): Promise<RunningPeer> {
  const { flags = [], json = false, env = {} } = options;
  const file = join(site.folder, 'bootstrap.json');
  writeFileSync(file, bootstrap);
  const pluginRoots = [projectRoot, ...roots].flatMap((root) => ['--plugin-root', root]);
  const admin = join(site.folder, 'admin');
  const args = [cli, '-c', file, '--admin-address-path', admin, '-l', 'error', ...pluginRoots, ...flags];
  return { ...(await startProxy(process.execPath, args, { cpus: site.cpus, env, port, json })), version };
}

/** With the plugin in TypeScript. */
export function pontoonScript(
  title: string,
  options: { readonly config?: object; readonly upstream?: Peer['upstream'] } = {},
): Peer {
  const { config, upstream = 'framed' } = options;
  return {
    title,
    upstream,
    async start(site) {
      const port = await freePort();
      return start(site, staticBootstrap(port, cluster(site.upstreamPort, bridge(script, config))), port, []);
    },
  };
}

/** Exchanges share connections: in order, or by an id in the frame's header. */
export const multiplexed = {
  inOrder: pontoonScript('Pontoon, script, multiplexed in order', { config: { correlation: 'in_order' } }),
  byId: pontoonScript('Pontoon, script, multiplexed by id', {
    config: { correlation: 'id', ...idHeader },
    upstream: 'framed with ids',
  }),
};

/** JSON to a real provider, whose connections all calls share. */
export function pontoonDubbo(title: string, generic: boolean): Peer {
  const parameters = [{ name: 'text', type: 'String', from: 'body' }];
  const config = { interface: echoService, generic, routes: [{ path: '/', method: 'echoString', parameters }] };
  return {
    title,
    upstream: 'dubbo',
    json: true,
    async start(site) {
      const port = await freePort();
      const ofCluster = cluster(site.upstreamPort, bridge(join('plugins', 'dubbo', 'index.ts'), config, 'dubbo'));
      return start(site, staticBootstrap(port, ofCluster), port, [], { json: true });
    },
  };
}

/** As Envoy's documentation asks for Go libraries: without it Go looks through all that it hands to C. */
const goSettings = { GODEBUG: 'cgocheck=0' };

/** With the plugin as a Go library. */
export const pontoonGo: Peer = {
  title: 'Pontoon, Go',
  upstream: 'framed',
  async start(site) {
    const library = await compileGoLibrary(join(projectRoot, 'plugins', 'go-length-prefixed'), '.').catch(
      (error: Error) => {
        throw new Unavailable(`the Go plugin could not be built: ${error.message}`);
      },
    );
    const port = await freePort();
    const bootstrap = staticBootstrap(port, cluster(site.upstreamPort, bridge(library)));
    return start(site, bootstrap, port, [dirname(library)], { env: goSettings });
  },
};

/** Several processes: a main one and workers. */
export function pontoonWorkers(title: string, flags: readonly string[], processes: number): Peer {
  return {
    title,
    upstream: 'framed',
    async start(site) {
      const port = await freePort();
      const bootstrap = staticBootstrap(port, cluster(site.upstreamPort, bridge(script)));
      const peer = await start(site, bootstrap, port, [], { flags });
      const found = nodeProcesses(peer.pid);
      if (found >= processes) return peer;
      await peer.stop();
      throw new Error(`with ${flags.join(' ')} there are ${found} processes, not ${processes}`);
    },
  };
}

/** Other programs than Node, such as the one that compiles scripts, serve nothing. */
function nodeProcesses(root: number): number {
  const node = realpathSync(process.execPath);
  return readTree(root).filter(({ pid }) => executableOf(pid) === node).length;
}

/** Its listener and cluster come from the sample control plane, in the process of the benchmark. */
export const pontoonAds: Peer = {
  title: 'Pontoon, script, configured over ADS',
  upstream: 'framed',
  async start(site) {
    const port = await freePort();
    let changes = 0;
    const resources = () => ({
      listeners: [listener(port)],
      // Another plugin configuration makes another version of the cluster, with a pool of its own.
      clusters: [cluster(site.upstreamPort, bridge(script, { max_frame_size: 16_777_216 + changes }))],
    });
    const log = createLogging('error').logger('control-plane');
    const controlPlane = await startControlPlane({ resources: resources(), port: 0, httpPort: 0, log });
    try {
      const peer = await start(site, adsBootstrap(controlPlane.xdsPort), port, []);
      const config: ChangingConfig = {
        change() {
          changes++;
          controlPlane.setResources(resources());
        },
        applied: () => readStat(site.folder, 'cluster_manager.cds.update_success'),
      };
      const stop = async () => {
        await peer.stop();
        await controlPlane.close();
      };
      return { ...peer, config, stop };
    } catch (error) {
      await controlPlane.close();
      throw error;
    }
  },
};
