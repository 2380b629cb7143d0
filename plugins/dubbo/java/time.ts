import { HessianObject, type HessianValue } from '../hessian/values.js';
import type { HessianWriter } from '../hessian/writer.js';

/**
 * java.time. Hessian-lite sends each as an object of a class of its own (`…java8.LocalDateHandle`); JSON has the ISO 8601 text that Java's `toString` gives.
 * Source: apache/dubbo-hessian-lite, com.alibaba.com.caucho.hessian.io.java8.
 */
const handles = 'com.alibaba.com.caucho.hessian.io.java8.';

/** An object to be sent: numbers are ints, bigints longs. */
interface Handle {
  readonly name: string;
  readonly fields: Readonly<Record<string, number | bigint | string | Handle>>;
}

interface TimeClass {
  /** undefined: the text is none. */
  parse(text: string): Handle | undefined;
  format(handle: HessianObject): string | undefined;
}

/** Writes the text as an object of a class of java.time; false when it is no such text. */
export function writeTime(writer: HessianWriter, className: string, text: string): boolean {
  const handle = classes[className]?.parse(text);
  if (handle !== undefined) write(writer, handle);
  return handle !== undefined;
}

export const isTimeClass = (className: string): boolean => Object.hasOwn(classes, className);

/** The text of an object that hessian-lite sent for one of java.time; undefined when it is no such object. */
export function timeText(object: HessianObject): string | undefined {
  const { name } = object.definition;
  if (!name.startsWith(handles) || !name.endsWith('Handle')) return undefined;
  return classes[`java.time.${name.slice(handles.length, -'Handle'.length)}`]?.format(object);
}

function write(writer: HessianWriter, { name, fields }: Handle): void {
  writer.object(`${handles}${name}Handle`, Object.keys(fields));
  for (const value of Object.values(fields)) {
    if (typeof value === 'number') writer.int(value);
    else if (typeof value === 'bigint') writer.long(value);
    else if (typeof value === 'string') writer.string(value);
    else write(writer, value);
  }
}

const datePattern = String.raw`([+-]?\d{4,9})-(\d\d)-(\d\d)`;
const timePattern = String.raw`(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?`;
const offsetPattern = String.raw`(Z|[+-]\d\d(?::\d\d(?::\d\d)?)?)`;
const whole = (...patterns: string[]): RegExp => new RegExp(`^${patterns.join('')}$`);
const localDate = whole(datePattern);
const localTime = whole(timePattern);
const localDateTime = whole(datePattern, 'T', timePattern);
const offsetDateTime = whole(datePattern, 'T', timePattern, offsetPattern);
const zonedDateTime = whole(datePattern, 'T', timePattern, offsetPattern, String.raw`(?:\[([\w/+:~-]{1,64})\])?`);
const offsetTime = whole(timePattern, offsetPattern);
const duration =
  /^([+-])?P(?=.)(?:([+-]?\d{1,15})D)?(?:T(?=[\d+-])(?:([+-]?\d{1,16})H)?(?:([+-]?\d{1,18})M)?(?:([+-]?)(\d{1,19})(?:\.(\d{1,9}))?S)?)?$/;
const period = /^P(?=\d|[+-])(?:([+-]?\d{1,10})Y)?(?:([+-]?\d{1,10})M)?(?:([+-]?\d{1,10})D)?$/;

type Parts = readonly (string | undefined)[];
const number = (part: string | undefined): number => Number(part ?? 0);
const nanosOf = (fraction: string | undefined): number => Number((fraction ?? '').padEnd(9, '0'));
const isInt = (value: number): boolean => value >= -0x80000000 && value <= 0x7fffffff;

function dateOf([year, month, day]: Parts): Handle | undefined {
  const [y, m, d] = [number(year), number(month), number(day)];
  return m >= 1 && m <= 12 && d >= 1 && d <= daysIn(y, m)
    ? { name: 'LocalDate', fields: { year: y, month: m, day: d } }
    : undefined;
}

function timeOf([hour, minute, second, fraction]: Parts): Handle | undefined {
  const fields = { hour: number(hour), minute: number(minute), second: number(second), nano: nanosOf(fraction) };
  return fields.hour < 24 && fields.minute < 60 && fields.second < 60 ? { name: 'LocalTime', fields } : undefined;
}

