import { expect } from 'chai';
import { structToObject, unpackAny, unpackTypedStruct } from '../../src/protobuf/any.js';
import { durationMs } from '../../src/protobuf/duration.js';
import { DecodeError, loadSchema } from '../../src/protobuf/schema.js';

const schema = loadSchema();
const CONFIG = 'envoy.extensions.upstreams.http.tcp.golang.v3alpha.Config';
const any = (typeName: string, value: Buffer) => ({ type_url: `type.googleapis.com/${typeName}`, value });

describe('unpackAny', () => {
  it('decodes a known type, whatever host its URL has', () => {
    const value = schema.encode(CONFIG, { library_id: 'a' });
    for (const type_url of [`type.googleapis.com/${CONFIG}`, `example.com/deep/${CONFIG}`, CONFIG]) {
      const unpacked = unpackAny<{ library_id: string }>(schema, { type_url, value });
      if (!unpacked.known) throw new Error('unknown');
      expect(unpacked.typeName).to.equal(CONFIG);
      expect(unpacked.message.library_id).to.equal('a');
    }
  });

  it('hands on the bytes of an unknown type', () => {
    expect(unpackAny(schema, any('no.such.Type', Buffer.from('x')))).to.deep.equal({
      known: false,
      typeUrl: 'type.googleapis.com/no.such.Type',
      bytes: Buffer.from('x'),
    });
  });

  it('refuses bytes that are not of the type', () => {
    expect(() => unpackAny(schema, any(CONFIG, Buffer.from([0xff])))).to.throw(DecodeError, CONFIG);
  });
});

describe('unpackTypedStruct', () => {
  const fields = {
    n: { numberValue: 1.5 },
    s: { stringValue: 'x' },
    b: { boolValue: false },
    z: { nullValue: 0 },
    l: { listValue: { values: [{ numberValue: 0 }, { listValue: {} }] } },
    o: { structValue: { fields: { p: { stringValue: '' } } } },
  };
  const object = { n: 1.5, s: 'x', b: false, z: null, l: [0, []], o: { p: '' } };

  for (const typeName of ['xds.type.v3.TypedStruct', 'udpa.type.v1.TypedStruct']) {
    it(`reads ${typeName}`, () => {
      const value = schema.encode(typeName, { type_url: 'x/Y', value: { fields } });
      expect(unpackTypedStruct(schema, any(typeName, value))).to.deep.equal({ typeUrl: 'x/Y', value: object });
      expect(unpackTypedStruct(schema, any(typeName, Buffer.alloc(0)))).to.deep.equal({ typeUrl: '', value: {} });
    });
  }

  it('leaves other types alone', () => {
    expect(unpackTypedStruct(schema, any(CONFIG, Buffer.from([0xff])))).to.equal(undefined);
  });

  it('keeps keys with the names of Object.prototype as own', () => {
    const bytes = schema.encode('google.protobuf.Struct', {
      fields: JSON.parse('{"__proto__": {"boolValue": true}, "toString": {"numberValue": 1}}'),
    });
    const read = structToObject(schema.decode('google.protobuf.Struct', bytes));
    expect(Object.keys(read)).to.deep.equal(['__proto__', 'toString']);
    expect(JSON.stringify(read)).to.equal('{"__proto__":true,"toString":1}');
    expect(Object.getPrototypeOf(read)).to.equal(Object.prototype);
  });
});

describe('durationMs', () => {
  const cases: [{ seconds: string; nanos: number } | null | undefined, number][] = [
    [null, 7],
    [undefined, 7],
    [{ seconds: '0', nanos: 0 }, 0],
    [{ seconds: '5', nanos: 250000000 }, 5250],
    [{ seconds: '0', nanos: 1 }, 0.000001],
    [{ seconds: '-1', nanos: -500000000 }, -1500],
  ];
  for (const [duration, ms] of cases) {
    it(`${JSON.stringify(duration)} is ${ms} ms`, () => {
      expect(durationMs(duration, 7)).to.equal(ms);
    });
  }
});
