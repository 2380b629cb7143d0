import type { HeaderMap } from '../bridge/header-map.js';
import type { Clock } from '../clock.js';
import type { HttpConnectionManager } from '../model/listener.js';
import { appendVia } from './request-headers.js';

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const value = /^[\t\x20-\x7e\x80-\xff]*$/;

/** Why response headers can't be sent, or undefined. A name or value that isn't one would let whoever wrote it write a second response. */
export function findInvalidResponseHeader(headers: HeaderMap): string | undefined {
  const status = headers.get(':status');
  if (status === undefined || !/^[2-5][0-9]{2}$/.test(status))
    return `:status is ${JSON.stringify(status)}, not 200 to 599`;
  const { pairs } = headers;
  let length: string | undefined;
  for (let i = 0; i < pairs.length; i += 2) {
    const name = pairs[i] as string;
    const text = pairs[i + 1] as string;
    if (!name.startsWith(':') && !token.test(name)) return `${JSON.stringify(name)} is not a header name`;
    if (!value.test(text)) return `the value of ${name} has a character that no header value may have`;
    if (name !== 'content-length') continue;
    if (length !== undefined && length !== text) return 'there are several values of content-length';
    length = text;
  }
  if (length === undefined || /^[0-9]{1,15}$/.test(length)) return undefined;
  return `content-length is ${JSON.stringify(length)}`;
}

const connectionHeaders = new Set(['connection', 'upgrade', 'transfer-encoding', 'keep-alive', 'proxy-connection']);

/** What Envoy's connection manager adds to every response, and takes away. Hop-by-hop headers are ours (RFC 9110 section 7.6.1). */
export function mutateResponseHeaders(
  headers: HeaderMap,
  requestHeaders: HeaderMap,
  config: HttpConnectionManager,
  date: string,
): void {
  if (!headers.has('date')) headers.add('date', date);
  if (config.serverHeader === 'OVERWRITE' || (config.serverHeader === 'APPEND_IF_ABSENT' && !headers.has('server'))) {
    headers.set('server', config.serverName);
  }
  headers.deleteAll(connectionHeaders);
  const requestId = requestHeaders.get('x-request-id');
  if (config.alwaysSetRequestIdInResponse && requestId !== undefined) headers.set('x-request-id', requestId);
  if (config.via !== '') appendVia(headers, config.via);
}

/** The Date header (RFC 9110 section 5.6.7), written once per second. */
export function createDateSource(clock: Clock): () => string {
  let second = -1;
  let text = '';
  return () => {
    const now = Math.floor(clock.now() / 1000);
    if (now !== second) {
      second = now;
      text = new Date(now * 1000).toUTCString();
    }
    return text;
  };
}