function offsetOf(text: string | undefined): Handle | undefined {
  if (text === 'Z') return { name: 'ZoneOffset', fields: { seconds: 0 } };
  const match = /^([+-])(\d\d)(?::(\d\d)(?::(\d\d))?)?$/.exec(text ?? '');
  if (match === null) return undefined;
  const [, sign, hours, minutes, rest] = match;
  const seconds = number(hours) * 3600 + number(minutes) * 60 + number(rest);
  if (number(minutes) > 59 || number(rest) > 59 || seconds > 18 * 3600) return undefined;
  return { name: 'ZoneOffset', fields: { seconds: sign === '-' ? -seconds : seconds } };
}

const allOf = <T extends Record<string, Handle | undefined>>(parts: T): { [K in keyof T]: Handle } | undefined =>
  Object.values(parts).includes(undefined) ? undefined : (parts as { [K in keyof T]: Handle });

function handle(name: string, fields: Handle['fields'] | undefined): Handle | undefined {
  return fields === undefined ? undefined : { name, fields };
}

const dateTimeOf = (parts: Parts): Handle | undefined =>
  handle('LocalDateTime', allOf({ date: dateOf(parts), time: timeOf(parts.slice(3)) }));

const int = (name: string, fields: Record<string, number>): Handle | undefined =>
  Object.values(fields).every(isInt) ? { name, fields } : undefined;

const classes: Readonly<Record<string, TimeClass>> = {
  'java.time.LocalDate': {
    parse: (text) => dateOf(parts(localDate, text)),
    format: dateText,
  },
  'java.time.LocalTime': {
    parse: (text) => (localTime.test(text) ? timeOf(parts(localTime, text)) : undefined),
    format: timeOfDayText,
  },
  'java.time.LocalDateTime': {
    parse: (text) => dateTimeOf(parts(localDateTime, text)),
    format: (object) => joined(dateText(part(object, 'date')), 'T', timeOfDayText(part(object, 'time'))),
  },
  'java.time.OffsetDateTime': {
    parse(text) {
      const found = parts(offsetDateTime, text);
      return handle('OffsetDateTime', allOf({ dateTime: dateTimeOf(found), offset: offsetOf(found[7]) }));
    },
    format: (object) => joined(nested(object, 'dateTime'), nested(object, 'offset')),
  },
  'java.time.ZonedDateTime': {
    parse(text) {
      const found = parts(zonedDateTime, text);
      const fields = allOf({ dateTime: dateTimeOf(found), offset: offsetOf(found[7]) });
      return handle('ZonedDateTime', fields && { ...fields, zoneId: found[8] ?? found[7] ?? '' });
    },
    format(object) {
      const zone = object.get('zoneId');
      const offset = nested(object, 'offset');
      const region = typeof zone === 'string' && zone !== offset ? `[${zone}]` : '';
      return joined(nested(object, 'dateTime'), offset, region);
    },
  },
  'java.time.OffsetTime': {
    parse(text) {
      const found = parts(offsetTime, text);
      const fields = { localTime: found.length > 0 ? timeOf(found) : undefined, zoneOffset: offsetOf(found[4]) };
      return handle('OffsetTime', allOf(fields));
    },
    format: (object) => joined(nested(object, 'localTime'), nested(object, 'zoneOffset')),
  },
  'java.time.Instant': { parse: parseInstant, format: instantText },
  'java.time.Duration': { parse: parseDuration, format: durationText },
  'java.time.Period': {
    parse(text) {
      const found = period.exec(text);
      if (found === null) return undefined;
      return int('Period', { years: number(found[1]), months: number(found[2]), days: number(found[3]) });
    },
    format: periodText,
  },
  'java.time.Year': {
    parse: (text) => (/^[+-]?\d{4,9}$/.test(text) ? int('Year', { year: Number(text) }) : undefined),
    format: (object) => whole32(object.get('year'))?.toString(),
  },
  'java.time.YearMonth': {
    parse(text) {
      const found = /^([+-]?\d{4,9})-(\d\d)$/.exec(text);
      const month = number(found?.[2]);
      return month >= 1 && month <= 12 ? int('YearMonth', { year: number(found?.[1]), month }) : undefined;
    },
    format: (object) => joined(yearText(object.get('year')), '-', twoDigits(object.get('month'))),
  },
  'java.time.MonthDay': {
    parse(text) {
      const found = /^--(\d\d)-(\d\d)$/.exec(text);
      const [month, day] = [number(found?.[1]), number(found?.[2])];
      const valid = month >= 1 && month <= 12 && day >= 1 && day <= daysIn(2000, month);
      return valid ? int('MonthDay', { month, day }) : undefined;
    },
    format: (object) => joined('--', twoDigits(object.get('month')), '-', twoDigits(object.get('day'))),
  },
  'java.time.ZoneOffset': {
    parse: offsetOf,
    format: (object) => offsetText(object.get('seconds')),
  },
  'java.time.ZoneId': {
    parse: (text) => (/^[\w/+:~-]{1,64}$/.test(text) ? { name: 'ZoneId', fields: { zoneId: text } } : undefined),
    format(object) {
      const zone = object.get('zoneId');
      return typeof zone === 'string' ? zone : undefined;
    },
  },
};

