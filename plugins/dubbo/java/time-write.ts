import type { HessianWriter } from '../hessian/writer.js';
import { daysIn, daysSinceEpoch } from './calendar.js';
import { timeHandles } from './time-text.js';

/** An object to be sent: numbers are ints, bigints longs. */
interface Handle {
  readonly name: string;
  readonly fields: Readonly<Record<string, number | bigint | string | Handle>>;
}

const packageName = 'java.time.';

/** Writes an ISO 8601 text as an object of a class of java.time; false when it is no such text. */
export function writeTime(writer: HessianWriter, className: string, text: string): boolean {
  const handle = isTimeClass(className) ? parsers[className.slice(packageName.length)]?.(text) : undefined;
  if (handle !== undefined) write(writer, handle);
  return handle !== undefined;
}

export const isTimeClass = (className: string): boolean =>
  className.startsWith(packageName) && Object.hasOwn(parsers, className.slice(packageName.length));

function write(writer: HessianWriter, { name, fields }: Handle): void {
  writer.object(`${timeHandles}${name}Handle`, Object.keys(fields));
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

type Parse = (text: string) => Handle | undefined;

const parsers: Readonly<Record<string, Parse>> = {
  LocalDate: (text) => dateOf(parts(localDate, text)),
  LocalTime: (text) => (localTime.test(text) ? timeOf(parts(localTime, text)) : undefined),
  LocalDateTime: (text) => dateTimeOf(parts(localDateTime, text)),
  OffsetDateTime(text) {
    const found = parts(offsetDateTime, text);
    return handle('OffsetDateTime', allOf({ dateTime: dateTimeOf(found), offset: offsetOf(found[7]) }));
  },
  ZonedDateTime(text) {
    const found = parts(zonedDateTime, text);
    const fields = allOf({ dateTime: dateTimeOf(found), offset: offsetOf(found[7]) });
    return handle('ZonedDateTime', fields && { ...fields, zoneId: found[8] ?? found[7] ?? '' });
  },
  OffsetTime(text) {
    const found = parts(offsetTime, text);
    const fields = { localTime: found.length > 0 ? timeOf(found) : undefined, zoneOffset: offsetOf(found[4]) };
    return handle('OffsetTime', allOf(fields));
  },
  Instant: parseInstant,
  Duration: parseDuration,
  Period(text) {
    const found = period.exec(text);
    if (found === null) return undefined;
    return int('Period', { years: number(found[1]), months: number(found[2]), days: number(found[3]) });
  },
  Year: (text) => (/^[+-]?\d{4,9}$/.test(text) ? int('Year', { year: Number(text) }) : undefined),
  YearMonth(text) {
    const found = /^([+-]?\d{4,9})-(\d\d)$/.exec(text);
    const month = number(found?.[2]);
    return month >= 1 && month <= 12 ? int('YearMonth', { year: number(found?.[1]), month }) : undefined;
  },
  MonthDay(text) {
    const found = /^--(\d\d)-(\d\d)$/.exec(text);
    const [month, day] = [number(found?.[1]), number(found?.[2])];
    const valid = month >= 1 && month <= 12 && day >= 1 && day <= daysIn(2000, month);
    return valid ? int('MonthDay', { month, day }) : undefined;
  },
  ZoneOffset: offsetOf,
  ZoneId: (text) => (/^[\w/+:~-]{1,64}$/.test(text) ? { name: 'ZoneId', fields: { zoneId: text } } : undefined),
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
