import {
  type ClassDefinition,
  HessianDate,
  HessianError,
  type HessianLimits,
  HessianList,
  HessianMap,
  HessianObject,
  type HessianValue,
} from './values.js';

/** Of one message. Java's own messages have a definition for each class in them. */
const maxClasses = 4096;
const maxFields = 65_536;
const maxTypes = 4096;

/**
 * Reads the values of one message, as Dubbo's hessian-lite writes them.
 * Grammar: http://hessian.caucho.com/doc/hessian-serialization.html; where that and Dubbo's code differ (doubles of thousandths) Dubbo's code counts.
 * All methods throw a HessianError.
 */
export class HessianReader {
  readonly #bytes: Buffer;
  readonly #limits: HessianLimits;
  #at: number;
  #depth = 0;
  #values = 0;
  #fields = 0;
  readonly #refs: HessianValue[] = [];
  readonly #classes: ClassDefinition[] = [];
  readonly #types: string[] = [];
  /** What came more than once: only these can be in a circle. */
  readonly shared = new Set<HessianValue>();

  constructor(bytes: Buffer, limits: HessianLimits, start = 0) {
    this.#bytes = bytes;
    this.#limits = limits;
    this.#at = start;
  }

  /** Bytes that are not read yet. */
  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  value(): HessianValue {
    this.#values += 1;
    if (this.#values > this.#limits.maxValues) throw this.#error(`more than ${this.#limits.maxValues} values`);
    const code = this.#byte();
    if (code < 0x20) return this.#text(code);
    // Compact numbers: the high half of the table.
    if (code >= 0x80) return code < 0xd8 ? this.#int(code) : this.#long(code);
    if (code >= 0x70) return this.#list(code);
    if (code >= 0x60) return this.#object(code - 0x60);
    return this.#letter(code);
  }

  /** An int, as `readInt` and `readByte`. */
  int(): number {
    const value = this.value();
    if (typeof value === 'number' && Number.isInteger(value)) return value;
    throw this.#error('an int was expected');
  }

  /** A string or null, as `readUTF`. */
  string(): string | null {
    const value = this.value();
    if (typeof value === 'string' || value === null) return value;
    throw this.#error('a string was expected');
  }

  #letter(code: number): HessianValue {
    switch (code) {
      case 0x4e:
        return null;
      case 0x54:
        return true;
      case 0x46:
        return false;
      case 0x49:
        return this.#int32();
      case 0x4c:
        return exact(this.#int64());
      case 0x59:
        return this.#int32();
      case 0x44:
        return this.#take(8, (bytes, at) => bytes.readDoubleBE(at));
      case 0x5b:
        return 0;
      case 0x5c:
        return 1;
      case 0x5d:
        return (this.#byte() << 24) >> 24;
      case 0x5e:
        return this.#take(2, (bytes, at) => bytes.readInt16BE(at));
      case 0x5f:
        return 0.001 * this.#int32();
      case 0x4a:
        return new HessianDate(exact(this.#int64()));
      case 0x4b:
        return new HessianDate(this.#int32() * 60_000);
      case 0x43:
        return this.#definedObject();
      case 0x4f:
        return this.#object(this.int());
      case 0x48:
        return this.#map(undefined);
      case 0x4d:
        return this.#map(this.#type() || undefined);
      case 0x51:
        return this.#ref();
      default:
        return this.#chunked(code);
    }
  }

  #chunked(code: number): HessianValue {
    if (code === 0x41 || code === 0x42 || code <= 0x2f || (code >= 0x34 && code <= 0x37)) return this.#binary(code);
    if (code === 0x52 || code === 0x53 || (code >= 0x30 && code <= 0x33)) return this.#text(code);
    if (code >= 0x38 && code <= 0x3f) return this.#long(code);
    if (code >= 0x55 && code <= 0x58) return this.#list(code);
    throw this.#error(`0x${code.toString(16)} begins no value`);
  }

  #int(code: number): number {
    if (code < 0xc0) return code - 0x90;
    if (code < 0xd0) return ((code - 0xc8) << 8) | this.#byte();
    return ((code - 0xd4) << 16) | (this.#byte() << 8) | this.#byte();
  }

  #long(code: number): number {
    if (code >= 0xf0) return ((code - 0xf8) << 8) | this.#byte();
    if (code >= 0xd8) return code - 0xe0;
    return ((code - 0x3c) << 16) | (this.#byte() << 8) | this.#byte();
  }

  // Strings and bytes come in chunks.

  #text(first: number): string {
    let text = '';
    for (let code = first; ; code = this.#byte()) {
      if (code === 0x52) {
        text += this.#characters(this.#uint16());
        continue;
      }
      return text + this.#characters(this.#lastTextChunk(code));
    }
  }

  #lastTextChunk(code: number): number {
    if (code < 0x20) return code;
    if (code >= 0x30 && code <= 0x33) return ((code - 0x30) << 8) | this.#byte();
    if (code === 0x53) return this.#uint16();
    throw this.#error(`0x${code.toString(16)} continues no string`);
  }

  /** `count` UTF-16 units. Java writes each on its own, a surrogate like any other: https://www.unicode.org/reports/tr26/ (CESU-8). */
  #characters(count: number): string {
    const bytes = this.#bytes;
    const start = this.#at;
    if (bytes.length - start < count) throw this.#error('a string is cut short');
    let at = start;
    const plainEnd = start + count;
    while (at < plainEnd && (bytes[at] as number) < 0x80) at += 1;
    if (at === plainEnd) {
      this.#at = at;
      return bytes.toString('latin1', start, at);
    }
    const units = Buffer.allocUnsafe(count * 2);
    for (let unit = 0; unit < count; unit += 1) {
      const code = this.#character();
      if (code > 0xffff) {
        // Real UTF-8, as some other implementations write it: both halves at once.
        if (unit + 1 === count) throw this.#error('a string ends within a character');
        units.writeUInt16LE(0xd800 + ((code - 0x10000) >> 10), unit * 2);
        unit += 1;
        units.writeUInt16LE(0xdc00 + (code & 0x3ff), unit * 2);
      } else units.writeUInt16LE(code, unit * 2);
    }
    return units.toString('utf16le');
  }

  #character(): number {
    const first = this.#byte();
    if (first < 0x80) return first;
    if (first >= 0xc0 && first < 0xe0) return ((first & 0x1f) << 6) | this.#continuation();
    if (first >= 0xe0 && first < 0xf0)
      return ((first & 0x0f) << 12) | (this.#continuation() << 6) | this.#continuation();
    if (first >= 0xf0 && first < 0xf5) {
      const high = ((first & 0x07) << 18) | (this.#continuation() << 12);
      const code = high | (this.#continuation() << 6) | this.#continuation();
      if (code > 0xffff && code <= 0x10ffff) return code;
    }
    throw this.#error(`0x${first.toString(16)} begins no character`);
  }

  #continuation(): number {
    const byte = this.#byte();
    if ((byte & 0xc0) !== 0x80) throw this.#error('a character is cut short');
    return byte & 0x3f;
  }

  #binary(first: number): Buffer {
    const chunks: Buffer[] = [];
    for (let code = first; ; code = this.#byte()) {
      if (code === 0x41) {
        chunks.push(this.#slice(this.#uint16()));
        continue;
      }
      chunks.push(this.#slice(this.#lastBinaryChunk(code)));
      // Copied: a value must not hold on to the connection's buffer.
      return Buffer.concat(chunks);
    }
  }

  #lastBinaryChunk(code: number): number {
    if (code >= 0x20 && code <= 0x2f) return code - 0x20;
    if (code >= 0x34 && code <= 0x37) return ((code - 0x34) << 8) | this.#byte();
    if (code === 0x42) return this.#uint16();
    throw this.#error(`0x${code.toString(16)} continues no binary`);
  }

  // What holds other values. Each gets its number before what is inside.

  #list(code: number): HessianList {
    const typed = code === 0x55 || code === 0x56 || (code >= 0x70 && code < 0x78);
    const list = new HessianList(typed ? this.#type() : undefined);
    this.#enter(list);
    const { items } = list;
    if (code === 0x55 || code === 0x57) {
      while (!this.#atEnd()) items.push(this.value());
    } else {
      const length = code >= 0x70 ? code & 7 : this.int();
      // Each item has a byte at least.
      if (length < 0 || length > this.remaining) throw this.#error(`a list of ${length} in ${this.remaining} bytes`);
      for (let index = 0; index < length; index++) items.push(this.value());
    }
    this.#depth -= 1;
    return list;
  }

  #map(type: string | undefined): HessianMap {
    const map = new HessianMap(type);
    this.#enter(map);
    while (!this.#atEnd()) {
      map.keys.push(this.value());
      map.values.push(this.value());
    }
    this.#depth -= 1;
    return map;
  }

  #definedObject(): HessianValue {
    // Definitions stand before an object, several of them in a loop rather than by recursion.
    for (let code = 0x43; ; code = this.#byte()) {
      if (code >= 0x60 && code < 0x70) return this.#object(code - 0x60);
      if (code === 0x4f) return this.#object(this.int());
      if (code !== 0x43) throw this.#error('no object follows a class definition');
      this.#definition();
    }
  }

  #definition(): void {
    const name = this.#name();
    const count = this.int();
    this.#fields += count;
    if (count < 0 || count > this.remaining) throw this.#error(`a class of ${count} fields`);
    if (this.#classes.length === maxClasses || this.#fields > maxFields) throw this.#error('too many classes');
    const fields: string[] = [];
    for (let index = 0; index < count; index++) fields.push(this.#name());
    this.#classes.push({ name, fields });
  }

  #object(index: number): HessianObject {
    const definition = this.#classes[index];
    if (definition === undefined) throw this.#error(`class ${index} of ${this.#classes.length}`);
    const object = new HessianObject(definition);
    this.#enter(object);
    for (let field = 0; field < definition.fields.length; field++) object.values.push(this.value());
    this.#depth -= 1;
    return object;
  }

  #ref(): HessianValue {
    const index = this.int();
    const found = this.#refs[index];
    if (found === undefined) throw this.#error(`reference ${index} of ${this.#refs.length}`);
    this.shared.add(found);
    return found;
  }

