import type { Route, RouteConfiguration, VirtualHost } from '../../model/route.js';
import type { Route__Output } from '../../protobuf/generated/envoy/config/route/v3/Route.js';
import type { RouteConfiguration__Output } from '../../protobuf/generated/envoy/config/route/v3/RouteConfiguration.js';
import type { VirtualHost__Output } from '../../protobuf/generated/envoy/config/route/v3/VirtualHost.js';
import type { Schema } from '../../protobuf/schema.js';
import { join } from './findings.js';
import { readHeaderMutations } from './header-mutations.js';
import { readRetryPolicy } from './retry-policy.js';
import { readDirectResponse, readForward, readRedirect } from './route-action.js';
import { readRouteMatch } from './route-match.js';
import { checkFields } from './support/check.js';
import { routeConfigurationSupport, routeSupport, virtualHostSupport } from './support/route.js';
import { type Context, type ResourceTranslator, translateResource } from './translate.js';

const typeName = 'envoy.config.route.v3.RouteConfiguration';

const defaultMaxDirectResponseBytes = 4096;

interface BufferLimits {
  readonly request_body_buffer_limit: { readonly value: string } | null;
  readonly per_request_buffer_limit_bytes: { readonly value: number } | null;
}

/** The new field wins over the old one. */
function readBufferLimit(message: BufferLimits): number | undefined {
  const { request_body_buffer_limit, per_request_buffer_limit_bytes } = message;
  if (request_body_buffer_limit !== null) return Number(request_body_buffer_limit.value);
  return per_request_buffer_limit_bytes?.value;
}

function readAction(
  context: Context,
  route: Route__Output,
  path: string,
  maxBodyBytes: number,
): Route['action'] | undefined {
  if (route.route) return readForward(context, route.route, join(path, 'route'));
  if (route.redirect) return readRedirect(context, route.redirect, join(path, 'redirect'));
  if (route.direct_response)
    return readDirectResponse(context, route.direct_response, join(path, 'direct_response'), maxBodyBytes);
  return undefined;
}

function readRoute(context: Context, route: Route__Output, path: string, maxBodyBytes: number): Route | undefined {
  checkFields(routeSupport, route, path, context.findings);
  const match = route.match ? readRouteMatch(context, route.match, join(path, 'match')) : undefined;
  const action = readAction(context, route, path, maxBodyBytes);
  const mutations = readHeaderMutations(context, route, path);
  if (match === undefined || action === undefined) return undefined;
  return {
    name: route.name,
    match,
    action,
    requestBufferLimitBytes: readBufferLimit(route),
    ...mutations,
  };
}

function readVirtualHost(context: Context, host: VirtualHost__Output, path: string, maxBodyBytes: number): VirtualHost {
  checkFields(virtualHostSupport, host, path, context.findings);
  const routes: Route[] = [];
  for (const [index, message] of host.routes.entries()) {
    const route = readRoute(context, message, join(path, `routes[${index}]`), maxBodyBytes);
    if (route !== undefined) routes.push(route);
  }
  return {
    name: host.name,
    domains: host.domains,
    routes,
    requireTls: host.require_tls,
    requestBufferLimitBytes: readBufferLimit(host),
    retryPolicy: readRetryPolicy(context, host.retry_policy, join(path, 'retry_policy')),
    includeRequestAttemptCount: host.include_request_attempt_count,
    includeAttemptCountInResponse: host.include_attempt_count_in_response,
    includeIsTimeoutRetryHeader: host.include_is_timeout_retry_header,
    ...readHeaderMutations(context, host, path),
  };
}

/** A domain belongs to one virtual host only, whatever its case. */
function checkDomains(context: Context, config: RouteConfiguration__Output, path: string): void {
  const seen = new Set<string>();
  for (const [index, host] of config.virtual_hosts.entries())
    for (const [position, domain] of host.domains.entries()) {
      const key = domain.toLowerCase();
      const at = join(path, `virtual_hosts[${index}].domains[${position}]`);
      if (seen.has(key) && key === '*')
        context.findings.malformed.push({
          path: at,
          message: 'Only a single wildcard domain is permitted',
        });
      else if (seen.has(key))
        context.findings.malformed.push({
          path: at,
          message: `Only unique values for domains are permitted. Duplicate entry of domain ${domain}`,
        });
      seen.add(key);
    }
}

/** Of an RDS resource or inside a connection manager. */
export function readRouteConfiguration(
  context: Context,
  config: RouteConfiguration__Output,
  path: string,
): RouteConfiguration {
  checkFields(routeConfigurationSupport, config, path, context.findings);
  checkDomains(context, config, path);
  const maxDirectResponseBodySizeBytes =
    config.max_direct_response_body_size_bytes?.value ?? defaultMaxDirectResponseBytes;
  return {
    name: config.name,
    virtualHosts: config.virtual_hosts.map((host, index) =>
      readVirtualHost(context, host, join(path, `virtual_hosts[${index}]`), maxDirectResponseBodySizeBytes),
    ),
    ignorePortInHostMatching: config.ignore_port_in_host_matching,
    maxDirectResponseBodySizeBytes,
    ...readHeaderMutations(context, config, path),
  };
}

/** RDS. https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/route/v3/route.proto */
export function routeResource(schema: Schema): ResourceTranslator<RouteConfiguration> {
  return {
    typeUrl: `type.googleapis.com/${typeName}`,
    nameOf: (bytes) => schema.decode<RouteConfiguration__Output>(typeName, bytes).name,
    translate: (bytes, origin) =>
      translateResource(schema, typeName, bytes, origin, (message: RouteConfiguration__Output, context) =>
        readRouteConfiguration(context, message, ''),
      ),
  };
}
