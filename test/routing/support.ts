import type { StreamInfo } from '../../src/access-log/stream-info.js';
import type { Exchange, ExchangeOptions } from '../../src/bridge/exchange.js';
import { HeaderMap } from '../../src/bridge/header-map.js';
import type { PreparedBridge } from '../../src/bridge/prepared-bridge.js';
import type { DownstreamHandler, DownstreamStream, StreamResetReason } from '../../src/bridge/stream.js';
import { createLogging } from '../../src/log.js';
import type { Cluster } from '../../src/model/cluster.js';
import type {
  DirectResponseAction,
  ForwardAction,
  HeaderMutations,
  RedirectAction,
  RetryPolicy,
  Route,
  RouteConfiguration,
  RouteMatch,
  VirtualHost,
} from '../../src/model/route.js';
import { compileRouteTable } from '../../src/routing/route-table.js';
import { createRouter, type RoutingOptions } from '../../src/routing/router.js';
import { createStatsStore } from '../../src/stats/create-store.js';
import type { StatsStore } from '../../src/stats/store.js';
import { createCircuitBreakers } from '../../src/upstream/circuit-breakers.js';
import type { ActiveCluster, ClusterLookup } from '../../src/upstream/cluster-manager.js';
import { type Host, newHostStats } from '../../src/upstream/host.js';
import { FakeClock } from '../support/fake-clock.js';

export const noMutations: HeaderMutations = { add: [], remove: [] };

export function forward(fields: Partial<ForwardAction> = {}): ForwardAction {
  return {
    kind: 'route',
    cluster: { kind: 'cluster', name: 'echo' },
    clusterNotFoundStatus: 503,
    timeoutMs: 15_000,
    idleTimeoutMs: undefined,
    prefixRewrite: undefined,
    regexRewrite: undefined,
    hostRewrite: undefined,
    priority: 'default',
    retryPolicy: undefined,
    connect: undefined,
    ...fields,
  };
}

export function retryPolicy(fields: Partial<RetryPolicy> = {}): RetryPolicy {
  return {
    retryOn: [],
    numRetries: 1,
    perTryTimeoutMs: 0,
    backOff: { baseMs: 25, maxMs: 250 },
    retriableStatusCodes: [],
    retriableHeaders: [],
    retriableRequestHeaders: [],
    avoidPreviousHosts: false,
    hostSelectionMaxAttempts: 1,
    ...fields,
  };
}

export function redirect(fields: Partial<RedirectAction> = {}): RedirectAction {
  return {
    kind: 'redirect',
    status: 301,
    scheme: undefined,
    host: undefined,
    port: undefined,
    path: undefined,
    stripQuery: false,
    ...fields,
  };
}

export function direct(status: number, body = ''): DirectResponseAction {
  return { kind: 'direct_response', status, body: Buffer.from(body) };
}

export function routeMatch(fields: Partial<RouteMatch> = {}): RouteMatch {
  return {
    path: { kind: 'prefix', value: '/', caseSensitive: true },
    headers: [],
    queryParameters: [],
    fraction: undefined,
    ...fields,
  };
}

export function prefix(value: string): RouteMatch {
  return routeMatch({ path: { kind: 'prefix', value, caseSensitive: true } });
}

export function route(fields: Partial<Route> = {}): Route {
  return {
    name: '',
    match: routeMatch(),
    action: forward(),
    requestBufferLimitBytes: undefined,
    requestHeaders: noMutations,
    responseHeaders: noMutations,
    ...fields,
  };
}

export function virtualHost(fields: Partial<VirtualHost> = {}): VirtualHost {
  return {
    name: 'vhost',
    domains: ['*'],
    routes: [route()],
    requireTls: 'NONE',
    requestBufferLimitBytes: undefined,
    retryPolicy: undefined,
    includeRequestAttemptCount: false,
    includeAttemptCountInResponse: false,
    includeIsTimeoutRetryHeader: false,
    requestHeaders: noMutations,
    responseHeaders: noMutations,
    ...fields,
  };
}

export function routeConfig(fields: Partial<RouteConfiguration> = {}): RouteConfiguration {
  return {
    name: 'routes',
    virtualHosts: [virtualHost()],
    ignorePortInHostMatching: false,
    maxDirectResponseBodySizeBytes: 4096,
    requestHeaders: noMutations,
    responseHeaders: noMutations,
    ...fields,
  };
}

/** One virtual host for all domains. */
export function routes(...list: Route[]): RouteConfiguration {
  return routeConfig({ virtualHosts: [virtualHost({ routes: list })] });
}

export function requestHeaders(fields: Record<string, string> = {}): HeaderMap {
  const all = {
    ':method': 'GET',
    ':path': '/',
    ':authority': 'example.com',
    ':scheme': 'http',
    'x-forwarded-proto': 'http',
    ...fields,
  };
  return new HeaderMap(Object.entries(all).flat());
}

