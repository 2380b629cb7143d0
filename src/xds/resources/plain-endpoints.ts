import { isIP } from 'node:net';
import { asBuffer } from '../../as-buffer.js';
import type { HealthStatus, LbEndpoint, LoadAssignment, Locality, LocalityEndpoints } from '../../model/endpoint.js';

/** Where nothing else is said. */
export const defaultOverprovisioningFactor = 140;
export const noLocality: Locality = Object.freeze({ region: '', zone: '', subZone: '' });

/**
 * Reads a ClusterLoadAssignment of addresses, ports, localities, weights and priorities from its bytes, with no message in between: there may be
 * a hundred thousand endpoints. Its result is that of `readLoadAssignment`.
 *
 * @returns undefined for all that has more to it, or anything wrong with it: that is to be decoded, and judged, by the schema
 */
export function readPlainLoadAssignment(bytes: Uint8Array): LoadAssignment | undefined {
  if (bytes.length > longest) return undefined;
  const buffer = asBuffer(bytes);
  try {
    return readAssignment({ bytes: buffer, pos: 0 }, buffer.length);
  } catch (error) {
    if (error !== notPlain) throw error;
    return undefined;
  }
}

/** Larger ones may have more fields than a message may have in memory, which the schema counts. */
const longest = 1024 * 1024;

const notPlain = new Error('there is more to it than is read here');

/** What is read, and how far. */
interface Cursor {
  readonly bytes: Buffer;
  pos: number;
}

/** A field's tag: https://protobuf.dev/programming-guides/encoding/#structure */
const numberTag = (field: number): number => field << 3;
const lengthTag = (field: number): number => (field << 3) | 2;

const [tag1, tag2, tag3, tag4] = [lengthTag(1), lengthTag(2), lengthTag(3), lengthTag(4)];

/** Less than 2^28, where all that a plain field holds is; a number that takes more bytes than it needs is one, too. */
function readNumber(cursor: Cursor): number {
  let value = 0;
  for (let shift = 0; shift < 28; shift += 7) {
    const byte = cursor.bytes[cursor.pos++] ?? 128;
    value |= (byte & 127) << shift;
    if (byte < 128) return value;
  }
  throw notPlain;
}

/** A length, as the place where what follows ends. */
function readEnd(cursor: Cursor, outerEnd: number): number {
  const length = readNumber(cursor);
  const end = cursor.pos + length;
  if (end > outerEnd) throw notPlain;
  return end;
}

/** Text other than ASCII is the schema's to check. */
function readText(cursor: Cursor, outerEnd: number): string {
  const { bytes } = cursor;
  const end = readEnd(cursor, outerEnd);
  const start = cursor.pos;
  for (let index = start; index < end; index++) if ((bytes[index] ?? 128) > 127) throw notPlain;
  cursor.pos = end;
  return bytes.toString('latin1', start, end);
}

/** A google.protobuf.UInt32Value that is at least 1. */
function readPositive(cursor: Cursor, outerEnd: number): number {
  const end = readEnd(cursor, outerEnd);
  if (cursor.bytes[cursor.pos++] !== numberTag(1)) throw notPlain;
  const value = readNumber(cursor);
  if (cursor.pos !== end || value === 0) throw notPlain;
  return value;
}

/** What a field that may come once held before it: of a second one the schema knows whether it counts, or is merged with the first. */
function once<T>(before: T | undefined, value: T): T {
  if (before !== undefined) throw notPlain;
  return value;
}

function readAssignment(cursor: Cursor, end: number): LoadAssignment {
  let clusterName: string | undefined;
  const localities: LocalityEndpoints[] = [];
  while (cursor.pos < end) {
    const tag = cursor.bytes[cursor.pos++];
    if (tag === tag1) clusterName = once(clusterName, readText(cursor, end));
    else if (tag === tag2) localities.push(readLocalityEndpoints(cursor, readEnd(cursor, end)));
    else throw notPlain;
  }
  if (cursor.pos !== end || !clusterName) throw notPlain;
  return { clusterName, localities: exact(localities), overprovisioningFactor: defaultOverprovisioningFactor };
}

