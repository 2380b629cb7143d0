import { expect } from 'chai';
import fc from 'fast-check';
import { HessianReader } from '../../../plugins/dubbo/hessian/reader.js';
import {
  HessianDate,
  HessianError,
  HessianList,
  HessianMap,
  HessianObject,
  type HessianValue,
} from '../../../plugins/dubbo/hessian/values.js';
import { HessianWriter } from '../../../plugins/dubbo/hessian/writer.js';

const limits = { maxDepth: 32, maxValues: 10_000 };
const large = 1 << 24;

const read = (bytes: Buffer | string): HessianValue => {
  const reader = new HessianReader(typeof bytes === 'string' ? Buffer.from(bytes, 'hex') : bytes, limits);
  const value = reader.value();
  expect(reader.remaining).to.equal(0);
  return value;
};

function written(write: (writer: HessianWriter) => void): Buffer {
  const writer = new HessianWriter(large);
  write(writer);
  return writer.bytes();
}

/** For comparing: what the classes hold, as plain values. */
function plain(value: HessianValue): unknown {
  if (value instanceof HessianDate) return { date: value.millis };
  if (value instanceof HessianList) return { list: value.type, items: value.items.map(plain) };
  if (value instanceof HessianMap) {
    return {
      map: value.type,
      entries: value.keys.map((key, i) => [plain(key), plain(value.values[i] as HessianValue)]),
    };
  }
  if (value instanceof HessianObject) {
    return { object: value.definition.name, fields: value.definition.fields, values: value.values.map(plain) };
  }
  return value;
}

