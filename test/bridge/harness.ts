import type { StreamInfo } from '../../src/access-log/stream-info.js';
import type { BridgePlugin } from '../../src/bridge/api.js';
import type { Exchange, ExchangeCallbacks, ExchangeFailure } from '../../src/bridge/exchange.js';
import { createExchangeFactory, type StartExchange } from '../../src/bridge/exchange-factory.js';
import { HeaderMap } from '../../src/bridge/header-map.js';
import { prepareMultiplexing } from '../../src/bridge/multiplexing.js';
import type { PreparedBridge } from '../../src/bridge/prepared-bridge.js';
import { type Clock, systemClock } from '../../src/clock.js';
import { createLogging, type Logger } from '../../src/log.js';
import type { Cluster } from '../../src/model/cluster.js';
import { createStatsStore } from '../../src/stats/create-store.js';
import { kept } from '../../src/turn-memory.js';
import type { ActiveCluster, ClusterManager } from '../../src/upstream/cluster-manager.js';
import { createClusterManager } from '../../src/upstream/create-cluster-manager.js';

/** Resolves when `condition` holds; fails after five seconds. */
export async function eventually(condition: () => boolean, what = condition.toString()): Promise<void> {
  const deadline = Date.now() + 5000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`did not come true: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** A few turns of the event loop: what is on its way within this process arrives. */
export async function turns(count = 5): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** Logged lines: the fields and the text. */
export interface TestLog extends Logger {
  readonly lines: { level: string; fields: Record<string, unknown>; text: string }[];
}

export function testLog(): TestLog {
  const lines: TestLog['lines'] = [];
  const write =
    (level: string) =>
    (fields: unknown, text?: string): void => {
      lines.push({ level, fields: fields as Record<string, unknown>, text: String(text) });
    };
  const logger = Object.fromEntries(
    ['trace', 'debug', 'info', 'warn', 'error', 'fatal'].map((level) => [level, write(level)]),
  );
  return { ...(logger as unknown as Logger), lines };
}

/** A plugin whose bridges a test writes down as plain objects. */
export type TestPlugin = Pick<BridgePlugin<undefined>, 'createBridge' | 'maxResponseBuffer' | 'multiplexing'>;

export interface TestBridge extends PreparedBridge {
  released: boolean;
}

export function prepare(plugin: TestPlugin, pluginName = 'test'): TestBridge {
  return {
    id: pluginName,
    config: {
      libraryId: 'lib',
      libraryPath: '/lib.js',
      pluginName,
      pluginConfig: { typeUrl: '', value: new Uint8Array() },
    },
    libraryHash: 'hash',
    mark: { cell: new Uint32Array(1), number: 1 },
    maxResponseBuffer: plugin.maxResponseBuffer ?? 16 * 1024 * 1024,
    frames: prepareMultiplexing(plugin.multiplexing?.(undefined)),
    released: false,
    createBridge: (callbacks) => plugin.createBridge(undefined, callbacks),
    release() {
      this.released = true;
    },
  };
}

export function streamInfo(): StreamInfo {
  return {
    startTime: 0,
    startWallTime: 0,
    protocol: 'HTTP/1.1',
    downstreamRemoteAddress: '127.0.0.1:1',
    downstreamLocalAddress: '127.0.0.1:2',
    connectionId: 1,
    requestedServerName: undefined,
    requestBytes: 0,
    responseBytes: 0,
    responseCode: 0,
    responseCodeDetails: undefined,
    responseFlags: 0,
    routeName: undefined,
    virtualHost: undefined,
    upstreamCluster: undefined,
    upstreamHost: undefined,
    upstreamLocalAddress: undefined,
    upstreamTransportFailureReason: undefined,
    upstreamAttempts: 0,
    lastDownstreamRxByte: undefined,
    firstUpstreamTxByte: undefined,
    lastUpstreamTxByte: undefined,
    firstUpstreamRxByte: undefined,
    lastUpstreamRxByte: undefined,
    firstDownstreamTxByte: undefined,
    lastDownstreamTxByte: undefined,
  };
}

/** The router's side: writes down what comes and objects to what must not come. */
export class Recorder implements ExchangeCallbacks {
  headers: HeaderMap | undefined;
  readonly pieces: Buffer[] = [];
  localReply: { status: number; body: Buffer; headers: HeaderMap } | undefined;
  failure: ExchangeFailure | undefined;
  /** How it ended: `response`, `local_reply`, `failure`; undefined: not yet. */
  outcome: 'response' | 'local_reply' | 'failure' | undefined;
  paused = false;
  pauses = 0;
  connected = 0;
  /** What `onData` answers. */
  writable = true;
  cancelled = false;
  readonly violations: string[] = [];
  onEvent: (event: string) => void = () => undefined;

  get status(): string | undefined {
    return this.headers?.get(':status');
  }

  get body(): string {
    return Buffer.concat(this.pieces).toString('latin1');
  }

  /** One line for tables: `200 body`, `local 200 body`, `reset after 200 body (plugin_error)`, `failure plugin_error`. */
  get summary(): string {
    if (this.localReply !== undefined)
      return `local ${this.localReply.status} ${this.localReply.body.toString('latin1')}`;
    const sent = this.headers === undefined ? '' : `${this.status} ${this.body}`;
    if (this.failure === undefined) return this.outcome === undefined ? `open ${sent}` : sent;
    return sent === '' ? `failure ${this.failure.kind}` : `reset after ${sent} (${this.failure.kind})`;
  }

  onConnected(): void {
    this.#check('onConnected', this.headers === undefined);
    this.connected += 1;
  }

  onHeaders(headers: HeaderMap, endStream: boolean): void {
    this.#check('onHeaders', this.headers === undefined);
    this.headers = headers;
    if (endStream) this.#end('response');
    this.onEvent('headers');
  }

  onData(data: Buffer, endStream: boolean): boolean {
    this.#check('onData', this.headers !== undefined);
    this.#check('an empty piece in the middle', data.length > 0 || endStream);
    this.pieces.push(kept(data));
    if (endStream) this.#end('response');
    this.onEvent('data');
    return this.writable;
  }

  onLocalReply(status: number, body: Buffer, headers: HeaderMap): void {
    this.#check('onLocalReply', this.headers === undefined);
    this.localReply = { status, body, headers };
    this.#end('local_reply');
    this.onEvent('local_reply');
  }

  onFailure(failure: ExchangeFailure): void {
    this.#check('onFailure', true);
    this.failure = failure;
    this.#end('failure');
    this.onEvent('failure');
  }

  pauseRequest(): void {
    this.#check('pauseRequest', !this.paused);
    this.paused = true;
    this.pauses += 1;
    this.onEvent('pause');
  }

  resumeRequest(): void {
    this.#check('resumeRequest', this.paused);
    this.paused = false;
    this.onEvent('resume');
  }

  #end(outcome: Recorder['outcome']): void {
    this.outcome = outcome;
    if (this.paused) this.violations.push('ended while the request was paused');
  }

  #check(what: string, allowed: boolean): void {
    if (this.outcome !== undefined) this.violations.push(`${what} after the end`);
    else if (this.cancelled) this.violations.push(`${what} after cancel`);
    else if (!allowed) this.violations.push(`${what} out of order`);
  }
}

export interface TestRequest {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  /** undefined: no body; else the pieces that are sent at once. The last one ends it. */
  readonly body?: readonly (string | Buffer)[];
  /** The body goes on after these pieces. */
  readonly more?: boolean;
  readonly preface?: Buffer;
  readonly requestBufferLimit?: number;
  readonly recorder?: Recorder;
}

export interface Sent {
  readonly exchange: Exchange;
  readonly result: Recorder;
  readonly info: StreamInfo;
  ended(): Promise<Recorder>;
  cancel(): void;
}

export interface Harness<Bridge extends PreparedBridge = TestBridge> {
  readonly log: TestLog;
  readonly manager: ClusterManager<PreparedBridge>;
  readonly cluster: ActiveCluster<PreparedBridge>;
  readonly bridge: Bridge;
  /** A statistic of the bridge's plugin. */
  stat(name: string): number;
  /** A statistic of the cluster: a counter, or, with `_active` at its end or `abandoned`, a gauge. */
  clusterStat(name: string): number;
  /** Connections that exchanges have at this moment. */
  leased(): number;
  send(request?: TestRequest): Sent;
  close(): Promise<void>;
}

const limits = { maxConnections: 1024, maxPendingRequests: 1024, maxRequests: 1024, maxRetries: 3 };

/** Exchanges of one plugin on one server, over the real cluster manager and pool. */
export function createHarness(
  plugin: PreparedBridge,
  port: number,
  overrides?: Partial<Cluster>,
  clock?: Clock,
): Harness<PreparedBridge>;
export function createHarness(plugin: TestPlugin, port: number, overrides?: Partial<Cluster>, clock?: Clock): Harness;
export function createHarness(
  plugin: TestPlugin | PreparedBridge,
  port: number,
  overrides: Partial<Cluster> = {},
  clock: Clock = systemClock,
): Harness<PreparedBridge> {
  const stats = createStatsStore();
  const log = testLog();
  const manager = createClusterManager<PreparedBridge>({
    stats,
    log: createLogging('off').logger('upstream'),
    clock,
    drainTimeMs: 100,
    onEdsInterest: () => undefined,
  });
  const bridge = 'libraryHash' in plugin ? plugin : prepare(plugin);
  const model: Cluster = {
    name: 'cluster_0',
    statName: 'cluster_0',
    discovery: {
      type: 'STATIC',
      loadAssignment: {
        clusterName: 'cluster_0',
        overprovisioningFactor: 140,
        localities: [
          {
            locality: { region: '', zone: '', subZone: '' },
            priority: 0,
            weight: undefined,
            endpoints: [
              {
                address: { kind: 'tcp', address: '127.0.0.1', port },
                hostname: '',
                weight: 1,
                healthStatus: 'UNKNOWN',
              },
            ],
          },
        ],
      },
    },
    lbPolicy: 'ROUND_ROBIN',
    connectTimeoutMs: 5000,
    idleTimeoutMs: 3_600_000,
    perConnectionBufferLimitBytes: 1 << 20,
    circuitBreakers: { default: limits, high: limits },
    bridge: bridge.config,
    ...overrides,
  };
  manager.setCluster(
    { name: model.name, version: '1', bytes: new Uint8Array(), verdict: { kind: 'active', model, warnings: [] } },
    bridge,
    'static',
  );
  const found = manager.lookup(model.name);
  if (found.kind !== 'active') throw new Error(`the cluster is ${found.kind}`);
  const { cluster } = found;
  const start = createExchangeFactory({ stats, log, clock });
  return {
    log,
    manager,
    cluster,
    bridge,
    stat: (name) => {
      const full = `bridge.${bridge.config.pluginName}.${name}`;
      return name.endsWith('_active') ? stats.gauge(full).value : stats.counter(full).value;
    },
    clusterStat: (name) => {
      const full = `cluster.cluster_0.${name}`;
      return /(_active|_buffered|abandoned)$/.test(name) ? stats.gauge(full).value : stats.counter(full).value;
    },
    leased: () =>
      manager.snapshot().reduce((sum, { hosts }) => sum + hosts.reduce((n, { stats: s }) => n + s.rqActive, 0), 0),
    send: (request = {}) => send(start, cluster, request),
    close: () => manager.close(),
  };
}

/** Starts an exchange and hands it the request's body. */
export function send(start: StartExchange, cluster: ActiveCluster<PreparedBridge>, request: TestRequest): Sent {
  const info = streamInfo();
  const result = request.recorder ?? new Recorder();
  const exchange = start({
    cluster,
    priority: 'default',
    routeName: 'route_config_0',
    requestHeaders: requestHeaders(request),
    requestEndStream: request.body === undefined && request.more !== true,
    requestBufferLimit: request.requestBufferLimit ?? 16 * 1024 * 1024,
    preface: request.preface,
    avoidHosts: undefined,
    info,
    callbacks: result,
  });
  const body = request.body ?? [];
  body.forEach((piece, i) => {
    exchange.onRequestData(bytes(piece), request.more !== true && i === body.length - 1);
  });
  return {
    exchange,
    result,
    info,
    async ended() {
      await eventually(() => result.outcome !== undefined, `the exchange ends: ${result.summary}`);
      return result;
    },
    cancel() {
      exchange.cancel();
      result.cancelled = true;
    },
  };
}

export function bytes(data: string | Buffer): Buffer {
  return typeof data === 'string' ? Buffer.from(data, 'latin1') : data;
}

function requestHeaders({ method = 'POST', headers = {} }: TestRequest): HeaderMap {
  const pairs = [':method', method, ':path', '/path', ':authority', 'golang.bridge.com:80', ':scheme', 'http'];
  return new HeaderMap([...pairs, ...Object.entries(headers).flat()]);
}
