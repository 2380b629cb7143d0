import { existsSync, readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type RunningControlPlane, startControlPlane } from '../../control-plane-sample/control-plane.js';
import { createLogging } from '../../src/log.js';
import { toJson } from '../../src/protobuf/json.js';
import { loadSchema } from '../../src/protobuf/schema.js';
import type { SavedResource } from '../../src/snapshot/format.js';
import { createSnapshotStore } from '../../src/snapshot/store.js';
import { adsBootstrap } from '../../test/support/ads-bootstrap.js';
import { startChild } from '../../test/support/child.js';
import { type Pontoon, startPontoon } from '../../test/support/pontoon.js';
import {
  bridgeClusterResource,
  endpointsResource,
  listenerResource,
  routesResource,
} from '../../test/support/resources.js';
import type { TcpServer } from '../../test/support/tcp-server.js';
import { until } from '../../test/support/until.js';
import { generationOf, owner } from './generation.js';

const writerPath = fileURLToPath(new URL('writer.js', import.meta.url));
/** The end of a process, in the worst case, and its two generations. */
const mostFiles = 4;
/** Slow machines start processes slowly. */
const patienceMs = 60_000;

/** @throws Error when a folder has not what the next start needs */
async function loadWhole(folder: string, whose = owner): Promise<readonly SavedResource[]> {
  const { snapshot, problems } = await createSnapshotStore(folder, whose).load();
  if (problems.length > 0) throw new Error(`a file is not whole: ${problems.join('; ')}`);
  if (snapshot === undefined) throw new Error('there is no snapshot');
  return snapshot.resources;
}

/**
 * Kills a process that writes snapshots without end, at a random point, and looks at what it left.
 *
 * @returns the generation that was there
 * @throws Error when that is not whole, or older than one that was said to be written
 */
export async function killWriter(folder: string, random: () => number): Promise<number> {
  const child = startChild(process.execPath, [writerPath, folder]);
  // Some are killed before they have written anything.
  if (!existsSync(folder) || random() < 0.8) await child.outputs(/\n/);
  await sleep(random() * 60);
  child.process.kill('SIGKILL');
  await child.closed;
  const told = [0, ...child.stdout().split('\n').slice(0, -1).map(Number)];
  const generation = generationOf(await loadWhole(folder));
  if (generation < Math.max(...told))
    throw new Error(`generation ${Math.max(...told)} was written, and ${generation} is there`);
  const files = readdirSync(folder);
  if (files.length > mostFiles) throw new Error(`files are left: ${files.join(', ')}`);
  return generation;
}

const clusters = 40;
const nodeId = 'killed-server';
const serverOwner = { nodeId, nodeCluster: 'test' };

/** Everything that the control plane says in one generation. Whether a resource is of it shows in its bytes. */
function configOf(generation: number, port: number) {
  const names = Array.from({ length: clusters }, (_, index) => `cluster-${index}`);
  const library = 'test/fixtures/plugins/recorded.ts';
  return {
    clusters: names.map((name) => bridgeClusterResource({ name, library, plugin: 'simple', config: { generation } })),
    endpoints: names.map((name) => endpointsResource(name, [port])),
    listeners: [listenerResource('in', `in_${generation}`, 'routes')],
    routes: [routesResource('routes', { '/': `cluster-${generation % clusters}` })],
  };
}
const resourceCount = clusters * 2 + 2;

function generationOfCluster(bytes: Uint8Array): number {
  const json = JSON.stringify(toJson(loadSchema(), 'envoy.config.cluster.v3.Cluster', bytes));
  return Number(/"generation":(\d+)/.exec(json)?.[1]);
}

/** A control plane that comes back on its port, and a TCP server for what it tells of. */
export class KilledServer {
  readonly #folder: string;
  readonly #server: TcpServer;
  #generation = 0;
  #ports = { xds: 0, http: 0 };

  constructor(folder: string, server: TcpServer) {
    this.#folder = folder;
    this.#server = server;
  }

  /**
   * Starts Pontoon, on what the one before left unless it is the first, lets a control plane change everything again and again, and kills
   * it at a random point.
   *
   * @throws Error when it does not serve what the one before left, or leaves what is not whole
   */
  async round(random: () => number): Promise<void> {
    const first = this.#generation === 0;
    let controlPlane = first ? await this.#startControlPlane() : undefined;
    const pontoon = await this.#startPontoon();
    try {
      await this.#serves(pontoon, first ? 0 : resourceCount);
      controlPlane ??= await this.#startControlPlane();
      const running = controlPlane;
      let stopped = false;
      const churn = (async () => {
        while (!stopped) {
          running.setResources(configOf(++this.#generation, this.#server.port));
          await sleep(20);
        }
      })();
      try {
        await until(
          'a snapshot',
          async () => (await pontoon.stat('server.snapshot.write_success')) > 0 || undefined,
          patienceMs,
        );
        await sleep(random() * 400);
        await pontoon.stop('SIGKILL');
      } finally {
        stopped = true;
        await churn;
      }
      this.#check(await loadWhole(this.#folder, serverOwner));
    } finally {
      await pontoon.stop('SIGKILL');
      await controlPlane?.close();
    }
  }

  async #startControlPlane(): Promise<RunningControlPlane> {
    const log = createLogging('off', undefined).logger('control_plane');
    const { xds: port, http: httpPort } = this.#ports;
    const resources = configOf(++this.#generation, this.#server.port);
    const controlPlane = await startControlPlane({ resources, port, httpPort, log });
    this.#ports = { xds: controlPlane.xdsPort, http: controlPlane.httpPort };
    return controlPlane;
  }

  #startPontoon(): Promise<Pontoon> {
    const address = `127.0.0.1:${this.#ports.xds}`;
    return startPontoon({
      bootstrap: adsBootstrap({ variant: this.#generation % 2 === 0 ? 'SOTW' : 'DELTA', address, nodeId }),
      args: ['--snapshot-dir', this.#folder, '--snapshot-wait-s', '0', '--snapshot-interval-s', '0', '-l', 'error'],
    });
  }

  async #serves(pontoon: Pontoon, stale: number): Promise<void> {
    await until('LIVE', async () => (await pontoon.get('/ready')) === 'LIVE\n' || undefined, patienceMs);
    await until(
      'an answer',
      async () => {
        const response = await fetch(`${await pontoon.listener('in')}/x`);
        return (await response.text()) === 'served /x\n' ? true : undefined;
      },
      patienceMs,
    );
    if (stale === 0) return;
    const found = await pontoon.stat('server.snapshot.stale_resources');
    if (found !== stale) throw new Error(`${found} resources of the snapshot are used, there should be ${stale}`);
  }

  /** Clusters come in one response: they are all of one generation. */
  #check(resources: readonly SavedResource[]): void {
    if (resources.length !== resourceCount)
      throw new Error(`${resources.length} resources, there should be ${resourceCount}`);
    const ofClusters = resources.filter(({ typeUrl }) => typeUrl.endsWith('.Cluster'));
    const found = new Set(ofClusters.map(({ bytes }) => generationOfCluster(bytes)));
    if (found.size !== 1 || ofClusters.length !== clusters)
      throw new Error(`${ofClusters.length} clusters of generations ${[...found].join(', ')}`);
  }
}
