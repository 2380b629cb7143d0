import { expect } from 'chai';
import fc from 'fast-check';
import { isDoubleText, wholeNumber } from '../../../plugins/dubbo/json/decimal.js';
import { JsonError, readJson } from '../../../plugins/dubbo/json/read.js';
import { isObject, type Json, type JsonArray, JsonNumber } from '../../../plugins/dubbo/json/values.js';

/** As JSON.parse has it. */
function parsed(value: Json): unknown {
  if (value instanceof JsonNumber) return Number(value.text);
  if (Array.isArray(value)) return (value as JsonArray).map(parsed);
  if (!isObject(value)) return value;
  const object: Record<string, unknown> = {};
  for (const [name, member] of value)
    Object.defineProperty(object, name, {
      value: parsed(member),
      enumerable: true,
      configurable: true,
      writable: true,
    });
  return object;
}

describe('plugins/dubbo JSON', () => {
  it('reads what JSON.parse reads', () => {
    fc.assert(
      fc.property(fc.json(), fc.constantFrom(undefined, 1, '\t'), (text, space) => {
        const laidOut = JSON.stringify(JSON.parse(text), undefined, space);
        expect(parsed(readJson(laidOut, 100))).to.deep.equal(JSON.parse(laidOut));
      }),
    );
  });

  it('refuses what JSON.parse refuses', () => {
    // Texts one step away from JSON, so that most are nearly right.
    const broken = fc
      .tuple(fc.json(), fc.nat(), fc.constantFrom('', '"', '\\', ',', '}', ']', '0', '-', '.', 'e', '\u0001', '{', ' '))
      .map(([text, at, other]) => {
        const place = at % (text.length + 1);
        return text.slice(0, place) + other + text.slice(place + 1);
      });
    fc.assert(
      fc.property(broken, (text) => {
        let expected: unknown;
        try {
          expected = JSON.parse(text);
        } catch {
          expect(() => readJson(text, 100)).to.throw(JsonError);
          return;
        }
        try {
          expect(parsed(readJson(text, 100))).to.deep.equal(expected);
        } catch (error) {
          // JSON.parse takes the last of two names.
          if (!(error instanceof JsonError)) throw error;
          expect(error.message).to.contain('there twice');
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('keeps the text of numbers, every name, and their order', () => {
    const value = readJson('{"2":1e400,"1":12345678901234567890.10,"__proto__":-0}', 10);
    expect([...(value as ReadonlyMap<string, JsonNumber>)].map(([name, { text }]) => [name, text])).to.deep.equal([
      ['2', '1e400'],
      ['1', '12345678901234567890.10'],
      ['__proto__', '-0'],
    ]);
  });

  const refused: [string, string][] = [
    ['', 'character 1: a value expected, not the end'],
    ['[1,]', 'character 4: a value expected, not "]"'],
    ['{"a":1,"a":2}', 'character 8: the name "a" is there twice'],
    ['[1 2]', 'character 4: "," or "]" expected, not "2"'],
    ['{"a" 1}', 'character 6: ":" expected'],
    ['{a:1}', 'character 2: a name in quotes expected'],
    ['"a\nb"', 'control characters must be escaped'],
    ['"abc', 'the string does not end'],
    ['"\\x"', 'no such escape'],
    ['"\\u12g4"', 'no such escape'],
    ['01', 'character 2: the end expected'],
    ['+1', 'a value expected'],
    ['tru', 'a value expected'],
    ['NaN', 'a value expected'],
    ['1 x', 'character 3: the end expected'],
    ['[[[[[1]]]]]', 'deeper than 4'],
    [`${'1'.repeat(1025)}`, 'a number of 1025 characters'],
  ];
  for (const [text, message] of refused) {
    it(`refuses ${JSON.stringify(text.slice(0, 20))}: ${message}`, () => {
      expect(() => readJson(text, 4)).to.throw(JsonError, message);
    });
  }

  it('needs time in proportion to the text', () => {
    const text = `[${'"a\\n",'.repeat(200_000)}1]`;
    expect((readJson(text, 4) as JsonArray).length).to.equal(200_001);
    expect(() => readJson('['.repeat(1_000_000), 64)).to.throw(JsonError, 'deeper');
  });

  it('tells whole numbers from others by their text', () => {
    const cases: [string, bigint | undefined][] = [
      ['0', 0n],
      ['-0', 0n],
      ['12.0', 12n],
      ['12.5', undefined],
      ['1e3', 1000n],
      ['1e0', 1n],
      ['-5E-0', -5n],
      ['7.0e+00', 7n],
      ['1.5e1', 15n],
      ['1500e-2', 15n],
      ['15e-2', undefined],
      ['-9223372036854775808', -9_223_372_036_854_775_808n],
      ['1e1000', 10n ** 1000n],
      ['1e99999999', undefined],
      ['0e99999999', 0n],
      ['0.000', 0n],
      ['1e-99999999', undefined],
    ];
    for (const [text, expected] of cases) expect(wholeNumber(text), text).to.equal(expected);
  });

  it('knows which texts a double says again', () => {
    for (const text of ['1', '1.0', '0.1', '1e+21', '-0.0', '5e-324']) expect(isDoubleText(text), text).to.equal(true);
    for (const text of ['1.10', '0.1000', '9007199254740993', '1e400', '12345678901234567890.1']) {
      expect(isDoubleText(text), text).to.equal(false);
    }
  });
});
