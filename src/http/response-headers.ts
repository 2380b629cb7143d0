import type { HeaderMap } from '../bridge/header-map.js';
import type { Clock } from '../clock.js';
import type { HttpConnectionManager } from '../model/listener.js';
import { allAre, colon, isDigit, isToken, isValue } from './http1-bytes.js';
import { appendVia } from './request-headers.js';

/** Why response headers can't be sent, or undefined. A name or value that isn't one would let whoever wrote it write a second response. */
export function findInvalidResponseHeader(headers: HeaderMap): string | undefined {
  const status = headers.get(':status');
  if (status === undefined || !isFinalStatus(status)) return `:status is ${JSON.stringify(status)}, not 200 to 599`;
  let length: string | undefined;
  for (let i = 0; i < headers.size; i++) {
    const name = headers.nameAt(i);
    const text = headers.valueAt(i);
    if (name.charCodeAt(0) !== colon && (name === '' || !allAre(name, isToken)))
      return `${JSON.stringify(name)} is not a header name`;
    if (!allAre(text, isValue)) return `the value of ${name} has a character that no header value may have`;
    if (name !== 'content-length') continue;
    if (length !== undefined && length !== text) return 'there are several values of content-length';
    length = text;
  }
  if (length === undefined || (length !== '' && length.length <= 15 && allAre(length, isDigit))) return undefined;
  return `content-length is ${JSON.stringify(length)}`;
}

const isFinalStatus = (status: string): boolean =>
  status.length === 3 && allAre(status, isDigit) && status >= '200' && status < '600';

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
    const now = Math.floor(clock.turnNow() / 1000);
    if (now !== second) {
      second = now;
      text = new Date(now * 1000).toUTCString();
    }
    return text;
  };
}
