import type { ForwardClientCert, HttpConnectionManager } from '../../model/listener.js';
import type { Http1ProtocolOptions__Output } from '../../protobuf/generated/envoy/config/core/v3/Http1ProtocolOptions.js';
import type { HttpConnectionManager__Output } from '../../protobuf/generated/envoy/extensions/filters/network/http_connection_manager/v3/HttpConnectionManager.js';
import { readAccessLogs } from './access-log.js';
import { checkSubscribedName, readConfigSource } from './config-source.js';
import { join } from './findings.js';
import { readHttpFilters } from './http-filters.js';
import { readDuration } from './read-duration.js';
import { readRouteConfiguration } from './route.js';
import { checkFields, extensionRule, report } from './support/check.js';
import {
  clientCertDetailsSupport,
  connectionManagerSupport,
  downstreamHttpOptionsSupport,
  http1OptionsSupport,
  rdsSupport,
  requestIdSupport,
  upgradeConfigSupport,
} from './support/listener.js';
import { type Context, extensionType } from './translate.js';

/** Envoy's defaults. https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/http_conn_man */
const defaults = {
  serverName: 'envoy',
  maxRequestHeadersKb: 60,
  maxHeadersCount: 100,
  streamIdleTimeoutMs: 300_000,
  idleTimeoutMs: 3_600_000,
  drainTimeoutMs: 5_000,
  delayedCloseTimeoutMs: 1_000,
} as const;

function readRoutes(
  context: Context,
  manager: HttpConnectionManager__Output,
  path: string,
): HttpConnectionManager['routes'] | undefined {
  if (manager.route_config)
    return {
      kind: 'inline',
      config: readRouteConfiguration(context, manager.route_config, join(path, 'route_config')),
    };
  if (!manager.rds?.config_source) return undefined;
  const at = join(path, 'rds');
  checkFields(rdsSupport, manager.rds, at, context.findings);
  checkSubscribedName(context, manager.rds.route_config_name, join(at, 'route_config_name'));
  const source = readConfigSource(context, manager.rds.config_source, join(at, 'config_source'));
  return source && { kind: 'rds', name: manager.rds.route_config_name, source };
}

function readHttp1(
  context: Context,
  options: Http1ProtocolOptions__Output | null,
  path: string,
): HttpConnectionManager['http1'] {
  if (options !== null) checkFields(http1OptionsSupport, options, path, context.findings);
  return {
    acceptHttp10: options?.accept_http_10 ?? false,
    defaultHostForHttp10: options?.default_host_for_http_10 ?? '',
    allowAbsoluteUrl: options?.allow_absolute_url?.value ?? true,
    allowChunkedLength: options?.allow_chunked_length ?? false,
  };
}

function readTimeouts(context: Context, manager: HttpConnectionManager__Output, path: string) {
  const common = manager.common_http_protocol_options;
  const read = (
    field:
      | 'stream_idle_timeout'
      | 'request_timeout'
      | 'request_headers_timeout'
      | 'drain_timeout'
      | 'delayed_close_timeout',
    defaultMs: number,
  ): number => readDuration(context, manager[field], defaultMs, join(path, field));
  const readCommon = (field: 'idle_timeout' | 'max_connection_duration', defaultMs: number): number =>
    readDuration(context, common?.[field], defaultMs, join(path, `common_http_protocol_options.${field}`));
  return {
    streamIdleTimeoutMs: read('stream_idle_timeout', defaults.streamIdleTimeoutMs),
    requestTimeoutMs: read('request_timeout', 0),
    requestHeadersTimeoutMs: read('request_headers_timeout', 0),
    idleTimeoutMs: readCommon('idle_timeout', defaults.idleTimeoutMs),
    maxConnectionDurationMs: readCommon('max_connection_duration', 0),
    drainTimeoutMs: read('drain_timeout', defaults.drainTimeoutMs),
    delayedCloseTimeoutMs: read('delayed_close_timeout', defaults.delayedCloseTimeoutMs),
  };
}

function readEscapedSlashes(manager: HttpConnectionManager__Output): HttpConnectionManager['pathWithEscapedSlashes'] {
  switch (manager.path_with_escaped_slashes_action) {
    case 'REJECT_REQUEST':
    case 'UNESCAPE_AND_REDIRECT':
    case 'UNESCAPE_AND_FORWARD':
      return manager.path_with_escaped_slashes_action;
    default:
      return 'KEEP_UNCHANGED';
  }
}

function readUnderscores(action: string | undefined): HttpConnectionManager['headersWithUnderscores'] {
  return action === 'REJECT_REQUEST' || action === 'DROP_HEADER' ? action : 'ALLOW';
}

/** Details are told by the modes that make the header; their order is Envoy's. */
function readForwardClientCert(manager: HttpConnectionManager__Output): ForwardClientCert {
  const mode = manager.forward_client_cert_details;
  const details = manager.set_current_client_cert_details;
  const told: [ForwardClientCert['details'][number], boolean | undefined][] = [
    ['cert', details?.cert],
    ['chain', details?.chain],
    ['subject', details?.subject?.value],
    ['uri', details?.uri],
    ['dns', details?.dns],
  ];
  return { mode, details: told.flatMap(([detail, set]) => (set ? [detail] : [])) };
}

