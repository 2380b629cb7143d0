import { HeaderMap } from '../bridge/header-map.js';
import type { HttpConnectionManager } from '../model/listener.js';
import { hasToken, removeNominatedHeaders } from './connection-header.js';
import { allAre, isAuthority, isDigit } from './http1-bytes.js';
import { knownMethods } from './known-words.js';
import { announcesBody, type RequestHead } from './request-parser.js';
import { parseRequestTarget } from './request-target.js';

/** A head that Envoy's HTTP/1 codec would refuse: answered with `status` and its reason phrase, then the connection is closed. */
export interface Refusal {
  readonly status: 400 | 426 | 431 | 501;
  readonly details: string;
}

/** A head that passed. `upgrade`: bytes that follow are no HTTP/1 body. */
export interface AcceptedHead {
  readonly headers: HeaderMap;
  readonly endStream: boolean;
  readonly upgrade: boolean;
  /** The client wants the connection closed after the response. */
  readonly close: boolean;
}

const methods = new Set(knownMethods);

/** Headers that Envoy keeps as one value: further lines are joined to the first with a comma. */
const joined = new Set([
  'connection',
  'content-type',
  'expect',
  'grpc-timeout',
  'keep-alive',
  'proxy-connection',
  'proxy-status',
  'referer',
  'te',
  'transfer-encoding',
  'upgrade',
  'user-agent',
  'via',
  'x-client-trace-id',
  'x-forwarded-client-cert',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-proto',
  'x-request-id',
]);

/** What is set in a request before it is routed, and to be passed on: the target and the host, and some six headers. */
const roomForMore = 16;

const badRequest = (details: string): Refusal => ({ status: 400, details });

/**
 * What Envoy's HTTP/1 codec (source/common/http/http1/codec_impl.cc) does to a head before the connection manager sees it: limits, framing
 * rules, the Connection header, the request target and the host. The parser has seen to the grammar and to Content-Length.
 */
export function acceptHead(head: RequestHead, config: HttpConnectionManager): AcceptedHead | Refusal {
  if (head.size > config.maxRequestHeadersBytes) return { status: 431, details: 'http1.headers_too_large' };
  if (!methods.has(head.method)) return badRequest('http1.codec_error');
  const collected = collectHeaders(head, config);
  if ('status' in collected) return collected;
  const headers = collected;

  const asksForUpgrade = isUpgrade(headers);
  if (asksForUpgrade && headers.get('upgrade')?.toLowerCase() === 'h2c') removeH2cUpgrade(headers);
  const upgrade = isUpgrade(headers);
  const framing = checkFraming(head, headers);
  if (framing) return framing;
  // Node's parser drops what follows: the client must not count on a second request.
  const close = asksForUpgrade || asksProxyForUpgrade(headers) || wantsClose(head.protocol, headers);
  if (!upgrade && !removeNominatedHeaders(headers)) return badRequest('http1.connection_header_rejected');

  const target = parseRequestTarget(head.method, head.target, config.http1.allowAbsoluteUrl);
  if (typeof target === 'string') return badRequest(target);
  const refusal = checkVersion(head, config);
  if (refusal) return refusal;
  const fallbackHost =
    head.protocol === 'HTTP/1.0' && config.http1.defaultHostForHttp10 !== ''
      ? config.http1.defaultHostForHttp10
      : undefined;
  const authority = target.authority ?? headers.get('host') ?? fallbackHost;
  if (authority !== undefined && !allAre(authority, isAuthority)) return badRequest('http.invalid_authority');

  const endStream = !upgrade && head.method !== 'CONNECT' && !announcesBody(head.headers);
  headers.delete('host');
  setOrDelete(headers, ':path', target.path);
  setOrDelete(headers, ':authority', authority);
  return {
    headers: target.scheme === undefined ? headers : withScheme(headers, target.scheme),
    endStream,
    upgrade,
    close,
  };
}

/** RFC 9110 section 7.8. */
const isUpgrade = (headers: HeaderMap): boolean =>
  headers.has('upgrade') && hasToken(headers.get('connection'), 'upgrade');

/** No standard has this, but Node's parser takes it for the same. */
const asksProxyForUpgrade = (headers: HeaderMap): boolean =>
  headers.has('upgrade') && hasToken(headers.get('proxy-connection'), 'upgrade');

