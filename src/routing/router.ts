import type { Exchange, ExchangeOptions } from '../bridge/exchange.js';
import { HeaderMap } from '../bridge/header-map.js';
import type { PreparedBridge } from '../bridge/prepared-bridge.js';
import type { DownstreamStream } from '../bridge/stream.js';
import type { Clock } from '../clock.js';
import type { Logger } from '../log.js';
import type { ClusterSpecifier, DirectResponseAction, ForwardAction, RedirectAction } from '../model/route.js';
import type { StatsStore } from '../stats/store.js';
import type { ActiveCluster, ClusterManager } from '../upstream/cluster-manager.js';
import { type ForwardContext, ForwardedRequest } from './forwarded-request.js';
import { failureOutcome, type RoutingFailure, sendLocalReply } from './local-reply.js';
import { proxyProtocolHeader } from './proxy-protocol.js';
import { newLocation } from './redirect.js';
import { takeRequestTimeouts } from './request-timeout.js';
import { retryRules } from './retry-policy.js';
import type { CompiledRoute, RouteTable } from './route-table.js';
import { clusterStatsLookup, createRouterStats, type RouterStats } from './router-stats.js';

export interface RouterOptions {
  readonly clusters: Pick<ClusterManager<PreparedBridge>, 'lookup'>;
  /** Begins one attempt. */
  readonly startExchange: (options: ExchangeOptions) => Exchange;
  readonly stats: StatsStore;
  readonly log: Logger;
  readonly clock: Clock;
  /** Evenly distributed in [0, 1), as Math.random. */
  readonly random: () => number;
}

/** What the router needs to know of a connection manager. Make one object per connection manager: its statistics are kept with it. */
export interface RoutingOptions {
  readonly statPrefix: string;
  readonly suppressEnvoyHeaders: boolean;
  /** Bounds whole-body buffering where the route does not; 0 means no limit of the listener's. */
  readonly listenerBufferLimitBytes: number;
}

/** Envoy's router filter. */
export interface Router {
  /** Answers `stream` or sends it to a cluster. `routes` undefined: the route configuration has not come, and nothing matches. */
  handle(stream: DownstreamStream, routes: RouteTable | undefined, options: RoutingOptions): void;
}

/** Hard bound of whole-body buffering when nothing is configured. */
const defaultBufferLimitBytes = 16 * 1024 * 1024;

/** A request while it is being routed. */
interface Routing {
  readonly stream: DownstreamStream;
  readonly options: RoutingOptions;
  readonly stats: RouterStats;
  readonly routeConfigName: string;
}

/** Makes the process's router. */
export function createRouter(routerOptions: RouterOptions): Router {
  const { clusters, startExchange, stats, log, clock, random } = routerOptions;
  const routerStats = new WeakMap<RoutingOptions, RouterStats>();
  const context: ForwardContext = { clock, random, startExchange, findCluster, clusterStatsOf: clusterStatsLookup() };

  function statsOf(options: RoutingOptions): RouterStats {
    let found = routerStats.get(options);
    if (!found) {
      found = createRouterStats(stats, options.statPrefix);
      routerStats.set(options, found);
    }
    return found;
  }

  function handle(stream: DownstreamStream, routes: RouteTable | undefined, options: RoutingOptions): void {
    const routing = { stream, options, stats: statsOf(options), routeConfigName: routes?.config.name ?? '' };
    const match = routes?.match(stream.requestHeaders, random);
    if (match?.kind === 'route') {
      handleRoute(routing, match.route);
    } else if (match) {
      stream.info.virtualHost = match.virtualHost.name;
      if (isUpgrade(stream.requestHeaders)) replyUpgradeRejected(routing);
      else redirectToTls(routing);
    } else {
      replyNoRoute(routing);
    }
  }

  function handleRoute(routing: Routing, route: CompiledRoute): void {
    const { info, requestHeaders } = routing.stream;
    const { action, name } = route.route;
    info.virtualHost = route.virtualHost.name;
    info.routeName = name === '' ? undefined : name;
    const rejected = isUpgrade(requestHeaders) && !mayUpgrade(action, requestHeaders);
    // As in Envoy: what answers directly has no say in the reply of another filter.
    if (action.kind === 'route' || !rejected) routing.stream.mutateReply = route.mutateResponse;
    if (rejected) {
      replyUpgradeRejected(routing);
      return;
    }
    routing.stats.rqTotal.value++;
    if (action.kind === 'route') forward(routing, route, action);
    else replyDirectly(routing, route, action);
  }

  function forward(routing: Routing, route: CompiledRoute, action: ForwardAction): void {
    const { stream, options } = routing;
    const { info, requestHeaders } = stream;
    const name = chooseCluster(action.cluster, requestHeaders, random);
    const found = clusters.lookup(name);
    if (found.kind !== 'unknown') info.upstreamCluster = name;
    if (found.kind !== 'active') {
      log.debug(
        { cluster: name, reason: found.kind === 'parked' ? found.reason : found.kind },
        'no cluster for a request',
      );
      routing.stats.noCluster.value++;
      fail(routing, clusterFailure(found.kind, action));
      return;
    }
    if (action.idleTimeoutMs !== undefined) stream.setIdleTimeout(action.idleTimeoutMs);
    finalizeRequest(requestHeaders, route, action, options.suppressEnvoyHeaders);
    const rules = retryRules(route.retryPolicy, requestHeaders);
    const perTryTimeoutMs = route.retryPolicy?.policy.perTryTimeoutMs ?? 0;
    const request = new ForwardedRequest(
      context,
      {
        stream,
        clusterName: name,
        route,
        timeouts: takeRequestTimeouts(requestHeaders, action.timeoutMs, perTryTimeoutMs),
        retryRules: rules,
        suppressEnvoyHeaders: options.suppressEnvoyHeaders,
        routerStats: routing.stats,
        routeName: routing.routeConfigName,
        priority: action.priority,
        requestBufferLimit: bufferLimit(route, options),
        preface: prefaceOf(action, stream),
      },
      found.cluster,
    );
    request.start();
  }

  function findCluster(name: string): ActiveCluster<PreparedBridge> | undefined {
    const found = clusters.lookup(name);
    return found.kind === 'active' ? found.cluster : undefined;
  }

  return { handle };
}

