import { bridges } from '../../plugins/length-prefixed/index.js';
import type { Multiplexing, PluginConfig } from '../../src/bridge/api.js';
import type { Clock } from '../../src/clock.js';
import type { Cluster } from '../../src/model/cluster.js';
import { frame, startFramedTestServer, withId } from '../support/framed-server.js';
import type { ServerConnection, TcpServer } from '../support/tcp-server.js';
import { createHarness, eventually, type Harness, type Sent, type TestPlugin, type TestRequest } from './harness.js';

const plugin = bridges.length_prefixed;

/** The plugin length_prefixed as a cluster with this plugin_config has it. */
export function configured(config: unknown): TestPlugin {
  const given: PluginConfig = { typeUrl: '', value: new Uint8Array(), unpack: () => config };
  const framing = plugin.parseConfig?.(given) as never;
  return {
    createBridge: (_config, callbacks) => plugin.createBridge(framing, callbacks),
    multiplexing: () => plugin.multiplexing?.(framing),
  };
}

/** Frames of 4 bytes of length, and an id in the next 4. */
export const framesById: Multiplexing = {
  frameLength: (bytes) => (bytes.length < 4 ? undefined : 4 + bytes.readUInt32BE(0)),
  correlation: {
    readId: (bytes) => (bytes.length < 8 ? undefined : bytes.readUInt32BE(4)),
    writeId: (bytes, id) => void bytes.writeUInt32BE(Number(id), 4),
  },
};

/** What a server was asked. The test answers when it likes. */
export interface Asked {
  readonly payload: Buffer;
  /** Behind the id. */
  readonly text: string;
  readonly connection: ServerConnection;
  answer(payload?: Buffer): void;
  /** With the id of the request. */
  reply(text: string): void;
}

/** A harness and a server that speaks frames, whose answers the test makes. */
export interface Sharing {
  readonly server: TcpServer;
  readonly harness: Harness;
  readonly asked: readonly Asked[];
  /** A POST whose body is an id and `text`. */
  send(text: string, more?: TestRequest): Sent;
  askedFor(count: number): Promise<void>;
  openConnections(): number;
  close(): Promise<void>;
}

export interface SharingOptions {
  readonly onAsked?: (one: Asked) => void;
  readonly overrides?: Partial<Cluster>;
  readonly clock?: Clock;
}

export async function share(given: TestPlugin, options: SharingOptions = {}): Promise<Sharing> {
  const asked: Asked[] = [];
  const server = await startFramedTestServer((payload, connection) => {
    const one: Asked = {
      payload,
      text: payload.subarray(4).toString(),
      connection,
      answer: (reply = payload) => void connection.socket.write(frame(reply)),
      reply: (text) => one.answer(Buffer.concat([payload.subarray(0, 4), Buffer.from(text)])),
    };
    asked.push(one);
    options.onAsked?.(one);
  });
  const harness = createHarness(given, server.port, options.overrides, options.clock);
  return {
    server,
    harness,
    asked,
    send: (text, more) => harness.send({ body: [withId(7, text)], ...more }),
    askedFor: (count) => eventually(() => asked.length === count, `${count} requests`),
    openConnections: () => server.connections.filter(({ closed }) => !closed).length,
    async close() {
      await harness.close();
      await server.close();
    },
  };
}

/** Names what is still held after all exchanges have ended. */
export function leftOver({ harness }: Sharing): Record<string, number> {
  const left = {
    exchanges: harness.stat('exchanges_active'),
    leased: harness.leased(),
    abandoned: harness.clusterStat('multiplexing.abandoned'),
    requests: harness.clusterStat('upstream_rq_active'),
    pending: harness.clusterStat('upstream_rq_pending_active'),
    connections: harness.clusterStat('upstream_cx_active'),
    received: harness.clusterStat('upstream_cx_rx_bytes_buffered'),
    written: harness.clusterStat('upstream_cx_tx_bytes_buffered'),
  };
  return Object.fromEntries(Object.entries(left).filter(([, value]) => value !== 0));
}

/** The body of an answer behind its id. */
export function textOf({ result }: Sent): string {
  return result.body.slice(4);
}
