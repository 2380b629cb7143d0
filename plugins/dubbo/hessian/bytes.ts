import { HessianError } from './values.js';

/** Of one string or binary. Java's chunks have 4 KiB and more; an object for each of a million small ones would be a weapon. */
const maxChunks = 65_536;

/** Bytes one after the other, and what Hessian makes of bytes alone: numbers, strings, binaries. Everything throws a HessianError where bytes are missing. */
export class ByteReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** Bytes that are not read yet. */
  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  byte(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw this.error('it is cut short');
    this.#at += 1;
    return byte;
  }

  /** Takes the next byte if it is this one. */
  take(byte: number): boolean {
    if (this.#bytes[this.#at] !== byte) return false;
    this.#at += 1;
    return true;
  }

  uint16(): number {
    return (this.byte() << 8) | this.byte();
  }

  int16(): number {
    return this.#bytes.readInt16BE(this.#skip(2));
  }

  int32(): number {
    return this.#bytes.readInt32BE(this.#skip(4));
  }

  int64(): bigint {
    return this.#bytes.readBigInt64BE(this.#skip(8));
  }

  double(): number {
    return this.#bytes.readDoubleBE(this.#skip(8));
  }

  /** A string whose first byte was taken: strings come in chunks. */
  text(first: number): string {
    let text = '';
    let code = first;
    for (let chunks = 0; code === 0x52; code = this.byte(), chunks += 1) {
      if (chunks === maxChunks) throw this.error('a string of too many chunks');
      text += this.#characters(this.uint16());
    }
    return text + this.#characters(this.#lastTextChunk(code));
  }

  #lastTextChunk(code: number): number {
    if (code < 0x20) return code;
    if (code >= 0x30 && code <= 0x33) return ((code - 0x30) << 8) | this.byte();
    if (code === 0x53) return this.uint16();
    throw this.error(`0x${code.toString(16)} continues no string`);
  }

  /** `count` UTF-16 units. Java writes each on its own, a surrogate like any other: https://www.unicode.org/reports/tr26/ (CESU-8). */
  #characters(count: number): string {
    const bytes = this.#bytes;
    const start = this.#at;
    if (bytes.length - start < count) throw this.error('a string is cut short');
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
        if (unit + 1 === count) throw this.error('a string ends within a character');
        units.writeUInt16LE(0xd800 + ((code - 0x10000) >> 10), unit * 2);
        unit += 1;
        units.writeUInt16LE(0xdc00 + (code & 0x3ff), unit * 2);
      } else units.writeUInt16LE(code, unit * 2);
    }
    return units.toString('utf16le');
  }

  #character(): number {
    const first = this.byte();
    if (first < 0x80) return first;
    if (first >= 0xc0 && first < 0xe0) return ((first & 0x1f) << 6) | this.#continuation();
    if (first >= 0xe0 && first < 0xf0)
      return ((first & 0x0f) << 12) | (this.#continuation() << 6) | this.#continuation();
    if (first >= 0xf0 && first < 0xf5) {
      const high = ((first & 0x07) << 18) | (this.#continuation() << 12);
      const code = high | (this.#continuation() << 6) | this.#continuation();
      if (code > 0xffff && code <= 0x10ffff) return code;
    }
    throw this.error(`0x${first.toString(16)} begins no character`);
  }

  #continuation(): number {
    const byte = this.byte();
    if ((byte & 0xc0) !== 0x80) throw this.error('a character is cut short');
    return byte & 0x3f;
  }

  /** Bytes, in chunks likewise. Copied: a value must not hold on to the connection's buffer. */
  binary(first: number): Buffer {
    const chunks: Buffer[] = [];
    let code = first;
    for (; code === 0x41; code = this.byte()) {
      if (chunks.length === maxChunks) throw this.error('a binary of too many chunks');
      chunks.push(this.#slice(this.uint16()));
    }
    chunks.push(this.#slice(this.#lastBinaryChunk(code)));
    return Buffer.concat(chunks);
  }

  #lastBinaryChunk(code: number): number {
    if (code >= 0x20 && code <= 0x2f) return code - 0x20;
    if (code >= 0x34 && code <= 0x37) return ((code - 0x34) << 8) | this.byte();
    if (code === 0x42) return this.uint16();
    throw this.error(`0x${code.toString(16)} continues no binary`);
  }

  error(what: string): HessianError {
    return new HessianError(`byte ${this.#at}: ${what}`);
  }

  #slice(length: number): Buffer {
    const at = this.#skip(length);
    return this.#bytes.subarray(at, at + length);
  }

  /** Takes so many bytes; where they begin. */
  #skip(length: number): number {
    if (this.remaining < length) throw this.error('it is cut short');
    const at = this.#at;
    this.#at += length;
    return at;
  }
}
