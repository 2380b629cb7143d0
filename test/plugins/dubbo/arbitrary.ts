import fc from 'fast-check';

/** Random JSON texts for the classes of the test's provider, and the types of their fields. */
export interface TestClass {
  readonly types: Readonly<Record<string, string>>;
  readonly arbitrary: fc.Arbitrary<string>;
}

type Field = readonly [type: string, arbitrary: fc.Arbitrary<string>];

const color = fc.constantFrom('"RED"', '"GREEN"', '"BLUE"');
const integer = (bits: number): fc.Arbitrary<string> =>
  fc
    .oneof(
      fc.bigInt({ min: -(2n ** BigInt(bits - 1)), max: 2n ** BigInt(bits - 1) - 1n }),
      fc.bigInt({ min: -100n, max: 100n }),
      fc.constantFrom(-(2n ** BigInt(bits - 1)), 2n ** BigInt(bits - 1) - 1n),
    )
    .map(String);
/** Providers send -0.0 as 0.0. */
const double = fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => (value === 0 ? '0' : String(value)));
/** The shortest text of a float, as it comes back. The smallest (subnormal) are no floats for fastjson2, by which the Java consumer reads them. */
const float = fc
  .float({ noNaN: true, noDefaultInfinity: true })
  .filter((value) => value === 0 || Math.abs(value) > 1e-37)
  .map((value) => {
    const digits = [1, 2, 3, 4, 5, 6, 7, 8, 9].find((count) => Math.fround(Number(value.toPrecision(count))) === value);
    return value === 0 ? '0' : String(Number(value.toPrecision(digits)));
  });
const boolean = fc.boolean().map(String);
/** Any UTF-16, halves of pairs too. */
const text = fc
  .oneof(
    fc.string({ unit: 'binary', maxLength: 20 }),
    fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 10 }).map((units) => String.fromCharCode(...units)),
  )
  .map((value) => JSON.stringify(value));
const letter = fc.integer({ min: 0, max: 0xffff }).map((unit) => JSON.stringify(String.fromCharCode(unit)));
const decimal = fc.tuple(fc.bigInt({ min: -(10n ** 40n), max: 10n ** 40n }), fc.nat(20)).map(([unscaled, scale]) => {
  const digits = (unscaled < 0n ? -unscaled : unscaled).toString().padStart(scale + 1, '0');
  const fraction = scale === 0 ? '' : `.${digits.slice(-scale)}`;
  return `${unscaled < 0n ? '-' : ''}${digits.slice(0, digits.length - scale)}${fraction}`;
});
const bigInteger = fc.bigInt({ min: -(2n ** 200n), max: 2n ** 200n }).map(String);
const bytes = fc.uint8Array({ maxLength: 40 }).map((value) => JSON.stringify(Buffer.from(value).toString('base64')));
const date = fc
  .date({ noInvalidDate: true, min: new Date(-5e12), max: new Date(2e14) })
  .map((value) => JSON.stringify(value.toISOString()));
const two = (max: number, min = 0): fc.Arbitrary<string> =>
  fc.integer({ min, max }).map((value) => String(value).padStart(2, '0'));
const day = fc.tuple(fc.integer({ min: 1000, max: 9999 }), two(12, 1), two(28, 1)).map((parts) => parts.join('-'));
const nanos = fc.constantFrom('', ':30', ':05.123', ':59.123456', ':00.000000001');
const time = fc.tuple(two(23), two(59), nanos).map(([hour, minute, rest]) => `${hour}:${minute}${rest}`);
const dateTime = fc.tuple(day, time).map((parts) => parts.join('T'));
const offset = fc.constantFrom('Z', '+01:00', '-03:30', '+05:45');
const quoted = (value: fc.Arbitrary<string>): fc.Arbitrary<string> => value.map((inner) => JSON.stringify(inner));
const list = (item: fc.Arbitrary<string>, maxLength = 4): fc.Arbitrary<string> =>
  fc.array(item, { maxLength }).map((items) => `[${items.join(',')}]`);
