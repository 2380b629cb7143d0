import { type ResponseFlag, responseFlags } from '../access-log/response-flags.js';
import { type ExchangeFailure, pluginErrorBody } from '../bridge/exchange.js';
import { HeaderMap } from '../bridge/header-map.js';
import type { DownstreamStream } from '../bridge/stream.js';
import type { PoolFailure } from '../upstream/connection.js';

/** A response that is ours, not the server's. */
export interface LocalReply {
  readonly status: number;
  /** Sent as text/plain; '' for no body at all. */
  readonly body: string | Buffer;
  /** Bit set, added to those that the stream has. */
  readonly flags: ResponseFlag;
  /** Envoy's %RESPONSE_CODE_DETAILS%, for example `route_not_found`. */
  readonly details: string;
  /** Added to the response. */
  readonly headers?: HeaderMap;
}

/** Why the router answers itself. */
export type RoutingFailure =
  | { readonly kind: 'no_route' }
  | { readonly kind: 'unknown_cluster'; readonly status: number }
  /** The cluster is well formed, but not ours to run. */
  | { readonly kind: 'parked_cluster' }
  /** The cluster's first version is not ready. */
  | { readonly kind: 'warming_cluster' }
  /** CONNECT or an upgrade on a route that does not allow it. */
  | { readonly kind: 'upgrade_rejected' }
  /** `alternative`: the client asked for 204 instead (x-envoy-upstream-rq-timeout-alt-response). */
  | { readonly kind: 'timeout' | 'per_try_timeout'; readonly alternative: boolean }
  /** The request came to be too large to be kept while it waited for a retry. */
  | { readonly kind: 'retry_buffer_exceeded' }
  | ExchangeFailure;

/** A failure as the client and the access log see it, before and after response headers were sent. */
export interface FailureOutcome {
  readonly reply: LocalReply;
  /** For a stream that is reset instead, because headers are out. */
  readonly lateDetails: string;
  readonly lateFlags: ResponseFlag;
  /** %UPSTREAM_TRANSPORT_FAILURE_REASON%. */
  readonly transportFailure?: string;
}

/** Detail and flags are the same whether or not headers are out. */
function outcome(status: number, body: string, flags: ResponseFlag, details: string): FailureOutcome {
  return { reply: { status, body, flags, details }, lateDetails: details, lateFlags: flags };
}

/**
 * A reset as Envoy words it. What the system said stays in details and log: clients learn nothing of servers' addresses or states.
 * https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/response_code_details
 */
function reset(status: number, reason: string, flags: ResponseFlag, transportFailure?: string): FailureOutcome {
  const cause = (transportFailure === undefined ? reason : `${reason}|${transportFailure}`).replace(/\s/g, '_');
  return {
    reply: {
      status,
      body: `upstream connect error or disconnect/reset before headers. ${resetReason}${reason}`,
      flags,
      details: `upstream_reset_before_response_started{${cause}}`,
    },
    lateDetails: `upstream_reset_after_response_started{${cause}}`,
    lateFlags: flags,
    ...(transportFailure === undefined ? {} : { transportFailure }),
  };
}

/** What Linux calls the errors of a connect; Node gives the code. */
const systemErrors: Record<string, string> = {
  ECONNREFUSED: 'Connection refused',
  ECONNRESET: 'Connection reset by peer',
  EHOSTUNREACH: 'No route to host',
  ENETUNREACH: 'Network is unreachable',
  ETIMEDOUT: 'Connection timed out',
  EACCES: 'Permission denied',
  ENOENT: 'No such file or directory',
};

function poolOutcome(failure: PoolFailure): FailureOutcome {
  switch (failure.kind) {
    case 'no_healthy_upstream':
    // The cluster went away while the request waited: nobody is left to serve it.
    case 'cluster_removed':
      return outcome(503, 'no healthy upstream', responseFlags.UH, 'no_healthy_upstream');
    case 'overflow':
      return reset(503, 'overflow', responseFlags.UO);
    case 'connect_timeout':
      return reset(503, 'connection timeout', responseFlags.UF);
    case 'connect_failure': {
      const reason = failure.reason.replace(/\bE[A-Z]+\b/, (code) => systemErrors[code] ?? code);
      return reset(503, 'remote connection failure', responseFlags.UF, `delayed connect error: ${reason}`);
    }
  }
}

/** Where Envoy's text says that there were attempts before. */
const resetReason = 'reset reason: ';

