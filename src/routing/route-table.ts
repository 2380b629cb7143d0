import type { HeaderMap } from '../bridge/header-map.js';
import type { HeaderMutations, PathMatch, Route, RouteConfiguration, VirtualHost } from '../model/route.js';
import { compileHeaderMutations, type HeaderMutator } from './header-mutations.js';
import {
  compileHeaderMatch,
  compilePathMatch,
  compileQueryMatch,
  type HeaderTest,
  parseQuery,
  pathOnly,
  type QueryTest,
  type StringTest,
} from './matchers.js';
import { compilePathRewrite, type PathRewrite } from './path-rewrite.js';
import { type CompiledRetryPolicy, compileRetryPolicy } from './retry-policy.js';

/** A route with all that a request needs of it prepared. */
export interface CompiledRoute {
  readonly route: Route;
  readonly virtualHost: VirtualHost;
  /** Of route, virtual host and route configuration together; undefined: none. */
  readonly mutateRequest: HeaderMutator | undefined;
  readonly mutateResponse: HeaderMutator | undefined;
  /** For forwarding and for redirects. */
  readonly rewritePath: PathRewrite | undefined;
  /** The route's own limit, else the virtual host's. */
  readonly requestBufferLimitBytes: number | undefined;
  /** The route's own policy, else the virtual host's. */
  readonly retryPolicy: CompiledRetryPolicy | undefined;
}

/** What a request meets: a route, or the virtual host's wish for TLS. */
export type RouteMatchResult =
  | { readonly kind: 'route'; readonly route: CompiledRoute }
  | { readonly kind: 'require_tls'; readonly virtualHost: VirtualHost };

/** A route configuration, ready to be asked. Immutable: a request keeps the one that it began with. */
export interface RouteTable {
  readonly config: RouteConfiguration;
  /** The first route that matches; undefined: none does (404). `random` in [0, 1) decides over `runtime_fraction`, once for all routes. */
  match(headers: HeaderMap, random: () => number): RouteMatchResult | undefined;
}

/** A route and its tests. */
interface Entry {
  readonly result: RouteMatchResult;
  readonly connectOnly: boolean;
  readonly path: StringTest;
  readonly headers: readonly HeaderTest[];
  readonly query: readonly QueryTest[];
  readonly fraction: { readonly numerator: number; readonly denominator: number } | undefined;
}

interface Host {
  readonly virtualHost: VirtualHost;
  readonly requireTls: RouteMatchResult;
  readonly entries: readonly Entry[];
}

/**
 * Compiles a route configuration. Throws an Error with the field's path when a regular expression or substitution is invalid, or a domain
 * occurs twice.
 */
export function compileRouteTable(config: RouteConfiguration): RouteTable {
  const hosts = config.virtualHosts.map((virtualHost, index) =>
    compileHost(config, virtualHost, `virtual_hosts[${index}]`),
  );
  const find = compileDomains(config, hosts);
  return { config, match: (headers, random) => matchHost(find(headers), headers, random) };
}

function compileHost(config: RouteConfiguration, virtualHost: VirtualHost, path: string): Host {
  const retryPolicy = virtualHost.retryPolicy && compileRetryPolicy(virtualHost.retryPolicy);
  return {
    virtualHost,
    requireTls: { kind: 'require_tls', virtualHost },
    entries: virtualHost.routes.map((route, index) => {
      try {
        return compileEntry(config, virtualHost, retryPolicy, route);
      } catch (error) {
        throw new Error(`${path}.routes[${index}]: ${error instanceof Error ? error.message : String(error)}`);
      }
    }),
  };
}

function compileEntry(
  config: RouteConfiguration,
  virtualHost: VirtualHost,
  retryPolicy: CompiledRetryPolicy | undefined,
  route: Route,
): Entry {
  const { match } = route;
  return {
    result: { kind: 'route', route: compileRoute(config, virtualHost, retryPolicy, route) },
    connectOnly: match.path.kind === 'connect',
    path: compilePathMatch(match.path),
    headers: match.headers.map(compileHeaderMatch),
    query: match.queryParameters.map(compileQueryMatch),
    fraction: match.fraction,
  };
}

function compileRoute(
  config: RouteConfiguration,
  virtualHost: VirtualHost,
  inheritedRetryPolicy: CompiledRetryPolicy | undefined,
  route: Route,
): CompiledRoute {
  const ownRetryPolicy = route.action.kind === 'route' ? route.action.retryPolicy : undefined;
  const levels = (which: 'requestHeaders' | 'responseHeaders'): HeaderMutations[] => [
    route[which],
    virtualHost[which],
    config[which],
  ];
  return {
    route,
    virtualHost,
    mutateRequest: compileHeaderMutations(levels('requestHeaders')),
    mutateResponse: compileHeaderMutations(levels('responseHeaders')),
    rewritePath: rewriteOf(route, route.match.path),
    requestBufferLimitBytes: route.requestBufferLimitBytes ?? virtualHost.requestBufferLimitBytes,
    retryPolicy: ownRetryPolicy ? compileRetryPolicy(ownRetryPolicy) : inheritedRetryPolicy,
  };
}