/** Settings of the connection manager that stand for themselves. */
function readSettings(manager: HttpConnectionManager__Output) {
  const common = manager.common_http_protocol_options;
  return {
    statPrefix: manager.stat_prefix,
    codecType: manager.codec_type === 'HTTP1' ? 'HTTP1' : 'AUTO',
    serverName: manager.server_name || defaults.serverName,
    serverHeader: manager.server_header_transformation,
    via: manager.via,
    useRemoteAddress: manager.use_remote_address?.value ?? false,
    xffNumTrustedHops: manager.xff_num_trusted_hops,
    skipXffAppend: manager.skip_xff_append,
    generateRequestId: manager.generate_request_id?.value ?? true,
    preserveExternalRequestId: manager.preserve_external_request_id,
    alwaysSetRequestIdInResponse: manager.always_set_request_id_in_response,
    normalizePath: manager.normalize_path?.value ?? false,
    mergeSlashes: manager.merge_slashes,
    pathWithEscapedSlashes: readEscapedSlashes(manager),
    stripAnyHostPort: manager.strip_any_host_port ?? false,
    stripMatchingHostPort: manager.strip_matching_host_port,
    stripTrailingHostDot: manager.strip_trailing_host_dot,
    maxRequestHeadersBytes: (manager.max_request_headers_kb?.value ?? defaults.maxRequestHeadersKb) * 1024,
    maxHeadersCount: common?.max_headers_count?.value ?? defaults.maxHeadersCount,
    headersWithUnderscores: readUnderscores(common?.headers_with_underscores_action),
    maxRequestsPerConnection: common?.max_requests_per_connection?.value ?? 0,
    proxy100Continue: manager.proxy_100_continue,
  } as const;
}

function checkManager(context: Context, manager: HttpConnectionManager__Output, path: string): void {
  const { findings } = context;
  checkFields(connectionManagerSupport, manager, path, findings);
  const common = manager.common_http_protocol_options;
  if (common !== null)
    checkFields(downstreamHttpOptionsSupport, common, join(path, 'common_http_protocol_options'), findings);
  if (manager.strip_any_host_port && manager.strip_matching_host_port)
    findings.malformed.push({
      path,
      message: 'only one of strip_matching_host_port and strip_any_host_port is allowed',
    });
  const details = manager.set_current_client_cert_details;
  if (details) checkFields(clientCertDetailsSupport, details, join(path, 'set_current_client_cert_details'), findings);
  checkUpgrades(context, manager, path);
  const requestId = manager.request_id_extension?.typed_config;
  if (!requestId) return;
  const at = join(path, 'request_id_extension.typed_config');
  const type = extensionType(context, requestId, at);
  const rule = type === undefined ? undefined : extensionRule(requestIdSupport, type);
  if (rule !== undefined) report(findings, rule.treatment, at, `${rule.reason} (${type})`);
}

function checkUpgrades(context: Context, manager: HttpConnectionManager__Output, path: string): void {
  const { findings } = context;
  const seen = new Set<string>();
  for (const [index, upgrade] of manager.upgrade_configs.entries()) {
    const at = join(path, `upgrade_configs[${index}]`);
    checkFields(upgradeConfigSupport, upgrade, at, findings);
    const type = upgrade.upgrade_type.toLowerCase();
    if (seen.has(type))
      findings.malformed.push({
        path: at,
        message: `duplicate upgrade ${upgrade.upgrade_type}`,
      });
    seen.add(type);
    if (upgrade.enabled?.value !== false && type !== 'connect')
      findings.warnings.push({
        path: at,
        message: `ignored: connections are not upgraded to ${upgrade.upgrade_type}`,
      });
  }
}

/** https://www.envoyproxy.io/docs/envoy/latest/api-v3/extensions/filters/network/http_connection_manager/v3/http_connection_manager.proto */
export function readHttpConnectionManager(
  context: Context,
  manager: HttpConnectionManager__Output,
  path: string,
): HttpConnectionManager | undefined {
  checkManager(context, manager, path);
  const routes = readRoutes(context, manager, path);
  const router = readHttpFilters(context, manager.http_filters, join(path, 'http_filters'));
  const http1 = readHttp1(context, manager.http_protocol_options, join(path, 'http_protocol_options'));
  const accessLogs = readAccessLogs(context, manager.access_log, join(path, 'access_log'));
  const timeouts = readTimeouts(context, manager, path);
  if (routes === undefined || router === undefined) return undefined;
  return {
    ...readSettings(manager),
    ...timeouts,
    routes,
    http1,
    accessLogs,
    suppressEnvoyHeaders: router.suppress_envoy_headers,
    forwardClientCert: readForwardClientCert(manager),
  };
}
