import { HeaderMap } from '../bridge/header-map.js';
import type { HttpConnectionManager } from '../model/listener.js';
import { hasToken, removeNominatedHeaders } from './connection-header.js';
import { knownMethods } from './known-words.js';
import { bodyFraming, type RequestHead } from './request-parser.js';
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

/** obs-text is allowed, control characters but the tab are not (RFC 9110 section 5.5). */
const validValue = /^[\t\x20-\x7e\x80-\xff]*$/;
/** The characters of `HeaderUtility::authorityIsValid`. */
const validAuthority = /^[!$%&'()*+,\-.0-9:;=@A-Z[\]_a-z~]*$/;

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
  if (authority !== undefined && !validAuthority.test(authority)) return badRequest('http.invalid_authority');

  const endStream = !upgrade && head.method !== 'CONNECT' && bodyFraming(head.headers).kind === 'none';
  return {
    headers: withPseudoHeaders(head.method, target.path, authority, target.scheme, headers),
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

function collectHeaders(head: RequestHead, config: HttpConnectionManager): HeaderMap | Refusal {
  const headers = new HeaderMap([]);
  const raw = head.headers;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string;
    const value = raw[i + 1] as string;
    if (name === '' || !validValue.test(value)) return badRequest('http1.invalid_characters');
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
    if (headers.size > config.maxHeadersCount) return { status: 431, details: 'http1.too_many_headers' };
  }
  return headers;
}

/** RFC 9112 section 6.1 and, for CONNECT, RFC 9110 section 9.3.6. */
function checkFraming(head: RequestHead, headers: HeaderMap): Refusal | undefined {
  const connect = head.method === 'CONNECT';
  const length = headers.get('content-length');
  if (length !== undefined && !/^[0-9]+$/.test(length)) return badRequest('http1.codec_error');
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

function withPseudoHeaders(
  method: string,
  path: string | undefined,
  authority: string | undefined,
  scheme: string | undefined,
  headers: HeaderMap,
): HeaderMap {
  const pairs = [':method', method];
  if (path !== undefined) pairs.push(':path', path);
  if (authority !== undefined) pairs.push(':authority', authority);
  if (scheme !== undefined) pairs.push(':scheme', scheme);
  headers.forEach((name, value) => {
    if (name !== 'host') pairs.push(name, value);
  });
  return new HeaderMap(pairs);
}
