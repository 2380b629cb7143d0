import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';

/** An address without a port. IPv4 that came through an IPv6 socket is IPv4. */
export function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && isIP(address.slice(7)) === 4 ? address.slice(7) : address;
}

export const isLoopback = (address: string): boolean => address === '127.0.0.1' || address === '::1';

/** `address:port`, an IPv6 address in brackets, as access logs and `/listeners` show it. */
export function formatAddress(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/**
 * The last address of x-forwarded-for after `skip` were skipped from its end, undefined when there is none or it is no IP address
 * (Envoy's `Utility::getLastAddressFromXFF`).
 */
export function lastForwardedAddress(forwardedFor: string | undefined, skip: number): string | undefined {
  if (forwardedFor === undefined) return undefined;
  const addresses = forwardedFor.split(',');
  const address = addresses[addresses.length - 1 - skip]?.trim();
  return address !== undefined && isIP(address) !== 0 ? address : undefined;
}

/** This machine's own address: what stands for a loopback client in x-forwarded-for. */
export function localAddress(): string {
  for (const addresses of Object.values(networkInterfaces())) {
    for (const one of addresses ?? []) if (!one.internal && one.family === 'IPv4') return one.address;
  }
  return '127.0.0.1';
}