function replyNoRoute(routing: Routing): void {
  routing.stats.rqTotal.value++;
  routing.stats.noRoute.value++;
  fail(routing, { kind: 'no_route' });
}

/** Before the router filter in Envoy: not among its requests. */
function replyUpgradeRejected(routing: Routing): void {
  routing.stats.upgradeRejected.value++;
  fail(routing, { kind: 'upgrade_rejected' });
}

function fail({ stream }: Routing, failure: RoutingFailure): void {
  sendLocalReply(stream, failureOutcome(failure).reply);
}

/** Always 301 to the same URL, with no changes to headers. */
function redirectToTls({ stream, stats }: Routing): void {
  stats.rqTotal.value++;
  stats.rqDirectResponse.value++;
  const location = `https://${stream.requestHeaders.get(':authority') ?? ''}${stream.requestHeaders.get(':path') ?? ''}`;
  sendLocalReply(stream, {
    status: 301,
    body: '',
    flags: 0,
    details: 'direct_response',
    headers: new HeaderMap(['location', location]),
  });
}

function replyDirectly(
  { stream, options, stats }: Routing,
  route: CompiledRoute,
  action: DirectResponseAction | RedirectAction,
): void {
  stats.rqDirectResponse.value++;
  const { requestHeaders } = stream;
  rewritePath(requestHeaders, route, options.suppressEnvoyHeaders);
  const headers = new HeaderMap();
  if (requestHeaders.has(':path') && (action.status === 201 || (action.status >= 300 && action.status < 400))) {
    headers.set('location', newLocation(requestHeaders, action.kind === 'redirect' ? action : undefined));
  }
  const body = action.kind === 'direct_response' ? Buffer.from(action.body) : '';
  sendLocalReply(stream, { status: action.status, body, flags: 0, details: 'direct_response', headers });
}

/** CONNECT and `connection: upgrade` (RFC 9110 section 7.8); a CONNECT with `:protocol` is an upgrade in HTTP/2 (RFC 8441). */
function isUpgrade(headers: HeaderMap): boolean {
  if (headers.get(':method') === 'CONNECT') return true;
  if (!headers.get('upgrade')) return false;
  return headers.values('connection').some((value) => /(?:^|,)\s*upgrade\s*(?:,|$)/i.test(value));
}

/** Only plain CONNECT is ever configured (`upgrade_configs` with CONNECT). */
function mayUpgrade(action: ForwardAction | DirectResponseAction | RedirectAction, headers: HeaderMap): boolean {
  const plainConnect = headers.get(':method') === 'CONNECT' && !headers.has(':protocol');
  return plainConnect && action.kind === 'route' && action.connect !== undefined;
}

function chooseCluster(specifier: ClusterSpecifier, headers: HeaderMap, random: () => number): string {
  switch (specifier.kind) {
    case 'cluster':
      return specifier.name;
    case 'cluster_header':
      return headers.get(specifier.header.toLowerCase()) ?? '';
    case 'weighted': {
      const total = specifier.clusters.reduce((sum, { weight }) => sum + weight, 0);
      let left = Math.floor(random() * total);
      for (const { name, weight } of specifier.clusters) {
        if (left < weight) return name;
        left -= weight;
      }
      return '';
    }
  }
}

function clusterFailure(kind: 'parked' | 'warming' | 'unknown', action: ForwardAction): RoutingFailure {
  if (kind === 'parked') return { kind: 'parked_cluster' };
  return kind === 'warming'
    ? { kind: 'warming_cluster' }
    : { kind: 'unknown_cluster', status: action.clusterNotFoundStatus };
}

/** What the server sees: header mutations first, then the new host, then the new path. */
function finalizeRequest(
  headers: HeaderMap,
  route: CompiledRoute,
  action: ForwardAction,
  suppressEnvoyHeaders: boolean,
): void {
  route.mutateRequest?.(headers);
  if (action.hostRewrite) {
    const host = headers.get(':authority');
    if (host && !suppressEnvoyHeaders) headers.set('x-envoy-original-host', host);
    headers.set(':authority', action.hostRewrite);
  }
  rewritePath(headers, route, suppressEnvoyHeaders);
}

function rewritePath(headers: HeaderMap, route: CompiledRoute, suppressEnvoyHeaders: boolean): void {
  const path = headers.get(':path');
  if (!route.rewritePath || path === undefined) return;
  if (!suppressEnvoyHeaders) headers.set('x-envoy-original-path', path);
  headers.set(':path', route.rewritePath(path));
}

function bufferLimit(route: CompiledRoute, options: RoutingOptions): number {
  if (route.requestBufferLimitBytes !== undefined) return route.requestBufferLimitBytes;
  return options.listenerBufferLimitBytes > 0 ? options.listenerBufferLimitBytes : defaultBufferLimitBytes;
}

/** From the connection's own addresses, whatever x-forwarded-for says; on any method, as in Envoy's bridge. */
function prefaceOf({ connect }: ForwardAction, { info }: DownstreamStream): Buffer | undefined {
  if (!connect?.proxyProtocol) return undefined;
  const source = info.downstreamDirectRemoteAddress ?? info.downstreamRemoteAddress;
  return proxyProtocolHeader(connect.proxyProtocol, source, info.downstreamLocalAddress);
}
