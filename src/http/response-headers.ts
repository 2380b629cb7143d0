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
  let problem: string | undefined;
  headers.forEach((name, text) => {
    if (!name.startsWith(':') && !token.test(name)) problem ??= `${JSON.stringify(name)} is not a header name`;
    else if (!value.test(text)) problem ??= `the value of ${name} has a character that no header value may have`;
  });
  if (problem !== undefined) return problem;
  const lengths = new Set(headers.values('content-length'));
  if (lengths.size > 1) return 'there are several values of content-length';
  for (const length of lengths) if (!/^[0-9]{1,15}$/.test(length)) return `content-length is ${JSON.stringify(length)}`;
  return undefined;
}

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
  for (const name of ['connection', 'upgrade', 'transfer-encoding', 'keep-alive', 'proxy-connection'])
    headers.delete(name);
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
