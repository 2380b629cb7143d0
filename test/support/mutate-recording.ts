import { loadSchema } from '../../src/protobuf/schema.js';
import type { Recorded } from './recordings.js';

const schema = loadSchema();

type Json = Record<string, unknown>;
interface Any {
  type_url: string;
  value: Uint8Array;
}
type Random = () => number;

const nameOfType = ({ type_url }: Any) => type_url.slice(type_url.indexOf('/') + 1);
const isAny = (value: unknown): value is Any =>
  typeof value === 'object' && value !== null && 'type_url' in value && Buffer.isBuffer((value as Any).value);

function otherScalar(value: unknown, random: Random): unknown {
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;
  if (typeof value === 'boolean') return !value;
  if (typeof value === 'number') return pick([0, 1, -1, 2 ** 31 - 1, 2 ** 32 - 1, value + 1]);
  if (typeof value !== 'string') return value;
  if (/^-?\d+$/.test(value)) return pick(['0', '1', '-1', '9007199254740993', '18446744073709551615']);
  return pick(['', 'x', `${value}x`, 'ü€\u0000', 'a'.repeat(5_000), '*', '127.0.0.1', '|', '%{x}', '(']);
}

/** Changes one field somewhere inside; Anys are opened. */
function change(value: unknown, random: Random): unknown {
  if (isAny(value) && schema.has(nameOfType(value)) && random() < 0.8) {
    const type = nameOfType(value);
    return { ...value, value: schema.encode(type, change(schema.decode<Json>(type, value.value), random) as Json) };
  }
  if (Buffer.isBuffer(value)) {
    const bytes = Buffer.from(value);
    if (bytes.length > 0) bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
    return bytes;
  }
  if (Array.isArray(value)) {
    const index = Math.floor(random() * value.length);
    if (value.length === 0) return value;
    const roll = random();
    if (roll < 0.15) return value.toSpliced(index, 1);
    if (roll < 0.3) return [...value, value[index]];
    if (roll < 0.4) return value.toReversed();
    return value.with(index, change(value[index], random));
  }
  if (typeof value !== 'object' || value === null) return otherScalar(value, random);
  const entries = Object.entries(value).filter(
    ([, each]) =>
      each !== null && each !== '' && each !== 0 && each !== false && !(Array.isArray(each) && each.length === 0),
  );
  if (entries.length === 0) return value;
  const [key, inner] = entries[Math.floor(random() * entries.length)] as [string, unknown];
  if (random() < 0.1) return { ...value, [key]: undefined };
  return { ...value, [key]: change(inner, random) };
}

function changeResource<T extends Any & { resource?: Any | null }>(entry: T, random: Random): T {
  if ('resource' in entry)
    return entry.resource ? { ...entry, resource: changeResource(entry.resource, random) } : entry;
  const type = nameOfType(entry);
  for (let attempt = 0; attempt < 10; attempt++) {
    try {
      let message: unknown = schema.decode<Json>(type, entry.value);
      for (let changes = 1 + Math.floor(random() * 3); changes > 0; changes--) message = change(message, random);
      return { ...entry, value: schema.encode(type, message as Json) };
    } catch {
      // What cannot be encoded is no message that a control plane could send.
    }
  }
  return entry;
}

/** The same response with another nonce, and whatever else happens to responses: another version, resources changed, lost or twice. */
export function mutate({ typeUrl, bytes, variant }: Recorded, nonce: string, random: Random): Recorded {
  const type = `envoy.service.discovery.v3.${variant === 'DELTA' ? 'Delta' : ''}DiscoveryResponse`;
  const response = schema.decode<Json & { resources: (Any & { resource?: Any | null; name?: string })[] }>(type, bytes);
  const often = random() < 0.3 ? 0 : random();
  const resources = response.resources.flatMap((entry) => {
    const roll = random();
    if (roll < 0.05) return [];
    if (roll < 0.1) return [entry, entry];
    if (roll > often) return [entry];
    return [changeResource(entry, random)];
  });
  const names = response.resources.map(({ name }) => name ?? '').filter((name) => name !== '');
  const version = random() < 0.5 ? `v${nonce}` : random() < 0.3 ? '' : undefined;
  const message = {
    ...response,
    nonce,
    resources: random() < 0.05 ? [] : resources,
    ...(version !== undefined && { version_info: version, system_version_info: version }),
    ...(variant === 'DELTA' &&
      random() < 0.2 && { removed_resources: [...names.filter(() => random() < 0.3), 'never-seen'] }),
  };
  return { typeUrl, nonce, variant, bytes: schema.encode(type, message) };
}

/** The response as it is, with another nonce. */
export function again({ typeUrl, bytes, variant }: Recorded, nonce: string): Recorded {
  const type = `envoy.service.discovery.v3.${variant === 'DELTA' ? 'Delta' : ''}DiscoveryResponse`;
  return { typeUrl, nonce, variant, bytes: schema.encode(type, { ...schema.decode<Json>(type, bytes), nonce }) };
}
