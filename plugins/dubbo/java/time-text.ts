import { HessianObject, type HessianValue } from '../hessian/values.js';
import { civil } from './calendar.js';

/**
 * java.time. Hessian-lite sends each as an object of a class of its own (`…java8.LocalDateHandle`); JSON has the ISO 8601 text that Java's `toString` gives.
 * Source: apache/dubbo-hessian-lite, com.alibaba.com.caucho.hessian.io.java8.
 */
export const timeHandles = 'com.alibaba.com.caucho.hessian.io.java8.';

/** The text of an object that hessian-lite sent for one of java.time; undefined when it is no such object. */
export function timeText(object: HessianObject): string | undefined {
  const { name } = object.definition;
  if (!name.startsWith(timeHandles) || !name.endsWith('Handle')) return undefined;
  const simpleName = name.slice(timeHandles.length, -'Handle'.length);
  return Object.hasOwn(formats, simpleName) ? formats[simpleName]?.(object) : undefined;
}

type Format = (handle: HessianObject) => string | undefined;

const formats: Readonly<Record<string, Format>> = {
  LocalDate: dateText,
  LocalTime: timeOfDayText,
  LocalDateTime: (object) => joined(dateText(part(object, 'date')), 'T', timeOfDayText(part(object, 'time'))),
  OffsetDateTime: (object) => joined(nested(object, 'dateTime'), nested(object, 'offset')),
  ZonedDateTime(object) {
    const zone = object.get('zoneId');
    const offset = nested(object, 'offset');
    const region = typeof zone === 'string' && zone !== offset ? `[${zone}]` : '';
    return joined(nested(object, 'dateTime'), offset, region);
  },
  OffsetTime: (object) => joined(nested(object, 'localTime'), nested(object, 'zoneOffset')),
  Instant: instantText,
  Duration: durationText,
  Period: periodText,
  Year: (object) => whole32(object.get('year'))?.toString(),
  YearMonth: (object) => joined(yearText(object.get('year')), '-', twoDigits(object.get('month'))),
  MonthDay: (object) => joined('--', twoDigits(object.get('month')), '-', twoDigits(object.get('day'))),
  ZoneOffset: (object) => offsetText(object.get('seconds')),
  ZoneId(object) {
    const zone = object.get('zoneId');
    return typeof zone === 'string' ? zone : undefined;
  },
};

const isInt = (value: number): boolean => value >= -0x80000000 && value <= 0x7fffffff;
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
