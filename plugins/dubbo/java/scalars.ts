import type { HessianWriter } from '../hessian/writer.js';
import { isDoubleText, wholeNumber } from '../json/decimal.js';
import { type Json, JsonNumber, kindOf } from '../json/values.js';
import { atomicClasses, sqlDates, textValueClasses } from './classes.js';
import { isTimeClass, writeTime } from './time-write.js';
import type { Primitive } from './types.js';

/** A JSON value that the type can't have; the message says what it may be. */
export class ValueError extends Error {}

/** Writes the one value. Throws a ValueError. */
export type ScalarWriter = (writer: HessianWriter, value: Json) => void;

const must = (what: string, value: Json): never => {
  const shown =
    typeof value === 'string'
      ? JSON.stringify(value.slice(0, 64))
      : value instanceof JsonNumber
        ? value.text.slice(0, 64)
        : kindOf(value);
  throw new ValueError(`must be ${what}, not ${shown}`);
};

/** The text of a number; numbers in quotes count, because many clients can't write longs otherwise. */
const numeral = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
const maxNumberLength = 1024;

function numberText(value: Json): string | undefined {
  if (value instanceof JsonNumber) return value.text;
  return typeof value === 'string' && value.length <= maxNumberLength && numeral.test(value) ? value : undefined;
}

function integer(value: Json, bits: number): bigint {
  const text = numberText(value);
  const number = text === undefined ? undefined : wholeNumber(text);
  if (number === undefined || BigInt.asIntN(bits, number) !== number) {
    return must(`a whole number of ${bits} bits`, value);
  }
  return number;
}

const intOf =
  (bits: number): ScalarWriter =>
  (writer, value) =>
    writer.int(Number(integer(value, bits)));

const special: Readonly<Record<string, number>> = {
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  '-Infinity': Number.NEGATIVE_INFINITY,
};

function double(value: Json): number {
  if (typeof value === 'string' && Object.hasOwn(special, value)) return special[value] as number;
  const number = Number(numberText(value) ?? must('a number', value));
  return Number.isFinite(number) ? number : must('a number that a double can hold', value);
}

function float(value: Json): number {
  const number = double(value);
  const single = Math.fround(number);
  return Number.isFinite(single) || !Number.isFinite(number) ? single : must('a number that a float can hold', value);
}

const text = (value: Json): string => (typeof value === 'string' ? value : must('a string', value));

function decimal(value: Json): string {
  const digits = numberText(value) ?? must('a number', value);
  // BigDecimal's scale is an int.
  const exponent = Number(/[eE](.+)$/.exec(digits)?.[1] ?? 0);
  return Math.abs(exponent) < 1e9 ? digits : must('a number with a smaller exponent', value);
}

/** Its fields, as hessian-lite sends them: 32-bit words, the highest first. */
export function writeBigInteger(writer: HessianWriter, value: bigint): void {
  writer.object('java.math.BigInteger', ['signum', 'mag']);
  writer.int(value === 0n ? 0 : value < 0n ? -1 : 1);
  const words: number[] = [];
  for (let rest = value < 0n ? -value : value; rest > 0n; rest >>= 32n) words.unshift(Number(BigInt.asIntN(32, rest)));
  writer.list(words.length, '[int');
  for (const word of words) writer.int(word);
}

export function writeBigDecimal(writer: HessianWriter, digits: string): void {
  writer.object('java.math.BigDecimal', ['value']);
  writer.string(digits);
}

/** `2024-01-31`, `2024-01-31T10:00:00Z`, with any offset; without one it is UTC. Or milliseconds since 1970. */
function millis(value: Json): bigint {
  const digits = numberText(value);
  if (digits !== undefined) return integer(value, 64);
  const match =
    typeof value === 'string' &&
    /^([+-]\d{6}|\d{4})-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?)?$/.exec(value);
  if (!match) return must('a date (2024-01-31T10:00:00.000Z) or milliseconds since 1970', value);
  const [whole] = match;
  const zoned = whole.length > 13 && match[2] === undefined ? `${whole}Z` : whole;
  const time = Date.parse(zoned.replace(' ', 'T'));
  return Number.isNaN(time) ? must('a date that there is', value) : BigInt(time);
}

