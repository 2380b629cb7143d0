import { HessianError } from './values.js';

/** UTF-16 units in a chunk of a string; hessian-lite's own figure. */
const textChunk = 0x8000;
const binaryChunk = 0x8000;

/** Writes one message, in the forms that Dubbo's hessian-lite writes. Throws a HessianError when it gets larger than allowed. */
export class HessianWriter {
  #bytes: Buffer;
  #at = 0;
  readonly #maxSize: number;
  #refs = 0;
  readonly #types = new Map<string, number>();
  readonly #classes = new Map<string, number>();

  /** @param room bytes to leave free at the beginning, for a header */
  constructor(maxSize: number, room = 0) {
    this.#maxSize = maxSize;
    this.#bytes = Buffer.allocUnsafe(Math.max(512, room));
    this.#bytes.fill(0, 0, room);
    this.#at = room;
  }

  /** What was written, the free room included; a view. */
  bytes(): Buffer {
    return this.#bytes.subarray(0, this.#at);
  }

  null(): void {
    this.#byte(0x4e);
  }

  boolean(value: boolean): void {
    this.#byte(value ? 0x54 : 0x46);
  }

  /** @param value a whole number of 32 bits */
  int(value: number): void {
    this.#reserve(5);
    const at = this.#at;
    const bytes = this.#bytes;
    if (value >= -0x10 && value <= 0x2f) {
      bytes[at] = 0x90 + value;
      this.#at = at + 1;
    } else if (value >= -0x800 && value <= 0x7ff) {
      bytes[at] = 0xc8 + (value >> 8);
      bytes[at + 1] = value & 0xff;
      this.#at = at + 2;
    } else if (value >= -0x40000 && value <= 0x3ffff) {
      bytes[at] = 0xd4 + (value >> 16);
      bytes.writeUInt16BE(value & 0xffff, at + 1);
      this.#at = at + 3;
    } else {
      bytes[at] = 0x49;
      this.#at = bytes.writeInt32BE(value, at + 1);
    }
  }

  /** @param value a whole number of 64 bits */
  long(value: bigint): void {
    this.#reserve(9);
    const at = this.#at;
    const bytes = this.#bytes;
    if (value < -0x80000000n || value > 0x7fffffffn) {
      bytes[at] = 0x4c;
      this.#at = bytes.writeBigInt64BE(value, at + 1);
      return;
    }
    const small = Number(value);
    if (small >= -0x08 && small <= 0x0f) {
      bytes[at] = 0xe0 + small;
      this.#at = at + 1;
    } else if (small >= -0x800 && small <= 0x7ff) {
      bytes[at] = 0xf8 + (small >> 8);
      bytes[at + 1] = small & 0xff;
      this.#at = at + 2;
    } else if (small >= -0x40000 && small <= 0x3ffff) {
      bytes[at] = 0x3c + (small >> 16);
      bytes.writeUInt16BE(small & 0xffff, at + 1);
      this.#at = at + 3;
    } else {
      bytes[at] = 0x59;
      this.#at = bytes.writeInt32BE(small, at + 1);
    }
  }

  double(value: number): void {
    this.#reserve(9);
    const at = this.#at;
    if (value === 0 && !Object.is(value, -0)) {
      this.#bytes[at] = 0x5b;
      this.#at = at + 1;
    } else {
      this.#bytes[at] = 0x44;
      this.#at = this.#bytes.writeDoubleBE(value, at + 1);
    }
  }

  /** @param millis since 1970, a whole number of 64 bits */
  date(millis: bigint): void {
    this.#reserve(9);
    this.#bytes[this.#at] = 0x4a;
    this.#at = this.#bytes.writeBigInt64BE(millis, this.#at + 1);
  }

