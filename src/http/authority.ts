/** Takes the dot away that ends a host, also before a port (`strip_trailing_host_dot`). */
export function stripTrailingHostDot(host: string): string {
  if (host.endsWith('.')) return host.slice(0, -1);
  const dot = host.lastIndexOf('.');
  return dot >= 0 && host[dot + 1] === ':' ? host.slice(0, dot) + host.slice(dot + 1) : host;
}

/** Takes the port away: any, or only `port`. Brackets of an IPv6 address stay. */
export function stripPort(host: string, port: number | undefined): string {
  const match = /^(.*):([0-9]+)$/.exec(host);
  if (!match) return host;
  const [, name = '', digits = ''] = match;
  // A colon inside brackets belongs to an IPv6 address (RFC 3986 section 3.2.2).
  if (name.includes('[') && !name.includes(']')) return host;
  return port === undefined || Number(digits) === port ? name : host;
}
