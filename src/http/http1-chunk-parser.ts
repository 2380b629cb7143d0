import {
  backslash,
  cr,
  equals,
  hexValue,
  isQuotedText,
  isToken,
  isValue,
  lf,
  quote,
  semicolon,
} from './http1-bytes.js';

/**
 * Where in the framing around a chunk's data the next byte stands (RFC 9112 section 7.1).
 * - size_start: the first digit must follow
 * - data: `left` bytes of data follow, which are the caller's to take
 * - data_cr, data_lf: the line end behind the data
 * - last: the last chunk's line has ended; the trailer section follows
 */
type Phase =
  | 'size_start'
  | 'size'
  | 'extension_start'
  | 'extension_name'
  | 'extension_value_start'
  | 'extension_value'
  | 'quoted'
  | 'quoted_pair'
  | 'quoted_end'
  | 'size_lf'
  | 'data'
  | 'data_cr'
  | 'data_lf'
  | 'last';

/** Of a chunk's size with its extensions: RFC 9112 section 7.1.1 asks for a limit. What Node and so the other codec allow. */
const longestLine = 16 * 1024;
/** 64 bits, leading zeros not counted. Above 2^53 the number is not exact, and need not be: nobody will send so much. */
const mostDigits = 16;

/** Reads the framing of a chunked body, each byte once wherever the bytes were split. Extensions are checked and dropped. */
export class ChunkParser {
  #phase: Phase = 'size_start';
  #lineLength = 0;
  #digits = 0;
  /** Bytes of data that are still to come in this chunk. */
  left = 0;

  /** A new body begins. */
  start(): void {
    this.#phase = 'size_start';
  }

  /** The last chunk's line has ended. */
  get ended(): boolean {
    return this.#phase === 'last';
  }

  /** `length` bytes of data were taken; at most `left`. */
  takeData(length: number): void {
    this.left -= length;
    if (this.left === 0) this.#phase = 'data_cr';
  }

  /**
   * Goes on with the framing in `data` from `from`, up to the next data (`left` > 0) or behind the last chunk's line (`ended`).
   * @returns the offset behind what was read; -1: the bytes break the protocol
   */
  parse(data: Buffer, from: number): number {
    let at = from;
    while (at < data.length && this.#phase !== 'data' && this.#phase !== 'last') {
      const next = this.#next(this.#phase, data[at] as number);
      if (next === undefined || this.#lineLength > longestLine) return -1;
      this.#phase = next;
      at++;
    }
    return at;
  }

  /** The one table of transitions; undefined: this byte may not stand there. */
  #next(phase: Exclude<Phase, 'data' | 'last'>, byte: number): Phase | undefined {
    this.#lineLength++;
    switch (phase) {
      case 'size_start':
        this.left = 0;
        this.#digits = 0;
        this.#lineLength = 1;
        return this.#digit(byte);
      case 'size':
        if (byte === cr) return 'size_lf';
        if (byte === semicolon) return 'extension_start';
        return this.#digit(byte);
      case 'extension_start':
        return isToken[byte] === 1 ? 'extension_name' : undefined;
      case 'extension_name':
        if (byte === equals) return 'extension_value_start';
        return isToken[byte] === 1 ? 'extension_name' : endOfExtension(byte);
      case 'extension_value_start':
        if (byte === quote) return 'quoted';
        return isToken[byte] === 1 ? 'extension_value' : undefined;
      case 'extension_value':
        return isToken[byte] === 1 ? 'extension_value' : endOfExtension(byte);
      case 'quoted':
        if (byte === quote) return 'quoted_end';
        if (byte === backslash) return 'quoted_pair';
        return isQuotedText[byte] === 1 ? 'quoted' : undefined;
      case 'quoted_pair':
        return isValue[byte] === 1 ? 'quoted' : undefined;
      case 'quoted_end':
        return endOfExtension(byte);
      case 'size_lf':
        if (byte !== lf) return undefined;
        return this.left > 0 ? 'data' : 'last';
      case 'data_cr':
        return byte === cr ? 'data_lf' : undefined;
      case 'data_lf':
        return byte === lf ? 'size_start' : undefined;
    }
  }

  #digit(byte: number): Phase | undefined {
    const digit = hexValue[byte] as number;
    this.left = this.left * 16 + digit;
    if (this.left > 0) this.#digits++;
    return digit < 16 && this.#digits <= mostDigits ? 'size' : undefined;
  }
}

function endOfExtension(byte: number): Phase | undefined {
  if (byte === cr) return 'size_lf';
  return byte === semicolon ? 'extension_start' : undefined;
}
