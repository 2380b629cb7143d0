import { isIP } from 'node:net';
import type { ProxyProtocolVersion } from '../model/route.js';

/** An IP address with its port, both in the form that the header needs. */
interface Endpoint {
  readonly family: 4 | 6;
  readonly address: string;
  readonly port: number;
}

/** Bytes that begin every version 2 header. */
const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const command = { local: 0x20, proxy: 0x21 };

/**
 * The PROXY protocol header that tells the server who the client is. `source` and `destination` are `ip:port` or `[ip]:port`; anything else
 * (a Unix socket's path) gives the header for unknown connections.
 * https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt sections 2.1 and 2.2
 */
export function proxyProtocolHeader(version: ProxyProtocolVersion, source: string, destination: string): Buffer {
  const from = parseEndpoint(source);
  const to = parseEndpoint(destination);
  const known = from && to && from.family === to.family ? { from, to } : undefined;
  if (version === 'V1') return Buffer.from(known ? versionOne(known.from, known.to) : 'PROXY UNKNOWN\r\n');
  if (!known) return Buffer.concat([signature, Buffer.from([command.local, 0, 0, 0])]);
  const addresses = Buffer.concat([
    addressBytes(known.from),
    addressBytes(known.to),
    portBytes(known.from),
    portBytes(known.to),
  ]);
  const family = known.from.family === 4 ? 0x11 : 0x21;
  return Buffer.concat([signature, Buffer.from([command.proxy, family, 0, addresses.length]), addresses]);
}

function versionOne(from: Endpoint, to: Endpoint): string {
  return `PROXY TCP${from.family} ${from.address} ${to.address} ${from.port} ${to.port}\r\n`;
}

function parseEndpoint(text: string): Endpoint | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  if (!match) return undefined;
  const host = (match[1] ?? match[2] ?? '').replace(/%.*$/, '');
  // A dual-stack socket names IPv4 peers this way; they are IPv4 to everyone else.
  const address = host.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '');
  const family = isIP(address);
  const port = Number(match[3]);
  return (family === 4 || family === 6) && port <= 0xffff ? { family, address, port } : undefined;
}

function portBytes({ port }: Endpoint): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(port);
  return bytes;
}

function addressBytes({ family, address }: Endpoint): Buffer {
  if (family === 4) return Buffer.from(address.split('.').map(Number));
  const [head, tail] = address.split('::') as [string, string | undefined];
  const before = groups(head);
  const after = tail === undefined ? [] : groups(tail);
  const words = [...before, ...new Array<number>(8 - before.length - after.length).fill(0), ...after];
  return Buffer.from(words.flatMap((word) => [word >> 8, word & 0xff]));
}

/** The 16-bit groups of a part of an IPv6 address, which may end in an IPv4 address. */
function groups(part: string): number[] {
  if (part === '') return [];
  return part.split(':').flatMap((group) => {
    if (!group.includes('.')) return [Number.parseInt(group, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number);
    return [(a << 8) | b, (c << 8) | d];
  });
}
