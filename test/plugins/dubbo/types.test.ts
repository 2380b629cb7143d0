import { expect } from 'chai';
import fc from 'fast-check';
import { HessianReader } from '../../../plugins/dubbo/hessian/reader.js';
import type { HessianObject } from '../../../plugins/dubbo/hessian/values.js';
import { HessianWriter } from '../../../plugins/dubbo/hessian/writer.js';
import { timeText } from '../../../plugins/dubbo/java/time-text.js';
import { writeTime } from '../../../plugins/dubbo/java/time-write.js';
import { descriptor, erasedName, parseType, parseTypes } from '../../../plugins/dubbo/java/types.js';

describe('plugins/dubbo Java types', () => {
  const types: [string, string, string][] = [
    ['int', 'int', 'I'],
    ['long[][]', 'long[][]', '[[J'],
    ['String', 'java.lang.String', 'Ljava/lang/String;'],
    ['java.lang.String...', 'java.lang.String[]', '[Ljava/lang/String;'],
    ['List<Long>', 'java.util.List', 'Ljava/util/List;'],
    ['java.util.Map<String, ? extends com.example.Order[]>', 'java.util.Map', 'Ljava/util/Map;'],
    ['com.example.Outer$Inner', 'com.example.Outer$Inner', 'Lcom/example/Outer$Inner;'],
    ['BigDecimal', 'java.math.BigDecimal', 'Ljava/math/BigDecimal;'],
  ];
  for (const [text, erased, described] of types) {
    it(`${text} is ${described}`, () => {
      const type = parseType(text);
      expect(erasedName(type)).to.equal(erased);
      expect(descriptor(type)).to.equal(described);
      expect(parseTypes(described).map(erasedName)).to.deep.equal([erased]);
    });
  }

  it('reads lists', () => {
    expect(parseTypes('')).to.deep.equal([]);
    expect(parseTypes('int, Map<String, int[]>,boolean').map(erasedName)).to.deep.equal([
      'int',
      'java.util.Map',
      'boolean',
    ]);
    expect(parseTypes('I[[Ljava/lang/String;Z').map(erasedName)).to.deep.equal([
      'int',
      'java.lang.String[][]',
      'boolean',
    ]);
  });

  for (const text of [
    '',
    'T',
    'List<',
    'List<>',
    'int[',
    'a..b',
    '1a.B',
    'a.B>',
    'a.B c.D',
    `${'List<'.repeat(20)}int${'>'.repeat(20)}`,
  ]) {
    it(`refuses ${JSON.stringify(text.slice(0, 20))}`, () =>
      expect(() => parseType(text)).to.throw(/is no |is nested|is no known/));
  }

  /** Written as hessian-lite has it, and read again. */
  const throughHessian = (name: string, text: string): string | undefined => {
    const writer = new HessianWriter(10_000);
    if (!writeTime(writer, `java.time.${name}`, text)) return undefined;
    return timeText(new HessianReader(writer.bytes(), { maxDepth: 8, maxValues: 100 }).value() as HessianObject);
  };

  const times: [name: string, text: string, again?: string][] = [
    ['LocalDate', '2024-02-29'],
    ['LocalDate', '-0044-03-15'],
    ['LocalDate', '+12345-01-01'],
    ['LocalTime', '10:11'],
    ['LocalTime', '10:11:00', '10:11'],
    ['LocalTime', '10:11:12.000000001'],
    ['LocalTime', '10:11:12.5', '10:11:12.500'],
    ['LocalDateTime', '2024-02-29T23:59:59.123456'],
    ['OffsetDateTime', '2024-02-29T10:11+01:00'],
    ['OffsetDateTime', '2024-02-29T10:11:12-18:00'],
    ['ZonedDateTime', '2024-02-29T10:11:12+01:00[Europe/Paris]'],
    ['ZonedDateTime', '2024-02-29T10:11:12Z'],
    ['OffsetTime', '10:11:12+05:30'],
    ['Instant', '2024-02-29T10:11:12.000000001Z'],
    ['Instant', '1969-12-31T23:59:59.999Z'],
    ['Instant', '2024-02-29T10:11:12+01:00', '2024-02-29T09:11:12Z'],
    ['Instant', '+999999999-12-31T23:59:59.999999999Z'],
    ['Instant', '-0001-01-01T00:00:00Z'],
    ['Year', '2024'],
    ['YearMonth', '2024-12'],
    ['MonthDay', '--02-29'],
    ['Duration', 'PT0S'],
    ['Duration', 'PT8H6M12.345S'],
    ['Duration', 'PT-0.5S'],
    ['Duration', 'PT-1.5S'],
    ['Duration', 'P2DT3H4M', 'PT51H4M'],
    ['Duration', '-PT6H', 'PT-6H'],
    ['Duration', 'PT2562047788015215H30M7.999999999S'],
    ['Period', 'P1Y2M3D'],
    ['Period', 'P0D'],
    ['Period', 'P-1M'],
    ['ZoneOffset', '+01:00'],
    ['ZoneOffset', 'Z'],
    ['ZoneId', 'Europe/Paris'],
  ];
  for (const [name, text, again = text] of times) {
    it(`${name} ${text}`, () => expect(throughHessian(name, text)).to.equal(again));
  }

  const noTimes: [string, string][] = [
    ['LocalDate', '2023-02-29'],
    ['LocalDate', '2024-13-01'],
    ['LocalDate', '24-01-01'],
    ['LocalTime', '24:00'],
    ['LocalTime', ''],
    ['LocalDateTime', '2024-01-01'],
    ['Instant', '2024-01-01T00:00:00'],
    ['OffsetDateTime', '2024-01-01T00:00:00+19:00'],
    ['Duration', 'PT'],
    ['Duration', 'P1M'],
    ['Duration', 'PT9999999999999999999S'],
    ['Period', 'P'],
    ['MonthDay', '--02-30'],
    ['Year', '24'],
  ];
  for (const [name, text] of noTimes) {
    it(`${JSON.stringify(text)} is no ${name}`, () => expect(throughHessian(name, text)).to.equal(undefined));
  }

  it('instants are the same as those of Date', () => {
    fc.assert(
      fc.property(fc.date({ noInvalidDate: true, min: new Date(-62e12), max: new Date(253e12) }), (date) => {
        const text = date.toISOString();
        expect(throughHessian('Instant', text)).to.equal(text.replace('.000Z', 'Z'));
      }),
    );
  });
});