/** How a request fails whose last attempt came to this: `retried`, it was not the only one. */
export function failureOutcome(failure: RoutingFailure, retried = false): FailureOutcome {
  const outcome = outcomeOf(failure);
  const { body } = outcome.reply;
  if (!retried || typeof body !== 'string') return outcome;
  return {
    ...outcome,
    reply: { ...outcome.reply, body: body.replace(resetReason, `retried and the latest ${resetReason}`) },
  };
}

/** The one table of failures: status, body, flags and details, as Envoy has them where it has the failure. */
function outcomeOf(failure: RoutingFailure): FailureOutcome {
  switch (failure.kind) {
    case 'no_route':
      return outcome(404, '', responseFlags.NR, 'route_not_found');
    case 'unknown_cluster':
      return outcome(failure.status, '', responseFlags.NC, 'cluster_not_found');
    case 'parked_cluster':
      return outcome(503, 'upstream cluster is parked: this proxy does not run it', responseFlags.NC, 'cluster_parked');
    case 'warming_cluster':
      return outcome(503, 'upstream cluster is warming', responseFlags.NC, 'cluster_warming');
    case 'upgrade_rejected':
      return outcome(403, '', 0, 'upgrade_failed');
    case 'timeout':
    case 'per_try_timeout': {
      const details = failure.kind === 'timeout' ? 'response_timeout' : 'upstream_per_try_timeout';
      return failure.alternative
        ? outcome(204, '', responseFlags.UT, details)
        : outcome(504, 'upstream request timeout', responseFlags.UT, details);
    }
    case 'retry_buffer_exceeded':
      return outcome(
        507,
        'exceeded request buffer limit while retrying upstream',
        0,
        'request_payload_exceeded_retry_buffer_limit',
      );
    case 'pool':
      return poolOutcome(failure.failure);
    case 'upstream_closed':
      return reset(503, 'connection termination', responseFlags.UC);
    case 'protocol_error':
      return reset(502, 'protocol error', responseFlags.UPE);
    case 'plugin_error':
      return { ...outcome(500, pluginErrorBody, 0, 'bridge_plugin_error'), lateFlags: responseFlags.LR };
    case 'request_too_large':
      return outcome(413, 'Payload Too Large', 0, 'request_payload_too_large');
    case 'response_too_large':
      return reset(502, 'protocol error', responseFlags.UPE, 'response too large for the bridge to buffer');
    case 'drain_timeout':
      return reset(503, 'local reset', responseFlags.LR, 'drain time of the replaced cluster is over');
  }
}

/** The gRPC status of an HTTP status: https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md */
function grpcStatus(status: number): number {
  const known: Record<number, number> = {
    200: 0,
    400: 13,
    401: 16,
    403: 7,
    404: 12,
    429: 14,
    502: 14,
    503: 14,
    504: 14,
  };
  return known[status] ?? 2;
}

/** grpc-message: what is no printable ASCII, and the percent sign, is percent-encoded byte by byte. */
function grpcMessage(body: Buffer): string {
  return body
    .toString('latin1')
    .replace(/[^ -$&-~]/g, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);
}

function isGrpc(headers: HeaderMap): boolean {
  return /^application\/grpc(\+|$)/.test(headers.get('content-type') ?? '');
}

/**
 * Sends `reply` as the whole response and records it in `stream.info`. Only before other headers were sent. Content-length and content-type
 * follow the body; HEAD gets headers only; a gRPC request gets a gRPC status.
 */
export function sendLocalReply(stream: DownstreamStream, reply: LocalReply): void {
  const body = typeof reply.body === 'string' ? Buffer.from(reply.body) : reply.body;
  const { info, requestHeaders } = stream;
  const grpc = isGrpc(requestHeaders);
  const head = requestHeaders.get(':method') === 'HEAD';
  info.responseCode = grpc ? 200 : reply.status;
  info.responseCodeDetails = reply.details;
  info.responseFlags |= reply.flags;
  const headers = new HeaderMap([':status', String(info.responseCode)]);
  reply.headers?.forEach((name, value) => {
    headers.add(name, value);
  });
  stream.mutateReply?.(headers);
  if (grpc) {
    headers.set('content-type', 'application/grpc');
    if (!headers.has('grpc-status')) headers.set('grpc-status', String(grpcStatus(reply.status)));
    if (body.length > 0 && !head) headers.set('grpc-message', grpcMessage(body));
    headers.delete('content-length');
    stream.sendHeaders(headers, true);
    return;
  }
  if (body.length > 0) {
    headers.set('content-length', String(body.length));
    if (!headers.has('content-type')) headers.set('content-type', 'text/plain');
  } else {
    headers.delete('content-length');
    headers.delete('content-type');
  }
  const bodiless = body.length === 0 || head;
  stream.sendHeaders(headers, bodiless);
  if (!bodiless) stream.sendData(body, true);
}