/** An array that grew has room for more than is in it, which would be kept, too. */
const exact = <T>(grown: readonly T[]): readonly T[] => grown.slice();

const highestPriority = 128;

function readLocalityEndpoints(cursor: Cursor, end: number): LocalityEndpoints {
  let locality: Locality | undefined;
  let priority: number | undefined;
  let weight: number | undefined;
  const endpoints: LbEndpoint[] = [];
  while (cursor.pos < end) {
    const tag = cursor.bytes[cursor.pos++];
    if (tag === tag2) endpoints.push(readEndpoint(cursor, readEnd(cursor, end)));
    else if (tag === tag1) locality = once(locality, readLocality(cursor, readEnd(cursor, end)));
    else if (tag === tag3) weight = once(weight, readPositive(cursor, end));
    else if (tag === numberTag(5)) priority = once(priority, readNumber(cursor));
    else throw notPlain;
  }
  if (cursor.pos !== end || (priority ?? 0) > highestPriority) throw notPlain;
  return { locality: locality ?? noLocality, priority: priority ?? 0, weight, endpoints: exact(endpoints) };
}

function readLocality(cursor: Cursor, end: number): Locality {
  let region: string | undefined;
  let zone: string | undefined;
  let subZone: string | undefined;
  while (cursor.pos < end) {
    const tag = cursor.bytes[cursor.pos++];
    if (tag === tag1) region = once(region, readText(cursor, end));
    else if (tag === tag2) zone = once(zone, readText(cursor, end));
    else if (tag === tag3) subZone = once(subZone, readText(cursor, end));
    else throw notPlain;
  }
  if (cursor.pos !== end) throw notPlain;
  return { region: region ?? '', zone: zone ?? '', subZone: subZone ?? '' };
}

/** By their numbers. */
const statuses: readonly HealthStatus[] = ['UNKNOWN', 'HEALTHY', 'UNHEALTHY', 'DRAINING', 'TIMEOUT', 'DEGRADED'];

/** An LbEndpoint. */
function readEndpoint(cursor: Cursor, end: number): LbEndpoint {
  let host: Host | undefined;
  let status: number | undefined;
  let weight: number | undefined;
  while (cursor.pos < end) {
    const tag = cursor.bytes[cursor.pos++];
    if (tag === tag1) host = once(host, readHost(cursor, readEnd(cursor, end)));
    else if (tag === numberTag(2)) status = once(status, readNumber(cursor));
    else if (tag === tag4) weight = once(weight, readPositive(cursor, end));
    else throw notPlain;
  }
  const healthStatus = statuses[status ?? 0];
  if (cursor.pos !== end || !host || !healthStatus) throw notPlain;
  return { address: host.address, hostname: host.hostname, weight: weight ?? 1, healthStatus };
}

type Host = Pick<LbEndpoint, 'address' | 'hostname'>;

/** An Endpoint. */
function readHost(cursor: Cursor, end: number): Host {
  let address: LbEndpoint['address'] | undefined;
  let hostname: string | undefined;
  while (cursor.pos < end) {
    const tag = cursor.bytes[cursor.pos++];
    if (tag === tag1) address = once(address, readAddress(cursor, readEnd(cursor, end)));
    else if (tag === tag3) hostname = once(hostname, readText(cursor, end));
    else throw notPlain;
  }
  if (cursor.pos !== end || !address) throw notPlain;
  return { address, hostname: hostname ?? '' };
}

/** An Address with a SocketAddress in it. */
function readAddress(cursor: Cursor, end: number): LbEndpoint['address'] {
  if (cursor.bytes[cursor.pos++] !== tag1 || readEnd(cursor, end) !== end) throw notPlain;
  let address: string | undefined;
  let port: number | undefined;
  while (cursor.pos < end) {
    const tag = cursor.bytes[cursor.pos++];
    if (tag === tag2) address = once(address, readText(cursor, end));
    else if (tag === numberTag(3)) port = once(port, readNumber(cursor));
    else throw notPlain;
  }
  if (cursor.pos !== end || !address || port === undefined || port > 65_535 || isIP(address) === 0) throw notPlain;
  return { kind: 'tcp', address, port };
}
