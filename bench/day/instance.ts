import { fileURLToPath, pathToFileURL } from 'node:url';
import { adsBootstrap } from '../../test/support/ads-bootstrap.js';
import type { Snapshot } from '../../test/support/go-control-plane.js';
import { Load } from '../../test/support/load/load.js';
import type { LoadIdentity, LoadReport } from '../../test/support/load/protocol.js';
import { type Pontoon, startPontoon } from '../../test/support/pontoon.js';
import { differences, served } from '../../test/support/served-config.js';
import { until } from '../../test/support/until.js';
import { clusterCount, type DayConfig, nameOf, type Seen, servingCluster } from './config.js';
import { pontoonName } from './resources.js';

const signalled = pathToFileURL(fileURLToPath(new URL('memory-on-signal.js', import.meta.url))).href;

/** A Pontoon with clients at each of its listeners. */
export class Instance {
  readonly #pontoon: Pontoon;
  readonly #loads: readonly [plain: Load, secure: Load];
  readonly name: string;

  private constructor(name: string, pontoon: Pontoon, loads: readonly [Load, Load]) {
    this.name = name;
    this.#pontoon = pontoon;
    this.#loads = loads;
  }

  static async start(options: {
    readonly variant: 'SOTW' | 'DELTA';
    readonly address: string;
    readonly client: LoadIdentity;
    readonly seed: number;
    /** How many processes serve. */
    readonly concurrency: string;
  }): Promise<Instance> {
    const { variant, address, client, seed, concurrency } = options;
    const pontoon = await startPontoon({
      bootstrap: adsBootstrap({ variant, address, nodeId: variant.toLowerCase() }),
      nodeArgs: ['--import', signalled],
      args: ['--drain-time-s', '2', '--log-level', 'warning', '--concurrency', concurrency],
    });
    // Also when this program fails.
    process.once('exit', () => pontoon.child.kill('SIGKILL'));
    const paths = Array.from({ length: clusterCount }, (_, index) => `/${nameOf(index)}`);
    const loads = [await Load.open(), await Load.open()] as const;
    for (const [index, listener] of ['plain', 'secure'].entries()) {
      const { hostname: host, port } = new URL(await pontoon.listener(listener));
      loads[index]?.start({
        host,
        port: Number(port),
        connections: 6,
        paths,
        pauseMs: 50,
        seed: seed + index,
        onlyLatest: true,
        ...(listener === 'secure' && { tls: { ...client, serverName: pontoonName }, exchangesPerConnection: 40 }),
      });
    }
    return new Instance(variant, pontoon, loads);
  }

  /** What it has by now. */
  async seen(): Promise<Seen> {
    const dump = await this.#dump('');
    const clusters = new Map<number, number>();
    for (const [name, cluster] of served(dump, 'clusters')) {
      const upstream = cluster.upstream_config as
        | { typed_config: { plugin_config: { value: { version: number } } } }
        | undefined;
      // One that has only been refused so far is listed, too.
      if (upstream) clusters.set(Number(name.slice(1)), upstream.typed_config.plugin_config.value.version);
    }
    const routes = served(dump, 'routes').get('routes');
    const [host] = (routes?.virtual_hosts ?? []) as { name: string }[];
    return { clusters, routes: Number(host?.name.slice(1) ?? -1) };
  }

  async #dump(query: string): Promise<Record<string, unknown>> {
    return JSON.parse(await this.#pontoon.get(`/config_dump${query}`)) as Record<string, unknown>;
  }

  /** Waits until it has exactly these resources and every client is served by them. Rejects with what differs. */
  async settles(config: DayConfig, resources: Snapshot['resources'], ms: number): Promise<void> {
    let left: string[] = [];
    await until(
      'the same configuration',
      async () => {
        left = differences(await this.#dump('?include_eds'), resources);
        if (left.length === 0) left = this.#wronglyServed(config, await this.reports());
        if (left.length > 0) await new Promise((resolve) => setTimeout(resolve, 100));
        return left.length === 0 || undefined;
      },
      ms,
    ).catch(() => {
      throw new Error(`${this.name} differs after ${ms} ms:\n${left.join('\n')}\n${this.#pontoon.log().slice(-5_000)}`);
    });
  }

  #wronglyServed(config: DayConfig, reports: readonly LoadReport[]): string[] {
    return reports.flatMap(({ sequences }) =>
      sequences.flat().flatMap(({ path, stamp, server }) => {
        const { plugin, version, servers } = servingCluster(config, Number(path.slice(2)));
        const isRight = stamp === `${plugin}:${version}` && servers.includes(server);
        return isRight ? [] : [`${path} was last served by ${stamp} from ${server}, not by ${plugin}:${version}`];
      }),
    );
  }

  reports(): Promise<LoadReport[]> {
    return Promise.all(this.#loads.map((load) => load.report()));
  }

  stat(name: string): Promise<number> {
    return this.#pontoon.stat(name);
  }

  /** Bytes in use after everything was collected. */
  async memoryInUse(): Promise<number> {
    const from = this.#pontoon.stdout().length;
    this.#pontoon.child.kill('SIGUSR2');
    return await until(
      'the memory in use',
      () => {
        const [, bytes] = /memory in use: (\d+)\n/.exec(this.#pontoon.stdout().slice(from)) ?? [];
        return bytes === undefined ? undefined : Number(bytes);
      },
      30_000,
    );
  }

  /** Lets what runs end, and gives the last report of each load. */
  async stopLoads(): Promise<LoadReport[]> {
    return await Promise.all(this.#loads.map((load) => load.stop()));
  }

  /** Exit code. */
  async close(): Promise<number | null> {
    for (const load of this.#loads) load.close();
    return await this.#pontoon.stop();
  }
}
