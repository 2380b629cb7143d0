import type { HeaderMap } from './header-map.js';

/** RFC 9110 section 9.2.2. */
const idempotentMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);

/** Whether the server may be given the request a second time although it may have acted on the first. */
export function isIdempotent(headers: HeaderMap): boolean {
  return idempotentMethods.has(headers.get(':method') ?? '') || headers.has('idempotency-key');
}