/** With places for the pseudo headers in front. */
function collectHeaders(head: RequestHead, config: HttpConnectionManager): HeaderMap | Refusal {
  const raw = head.headers;
  const headers = new HeaderMap(new Array<string>(raw.length + roomForMore), 0);
  headers.add(':method', head.method);
  headers.add(':path', '');
  headers.add(':authority', '');
  const pseudoHeaders = headers.size;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string;
    const value = raw[i + 1] as string;
    // RFC 9112 section 3.2: more than one Host is an error. Envoy joins them.
    if (name === 'host' && headers.has('host')) return badRequest('http.invalid_authority');
    if (name === 'content-length' && headers.has('content-length')) return badRequest('http1.codec_error');
    if (config.headersWithUnderscores !== 'ALLOW' && name.includes('_')) {
      if (config.headersWithUnderscores === 'REJECT_REQUEST') return badRequest('http1.unexpected_underscore');
      continue;
    }
    const first = joined.has(name) ? headers.get(name) : undefined;
    if (first !== undefined) headers.set(name, `${first},${value}`);
    else headers.add(name, value);
    if (headers.size - pseudoHeaders > config.maxHeadersCount)
      return { status: 431, details: 'http1.too_many_headers' };
  }
  return headers;
}

/** RFC 9112 section 6.1 and, for CONNECT, RFC 9110 section 9.3.6. */
function checkFraming(head: RequestHead, headers: HeaderMap): Refusal | undefined {
  const connect = head.method === 'CONNECT';
  const length = headers.get('content-length');
  if (length !== undefined && (length === '' || !allAre(length, isDigit))) return badRequest('http1.codec_error');
  if (connect && length !== undefined) {
    if (length !== '0') return badRequest('http1.body_disallowed');
    headers.delete('content-length');
  }
  const encoding = headers.get('transfer-encoding');
  if (encoding === undefined) return undefined;
  if (headers.has('content-length')) return badRequest('http1.content_length_and_chunked_not_allowed');
  if (connect || encoding.toLowerCase() !== 'chunked')
    return { status: 501, details: 'http1.invalid_transfer_encoding' };
  return undefined;
}

function checkVersion(head: RequestHead, config: HttpConnectionManager): Refusal | undefined {
  if (head.protocol === 'HTTP/1.1' || config.http1.acceptHttp10) return undefined;
  return { status: 426, details: 'low_version' };
}

/** RFC 9112 section 9.3, with Proxy-Connection as Envoy honours it. */
function wantsClose(protocol: RequestHead['protocol'], headers: HeaderMap): boolean {
  const connection = headers.get('connection');
  if (protocol === 'HTTP/1.0' && !hasToken(connection, 'keep-alive')) return true;
  // RFC 9112 section 6.1: chunked in HTTP/1.0 is faulty framing; the connection must not be used again.
  if (protocol === 'HTTP/1.0' && headers.has('transfer-encoding')) return true;
  return (
    (protocol === 'HTTP/1.1' && hasToken(connection, 'close')) || hasToken(headers.get('proxy-connection'), 'close')
  );
}

/** Envoy has no h2c upgrade: the request is served as if it had not asked (RFC 9113 section 3.1 took the upgrade out). */
function removeH2cUpgrade(headers: HeaderMap): void {
  headers.delete('upgrade');
  headers.delete('http2-settings');
  const rest = (headers.get('connection') ?? '')
    .split(',')
    .map((token) => token.trim())
    .filter((token) => token !== '' && !['upgrade', 'http2-settings'].includes(token.toLowerCase()));
  if (rest.length > 0) headers.set('connection', rest.join(','));
  else headers.delete('connection');
}

function setOrDelete(headers: HeaderMap, name: string, value: string | undefined): void {
  if (value === undefined) headers.delete(name);
  else headers.set(name, value);
}

/** Only the absolute form of a target has one: behind the other pseudo headers. */
function withScheme(headers: HeaderMap, scheme: string): HeaderMap {
  const pairs = [...headers.pairs];
  const firstOther = pairs.findIndex((name, index) => index % 2 === 0 && !name.startsWith(':'));
  pairs.splice(firstOther < 0 ? pairs.length : firstOther, 0, ':scheme', scheme);
  return new HeaderMap(pairs);
}
