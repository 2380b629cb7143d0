import { colon, cr, isMethod, isTarget, isToken, isValue, lf, lowerCase, space, tab } from './http1-bytes.js';
import { firstHash, headerWords, methodWords, nextHash } from './known-words.js';
import type { ParseError, RequestHead } from './request-parser.js';

/**
 * Where in a head, or in a trailer section, the next byte stands (RFC 9112 sections 2.1, 3 and 5).
 * - before: empty lines before the request line (section 2.2)
 * - line: the first byte of a field line, or the CR of the empty line
 * - padding: white space before a value
 * - request_line_lf, field_line_lf, last_lf: CR came, LF must follow
 */
type Phase =
  | 'before'
  | 'method'
  | 'target'
  | 'version'
  | 'request_line_lf'
  | 'line'
  | 'name'
  | 'padding'
  | 'value'
  | 'field_line_lf'
  | 'last_lf';

const badRequest: ParseError = { status: 400, details: 'http1.codec_error' };
const tooLarge: ParseError = { status: 431, details: 'http1.headers_too_large' };
const unknownVersion: ParseError = { status: 426, details: 'low_version' };

/**
 * What says how a message is framed, or what becomes of the connection, may not come when the message has been read: RFC 9110 section 6.5.1.
 * Some parsers heed them even there.
 */
const notInTrailers = new Set(['content-length', 'transfer-encoding', 'connection', 'proxy-connection', 'upgrade']);

const smallestCarry = 512;
const usualFields = 64;
const nothing = Buffer.alloc(0);

/**
 * Reads heads and trailer sections, each byte once wherever the bytes were split: a head that lies in one piece is read where it lies, of
 * one that doesn't the part that came is kept. Strings are made when all is there, as slices of one.
 */
export class HeadParser {
  readonly #maxBytes: number;
  #phase: Phase = 'before';
  #trailers = false;
  /** The part of an unfinished head that came. */
  #carry: Buffer = nothing;
  #carried = 0;
  /** In the bytes: where the head begins, where the token that is being read begins, and the first byte behind the head. */
  #origin = 0;
  #token = 0;
  #end = 0;
  #hash = firstHash;
  #method = '';
  #targetEnd = 0;
  #protocol: RequestHead['protocol'] = 'HTTP/1.1';
  #fieldCount = 0;
  /** Per field: its name if that is a known word. */
  readonly #names: (string | undefined)[] = [];
  /** Per field, from `#origin`: where its name begins and ends, where its value begins and ends. */
  readonly #places: number[] = [];

  /** @param maxBytes a longer head, or trailer section, is refused with 431 */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Some bytes of it came. */
  get begun(): boolean {
    return this.#phase !== 'before';
  }

  /** What comes next is a trailer section. */
  expectTrailers(): void {
    this.#trailers = true;
    this.#phase = 'line';
  }

  /**
   * Goes on with the bytes of `data` from `from`.
   * @returns the offset in `data` of the first byte behind the head; -1: all bytes were taken and more is needed
   */
  parse(data: Buffer, from: number): number | ParseError {
    const before = this.#carried;
    if (before > 0) {
      this.#keep(data, from);
      const end = this.#scan(this.#carry, before, this.#carried);
      return typeof end === 'number' && end >= 0 ? end - before + from : end;
    }
    this.#origin = from;
    const end = this.#scan(data, from, data.length);
    if (end === -1 && this.#phase !== 'before') {
      this.#token -= this.#origin;
      this.#keep(data, this.#origin);
      this.#origin = 0;
    }
    return end;
  }