const map = (key: fc.Arbitrary<string>, value: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc
    .uniqueArray(fc.tuple(key, value), { selector: ([name]) => name, maxLength: 4 })
    .map((entries) => `{${entries.map(([name, member]) => `${JSON.stringify(name)}:${member}`).join(',')}}`);
const orNull = (value: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.oneof({ weight: 1, arbitrary: fc.constant('null') }, { weight: 5, arbitrary: value });
const name = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 6 })
  .filter((key) => key !== 'class' && key !== '$ref');

/** An object with its class, which comes back. */
function object(className: string, fields: Readonly<Record<string, fc.Arbitrary<string>>>): fc.Arbitrary<string> {
  return fc.record(fields).map((values) => {
    const members = Object.entries(values).map(([field, value]) => `${JSON.stringify(field)}:${value}`);
    return `{"class":"${className}",${members.join(',')}}`;
  });
}

const { person } = fc.letrec<{ person: string }>((tie) => ({
  person: object('pontoon.peer.Person', {
    id: integer(64),
    name: orNull(text),
    favourite: orNull(color),
    parent: fc.option(tie('person'), { maxDepth: 2, nil: 'null' }),
    friends: orNull(fc.array(tie('person'), { maxLength: 2 }).map((items) => `[${items.join(',')}]`)),
  }),
}));

/** What a field of type Object, or a generic map, can hold without being told its type. */
const { anything } = fc.letrec<{ anything: string }>((tie) => ({
  anything: fc.oneof(
    { maxDepth: 2 },
    fc.oneof(text, boolean, integer(32), integer(64), bigInteger, double, decimal),
    list(tie('anything'), 2),
    map(name, tie('anything')),
  ),
}));

