import { isIPv6 } from 'node:net';

/** What the target of the request line says (RFC 9112 section 3.2). `path` undefined: CONNECT. */
export interface RequestTarget {
  readonly path: string | undefined;
  /** Replaces the host header (RFC 9112 section 3.2.2). */
  readonly authority: string | undefined;
  /** Lower-case. */
  readonly scheme: string | undefined;
}

/** As `http_parser_parse_url`, which Envoy uses: userinfo is taken and dropped, a port is 1 to 5 digits. */
const absoluteForm =
  /^([A-Za-z]+):\/\/(?:[A-Za-z0-9\-_.!~*'()%;:&=+$,]*@)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?([/?].*)?$/;
const authorityForm = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):([0-9]{1,5})$/;

/** Reads a target of visible ASCII; a string is the reason why it is refused, as Envoy's response code details have it. */
export function parseRequestTarget(method: string, target: string, allowAbsoluteUrl: boolean): RequestTarget | string {
  if (method === 'CONNECT') return parseAuthorityForm(target);
  if (target.startsWith('/') || (method === 'OPTIONS' && target.startsWith('*')) || !allowAbsoluteUrl) {
    return { path: target, authority: undefined, scheme: undefined };
  }
  const match = absoluteForm.exec(target);
  if (!match) return 'http1.invalid_url';
  const [, scheme = '', host = '', port = '', rest] = match;
  if (!validHostAndPort(host, port.slice(1))) return 'http1.invalid_url';
  const lowerScheme = scheme.toLowerCase();
  if (lowerScheme !== 'http' && lowerScheme !== 'https') return 'http1.invalid_scheme';
  return { path: rest ?? '/', authority: host + port, scheme: lowerScheme };
}

function parseAuthorityForm(target: string): RequestTarget | string {
  const match = authorityForm.exec(target);
  if (!match || !validHostAndPort(match[1] as string, match[2] as string)) return 'http1.invalid_url';
  return { path: undefined, authority: target, scheme: undefined };
}

function validHostAndPort(host: string, port: string): boolean {
  if (host.startsWith('[') && !isIPv6(host.slice(1, -1))) return false;
  return port === '' || Number(port) <= 65_535;
}