function parts(pattern: RegExp, text: string): Parts {
  return pattern.exec(text)?.slice(1) ?? [];
}

function parseInstant(text: string): Handle | undefined {
  const found = parts(offsetDateTime, text);
  const [date, time, offset] = [dateOf(found), timeOf(found.slice(3)), offsetOf(found[7])];
  if (date === undefined || time === undefined || offset === undefined) return undefined;
  const { year, month, day } = date.fields as Record<string, number>;
  const { hour, minute, second, nano } = time.fields as Record<string, number>;
  const days = daysSinceEpoch(year as number, month as number, day as number);
  const ofDay = (hour as number) * 3600 + (minute as number) * 60 + (second as number);
  const seconds = BigInt(days) * 86_400n + BigInt(ofDay - (offset.fields.seconds as number));
  return { name: 'Instant', fields: { seconds, nanos: nano as number } };
}

function parseDuration(text: string): Handle | undefined {
  const found = duration.exec(text);
  if (found === null) return undefined;
  const [, sign, days = '0', hours = '0', minutes = '0', secondsSign, seconds = '0', fraction] = found;
  const negative = secondsSign === '-';
  const whole = BigInt(days) * 86_400n + BigInt(hours) * 3600n + BigInt(minutes) * 60n;
  const nanos =
    (whole + BigInt(`${negative ? '-' : ''}${seconds}`)) * 1_000_000_000n +
    BigInt(nanosOf(fraction)) * (negative ? -1n : 1n);
  const total = sign === '-' ? -nanos : nanos;
  const rest = ((total % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  const full = (total - rest) / 1_000_000_000n;
  if (BigInt.asIntN(64, full) !== full) return undefined;
  return { name: 'Duration', fields: { seconds: full, nanos: Number(rest) } };
}

// Texts, as Java's toString writes them.

const whole32 = (value: HessianValue | undefined): number | undefined =>
  typeof value === 'number' && Number.isInteger(value) && isInt(value) ? value : undefined;

function part(object: HessianObject, field: string): HessianObject | undefined {
  const value = object.get(field);
  return value instanceof HessianObject ? value : undefined;
}

function nested(object: HessianObject, field: string): string | undefined {
  const value = part(object, field);
  // Only one step further in: an object can contain itself.
  if (value === undefined || value === object) return undefined;
  const { name } = value.definition;
  const isPlain =
    name.endsWith('.LocalDateTimeHandle') || name.endsWith('.LocalTimeHandle') || name.endsWith('.ZoneOffsetHandle');
  return isPlain ? timeText(value) : undefined;
}

const joined = (...texts: (string | undefined)[]): string | undefined =>
  texts.includes(undefined) ? undefined : texts.join('');

const twoDigits = (value: HessianValue | undefined): string | undefined => whole32(value)?.toString().padStart(2, '0');

function yearText(value: HessianValue | undefined): string | undefined {
  const year = whole32(value);
  if (year === undefined) return undefined;
  const digits = String(Math.abs(year)).padStart(4, '0');
  return year < 0 ? `-${digits}` : year > 9999 ? `+${digits}` : digits;
}

function dateText(object: HessianObject | undefined): string | undefined {
  if (object === undefined) return undefined;
  return joined(yearText(object.get('year')), '-', twoDigits(object.get('month')), '-', twoDigits(object.get('day')));
}

function timeOfDayText(object: HessianObject | undefined): string | undefined {
  if (object === undefined) return undefined;
  const [second, nano] = [whole32(object.get('second')), whole32(object.get('nano'))];
  if (second === undefined || nano === undefined) return undefined;
  const seconds = second === 0 && nano === 0 ? '' : `:${twoDigits(second)}${fractionText(nano)}`;
  return joined(twoDigits(object.get('hour')), ':', twoDigits(object.get('minute')), seconds);
}

/** In groups of three digits. */
function fractionText(nanos: number): string {
  if (nanos === 0) return '';
  return `.${String(nanos)
    .padStart(9, '0')
    .replace(/(?:000){1,2}$/, '')}`;
}

function offsetText(value: HessianValue | undefined): string | undefined {
  const seconds = whole32(value);
  if (seconds === undefined) return undefined;
  if (seconds === 0) return 'Z';
  const all = Math.abs(seconds);
  const [hours, minutes, rest] = [Math.floor(all / 3600), Math.floor(all / 60) % 60, all % 60];
  return `${seconds < 0 ? '-' : '+'}${twoDigits(hours)}:${twoDigits(minutes)}${rest === 0 ? '' : `:${twoDigits(rest)}`}`;
}

function instantText(object: HessianObject): string | undefined {
  const seconds = object.get('seconds');
  const nanos = whole32(object.get('nanos'));
  if ((typeof seconds !== 'number' && typeof seconds !== 'bigint') || nanos === undefined) return undefined;
  if (typeof seconds === 'number' && !Number.isInteger(seconds)) return undefined;
  const all = BigInt(seconds);
  // The range of Java's own.
  if (all < -31_557_014_167_219_200n || all > 31_556_889_864_403_199n) return undefined;
  const ofDay = Number(((all % 86_400n) + 86_400n) % 86_400n);
  const days = Number((all - BigInt(ofDay)) / 86_400n);
  const { year, month, day } = civil(days);
  const time = [Math.floor(ofDay / 3600), Math.floor(ofDay / 60) % 60, ofDay % 60].map(twoDigits).join(':');
  return `${yearText(year)}-${twoDigits(month)}-${twoDigits(day)}T${time}${fractionText(nanos)}Z`;
}

function durationText(object: HessianObject): string | undefined {
  const seconds = object.get('seconds');
  const nanos = whole32(object.get('nanos'));
  if ((typeof seconds !== 'number' && typeof seconds !== 'bigint') || nanos === undefined) return undefined;
  if (typeof seconds === 'number' && !Number.isInteger(seconds)) return undefined;
  const total = BigInt(seconds);
  if (total === 0n && nanos === 0) return 'PT0S';
  // Towards zero, so that hours, minutes and seconds have one sign.
  const effective = total < 0n && nanos > 0 ? total + 1n : total;
  const [hours, minutes, rest] = [effective / 3600n, (effective % 3600n) / 60n, effective % 60n];
  let text = 'PT';
  if (hours !== 0n) text += `${hours}H`;
  if (minutes !== 0n) text += `${minutes}M`;
  if (rest === 0n && nanos === 0 && text.length > 2) return text;
  const fraction = nanos === 0 ? 0 : total < 0n ? 1_000_000_000 - nanos : nanos;
  const sign = total < 0n && nanos > 0 && rest === 0n ? '-' : '';
  const digits = fraction === 0 ? '' : `.${String(fraction).padStart(9, '0').replace(/0+$/, '')}`;
  return `${text}${sign}${rest}${digits}S`;
}

function periodText(object: HessianObject): string | undefined {
  const values = ['years', 'months', 'days'].map((field) => whole32(object.get(field)));
  if (values.includes(undefined)) return undefined;
  const text = values.map((value, index) => (value === 0 ? '' : `${value}${'YMD'[index]}`)).join('');
  return `P${text || '0D'}`;
}

// The calendar, without the bounds of JavaScript's Date.

const isLeap = (year: number): boolean => year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);

function daysIn(year: number, month: number): number {
  if (month === 2) return isLeap(year) ? 29 : 28;
  return [4, 6, 9, 11].includes(month) ? 30 : 31;
}

/** Days from 1970-01-01, counting years from March: http://howardhinnant.github.io/date_algorithms.html */
function daysSinceEpoch(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const ofEra = y - era * 400;
  const ofYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  return era * 146_097 + ofEra * 365 + Math.floor(ofEra / 4) - Math.floor(ofEra / 100) + ofYear - 719_468;
}

function civil(days: number): { readonly year: number; readonly month: number; readonly day: number } {
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const ofEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (ofEra - Math.floor(ofEra / 1460) + Math.floor(ofEra / 36_524) - Math.floor(ofEra / 146_096)) / 365,
  );
  const ofYear = ofEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shiftedMonth = Math.floor((5 * ofYear + 2) / 153);
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9;
  const day = ofYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1;
  return { year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day };
}