const unique = (item: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  // One at most: a Java HashSet has an order of its own.
  fc.array(item, { maxLength: 1 }).map((items) => `[${items.join(',')}]`);

const everythingFields: Record<string, Field> = {
  flag: ['boolean', boolean],
  tiny: ['byte', integer(8)],
  small: ['short', integer(16)],
  number: ['int', integer(32)],
  big: ['long', integer(64)],
  real: ['double', double],
  letter: ['char', letter],
  boxedFlag: ['Boolean', orNull(boolean)],
  boxedTiny: ['Byte', orNull(integer(8))],
  boxedSmall: ['Short', orNull(integer(16))],
  boxedNumber: ['Integer', orNull(integer(32))],
  boxedBig: ['Long', orNull(integer(64))],
  boxedSingle: ['Float', orNull(float)],
  boxedReal: ['Double', orNull(double)],
  boxedLetter: ['Character', orNull(letter)],
  text: ['String', orNull(text)],
  bytes: ['byte[]', orNull(bytes)],
  date: ['Date', orNull(date)],
  decimal: ['BigDecimal', orNull(decimal)],
  integer: ['BigInteger', orNull(bigInteger)],
  color: ['pontoon.peer.Color', orNull(color)],
  localDate: ['LocalDate', orNull(quoted(day))],
  // fastjson2 reads no times of six digits.
  localTime: ['LocalTime', orNull(quoted(time.filter((each) => !each.includes('456')).map(shortTime)))],
  localDateTime: ['LocalDateTime', orNull(quoted(dateTime.map(shortTime)))],
  longs: ['List<Long>', orNull(list(integer(64)))],
  words: ['Set<String>', orNull(unique(text))],
  names: ['Map<Long,String>', orNull(map(integer(64), text))],
  lists: ['Map<String,List<Integer>>', orNull(map(name, list(integer(32))))],
  prices: [
    'Map<pontoon.peer.Color,BigDecimal>',
    orNull(
      map(
        color.map((each) => JSON.parse(each) as string),
        decimal,
      ),
    ),
  ],
  ints: ['int[]', orNull(list(integer(32), 10))],
  longArray: ['long[]', orNull(list(integer(64)))],
  doubles: ['double[]', orNull(list(double))],
  strings: ['String[]', orNull(list(orNull(text)))],
  colors: ['pontoon.peer.Color[]', orNull(list(color))],
  grid: ['int[][]', orNull(list(list(integer(32))))],
  person: ['pontoon.peer.Person', orNull(person)],
  people: ['List<pontoon.peer.Person>', orNull(list(person, 2))],
  byName: ['Map<String,pontoon.peer.Person>', orNull(map(name, person))],
  staff: ['pontoon.peer.Person[]', orNull(list(person, 2))],
  box: ['pontoon.peer.Box<String>', orNull(object('pontoon.peer.Box', { content: text }))],
  anything: ['Object', orNull(anything)],
};

/** Java leaves seconds out that are nothing. */
function shortTime(value: string): string {
  return value.replace(/(T|^)(\d\d:\d\d):00$/, '$1$2');
}

const rareFields: Record<string, Field> = {
  instant: [
    'Instant',
    orNull(quoted(fc.tuple(day, two(23), two(59), two(59)).map(([d, h, m, s]) => `${d}T${h}:${m}:${s}Z`))),
  ],
  zoned: [
    'ZonedDateTime',
    orNull(
      quoted(
        fc
          .tuple(dateTime, fc.constantFrom('+05:30[Asia/Kolkata]', 'Z', '+09:00[Asia/Tokyo]'))
          .map((parts) => parts.join('')),
      ),
    ).filter((each) => !/"1/.test(each)),
  ],
  offsetDateTime: ['OffsetDateTime', orNull(quoted(fc.tuple(dateTime, offset).map((parts) => parts.join(''))))],
  offsetTime: ['OffsetTime', orNull(quoted(fc.tuple(time, offset).map((parts) => parts.join(''))))],
  year: ['Year', orNull(quoted(fc.integer({ min: 1000, max: 9999 }).map(String)))],
  yearMonth: [
    'YearMonth',
    orNull(quoted(fc.tuple(fc.integer({ min: 1000, max: 9999 }), two(12, 1)).map((parts) => parts.join('-')))),
  ],
  monthDay: ['MonthDay', orNull(quoted(fc.tuple(two(12, 1), two(28, 1)).map((parts) => `--${parts.join('-')}`)))],
  duration: ['Duration', orNull(quoted(fc.constantFrom('PT0S', 'PT1H2M3.5S', 'PT-0.5S', 'PT51H4M', 'PT-6H')))],
  period: ['Period', orNull(quoted(fc.constantFrom('P0D', 'P1Y2M3D', 'P-1M')))],
  zoneOffset: ['ZoneOffset', orNull(quoted(offset))],
  uuid: ['UUID', orNull(quoted(fc.uuid()))],
  locale: ['Locale', orNull(quoted(fc.constantFrom('de_DE', 'en', 'zh_CN')))],
  timestamp: ['java.sql.Timestamp', orNull(date)],
  sqlDate: ['java.sql.Date', orNull(date)],
  singles: ['float[]', orNull(list(float))],
  smalls: ['short[]', orNull(list(integer(16)))],
  flags: ['boolean[]', orNull(list(boolean))],
  letters: ['char[]', orNull(text)],
  linked: ['LinkedList<Integer>', orNull(list(integer(32)))],
  tree: ['TreeMap<String,Integer>', orNull(map(name, integer(32)))],
  counter: ['java.util.concurrent.atomic.AtomicLong', orNull(integer(64))],
  mixed: ['List<Object>', orNull(list(anything))],
};

function testClass(className: string, fields: Readonly<Record<string, Field>>): TestClass {
  return {
    types: Object.fromEntries(Object.entries(fields).map(([field, [type]]) => [field, type])),
    arbitrary: object(
      className,
      Object.fromEntries(Object.entries(fields).map(([field, [, arbitrary]]) => [field, arbitrary])),
    ),
  };
}

export const everything = testClass('pontoon.peer.Everything', everythingFields);
export const rare = testClass('pontoon.peer.Rare', rareFields);