  /** The head that is complete, out of the `data` that `parse` was given last. */
  takeHead(data: Buffer): RequestHead {
    const text = this.#takeText(data);
    const method = this.#method;
    const target = text.slice(method.length + 1, this.#targetEnd);
    return { method, target, protocol: this.#protocol, headers: this.#takeFields(text), size: text.length };
  }

  /** The fields of the trailer section that is complete: name, value, name, value … */
  takeTrailers(data: Buffer): string[] {
    return this.#takeFields(this.#takeText(data));
  }

  #scan(bytes: Buffer, start: number, dataEnd: number): number | ParseError {
    let at = start;
    let phase = this.#phase;
    let hash = this.#hash;
    // Nothing beyond the limit is looked at, so that what is wrong with a head doesn't depend on where it was split.
    let end = phase === 'before' ? dataEnd : Math.min(dataEnd, this.#origin + this.#maxBytes);
    reading: while (at < end) {
      const byte = bytes[at] as number;
      switch (phase) {
        case 'value':
          while (at < end && isValue[bytes[at] as number] === 1) at++;
          if (at === end) break reading;
          if (bytes[at] !== cr || !this.#endValue(bytes, at)) return badRequest;
          phase = 'field_line_lf';
          break;
        case 'name':
          while (at < end && isToken[bytes[at] as number] === 1) {
            hash = nextHash(hash, lowerCase[bytes[at++] as number] as number);
          }
          if (at === end) break reading;
          if (bytes[at] !== colon || !this.#endName(bytes, at, hash)) return badRequest;
          phase = 'padding';
          break;
        case 'padding':
          if (byte === space || byte === tab) break;
          this.#token = at;
          phase = 'value';
          continue;
        case 'field_line_lf':
          if (byte !== lf) return badRequest;
          phase = 'line';
          break;
        case 'line':
          if (byte === cr) {
            phase = 'last_lf';
            break;
          }
          // White space would continue the line before (obs-fold), which a server may refuse: RFC 9112 section 5.2.
          if (isToken[byte] !== 1) return badRequest;
          this.#token = at;
          hash = firstHash;
          phase = 'name';
          continue;
        case 'last_lf':
          if (byte !== lf) return badRequest;
          this.#end = at + 1;
          return this.#end;
        case 'before':
          if (byte === cr || byte === lf) break;
          this.#origin = at;
          end = Math.min(dataEnd, at + this.#maxBytes);
          hash = firstHash;
          phase = 'method';
          continue;
        case 'method':
          while (at < end && isMethod[bytes[at] as number] === 1) hash = nextHash(hash, bytes[at++] as number);
          if (at === end) break reading;
          if (bytes[at] !== space || !this.#endMethod(bytes, at, hash)) return badRequest;
          this.#token = at + 1;
          phase = 'target';
          break;
        case 'target':
          while (at < end && isTarget[bytes[at] as number] === 1) at++;
          if (at === end) break reading;
          if (at === this.#token) return badRequest;
          this.#targetEnd = at - this.#origin;
          this.#token = at + 1;
          if (bytes[at] === space) phase = 'version';
          else if (bytes[at] !== cr) return badRequest;
          else {
            // HTTP/0.9 has no version; `accept_http_10` is for it, too.
            this.#protocol = 'HTTP/1.0';
            phase = 'request_line_lf';
          }
          break;
        case 'version':
          if (at - this.#token < 'HTTP/1.1'.length) {
            if (!mayStandInVersion(byte, at - this.#token)) return badRequest;
            break;
          }
          if (byte !== cr) return badRequest;
          if (!this.#endVersion(bytes)) return unknownVersion;
          phase = 'request_line_lf';
          break;
        case 'request_line_lf':
          if (byte !== lf) return badRequest;
          phase = 'line';
          break;
      }
      at++;
    }
    this.#phase = phase;
    this.#hash = hash;
    return phase !== 'before' && at - this.#origin === this.#maxBytes ? tooLarge : -1;
  }

  #endMethod(bytes: Buffer, at: number, hash: number): boolean {
    const method = methodWords.find(bytes, this.#origin, at, hash);
    this.#method = method ?? '';
    return method !== undefined;
  }

  /** RFC 9112 section 2.3. False: neither HTTP/1.0 nor HTTP/1.1. */
  #endVersion(bytes: Buffer): boolean {
    const major = bytes[this.#token + 5];
    const minor = bytes[this.#token + 7];
    this.#protocol = minor === zero ? 'HTTP/1.0' : 'HTTP/1.1';
    return major === one && (minor === zero || minor === one);
  }

  #endName(bytes: Buffer, at: number, hash: number): boolean {
    const name = headerWords.find(bytes, this.#token, at, hash);
    if (this.#trailers && name !== undefined && notInTrailers.has(name)) return false;
    const place = 4 * this.#fieldCount;
    this.#names[this.#fieldCount++] = name;
    this.#places[place] = this.#token - this.#origin;
    this.#places[place + 1] = at - this.#origin;
    return true;
  }

  #endValue(bytes: Buffer, at: number): boolean {
    let end = at;
    while (end > this.#token && isPadding(bytes[end - 1])) end--;
    const name = this.#names[this.#fieldCount - 1];
    const place = 4 * this.#fieldCount - 4;
    this.#places[place + 2] = this.#token - this.#origin;
    this.#places[place + 3] = end - this.#origin;
    // Tabs around these make other values of them for other parsers (Node's, for one). That is too dangerous where it is said how long the
    // message is, and whether another one follows.
    if (name === 'content-length') return !bytes.subarray(end, at).includes(tab);
    if (name === 'connection' && this.#protocol === 'HTTP/1.0') return !bytes.subarray(this.#token, at).includes(tab);
    if (name !== 'transfer-encoding') return true;
    const nameEnd = this.#origin + (this.#places[place + 1] as number);
    return !bytes.subarray(nameEnd, at).includes(tab);
  }

  /** Keeps bytes of an unfinished head; none beyond the limit. */
  #keep(data: Buffer, from: number): void {
    const end = Math.min(data.length, from + this.#maxBytes - this.#carried);
    const size = this.#carried + end - from;
    if (size > this.#carry.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(smallestCarry, 2 * size));
      this.#carry.copy(larger, 0, 0, this.#carried);
      this.#carry = larger;
    }
    data.copy(this.#carry, this.#carried, from, end);
    this.#carried = size;
  }

  #takeText(data: Buffer): string {
    const text = (this.#carried > 0 ? this.#carry : data).toString('latin1', this.#origin, this.#end);
    this.#carry = nothing;
    this.#carried = 0;
    this.#phase = 'before';
    this.#trailers = false;
    return text;
  }

  #takeFields(text: string): string[] {
    const names = this.#names;
    const places = this.#places;
    const fields: string[] = [];
    for (let i = 0, place = 0; i < this.#fieldCount; i++, place += 4) {
      const name = names[i] ?? text.slice(places[place], places[place + 1]).toLowerCase();
      fields.push(name, text.slice(places[place + 2], places[place + 3]));
    }
    // What a large head needed is given back.
    if (this.#fieldCount > usualFields) names.length = places.length = 0;
    this.#fieldCount = 0;
    return fields;
  }
}

const zero = 0x30;
const one = 0x31;
const dot = 0x2e;
const protocolName = Buffer.from('HTTP/');

/** HTTP-version = "HTTP/" DIGIT "." DIGIT */
function mayStandInVersion(byte: number, index: number): boolean {
  if (index < protocolName.length) return byte === protocolName[index];
  return index === 6 ? byte === dot : byte >= zero && byte <= 0x39;
}

const isPadding = (byte: number | undefined): boolean => byte === space || byte === tab;
