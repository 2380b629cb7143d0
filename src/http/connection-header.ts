import type { HeaderMap } from '../bridge/header-map.js';

/** Whether a comma-separated list holds `token`, whatever its case. */
export function hasToken(list: string | undefined, token: string): boolean {
  if (list === undefined || list.length < token.length) return false;
  const lower = list.toLowerCase();
  // Most are one token, or don't have it at all.
  if (lower === token || !lower.includes(token)) return lower === token;
  return lower.split(',').some((one) => one.trim() === token);
}

const maxNominated = 10;
const maxTeLength = 256;
/** Options of the connection itself, not names of headers. */
const options = new Set(['close', 'keep-alive', 'upgrade', 'http2-settings', '']);
/** Whoever nominates these wants to hide where the request came from. */
const forbidden = new Set(['x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto']);

/**
 * Removes the headers that the Connection header names, as hop-by-hop (RFC 9110 section 7.6.1), with the limits of Envoy's
 * `Utility::sanitizeConnectionHeader`.
 * @returns false if the request must be refused
 */
export function removeNominatedHeaders(headers: HeaderMap): boolean {
  const connection = headers.get('connection');
  if (connection === undefined) return true;
  const tokens = connection.split(',').filter((token) => token !== '');
  if (tokens.length >= maxNominated) return false;
  for (const token of tokens) {
    const name = token.trim().toLowerCase();
    if (options.has(name) || name === 'connection') continue;
    if (forbidden.has(name) || name.startsWith(':')) return false;
    if (name === 'te') {
      if ((headers.get('te')?.length ?? 0) >= maxTeLength) return false;
      // What is left of it is decided in sanitizeTe.
      continue;
    }
    // The framing was read already; the length of what is passed on is the router's.
    headers.delete(name);
  }
  return true;
}

/** Only `trailers` is end-to-end enough to be passed on (RFC 9110 section 10.1.4). */
export function sanitizeTe(headers: HeaderMap): void {
  const te = headers.get('te');
  if (te === undefined) return;
  if (hasToken(te, 'trailers')) headers.set('te', 'trailers');
  else headers.delete('te');
}
