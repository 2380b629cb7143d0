import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readEvents } from '../../control-plane-sample/api-client.js';
import type { RecordedEvent } from '../../control-plane-sample/events.js';
import { type Child, startChild } from '../../test/support/child.js';
import { GoControlPlane, type Snapshot } from '../../test/support/go-control-plane.js';
import { until } from '../../test/support/until.js';

type Resources = Snapshot['resources'];

/** A control plane that can be ended and started again. Times are milliseconds since the epoch, as the server's own clock tells them. */
export interface FleetServer {
  /** `host:port` of its ADS, always the same. */
  readonly address: string;
  /** Of the process that runs now. */
  readonly pid: number;
  /** Serves this from now on; returns when it began to. */
  push(resources: Resources): Promise<number>;
  /** Kills it, and starts it after `outageMs` with other resources; returns when it was there again. */
  restart(outageMs: number, resources: Resources): Promise<number>;
  /** By node, when clusters were first accepted since the last push or restart. */
  accepted(): Promise<ReadonlyMap<string, number>>;
  /** When streams were opened since the last start. */
  opened(): Promise<readonly number[]>;
  close(): Promise<void>;
}

export const servers = { 'go-control-plane': startGo, sample: startSample } as const;
export type ServerName = keyof typeof servers;

const clusterType = 'type.googleapis.com/envoy.config.cluster.v3.Cluster';

function firstOf(entries: readonly (readonly [node: string, time: string])[]): Map<string, number> {
  return new Map([...entries].reverse().map(([node, time]) => [node, Date.parse(time)]));
}

async function startGo(): Promise<FleetServer> {
  GoControlPlane.build();
  let revision = 0;
  let since = 0;
  const body = (resources: Resources): Snapshot => ({ version: String(++revision), nodeId: 'fleet', resources });
  const folder = mkdtempSync(join(tmpdir(), 'pontoon-fleet-'));
  const file = join(folder, 'snapshot.json');
  const flags = ['-hash', '=fleet'];
  let server = await GoControlPlane.start(flags);
  const { address } = server;
  return {
    address,
    get pid() {
      return server.pid;
    },
    async push(resources) {
      const began = Date.now();
      since = await server.putSnapshot(body(resources));
      return began;
    },
    async restart(outageMs, resources) {
      await server.close();
      writeFileSync(file, JSON.stringify(body(resources)));
      await sleep(outageMs);
      since = 0;
      const began = Date.now();
      server = await GoControlPlane.start([...flags, '-port', address.split(':')[1] as string, '-snapshot', file]);
      return began;
    },
    async accepted() {
      const answers = (await server.acks(since)).filter(
        ({ ack, type_url }) => ack === 'ack' && type_url === clusterType,
      );
      return firstOf(answers.map(({ node_id = '', time }) => [node_id, time]));
    },
    async opened() {
      return (await server.streams()).map(({ opened }) => Date.parse(opened));
    },
    async close() {
      await server.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The sample as its command starts it, with what it writes down about itself. */
async function runSample(
  folder: string,
  port: string,
): Promise<{ child: Child; address: string; events: RecordedEvent[] }> {
  const args = ['serve', '--resources', folder, '--port', port, '--http', '0', '--log-level', 'error'];
  const child = startChild(process.execPath, ['dist/control-plane-sample/cli.js', ...args]);
  const [, address = '', http = ''] = await child.outputs(/xDS on (\S+), HTTP API on http:\S+:(\d+)/);
  const events: RecordedEvent[] = [];
  const follow = async () => {
    for await (const event of readEvents(Number(http), '0')) events.push(event);
  };
  // It ends with the server.
  follow().catch(() => undefined);
  return { child, address, events };
}

async function startSample(): Promise<FleetServer> {
  const folder = mkdtempSync(join(tmpdir(), 'pontoon-fleet-'));
  let marked = 0;
  const write = (resources: Resources) => {
    const draft = join(folder, '.all.json');
    writeFileSync(draft, JSON.stringify(resources));
    renameSync(draft, join(folder, 'all.json'));
  };
  write({ clusters: [] });
  let running = await runSample(folder, '0');
  const { address } = running;
  async function stop(): Promise<void> {
    running.child.process.kill('SIGKILL');
    await running.child.closed;
  }
  return {
    address,
    get pid() {
      return running.child.process.pid ?? 0;
    },
    async push(resources) {
      const { events } = running;
      const from = events.at(-1)?.seq ?? 0;
      write(resources);
      const served = await until('the new snapshot', () =>
        events.find(({ seq, event }) => seq > from && event === 'snapshot'),
      );
      marked = served.seq;
      return Date.parse(served.time);
    },
    async restart(outageMs, resources) {
      await stop();
      write(resources);
      await sleep(outageMs);
      marked = 0;
      const began = Date.now();
      running = await runSample(folder, address.split(':')[1] as string);
      return began;
    },
    async accepted() {
      const answers = running.events.filter((event) => event.event === 'ack' && event.type === 'cds');
      return firstOf(
        answers.flatMap((event) => (event.seq > marked && 'node' in event ? [[event.node, event.time]] : [])),
      );
    },
    async opened() {
      return running.events.flatMap(({ event, time }) => (event === 'connected' ? [Date.parse(time)] : []));
    },
    async close() {
      await stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
