import type { MessageCodec } from './discovery.js';

/** Fields of a request that are lists of names, by their numbers: there may be a name for each of ten thousand clusters. */
export type NameFields = Readonly<Record<string, number>>;

/** Lists of names that were written before, for as long as somebody holds the list: an answer in state-of-the-world repeats it. */
export type WrittenNames = WeakMap<readonly string[], Buffer>;

/**
 * Encodes a request; the names without the detour by which the codec goes.
 *
 * @param written what was written before; a list that is in it is the same list still
 */
export function encodeRequest(
  codec: MessageCodec,
  typeName: string,
  request: object,
  nameFields: NameFields,
  written: WrittenNames = new WeakMap(),
): Buffer {
  const rest: Record<string, unknown> = { ...request };
  const names: Buffer[] = [];
  for (const [field, number] of Object.entries(nameFields)) {
    const list = rest[field] as readonly string[];
    delete rest[field];
    const encoded = written.get(list) ?? encodeNames(number, list);
    written.set(list, encoded);
    names.push(encoded);
  }
  return Buffer.concat([codec.encode(typeName, rest), ...names]);
}

/** A longer one has a length of more than one byte. */
const longestShort = 127;

function encodeNames(field: number, names: readonly string[]): Buffer {
  const tag = (field << 3) | 2;
  const heads = Array.from({ length: longestShort + 1 }, (_, length) => String.fromCharCode(tag, length));
  let text = '';
  for (const name of names) {
    if (name.length > longestShort) return encodeAnyNames(tag, names);
    text += (heads[name.length] as string) + name;
  }
  // Nothing but ASCII: a byte for each character.
  return Buffer.byteLength(text) === text.length ? Buffer.from(text, 'latin1') : encodeAnyNames(tag, names);
}

function encodeAnyNames(tag: number, names: readonly string[]): Buffer {
  // A name needs three bytes per unit at most, and its length no more than five.
  const buffer = Buffer.allocUnsafe(names.reduce((size, name) => size + 6 + 3 * name.length, 0));
  let end = 0;
  for (const name of names) {
    buffer[end++] = tag;
    let length = Buffer.byteLength(name);
    for (; length > 127; length >>>= 7) buffer[end++] = (length & 127) | 128;
    buffer[end++] = length;
    end += buffer.write(name, end);
  }
  return buffer.subarray(0, end);
}
