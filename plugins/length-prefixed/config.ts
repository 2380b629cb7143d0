/** How frames look. Sizes in bytes. */
export interface Framing {
  readonly headerSize: number;
  /** The largest payload that the length field and `max_frame_size` allow. */
  readonly largestPayload: number;
  /** The header of a frame with that payload, until the next one is asked for. */
  header(payload: number): Buffer;
  /** What a header says; may be negative or too large: check it. */
  payloadLength(header: Buffer): number;
  /** How requests share connections; undefined: not at all. */
  readonly sharing: Sharing | undefined;
}

/** Without `id` the server answers in order. */
export interface Sharing {
  readonly id: IdField | undefined;
  readonly maxInFlight: number | undefined;
  readonly answerTimeoutMs: number | undefined;
}

/** Where the id is in a frame's payload. */
export interface IdField {
  readonly offset: number;
  readonly size: number;
  readonly little: boolean;
}

/** Payloads up to this size, in bytes, are passed on whole; larger ones are streamed. */
export const wholeUpTo = 65_536;

const fields = [
  'header_size',
  'length_offset',
  'length_size',
  'endianness',
  'length_counts',
  'length_adjustment',
  'max_frame_size',
  'header',
  'correlation',
  'id_offset',
  'id_size',
  'max_in_flight',
  'answer_timeout_ms',
];
const idSizes = [1, 2, 4, 8];
const lengthSizes = [1, 2, 3, 4, 8];
const largestHeader = 4096;
const largestFrame = 2 ** 31 - 1;
const defaultMaxFrame = 16 * 1024 * 1024;

/** Throws an Error that names the field and what it may be. No configuration at all: 4 bytes, big-endian, before the payload. */
export function parseFraming(config: unknown): Framing {
  const given = config ?? {};
  if (typeof given !== 'object' || Array.isArray(given)) throw new Error('the configuration must be an object');
  const values = given as Record<string, unknown>;
  for (const name of Object.keys(values)) {
    if (!fields.includes(name))
      throw new Error(`unknown field ${JSON.stringify(name)}; known are ${fields.join(', ')}`);
  }
  const lengthSize = integer(values, 'length_size', 4, 1, 8);
  if (!lengthSizes.includes(lengthSize))
    throw new Error(`length_size must be one of ${lengthSizes.join(', ')}, not ${lengthSize}`);
  const offset = integer(values, 'length_offset', 0, 0, largestHeader - lengthSize);
  const template = hex(values, 'header');
  const headerSize = integer(
    values,
    'header_size',
    template?.length ?? offset + lengthSize,
    offset + lengthSize,
    largestHeader,
  );
  if (template !== undefined && template.length !== headerSize) {
    throw new Error(`header must have as many bytes as header_size says (${headerSize}), not ${template.length}`);
  }
  const little = choice(values, 'endianness', ['big', 'little']) === 'little';
  const counted = choice(values, 'length_counts', ['payload', 'frame']) === 'frame' ? headerSize : 0;
  // What the length counts besides the payload.
  const extra = counted + integer(values, 'length_adjustment', 0, -counted, largestHeader);
  const maxFrame = integer(values, 'max_frame_size', defaultMaxFrame, headerSize, largestFrame);
  const header = template ?? Buffer.alloc(headerSize);
  const largestPayload = Math.min(maxFrame - headerSize, 2 ** Math.min(8 * lengthSize, 53) - 1 - extra);
  if (largestPayload < 0)
    throw new Error(`length_size ${lengthSize} is too small: not even an empty frame's length fits`);
  return {
    headerSize,
    largestPayload,
    header(payload) {
      writeLength(header, payload + extra, offset, lengthSize, little);
      return header;
    },
    payloadLength: (header) => readLength(header, offset, lengthSize, little) - extra,
    sharing: parseSharing(values, little, largestPayload),
  };
}

