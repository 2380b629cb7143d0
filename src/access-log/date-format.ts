/**
 * Times as Envoy's %START_TIME(…)% prints them: strftime with its subsecond extensions (`%f`, `%3f`, `%*f`, `%E3S`, `%E*S`) and `%s`.
 * See https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage#command-operators
 */

/** Formats milliseconds since the epoch. */
export type DateFormatter = (epochMs: number) => string;

const dayNames = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const monthNames = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
];

/** The calendar fields of one instant, in UTC or local time. */
interface Fields {
  readonly year: number;
  readonly month: number;
  readonly day: number;
  readonly weekday: number;
  readonly dayOfYear: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  readonly offsetMinutes: number;
}

type Piece = string | ((fields: Fields, epochMs: number) => string);

const pad = (value: number, width = 2, fill = '0'): string => String(value).padStart(width, fill);

const simpleSpecifiers: Record<string, (fields: Fields) => string> = {
  Y: (t) => String(t.year),
  y: (t) => pad(t.year % 100),
  C: (t) => pad(Math.floor(t.year / 100)),
  m: (t) => pad(t.month + 1),
  d: (t) => pad(t.day),
  e: (t) => pad(t.day, 2, ' '),
  j: (t) => pad(t.dayOfYear, 3),
  H: (t) => pad(t.hour),
  k: (t) => pad(t.hour, 2, ' '),
  I: (t) => pad(t.hour % 12 || 12),
  l: (t) => pad(t.hour % 12 || 12, 2, ' '),
  M: (t) => pad(t.minute),
  S: (t) => pad(t.second),
  p: (t) => (t.hour < 12 ? 'AM' : 'PM'),
  a: (t) => (dayNames[t.weekday] as string).slice(0, 3),
  A: (t) => dayNames[t.weekday] as string,
  b: (t) => (monthNames[t.month] as string).slice(0, 3),
  h: (t) => (monthNames[t.month] as string).slice(0, 3),
  B: (t) => monthNames[t.month] as string,
  u: (t) => String(t.weekday || 7),
  w: (t) => String(t.weekday),
  z: (t) => offset(t.offsetMinutes, ''),
  Z: (t) => (t.offsetMinutes === 0 ? 'UTC' : offset(t.offsetMinutes, '')),
  t: () => '\t',
  '%': () => '%',
};

/** Specifiers that stand for others. */
const composedSpecifiers: Record<string, string> = {
  F: '%Y-%m-%d',
  T: '%H:%M:%S',
  R: '%H:%M',
  D: '%m/%d/%y',
  x: '%m/%d/%y',
  X: '%H:%M:%S',
  c: '%a %b %e %H:%M:%S %Y',
  r: '%I:%M:%S %p',
};

function offset(minutes: number, separator: string): string {
  const abs = Math.abs(minutes);
  return `${minutes < 0 ? '-' : '+'}${pad(Math.floor(abs / 60))}${separator}${pad(abs % 60)}`;
}

/** The fraction of the second with `digits` digits; '*' leaves out trailing zeros. */
function subseconds(epochMs: number, digits: number | '*'): string {
  const nanoseconds = `${pad(((Math.floor(epochMs) % 1000) + 1000) % 1000, 3)}000000`;
  return digits === '*' ? nanoseconds.replace(/0+$/, '') : nanoseconds.slice(0, digits);
}

const digitsOf = (text: string): number | '*' => (text === '*' ? '*' : Number(text));

// A subsecond specifier, an absl extension, or one letter.
const specifierPattern = /%(?:([1-9*]?)f|E([1-9*])S|E([1-9*])f|E(\*?)z|E4(Y)|(s)|([a-zA-Z%]))/g;

function parse(format: string): Piece[] {
  const pieces: Piece[] = [];
  let end = 0;
  for (const match of format.matchAll(specifierPattern)) {
    if (match.index > end) pieces.push(format.slice(end, match.index));
    end = match.index + match[0].length;
    pieces.push(...pieceOf(match));
  }
  if (end < format.length) pieces.push(format.slice(end));
  return pieces;
}

function pieceOf(match: RegExpExecArray): Piece[] {
  const [text, fraction, secondsDigits, fractionDigits, zoneStar, year4, epoch, letter] = match;
  if (fraction !== undefined) {
    const digits = fraction === '' ? 9 : digitsOf(fraction);
    return [(_, ms) => subseconds(ms, digits) || '0'];
  }
  if (fractionDigits !== undefined) {
    const digits = digitsOf(fractionDigits);
    return [(_, ms) => subseconds(ms, digits) || '0'];
  }
  if (secondsDigits !== undefined) {
    const digits = digitsOf(secondsDigits);
    return [(t, ms) => [pad(t.second), subseconds(ms, digits)].filter((part) => part !== '').join('.')];
  }
  if (zoneStar !== undefined) return [(t) => offset(t.offsetMinutes, ':') + (zoneStar === '*' ? ':00' : '')];
  if (year4 !== undefined) return [(t) => pad(t.year, 4)];
  if (epoch !== undefined) return [(_, ms) => String(Math.floor(ms / 1000))];
  const simple = simpleSpecifiers[letter as string];
  if (simple) return [simple];
  const composed = composedSpecifiers[letter as string];
  // An unknown specifier stays as it is.
  return composed === undefined ? [text] : parse(composed);
}

function fieldsOf(epochMs: number, local: boolean): Fields {
  const offsetMinutes = local ? -new Date(epochMs).getTimezoneOffset() : 0;
  const date = new Date(epochMs + offsetMinutes * 60_000);
  const year = date.getUTCFullYear();
  return {
    year,
    month: date.getUTCMonth(),
    day: date.getUTCDate(),
    weekday: date.getUTCDay(),
    dayOfYear: Math.floor((date.getTime() - Date.UTC(year, 0, 1)) / 86_400_000) + 1,
    hour: date.getUTCHours(),
    minute: date.getUTCMinutes(),
    second: date.getUTCSeconds(),
    offsetMinutes,
  };
}

/** Without a format, local time carries its offset; UTC is printed as `2016-04-15T20:17:00.310Z`. */
const defaultLocalFormat = '%Y-%m-%dT%H:%M:%E3S%z';

/** Compiles `format`; '' is Envoy's default. */
export function compileDateFormat(format: string, local: boolean): DateFormatter {
  if (format === '' && !local) return (epochMs) => new Date(epochMs).toISOString();
  const pieces = parse(format === '' ? defaultLocalFormat : format);
  return (epochMs) => {
    const fields = fieldsOf(epochMs, local);
    let text = '';
    for (const piece of pieces) text += typeof piece === 'string' ? piece : piece(fields, epochMs);
    return text;
  };
}
