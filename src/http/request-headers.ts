import type { HeaderMap } from '../bridge/header-map.js';
import type { HttpConnectionManager } from '../model/listener.js';
import type { TlsInfo } from '../tls/tls-info.js';
import { forwardClientCert } from './client-cert-header.js';
import { sanitizeTe } from './connection-header.js';
import { isLoopback, lastForwardedAddress } from './remote-address.js';
import { newRequestId } from './request-id.js';

/** Where a request comes from, and us. Addresses without ports; `remoteAddress` '' for a Unix domain socket. */
export interface ConnectionAddresses {
  readonly remoteAddress: string;
  readonly localAddress: string;
  /** undefined: plain text. */
  readonly tls?: TlsInfo | undefined;
}

/** Of one connection, which is the codec's (RFC 9110 section 7.6.1), or the connection manager's to say. */
const ownHeaders = ['connection', 'upgrade', 'x-envoy-internal', 'keep-alive', 'proxy-connection', 'transfer-encoding'];

/** Set by proxies inside; from anyone else they are lies (Envoy's `cleanInternalHeaders`). */
const internalHeaders = [
  'x-envoy-retriable-status-codes',
  'x-envoy-retriable-header-names',
  'x-envoy-retry-on',
  'x-envoy-retry-grpc-on',
  'x-envoy-max-retries',
  'x-envoy-upstream-alt-stat-name',
  'x-envoy-upstream-rq-timeout-ms',
  'x-envoy-upstream-rq-per-try-timeout-ms',
  'x-envoy-upstream-rq-timeout-alt-response',
  'x-envoy-expected-rq-timeout-ms',
  'x-envoy-force-trace',
  'x-envoy-ip-tags',
  'x-envoy-original-url',
  'x-envoy-hedge-on-per-try-timeout',
];
const edgeHeaders = [
  'x-envoy-decorator-operation',
  'x-envoy-downstream-service-cluster',
  'x-envoy-downstream-service-node',
  'x-envoy-original-path',
  'x-envoy-original-host',
];

/** What no client may say; no client of an edge. */
const notFromClients = new Set([...ownHeaders, ...internalHeaders]);
const notFromOutside = new Set([...notFromClients, ...edgeHeaders]);

/**
 * Envoy's `ConnectionManagerUtility::mutateRequestHeaders`: takes away what a client may not say and adds what the server should know.
 * The same request of the same connection always becomes the same: the request id is `setRequestId`'s.
 * No address is internal unless one is configured to be (`internal_address_config`, which Envoy leaves empty since 1.33).
 * @returns the address that the request is taken to come from, or undefined: the connection's
 */
export function mutateRequestHeaders(
  headers: HeaderMap,
  config: HttpConnectionManager,
  addresses: ConnectionAddresses,
): string | undefined {
  headers.deleteAll(config.useRemoteAddress ? notFromOutside : notFromClients);
  sanitizeTe(headers);
  const referer = headers.get('referer');
  if (referer !== undefined && !isValidReferer(referer)) headers.delete('referer');

  const forwarded = config.useRemoteAddress ? forwardAsEdge(headers, config, addresses) : undefined;
  const clientAddress = config.useRemoteAddress
    ? forwarded
    : lastForwardedAddress(headers.get('x-forwarded-for'), config.xffNumTrustedHops);
  if (!headers.has('x-forwarded-proto')) headers.set('x-forwarded-proto', addresses.tls ? 'https' : 'http');
  if (!headers.has(':scheme')) {
    const proto = headers.get('x-forwarded-proto')?.toLowerCase();
    headers.set(':scheme', proto === 'https' ? 'https' : 'http');
  }

  if (config.via !== '') appendVia(headers, config.via);
  const external = clientAddress ?? addresses.remoteAddress;
  if (config.useRemoteAddress && external !== '') headers.set('x-envoy-external-address', external);
  forwardClientCert(headers, config.forwardClientCert, addresses.tls);
  return clientAddress;
}

/** `via: a, b`. */
export function appendVia(headers: HeaderMap, via: string): void {
  const before = headers.get('via');
  headers.set('via', before === undefined || before === '' ? via : `${before}, ${via}`);
}

/** Says who the client is: we are the first that may be believed. Returns the client's address as trusted hops before us reported it. */
function forwardAsEdge(
  headers: HeaderMap,
  config: HttpConnectionManager,
  addresses: ConnectionAddresses,
): string | undefined {
  const before = headers.get('x-forwarded-for');
  const hops = config.xffNumTrustedHops;
  const clientAddress = hops > 0 ? lastForwardedAddress(before, hops - 1) : undefined;
  if (!config.skipXffAppend && addresses.remoteAddress !== '') {
    const address = isLoopback(addresses.remoteAddress) ? addresses.localAddress : addresses.remoteAddress;
    headers.set('x-forwarded-for', before === undefined || before === '' ? address : `${before},${address}`);
  }
  if (hops === 0) headers.set('x-forwarded-proto', addresses.tls ? 'https' : 'http');
  return clientAddress;
}

/** The position where Envoy packs its tracing decision into a UUID; '4', the version, means none. */
const traceBytePosition = 14;

/** What is new in each request, even if all else of it is as before. */
export function setRequestId(headers: HeaderMap, config: HttpConnectionManager): void {
  if (!config.generateRequestId) return;
  const present = headers.get('x-request-id');
  if (present === undefined || present === '' || (config.useRemoteAddress && !config.preserveExternalRequestId)) {
    headers.set('x-request-id', newRequestId());
  } else if (config.useRemoteAddress && present.length === 36) {
    headers.set('x-request-id', `${present.slice(0, traceBytePosition)}4${present.slice(traceBytePosition + 1)}`);
  }
}

/** An absolute URL without fragment and userinfo, or a relative reference without a fragment (RFC 9110 section 10.1.3). */
function isValidReferer(referer: string): boolean {
  if (referer.includes('#')) return false;
  const absolute = /^[A-Za-z]+:\/\/([^/?]*)/.exec(referer);
  if (absolute) return absolute[1] !== '' && !absolute[1]?.includes('@');
  const colon = referer.indexOf(':');
  const slash = referer.indexOf('/');
  return colon < 0 || (slash >= 0 && slash < colon);
}