function parseSharing(values: Record<string, unknown>, little: boolean, largestPayload: number): Sharing | undefined {
  const correlation = choice(values, 'correlation', ['exclusive', 'in_order', 'id']);
  onlyWith(values, correlation, 'id_offset', ['id']);
  onlyWith(values, correlation, 'id_size', ['id']);
  onlyWith(values, correlation, 'max_in_flight', ['in_order', 'id']);
  onlyWith(values, correlation, 'answer_timeout_ms', ['in_order']);
  if (correlation === 'exclusive') return undefined;
  const maxInFlight = optionalInteger(values, 'max_in_flight', 65_536);
  if (correlation === 'in_order')
    return { id: undefined, maxInFlight, answerTimeoutMs: optionalInteger(values, 'answer_timeout_ms', 3_600_000) };
  const size = integer(values, 'id_size', 4, 1, 8);
  if (!idSizes.includes(size)) throw new Error(`id_size must be one of ${idSizes.join(', ')}, not ${size}`);
  const offset = integer(values, 'id_offset', 0, 0, largestHeader);
  if (offset + size > largestPayload)
    throw new Error(
      `id_offset ${offset} and id_size ${size} lie outside of every payload: the largest has ${largestPayload} bytes`,
    );
  // 0 is not used.
  if (maxInFlight !== undefined && maxInFlight > 2 ** (8 * size) - 1)
    throw new Error(`max_in_flight must be at most ${2 ** (8 * size) - 1} with id_size ${size}, not ${maxInFlight}`);
  return { id: { offset, size, little }, maxInFlight, answerTimeoutMs: undefined };
}

function onlyWith(
  values: Record<string, unknown>,
  correlation: string,
  name: string,
  allowed: readonly string[],
): void {
  if (values[name] === undefined || allowed.includes(correlation)) return;
  const which = allowed.map((one) => JSON.stringify(one)).join(' or ');
  throw new Error(`${name} has a meaning only with correlation ${which}, not with ${JSON.stringify(correlation)}`);
}

function writeLength(header: Buffer, length: number, offset: number, size: number, little: boolean): void {
  if (size === 8) {
    if (little) header.writeBigUInt64LE(BigInt(length), offset);
    else header.writeBigUInt64BE(BigInt(length), offset);
  } else if (little) header.writeUIntLE(length, offset, size);
  else header.writeUIntBE(length, offset, size);
}

function readLength(header: Buffer, offset: number, size: number, little: boolean): number {
  // Above 2^53 it is inexact, and far too large anyway.
  if (size === 8) return Number(little ? header.readBigUInt64LE(offset) : header.readBigUInt64BE(offset));
  return little ? header.readUIntLE(offset, size) : header.readUIntBE(offset, size);
}

function integer(values: Record<string, unknown>, name: string, standard: number, least: number, most: number): number {
  const value = values[name] ?? standard;
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value;
  throw new Error(`${name} must be a whole number from ${least} to ${most}, not ${JSON.stringify(value)}`);
}

function optionalInteger(values: Record<string, unknown>, name: string, most: number): number | undefined {
  return values[name] === undefined ? undefined : integer(values, name, 1, 1, most);
}

function choice<T extends string>(values: Record<string, unknown>, name: string, allowed: readonly [T, ...T[]]): T {
  const value = values[name] ?? allowed[0];
  const found = allowed.find((one) => one === value);
  if (found !== undefined) return found;
  throw new Error(
    `${name} must be ${allowed.map((one) => JSON.stringify(one)).join(' or ')}, not ${JSON.stringify(value)}`,
  );
}

function hex(values: Record<string, unknown>, name: string): Buffer | undefined {
  const value = values[name];
  if (value === undefined) return undefined;
  if (typeof value === 'string' && /^([0-9a-f]{2})+$/i.test(value)) return Buffer.from(value, 'hex');
  throw new Error(`${name} must be bytes in hexadecimal, as in "cafe0001", not ${JSON.stringify(value)}`);
}
