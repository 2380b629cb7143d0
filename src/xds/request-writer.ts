import type { MessageCodec } from './discovery.js';

/** Fields of a request that are lists of names, by their numbers: there may be a name for each of ten thousand clusters. */
export type NameFields = Readonly<Record<string, number>>;

/** Encodes a request; the names without the detour by which the codec goes. */
export function encodeRequest(codec: MessageCodec, typeName: string, request: object, nameFields: NameFields): Buffer {
  const rest: Record<string, unknown> = { ...request };
  const names: Buffer[] = [];
  for (const [field, number] of Object.entries(nameFields)) {
    names.push(encodeNames(number, rest[field] as readonly string[]));
    delete rest[field];
  }
  return Buffer.concat([codec.encode(typeName, rest), ...names]);
}

/** In ASCII, and so short that its length is one byte. */
const plainName = /^[ -~]{0,127}$/;

function encodeNames(field: number, names: readonly string[]): Buffer {
  const tag = String.fromCharCode((field << 3) | 2);
  let text = '';
  for (const name of names) {
    if (!plainName.test(name)) return encodeAnyNames(field, names);
    text += tag + String.fromCharCode(name.length) + name;
  }
  return Buffer.from(text, 'latin1');
}

function encodeAnyNames(field: number, names: readonly string[]): Buffer {
  // A name needs three bytes per unit at most, and its length no more than five.
  const buffer = Buffer.allocUnsafe(names.reduce((size, name) => size + 6 + 3 * name.length, 0));
  let end = 0;
  for (const name of names) {
    buffer[end++] = (field << 3) | 2;
    let length = Buffer.byteLength(name);
    for (; length > 127; length >>>= 7) buffer[end++] = (length & 127) | 128;
    buffer[end++] = length;
    end += buffer.write(name, end);
  }
  return buffer.subarray(0, end);
}