describe('plugins/dubbo Hessian2', () => {
  describe('reads each form', () => {
    // The forms of http://hessian.caucho.com/doc/hessian-serialization.html, and hessian-lite's thousandths (5f).
    const forms: [string, string, unknown][] = [
      ['null', '4e', null],
      ['true', '54', true],
      ['false', '46', false],
      ['int, one byte', '80', -16],
      ['int, one byte', 'bf', 47],
      ['int, two bytes', 'c000', -2048],
      ['int, two bytes', 'cfff', 2047],
      ['int, three bytes', 'd00000', -262_144],
      ['int, three bytes', 'd7ffff', 262_143],
      ['int, five bytes', '4980000000', -2_147_483_648],
      ['long, one byte', 'd8', -8],
      ['long, one byte', 'ef', 15],
      ['long, two bytes', 'f000', -2048],
      ['long, three bytes', '380000', -262_144],
      ['long, three bytes', '3fffff', 262_143],
      ['long, five bytes', '597fffffff', 2_147_483_647],
      ['long, nine bytes', '4c001fffffffffffff', Number.MAX_SAFE_INTEGER],
      ['long beyond 2^53', '4c0020000000000001', 9_007_199_254_740_993n],
      ['long, the least', '4c8000000000000000', -(2n ** 63n)],
      ['double 0', '5b', 0],
      ['double 1', '5c', 1],
      ['double, one byte', '5d80', -128],
      ['double, two bytes', '5e8000', -32_768],
      ['double, thousandths', '5f000004d2', 1.234],
      ['double', '44400928f5c28f5c29', 3.145],
      ['date', '4a000000d04b9284b8', { date: 894_621_091_000 }],
      ['date in minutes', '4b00e3838f', { date: 894_621_060_000 }],
      ['string, short', '0568656c6c6f', 'hello'],
      ['string, two bytes of length', '300568656c6c6f', 'hello'],
      ['string, in chunks', '52000268655300036c6c6f', 'hello'],
      ['string, chunk and short', '520002686503' + '6c6c6f', 'hello'],
      ['surrogates, each for itself', '02eda0bdedb880', '😀'],
      ['surrogates as UTF-8', '02f09f9880', '😀'],
      ['a lone surrogate', '01eda080', '\ud800'],
      ['binary, short', '23010203', Buffer.from([1, 2, 3])],
      ['binary, two bytes of length', '3403010203', Buffer.from([1, 2, 3])],
      ['binary, in chunks', '41000101420002' + '0203', Buffer.from([1, 2, 3])],
      ['list, fixed', '589291' + '92', { list: undefined, items: [1, 2] }],
      ['list, short', '7a9192', { list: undefined, items: [1, 2] }],
      ['list, typed', '72045b696e749192', { list: '[int', items: [1, 2] }],
      ['list, typed, long form', '56045b696e74929192', { list: '[int', items: [1, 2] }],
      ['list, open', '5791925a', { list: undefined, items: [1, 2] }],
      ['list, open and typed', '55045b696e7491925a', { list: '[int', items: [1, 2] }],
      [
        'a type again',
        '7a' + '71045b696e7491' + '719092',
        {
          list: undefined,
          items: [
            { list: '[int', items: [1] },
            { list: '[int', items: [2] },
          ],
        },
      ],
      [
        'map',
        '4891016192' + '01625a',
        {
          map: undefined,
          entries: [
            [1, 'a'],
            [2, 'b'],
          ],
        },
      ],
      ['map, typed', '4d036162635a', { map: 'abc', entries: [] }],
      ['object', '430341626392017801' + '79609192', { object: 'Abc', fields: ['x', 'y'], values: [1, 2] }],
      ['object, long form', '43034162639101784f9091', { object: 'Abc', fields: ['x'], values: [1] }],
    ];
    for (const [name, hex, expected] of forms) {
      it(`${name}: ${hex}`, () => expect(plain(read(hex))).to.deep.equal(expected));
    }

    it('a value inside itself', () => {
      const list = read('795190');
      expect(list).to.be.instanceOf(HessianList);
      expect((list as HessianList).items[0]).to.equal(list);
    });

    it('tells what came more than once', () => {
      const reader = new HessianReader(Buffer.from('7a785191', 'hex'), limits);
      const list = reader.value() as HessianList;
      expect([...reader.shared]).to.deep.equal([list.items[0]]);
    });
  });

  describe('refuses', () => {
    const bad: [string, string, string][] = [
      ['nothing', '', 'cut short'],
      ['a byte that begins nothing', '40', 'begins no value'],
      ['the end of a list', '5a', 'begins no value'],
      ['a cut int', '49000000', 'cut short'],
      ['a cut string', '05686565', 'cut short'],
      ['a cut chunk', '520002', 'cut short'],
      ['no last chunk', '520001' + '61' + '91', 'continues no string'],
      ['a cut character', '01e2', 'cut short'],
      ['a bad character', '0180', 'begins no character'],
      ['a bad continuation', '01c341', 'a character is cut short'],
      ['a pair for one unit', '01f09f9880', 'ends within a character'],
      ['a character beyond Unicode', '02f4908080', 'begins no character'],
      ['a list longer than the message', '58497fffffff', 'a list of 2147483647'],
      ['a list of less than nothing', '588f', 'a list of -1'],
      ['an open list', '579191', 'cut short'],
      ['an odd map', '48915a', 'begins no value'],
      ['a reference to nothing', '5190', 'reference 0 of 0'],
      ['a class that is not there', '60', 'class 0 of 0'],
      ['a class without an object', '430141' + '9091', 'no object follows'],
      ['a class of too many fields', '430141497fffffff', 'a class of 2147483647 fields'],
      ['a class without a name', '434e90', 'a name is null'],
      ['a type that is not there', '7191', 'no such type'],
    ];
    for (const [name, hex, message] of bad) {
      it(`${name}: ${hex}`, () => expect(() => read(hex)).to.throw(HessianError, message));
    }

    it('what is too deep', () => {
      expect(() => read(Buffer.alloc(40, 0x79))).to.throw(HessianError, 'deeper than 32');
    });

    it('too many values', () => {
      const list = written((writer) => {
        writer.list(10_001);
        for (let i = 0; i < 10_001; i++) writer.null();
      });
      expect(() => read(list)).to.throw(HessianError, 'more than 10000 values');
    });

    it('too many chunks', () => {
      const chunks = Buffer.alloc(3 * 65_537);
      for (const [code, message] of [
        [0x52, 'a string of too many chunks'],
        [0x41, 'a binary of too many chunks'],
      ] as const) {
        for (let at = 0; at < chunks.length; at += 3) chunks[at] = code;
        expect(() => read(chunks)).to.throw(HessianError, message);
      }
    });

    it('too many classes, in little time', () => {
      const definitions = Buffer.alloc(4 * 8000, Buffer.from('43014190', 'hex'));
      expect(() => read(definitions)).to.throw(HessianError, 'too many classes');
    });
  });

  const edges = [0, 1, 15, 16, 47, 48, 2047, 2048, 262_143, 262_144, 2 ** 31 - 1];
  const around = edges.flatMap((edge) => [edge, -edge, -edge - 1]);

  it('reads the ints and longs that it writes, at every edge', () => {
    for (const value of around) {
      if (value >= -(2 ** 31)) expect(read(written((writer) => writer.int(value)))).to.equal(value);
      expect(read(written((writer) => writer.long(BigInt(value))))).to.equal(value);
    }
    for (const value of [2n ** 53n, -(2n ** 53n), 2n ** 63n - 1n, -(2n ** 63n), 2n ** 31n, -(2n ** 31n) - 1n]) {
      expect(BigInt(read(written((writer) => writer.long(value))) as bigint)).to.equal(value);
    }
  });

  it('writes compact forms as Java does', () => {
    expect(written((writer) => writer.int(47)).toString('hex')).to.equal('bf');
    expect(written((writer) => writer.int(-2048)).toString('hex')).to.equal('c000');
    expect(written((writer) => writer.int(262_143)).toString('hex')).to.equal('d7ffff');
    expect(written((writer) => writer.long(-8n)).toString('hex')).to.equal('d8');
    expect(written((writer) => writer.long(2047n)).toString('hex')).to.equal('ffff');
    expect(written((writer) => writer.long(-262_144n)).toString('hex')).to.equal('380000');
    expect(written((writer) => writer.long(300_000n)).toString('hex')).to.equal('59000493e0');
  });

  it('reads the doubles that it writes', () => {
    fc.assert(
      fc.property(fc.double(), (value) => {
        expect(Object.is(read(written((writer) => writer.double(value))), value)).to.equal(true);
      }),
    );
  });

  it('reads the strings that it writes, also around its chunks and with halves of pairs', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(fc.integer({ min: 0, max: 0xffff })).map((units) => String.fromCharCode(...units)),
    );
    fc.assert(
      fc.property(text, fc.constantFrom(0, 31, 32, 1023, 1024, 0x7fff, 0x8000, 0x8001, 0x1_0000), (tail, length) => {
        const value = 'x'.repeat(length) + tail;
        expect(read(written((writer) => writer.string(value))) === value).to.equal(true);
      }),
      { numRuns: 300 },
    );
    const pairs = `${'x'.repeat(0x7fff)}😀${'😀'.repeat(0x8000)}`;
    const bytes = written((writer) => writer.string(pairs));
    // A chunk ends before a pair, not within.
    expect(bytes.readUInt16BE(1)).to.equal(0x7fff);
    expect(read(bytes) === pairs).to.equal(true);
  });

  it('reads the bytes that it writes', () => {
    for (const length of [0, 1, 15, 16, 0x8000, 0x8001, 200_000]) {
      const value = Buffer.alloc(length, 'abc');
      expect((read(written((writer) => writer.binary(value))) as Buffer).equals(value)).to.equal(true);
    }
  });

  it('refers to what it wrote, and to classes and types by number', () => {
    const bytes = written((writer) => {
      writer.list(4, '[object');
      const first = writer.object('a.B', ['x']);
      writer.int(1);
      writer.object('a.B', ['x', 'y']);
      writer.int(2);
      writer.int(3);
      writer.object('a.B', ['x']);
      writer.list(0, '[object');
      writer.ref(first);
    });
    const { items } = read(bytes) as HessianList;
    expect(plain(items[0] as HessianValue)).to.deep.equal({ object: 'a.B', fields: ['x'], values: [1] });
    expect(plain(items[1] as HessianValue)).to.deep.equal({ object: 'a.B', fields: ['x', 'y'], values: [2, 3] });
    expect(items[3]).to.equal(items[0]);
    expect(bytes.toString('latin1').split('a.B')).to.have.length(3);
    expect(bytes.toString('latin1').split('[object')).to.have.length(2);
  });

  it('knows more than sixteen classes', () => {
    const bytes = written((writer) => {
      writer.list(40);
      for (let round = 0; round < 2; round++) {
        for (let i = 0; i < 20; i++) {
          writer.object(`C${i}`, []);
        }
      }
    });
    const { items } = read(bytes) as HessianList;
    expect(items.map((item) => (item as HessianObject).definition.name)).to.deep.equal(
      Array.from({ length: 40 }, (_, i) => `C${i % 20}`),
    );
  });

  it('stops writing when the message gets too large', () => {
    const writer = new HessianWriter(1000);
    expect(() => {
      for (;;) writer.string('0123456789');
    }).to.throw(HessianError, 'larger than 1000 bytes');
    expect(() => new HessianWriter(1000).string('x'.repeat(1001))).to.throw(HessianError);
    expect(() => new HessianWriter(1000).binary(Buffer.alloc(1001))).to.throw(HessianError);
  });

  it('never does anything but read or refuse, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          const reader = new HessianReader(Buffer.from(bytes), limits);
          while (reader.remaining > 0) reader.value();
        } catch (error) {
          expect(error).to.be.instanceOf(HessianError);
        }
      }),
      { numRuns: 5000 },
    );
  });
});
