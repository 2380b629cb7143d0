import type { HeaderMap } from '../bridge/header-map.js';
import type { RedirectAction } from '../model/route.js';

/** What decides over the new location besides the path's rewrite, which has been done to `:path` already. */
export type RedirectTarget = Pick<RedirectAction, 'scheme' | 'host' | 'port' | 'path' | 'stripQuery'>;

const noRedirect: RedirectTarget = {
  scheme: undefined,
  host: undefined,
  port: undefined,
  path: undefined,
  stripQuery: false,
};

/**
 * The `location` of a redirect, or of a direct response with status 201 or 3xx (no `target`: the request's own URL).
 * https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/route/v3/route_components.proto#config-route-v3-redirectaction
 */
export function newLocation(headers: HeaderMap, target: RedirectTarget = noRedirect): string {
  const scheme = newScheme(headers, target);
  const port = target.port ? `:${target.port}` : '';
  const host = target.host || requestHost(headers, scheme, port !== '');
  return `${scheme}://${host}${port}${newPath(headers.get(':path') ?? '', target)}`;
}

function newScheme(headers: HeaderMap, { scheme }: RedirectTarget): string {
  if (scheme?.kind === 'scheme' && scheme.value !== '') return scheme.value;
  return scheme?.kind === 'https' ? 'https' : (headers.get(':scheme') ?? '');
}

/** The request's host, without its port when there is a new one or when it is the default of the scheme that is left behind. */
function requestHost(headers: HeaderMap, scheme: string, newPort: boolean): string {
  const host = headers.get(':authority') ?? '';
  const colon = host.startsWith('[') ? host.lastIndexOf(']:') + 1 || -1 : host.lastIndexOf(':');
  if (colon < 0) return host;
  const port = host.slice(colon);
  const protocol = headers.get('x-forwarded-proto')?.toLowerCase();
  const left =
    scheme !== protocol && ((protocol === 'https' && port === ':443') || (protocol === 'http' && port === ':80'));
  return newPort || left ? host.slice(0, colon) : host;
}

/** A `path_redirect` with a query of its own keeps it; otherwise the request's query stays unless it is stripped. */
function newPath(current: string, { path, stripQuery }: RedirectTarget): string {
  const replacement = path?.kind === 'path' && path.value !== '' ? path.value : undefined;
  const ownQuery = replacement?.includes('?') ?? false;
  const query = current.indexOf('?');
  let result = replacement ?? current;
  if (replacement !== undefined && !ownQuery && query >= 0) result += current.slice(query);
  if (!result.startsWith('/')) result = `/${result}`;
  return stripQuery && !ownQuery ? (result.split('?', 1)[0] as string) : result;
}
