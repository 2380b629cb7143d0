import { HessianWriter } from '../../../plugins/dubbo/hessian/writer.js';
import { heartbeatRequest, responseFrame } from '../../plugins/dubbo/support.js';

/** Between 0 and 1, as Math.random. */
export type Random = () => number;

export const below = (random: Random, limit: number): number => Math.floor(random() * limit);
export const pick = <T>(random: Random, from: readonly T[]): T => from[below(random, from.length)] as T;

const words = [
  'a.B',
  'java.util.HashMap',
  '[int',
  'class',
  '$ref',
  'java.math.BigDecimal',
  'java.math.BigInteger',
  'ä😀',
  '',
  '__proto__',
];
const handles = ['LocalDate', 'LocalDateTime', 'ZonedDateTime', 'Instant', 'Duration', 'Period'].map(
  (name) => `com.alibaba.com.caucho.hessian.io.java8.${name}Handle`,
);
const fieldNames = [
  'value',
  'signum',
  'mag',
  'year',
  'month',
  'day',
  'date',
  'time',
  'seconds',
  'nanos',
  'name',
  'offset',
  'dateTime',
  'x',
];

type WriteValue = (random: Random, writer: HessianWriter) => void;

const scalars: readonly WriteValue[] = [
  (_random, writer) => writer.null(),
  (random, writer) => writer.boolean(random() < 0.5),
  (random, writer) => writer.int(below(random, 2 ** 31) * (random() < 0.5 ? 1 : -1)),
  (random, writer) => writer.long(BigInt(below(random, 2 ** 31)) ** 2n),
  (random, writer) => writer.double(random() < 0.2 ? Number.NaN : random() * 10 ** below(random, 300)),
  (random, writer) => writer.string(pick(random, words).repeat(below(random, 20))),
  (random, writer) => writer.binary(Buffer.alloc(below(random, 50))),
  (random, writer) => writer.date(BigInt(below(random, 2 ** 31)) * 1000n),
];

/** Values as a provider might send them, though of nonsense. */
export function writeValue(random: Random, writer: HessianWriter, depth: number): void {
  const kind = random();
  const count = below(random, 4);
  if (depth > 4 || kind < 0.5) pick(random, scalars)(random, writer);
  else if (kind < 0.52) writer.ref(below(random, 10));
  else if (kind < 0.7) {
    writer.map(random() < 0.3 ? 'a.B' : undefined);
    writeValues(random, writer, 2 * count, depth);
    writer.end();
  } else if (kind < 0.85) {
    writer.list(count, random() < 0.5 ? pick(random, ['[int', 'java.util.HashSet']) : undefined);
    writeValues(random, writer, count, depth);
  } else {
    const fields = Array.from({ length: count }, () => pick(random, fieldNames));
    writer.object(pick(random, [...words, ...handles]), fields);
    writeValues(random, writer, count, depth);
  }
}

function writeValues(random: Random, writer: HessianWriter, count: number, depth: number): void {
  for (let i = 0; i < count; i++) writeValue(random, writer, depth + 1);
}

/** What a server might send: frames that are good, or were. */
export function serverBytes(random: Random, id: bigint): Buffer {
  const frames: Buffer[] = [];
  while (random() < 0.2) frames.push(heartbeatRequest(BigInt(below(random, 100))));
  frames.push(response(random, id));
  const bytes = Buffer.concat(frames);
  return random() < 0.4 ? bytes : damage(random, bytes);
}

function response(random: Random, id: bigint): Buffer {
  if (random() < 0.03) return Buffer.from(Array.from({ length: below(random, 64) }, () => below(random, 256)));
  const writer = new HessianWriter(1 << 20);
  const status = pick(random, [20, 20, 20, 20, 31, 40, 70, 100, below(random, 256)]);
  if (status === 20) writer.int(below(random, 7));
  for (let i = below(random, 3); i >= 0; i--) writeValue(random, writer, 0);
  const flags = random() < 0.9 ? 2 : below(random, 256);
  return responseFrame(writer.bytes(), { id: random() < 0.95 ? id : id + 1n, status, flags });
}

/** One to four changes, anywhere. */
export function damage(random: Random, bytes: Buffer): Buffer {
  let changed = Buffer.from(bytes);
  for (let changes = 1 + below(random, 4); changes > 0 && changed.length > 0; changes--) {
    const at = below(random, changed.length);
    switch (below(random, 6)) {
      case 0:
        changed[at] = below(random, 256);
        break;
      case 1:
        changed[at] = (changed[at] as number) ^ (1 << below(random, 8));
        break;
      case 2:
        changed = changed.subarray(0, at);
        break;
      case 3:
        changed = Buffer.concat([changed.subarray(0, at), changed.subarray(below(random, changed.length))]);
        break;
      case 4: {
        // A length or a reference that is too large.
        const number = Buffer.from([0x49, 0x7f, 0xff, 0xff, below(random, 256)]);
        changed = Buffer.concat([changed.subarray(0, at), number, changed.subarray(at)]);
        break;
      }
      default: {
        const run = Buffer.alloc(below(random, 300), pick(random, [0x79, 0x57, 0x48, 0x43, 0x51, 0x60, 0x4e]));
        changed = Buffer.concat([changed.subarray(0, at), run, changed.subarray(at)]);
      }
    }
    // Mostly the frame says its length again, so that the body is read.
    if (random() < 0.8 && changed.length >= 16) changed.writeUInt32BE(changed.length - 16, 12);
  }
  return changed;
}

const types = [
  'int',
  'long',
  'String',
  'Date',
  'BigDecimal',
  'byte[]',
  'List<Long>',
  'Map<Integer,a.B>',
  'Object',
  'a.Known',
  'a.Color',
  'LocalDateTime',
  'char',
  'int[][]',
];
const texts = [
  '1',
  '-0',
  '1e0',
  '25E-1',
  '1e400',
  '12345678901234567890.5',
  '"x"',
  '"2024-02-30T10:00:00Z"',
  '"AAAA"',
  'null',
  'true',
  '[]',
  '{}',
  '[1,[2,{"a":"b"}]]',
  '{"class":"a.Known","count":5}',
  '{"a":[],"b":{"$ref":"$.a"}}',
  '{"$ref":"$"}',
  '[{"key":1,"value":{}}]',
  '"\\ud800"',
];

export interface FuzzRequest {
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: Buffer;
}

/** What a client might send. */
export function clientRequest(random: Random): FuzzRequest {
  const count = below(random, 4);
  const headers: Record<string, string> = { 'content-type': 'application/json' };
  if (random() < 0.8) headers.dubbo_types = Array.from({ length: count }, () => pick(random, types)).join(',');
  const body = Buffer.from(`[${Array.from({ length: count }, () => pick(random, texts)).join(',')}]`);
  const path = pick(random, [
    '/a.Service/method',
    '/orders/5?full=true',
    '/a.Service/$invoke',
    '/',
    '/a.Service/m?x=1&x=%zz',
  ]);
  return { path, headers, body: random() < 0.6 ? body : damage(random, body) };
}