  #enter(value: HessianValue): void {
    this.#refs.push(value);
    this.#depth += 1;
    if (this.#depth > this.#limits.maxDepth) throw this.#error(`deeper than ${this.#limits.maxDepth}`);
  }

  #name(): string {
    const name = this.string();
    if (name === null) throw this.#error('a name is null');
    return name;
  }

  /** A type's name, or the number of one that came before. */
  #type(): string {
    const value = this.value();
    if (typeof value === 'string') {
      if (this.#types.length === maxTypes) throw this.#error('too many types');
      this.#types.push(value);
      return value;
    }
    const found = typeof value === 'number' ? this.#types[value] : undefined;
    if (found === undefined) throw this.#error('no such type');
    return found;
  }

  #atEnd(): boolean {
    if (this.#at >= this.#bytes.length) throw this.#error('a list or map is cut short');
    if (this.#bytes[this.#at] !== 0x5a) return false;
    this.#at += 1;
    return true;
  }

  // Bytes.

  #byte(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw this.#error('it is cut short');
    this.#at += 1;
    return byte;
  }

  #uint16(): number {
    return (this.#byte() << 8) | this.#byte();
  }

  #int32(): number {
    return this.#take(4, (bytes, at) => bytes.readInt32BE(at));
  }

  #int64(): bigint {
    return this.#take(8, (bytes, at) => bytes.readBigInt64BE(at));
  }

  #slice(length: number): Buffer {
    return this.#take(length, (bytes, at) => bytes.subarray(at, at + length));
  }

  #take<T>(length: number, read: (bytes: Buffer, at: number) => T): T {
    if (this.remaining < length) throw this.#error('it is cut short');
    const at = this.#at;
    this.#at += length;
    return read(this.#bytes, at);
  }

  #error(what: string): HessianError {
    return new HessianError(`byte ${this.#at}: ${what}`);
  }
}

/** A number where that is exact. */
const exact = (value: bigint): number | bigint =>
  value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
