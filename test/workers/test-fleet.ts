import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../src/clock.js';
import type { Logger } from '../../src/log.js';
import { createStatsStore } from '../../src/stats/create-store.js';
import { createFleet, type Fleet, type FleetOptions, type WorkerEnd } from '../../src/workers/fleet.js';
import { until } from '../support/until.js';
import type { TestAnswer, TestMessage, TestSettings } from './test-worker.js';

/** A fleet of test workers, with a server whose connections go to it. */
export interface TestFleet {
  readonly fleet: Fleet;
  readonly server: Server;
  readonly port: number;
  readonly folder: string;
  readonly ends: readonly WorkerEnd[];
  readonly reports: readonly { readonly worker: number; readonly report: unknown }[];
  readonly logs: readonly string[];
  /** What a new worker is told. */
  replay: TestMessage[];
  /** For workers that are started from now on. */
  configure(settings: TestSettings): void;
  /** `workers.NAME`. */
  counter(name: string): number;
  gauge(name: string): number;
  send(message: TestMessage): void;
  /** By worker, in their order. */
  answers(): Promise<readonly (TestAnswer & { readonly worker: number })[]>;
  connect(options?: { readonly allowHalfOpen?: boolean }): Promise<Client>;
  close(): Promise<void>;
}

export interface Client {
  readonly socket: Socket;
  /** What came so far. */
  received(): string;
  /** Sends a line and waits for the line that answers it: who answered. */
  ask(line: string): Promise<string>;
  /** Everything, when the other side has closed its end. */
  readonly ended: Promise<string>;
}

const program = fileURLToPath(new URL('./test-worker.js', import.meta.url));

export async function createTestFleet(options: Partial<FleetOptions> = {}): Promise<TestFleet> {
  const folder = mkdtempSync(join(tmpdir(), 'pontoon-workers-'));
  const settingsFile = join(folder, 'settings.json');
  writeFileSync(settingsFile, '{}');
  const stats = createStatsStore();
  const ends: WorkerEnd[] = [];
  const reports: { worker: number; report: unknown }[] = [];
  const logs: string[] = [];
  const write = (_fields: unknown, text?: string): void => void logs.push(text ?? '');
  const log = { trace: write, debug: write, info: write, warn: write, error: write, fatal: write } as unknown as Logger;
  const fleet = createFleet({
    count: 2,
    program,
    programArguments: [settingsFile],
    log,
    stats,
    clock: systemClock,
    folder,
    drainTimeMs: 5_000,
    replay: (send) => it.replay.forEach(send),
    onReport: (worker, report) => reports.push({ worker, report }),
    onEnd: (end) => ends.push(end),
    ...options,
  });
  const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (socket) =>
    fleet.dispatch(socket, { port: socket.localPort }),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const it: TestFleet = {
    fleet,
    server,
    port,
    folder,
    ends,
    reports,
    logs,
    replay: [],
    configure: (settings) => writeFileSync(settingsFile, JSON.stringify(settings)),
    counter: (name) => stats.counter(`workers.${name}`).value,
    gauge: (name) => stats.gauge(`workers.${name}`).value,
    send: (message) => fleet.broadcast(message),
    answers: async () =>
      [...(await fleet.ask('state', 5_000))].map(([worker, answer]) => ({ worker, ...(answer as TestAnswer) })),
    connect: (socketOptions) => connectTo(port, socketOptions),
    async close() {
      server.close();
      await fleet.close(0);
      rmSync(folder, { recursive: true });
    },
  };
  return it;
}

export async function connectTo(port: number, options: { readonly allowHalfOpen?: boolean } = {}): Promise<Client> {
  const socket = connect({ port, host: '127.0.0.1', ...options });
  let received = '';
  socket.on('data', (data: Buffer) => {
    received += data.toString('latin1');
  });
  const ended = new Promise<string>((resolve, reject) => {
    socket.on('end', () => resolve(received));
    socket.on('error', reject);
  });
  // Who doesn't wait for it doesn't mind.
  ended.catch(() => undefined);
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  return {
    socket,
    received: () => received,
    ended,
    async ask(line) {
      const from = received.length;
      socket.write(`${line}\n`);
      const answer = await until(
        `an answer to ${line}`,
        () => {
          if (socket.destroyed) throw new Error(`the connection was closed before ${line} was answered`);
          return /^(\d+) .*\n/.exec(received.slice(from))?.[1];
        },
        15_000,
      );
      return answer;
    },
  };
}
