import { HeaderMap } from '../bridge/header-map.js';
import type { LocalReply } from '../routing/local-reply.js';
import { stripPort, stripTrailingHostDot } from './authority.js';
import type { ConnectionManager } from './connection-manager.js';
import { chargeResponse } from './http-stats.js';
import { continueResponse } from './http1-response.js';
import type { MutableStreamInfo } from './new-stream-info.js';
import { normalizePath } from './path-normalization.js';
import { formatAddress } from './remote-address.js';
import type { AcceptedHead } from './request-head.js';
import { mutateRequestHeaders, setRequestId } from './request-headers.js';
import type { KnownHead } from './request-parser.js';
import type { StreamConnection } from './stream-connection.js';

const reject = (status: number, details: string, headers?: HeaderMap): LocalReply => ({
  status,
  body: '',
  flags: 0,
  details,
  ...(headers && { headers }),
});

/** What a head became, for when the same one comes again on its connection. */
export interface PreparedRequest extends AcceptedHead {
  /** It did this. */
  readonly manager: ConnectionManager;
  /** Without the request id. */
  readonly headers: HeaderMap;
  readonly downstreamRemoteAddress: string;
}

/**
 * What Envoy's connection manager does to a request before it is routed (`ActiveStream::decodeHeaders`), in its order.
 * @param known where the outcome is kept, if it will be the same again
 * @returns the reply, if the request goes no further
 */
export function prepareRequest(
  head: AcceptedHead,
  info: MutableStreamInfo,
  manager: ConnectionManager,
  connection: StreamConnection,
  known?: KnownHead,
): LocalReply | undefined {
  const { headers } = head;
  const { config, stats } = manager;
  const expects = headers.has('expect');
  answerExpectation(headers, info, manager, connection);
  const authority = headers.get(':authority');
  if (authority === undefined) return reject(400, 'missing_host_header');
  const path = headers.get(':path');
  if (path !== undefined) {
    const reply = preparePath(path, headers, manager);
    if (reply) return reply;
  }
  normalizeHost(authority, headers, manager, connection);
  const upgrade = head.upgrade;
  const clientAddress = mutateRequestHeaders(headers, config, {
    remoteAddress: connection.addresses.remoteAddress,
    localAddress: manager.localAddress,
    tls: connection.tls,
  });
  // An address from x-forwarded-for has no port.
  if (clientAddress !== undefined) info.downstreamRemoteAddress = formatAddress(clientAddress, 0);
  // What is refused, or answered with 100, is to be so the next time.
  if (known && !upgrade && !expects) {
    const { endStream, close } = head;
    const { downstreamRemoteAddress } = info;
    // One shape for all: a spread makes many.
    known.prepared = { headers: headers.clone(), endStream, upgrade, close, manager, downstreamRemoteAddress };
  }
  setRequestId(headers, config);
  if (upgrade) {
    // No upgrade is offered, and what follows is no HTTP: Envoy closes, too.
    stats.downstream_rq_ws_on_non_ws_route.value++;
    connection.closeAfterResponse();
    return reject(403, 'upgrade_failed');
  }
  return undefined;
}

/** As `prepareRequest`, of a head that it has prepared before. @returns the request's headers */
export function prepareAgain(prepared: PreparedRequest, info: MutableStreamInfo): HeaderMap {
  const headers = prepared.headers.clone();
  info.downstreamRemoteAddress = prepared.downstreamRemoteAddress;
  setRequestId(headers, prepared.manager.config);
  return headers;
}

/** RFC 9110 section 10.1.1. */
function answerExpectation(
  headers: HeaderMap,
  info: MutableStreamInfo,
  manager: ConnectionManager,
  connection: StreamConnection,
): void {
  if (manager.config.proxy100Continue || headers.get('expect')?.toLowerCase() !== '100-continue') return;
  headers.delete('expect');
  // An HTTP/1.0 client knows no interim responses.
  if (info.protocol === 'HTTP/1.0') return;
  chargeResponse(manager.stats, manager.listenerStats, 100);
  connection.write(continueResponse);
}

function preparePath(path: string, headers: HeaderMap, manager: ConnectionManager): LocalReply | undefined {
  const { config, stats } = manager;
  if (!path.startsWith('/')) {
    stats.downstream_rq_non_relative_path.value++;
    return reject(404, 'absolute_path_rejected');
  }
  const normalized = normalizePath(path, config);
  switch (normalized.kind) {
    case 'reject':
      stats.downstream_rq_failed_path_normalization.value++;
      return reject(400, 'path_normalization_failed');
    case 'redirect':
      stats.downstream_rq_redirected_with_normalized_path.value++;
      return reject(307, 'path_normalization_failed', new HeaderMap(['location', normalized.path]));
    case 'continue':
      if (normalized.path !== path) headers.set(':path', normalized.path);
      return undefined;
  }
}

function normalizeHost(
  authority: string,
  headers: HeaderMap,
  manager: ConnectionManager,
  connection: StreamConnection,
): void {
  const { config } = manager;
  let host = authority;
  if (config.stripTrailingHostDot) host = stripTrailingHostDot(host);
  if (config.stripAnyHostPort) host = stripPort(host, undefined);
  else if (config.stripMatchingHostPort) host = stripPort(host, connection.addresses.localPort);
  if (host !== authority) headers.set(':authority', host);
}