  string(value: string): void {
    let start = 0;
    while (value.length - start > textChunk) {
      // A chunk doesn't end within a pair.
      const end = isHigh(value.charCodeAt(start + textChunk - 1)) ? start + textChunk - 1 : start + textChunk;
      this.#byte(0x52);
      this.#uint16(end - start);
      this.#characters(value, start, end);
      start = end;
    }
    const length = value.length - start;
    if (length < 0x20) this.#byte(length);
    else if (length < 0x400) {
      this.#byte(0x30 + (length >> 8));
      this.#byte(length & 0xff);
    } else {
      this.#byte(0x53);
      this.#uint16(length);
    }
    this.#characters(value, start, value.length);
  }

  binary(value: Uint8Array): void {
    let start = 0;
    while (value.length - start > binaryChunk) {
      this.#byte(0x41);
      this.#uint16(binaryChunk);
      this.#copy(value.subarray(start, start + binaryChunk));
      start += binaryChunk;
    }
    const length = value.length - start;
    if (length < 0x10) this.#byte(0x20 + length);
    else {
      this.#byte(0x42);
      this.#uint16(length);
    }
    this.#copy(value.subarray(start));
  }

  /** Begins a list of so many items, which are written next. Returns its number, for `ref`. */
  list(length: number, type?: string): number {
    if (length < 8) this.#byte((type === undefined ? 0x78 : 0x70) + length);
    else this.#byte(type === undefined ? 0x58 : 0x56);
    if (type !== undefined) this.#type(type);
    if (length >= 8) this.int(length);
    return this.#refs++;
  }

  /** Begins a map: keys and values in turn come next, then `end`. Returns its number. */
  map(type?: string): number {
    this.#byte(type === undefined ? 0x48 : 0x4d);
    if (type !== undefined) this.#type(type);
    return this.#refs++;
  }

  end(): void {
    this.#byte(0x5a);
  }

  /** Begins an object: the values of these fields come next. Returns its number. */
  object(name: string, fields: readonly string[]): number {
    const key = `${name}(${fields.join(',')}`;
    let index = this.#classes.get(key);
    if (index === undefined) {
      index = this.#classes.size;
      this.#classes.set(key, index);
      this.#byte(0x43);
      this.string(name);
      this.int(fields.length);
      for (const field of fields) this.string(field);
    }
    if (index < 0x10) this.#byte(0x60 + index);
    else {
      this.#byte(0x4f);
      this.int(index);
    }
    return this.#refs++;
  }

  /** What was written before under this number, again. */
  ref(index: number): void {
    this.#byte(0x51);
    this.int(index);
  }

  #type(name: string): void {
    const index = this.#types.get(name);
    if (index !== undefined) {
      this.int(index);
      return;
    }
    this.#types.set(name, this.#types.size);
    this.string(name);
  }

  #characters(value: string, start: number, end: number): void {
    this.#reserve((end - start) * 3);
    const bytes = this.#bytes;
    let at = this.#at;
    for (let index = start; index < end; index++) {
      const code = value.charCodeAt(index);
      if (code < 0x80) bytes[at++] = code;
      else if (code < 0x800) {
        bytes[at++] = 0xc0 | (code >> 6);
        bytes[at++] = 0x80 | (code & 0x3f);
      } else {
        bytes[at++] = 0xe0 | (code >> 12);
        bytes[at++] = 0x80 | ((code >> 6) & 0x3f);
        bytes[at++] = 0x80 | (code & 0x3f);
      }
    }
    this.#at = at;
    this.#check();
  }

  #copy(value: Uint8Array): void {
    this.#reserve(value.length);
    this.#bytes.set(value, this.#at);
    this.#at += value.length;
    this.#check();
  }

  #byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#at++] = value;
  }

  #uint16(value: number): void {
    this.#reserve(2);
    this.#at = this.#bytes.writeUInt16BE(value, this.#at);
  }

  #reserve(count: number): void {
    const needed = this.#at + count;
    if (needed <= this.#bytes.length) return;
    this.#check();
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2));
    this.#bytes.copy(larger, 0, 0, this.#at);
    this.#bytes = larger;
  }

  #check(): void {
    if (this.#at > this.#maxSize) throw new HessianError(`the message is larger than ${this.#maxSize} bytes`);
  }
}

const isHigh = (unit: number): boolean => unit >= 0xd800 && unit < 0xdc00;