function bytes(value: Json): Buffer {
  if (Array.isArray(value)) {
    return Buffer.from(value.map((item: Json) => Number(integer(item, 8))));
  }
  const encoded = typeof value === 'string' ? value : must('base64, or an array of bytes', value);
  const decoded = Buffer.from(encoded, 'base64');
  // Node skips what is no base64: what comes out must say the same again.
  const same = unpadded(decoded.toString('base64')) === unpadded(encoded).replaceAll('-', '+').replaceAll('_', '/');
  return same ? decoded : must('base64', value);
}

/** Without the `=` at its end. No regular expression: that would look at each `=` of a hostile text again and again. */
function unpadded(base64: string): string {
  let end = base64.length;
  while (base64[end - 1] === '=') end -= 1;
  return base64.slice(0, end);
}

export const primitiveWriters: Readonly<Record<Primitive, ScalarWriter>> = {
  boolean: (writer, value) => writer.boolean(typeof value === 'boolean' ? value : must('true or false', value)),
  byte: intOf(8),
  short: intOf(16),
  int: intOf(32),
  long: (writer, value) => writer.long(integer(value, 64)),
  float: (writer, value) => writer.double(float(value)),
  double: (writer, value) => writer.double(double(value)),
  char: (writer, value) => writer.string(text(value).length === 1 ? text(value) : must('one character', value)),
};

const classWriters = new Map<string, ScalarWriter>([
  ['java.lang.Boolean', primitiveWriters.boolean],
  ['java.lang.Byte', primitiveWriters.byte],
  ['java.lang.Short', primitiveWriters.short],
  ['java.lang.Integer', primitiveWriters.int],
  ['java.lang.Long', primitiveWriters.long],
  ['java.lang.Float', primitiveWriters.float],
  ['java.lang.Double', primitiveWriters.double],
  ['java.lang.Character', primitiveWriters.char],
  ['java.lang.String', (writer, value) => writer.string(text(value))],
  ['java.lang.CharSequence', (writer, value) => writer.string(text(value))],
  ['java.lang.Number', (writer, value) => writeNumber(writer, numberText(value) ?? must('a number', value))],
  ['java.math.BigDecimal', (writer, value) => writeBigDecimal(writer, decimal(value))],
  ['java.math.BigInteger', (writer, value) => writeBigInteger(writer, bigInteger(value))],
  ['java.util.Date', (writer, value) => writer.date(millis(value))],
  [
    'java.util.Locale',
    (writer, value) => objectOf(writer, 'com.alibaba.com.caucho.hessian.io.LocaleHandle', text(value)),
  ],
]);
for (const name of textValueClasses) classWriters.set(name, (writer, value) => objectOf(writer, name, text(value)));
for (const [name, kind] of atomicClasses) {
  classWriters.set(name, (writer, value) => {
    writer.object(name, ['value']);
    primitiveWriters[kind](writer, value);
  });
}
for (const name of sqlDates) {
  classWriters.set(name, (writer, value) => {
    writer.object(name, ['value']);
    writer.date(millis(value));
  });
}

/** How values of a class are written that is one value in JSON; undefined for other classes. */
export function classWriter(name: string): ScalarWriter | undefined {
  const known = classWriters.get(name);
  if (known !== undefined || !isTimeClass(name)) return known;
  return (writer, value) => {
    if (!writeTime(writer, name, text(value))) must(`a text as ${name} writes it`, value);
  };
}

/** An array of bytes: base64, or the bytes one by one. */
export const writeBytes: ScalarWriter = (writer, value) => writer.binary(bytes(value));

/** A number whose type nobody told: the smallest of int, long, double, BigInteger and BigDecimal that holds it exactly. */
export function writeNumber(writer: HessianWriter, digits: string): void {
  const isWhole = !/[.eE]/.test(digits);
  if (!isWhole || digits === '-0') {
    if (isDoubleText(digits) || digits === '-0') writer.double(Number(digits));
    else writeBigDecimal(writer, decimal(new JsonNumber(digits)));
    return;
  }
  const value = BigInt(digits);
  if (BigInt.asIntN(32, value) === value) writer.int(Number(value));
  else if (BigInt.asIntN(64, value) === value) writer.long(value);
  else writeBigInteger(writer, value);
}

function bigInteger(value: Json): bigint {
  const digits = numberText(value);
  return (digits === undefined ? undefined : wholeNumber(digits)) ?? must('a whole number', value);
}

function objectOf(writer: HessianWriter, name: string, value: string): void {
  writer.object(name, ['value']);
  writer.string(value);
}