function rewriteOf({ action }: Route, match: PathMatch): PathRewrite | undefined {
  if (action.kind === 'route')
    return compilePathRewrite(match, { prefix: action.prefixRewrite, regex: action.regexRewrite });
  if (action.kind === 'direct_response') return undefined;
  return compilePathRewrite(match, {
    prefix: action.path?.kind === 'prefix_rewrite' ? action.path.value : undefined,
    regex: action.path?.kind === 'regex_rewrite' ? action.path : undefined,
  });
}

/** Wildcard domains by the length of their fixed part, longest first. */
type Wildcards = readonly { readonly length: number; readonly hosts: ReadonlyMap<string, Host> }[];

/** Finds the virtual host: exact, then the longest `*.suffix`, then the longest `prefix.*`, then `*`. */
function compileDomains(config: RouteConfiguration, hosts: readonly Host[]): (headers: HeaderMap) => Host | undefined {
  const exact = new Map<string, Host>();
  const suffixes = new Map<string, Host>();
  const prefixes = new Map<string, Host>();
  let fallback: Host | undefined;
  for (const host of hosts) {
    for (const given of host.virtualHost.domains) {
      const domain = given.toLowerCase();
      const [map, key] = domain.startsWith('*')
        ? [suffixes, domain.slice(1)]
        : domain.endsWith('*')
          ? [prefixes, domain.slice(0, -1)]
          : [exact, domain];
      if (domain === '*' ? fallback !== undefined : map.has(key)) {
        throw new Error(
          `virtual host "${host.virtualHost.name}": domain "${given}" occurs twice in route configuration "${config.name}"`,
        );
      }
      if (domain === '*') fallback = host;
      else map.set(key, host);
    }
  }
  const bySuffix = byLength(suffixes);
  const byPrefix = byLength(prefixes);
  const onlyFallback = exact.size === 0 && suffixes.size === 0 && prefixes.size === 0;
  return (headers) => {
    const authority = onlyFallback ? undefined : headers.get(':authority');
    if (authority === undefined) return onlyFallback ? fallback : undefined;
    const name = (config.ignorePortInHostMatching ? withoutPort(authority) : authority).toLowerCase();
    return (
      exact.get(name) ??
      findWildcard(bySuffix, name, (length) => name.slice(name.length - length)) ??
      findWildcard(byPrefix, name, (length) => name.slice(0, length)) ??
      fallback
    );
  };
}

function byLength(hosts: ReadonlyMap<string, Host>): Wildcards {
  const lengths = new Map<number, Map<string, Host>>();
  for (const [part, host] of hosts) {
    const same = lengths.get(part.length) ?? new Map<string, Host>();
    lengths.set(part.length, same.set(part, host));
  }
  return [...lengths].sort(([a], [b]) => b - a).map(([length, same]) => ({ length, hosts: same }));
}

function findWildcard(wildcards: Wildcards, name: string, part: (length: number) => string): Host | undefined {
  for (const { length, hosts } of wildcards) {
    // The star stands for one character at least.
    if (length >= name.length) continue;
    const host = hosts.get(part(length));
    if (host) return host;
  }
  return undefined;
}

/** An IPv6 address is always in brackets (RFC 3986 section 3.2.2), so a colon after the last bracket begins the port. */
function withoutPort(authority: string): string {
  const colon = authority.lastIndexOf(':');
  return colon < 0 || colon < authority.lastIndexOf(']') ? authority : authority.slice(0, colon);
}

function matchHost(host: Host | undefined, headers: HeaderMap, random: () => number): RouteMatchResult | undefined {
  if (!host) return undefined;
  if (needsTls(host.virtualHost, headers)) return host.requireTls;
  const target = headers.get(':path');
  const path = target === undefined ? undefined : pathOnly(target);
  const connect = headers.get(':method') === 'CONNECT';
  let query: ReadonlyMap<string, string> | undefined;
  let drawn: number | undefined;
  for (const entry of host.entries) {
    if (entry.connectOnly ? !connect : path === undefined || !entry.path(path)) continue;
    if (entry.fraction) {
      drawn ??= random();
      const { numerator, denominator } = entry.fraction;
      if (Math.floor(drawn * denominator) >= numerator) continue;
    }
    if (entry.headers.length > 0 && !allMatch(entry.headers, headers)) continue;
    if (entry.query.length > 0) {
      query ??= parseQuery(target ?? '');
      if (!allMatch(entry.query, query)) continue;
    }
    return entry.result;
  }
  return undefined;
}

/** No closure: this runs for every request and every route before its own. */
function allMatch<T>(tests: readonly ((of: T) => boolean)[], of: T): boolean {
  for (const test of tests) if (!test(of)) return false;
  return true;
}

/** By `x-forwarded-proto`, which the connection manager sets: what the client used, whatever stands in front of us. */
function needsTls({ requireTls }: VirtualHost, headers: HeaderMap): boolean {
  if (requireTls === 'NONE' || headers.get('x-forwarded-proto') === 'https') return false;
  return requireTls === 'ALL' || headers.get('x-envoy-internal') !== 'true';
}