export function streamInfo(): StreamInfo {
  return {
    startTime: 0,
    startWallTime: Date.UTC(2026, 0, 1),
    protocol: 'HTTP/1.1',
    downstreamRemoteAddress: '192.0.2.7:40000',
    downstreamLocalAddress: '192.0.2.1:10000',
    connectionId: 3,
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

/** A codec's side of a request: checks the contract of DownstreamStream and records what is sent. */
export class RecordingStream implements DownstreamStream {
  readonly info = streamInfo();
  mutateReply: DownstreamStream['mutateReply'];
  handler: DownstreamHandler | undefined;
  headers: HeaderMap | undefined;
  body = '';
  ended = false;
  resetReason: StreamResetReason | undefined;
  pauses = 0;
  idleTimeoutMs: number | undefined;
  writable = true;

  constructor(
    readonly requestHeaders: HeaderMap,
    readonly requestEndStream = true,
  ) {}

  get status(): number {
    return Number(this.headers?.get(':status'));
  }

  start(handler: DownstreamHandler): void {
    if (this.handler) throw new Error('started twice');
    this.handler = handler;
  }

  pauseReading(): void {
    this.pauses++;
  }

  resumeReading(): void {
    this.pauses--;
  }

  setIdleTimeout(ms: number): void {
    this.idleTimeoutMs = ms;
  }

  sendHeaders(headers: HeaderMap, endStream: boolean): void {
    this.#check();
    if (this.headers) throw new Error('headers sent twice');
    this.headers = headers;
    this.ended = endStream;
  }

  sendData(data: Buffer, endStream: boolean): boolean {
    this.#check();
    if (!this.headers) throw new Error('data before headers');
    this.body += data.toString();
    this.ended = endStream;
    return this.writable;
  }

  reset(reason: StreamResetReason): void {
    this.#check();
    this.resetReason = reason;
  }

  #check(): void {
    if (this.ended) throw new Error('sent after the end');
    if (this.resetReason) throw new Error('sent after the reset');
  }
}

/** An exchange whose events the test makes; records what the router does with it. */
export class ScriptedExchange implements Exchange {
  host: Host | undefined;
  idempotent: boolean | undefined;
  received = '';
  requestEnded = false;
  cancelled = 0;
  writable = 0;

  constructor(readonly options: ExchangeOptions) {}

  onRequestData(data: Buffer, endStream: boolean): void {
    this.received += data.toString();
    this.requestEnded = endStream;
  }

  onDownstreamWritable(): void {
    this.writable++;
  }

  cancel(): void {
    this.cancelled++;
  }
}

export function testHost(key = '127.0.0.1:9'): Host {
  const stats = newHostStats();
  return {
    key,
    address: key,
    socketAddress: { kind: 'tcp', address: '127.0.0.1', port: 9 },
    hostname: '',
    locality: { region: '', zone: '', subZone: '' },
    priority: 0,
    weight: 1,
    healthStatus: 'HEALTHY',
    stats,
  } as Host;
}

/** A router in front of clusters that exist by name only. */
export function routerBed(
  config: RouteConfiguration | undefined,
  {
    random = () => 0,
    maxRetries = 3,
    ...fields
  }: Partial<RoutingOptions> & { random?: () => number; maxRetries?: number } = {},
) {
  const clock = new FakeClock();
  const stats = createStatsStore();
  const exchanges: ScriptedExchange[] = [];
  const clusters = new Map<string, ClusterLookup<PreparedBridge>>([
    ['echo', activeCluster('echo', stats, maxRetries)],
    ['other', activeCluster('other', stats, maxRetries)],
    ['parked', { kind: 'parked', reason: 'no bridge' }],
    ['warming', { kind: 'warming' }],
  ]);
  const router = createRouter({
    clusters: { lookup: (name) => clusters.get(name) ?? { kind: 'unknown' } },
    startExchange(options) {
      const exchange = new ScriptedExchange(options);
      exchanges.push(exchange);
      return exchange;
    },
    stats,
    log: createLogging('off').logger('routing'),
    clock,
    random,
  });
  const table = config && compileRouteTable(config);
  const options = { statPrefix: 'ingress', suppressEnvoyHeaders: false, listenerBufferLimitBytes: 1 << 20, ...fields };
  return {
    clock,
    clusters,
    exchanges,
    counter: (name: string): number => stats.counter(name).value,
    handle(headers: Record<string, string> = {}, requestEndStream = true): RecordingStream {
      const stream = new RecordingStream(requestHeaders(headers), requestEndStream);
      router.handle(stream, table, options);
      return stream;
    },
  };
}

function activeCluster(name: string, store: StatsStore, maxRetries: number): ClusterLookup<PreparedBridge> {
  const config = { name, statName: name } as Cluster;
  const stats = store.scope(`cluster.${name}`);
  const thresholds = { maxConnections: 1024, maxPendingRequests: 1024, maxRequests: 1024, maxRetries };
  const { retries } = createCircuitBreakers(thresholds, stats, 'default');
  const cluster: Partial<ActiveCluster<PreparedBridge>> = { config, stats, retries: () => retries };
  return { kind: 'active', cluster: cluster as ActiveCluster<PreparedBridge> };
}

/** Headers but the pseudo ones, as an object. */
export function plainHeaders(headers: HeaderMap | undefined): Record<string, string> {
  const plain: Record<string, string> = {};
  headers?.forEach((name, value) => {
    if (!name.startsWith(':')) plain[name] = value;
  });
  return plain;
}
