import protobuf from 'protobufjs';
import protojson from 'protobufjs/ext/protojson.js';

const scalarKinds = [
  'int32',
  'sint32',
  'sfixed32',
  'uint32',
  'fixed32',
  'int64',
  'sint64',
  'sfixed64',
  'uint64',
].concat(['fixed64', 'float', 'double', 'bool', 'string', 'bytes']);

/** One optional field per scalar type, so that the library's reader of messages reads scalars. */
const scalars = protobuf.Root.fromJSON({
  nested: {
    Scalars: {
      oneofs: Object.fromEntries(scalarKinds.map((kind) => [`_${kind}`, { oneof: [kind] }])),
      fields: Object.fromEntries(
        scalarKinds.map((kind, index) => [kind, { type: kind, id: index + 1, options: { proto3_optional: true } }]),
      ),
    },
  },
}).lookupType('Scalars');

const int32 = 'an integer from -2147483648 to 2147483647';
const uint32 = 'an integer from 0 to 4294967295';
const int64 = 'a 64-bit integer (a number or a string)';
const uint64 = 'an unsigned 64-bit integer (a number or a string)';
const float = 'a number in the range of 32-bit floats';
const bytes = 'a base64 string';
const string = 'a string of valid Unicode';

/** What a scalar or well-known type takes, in the words of an error. */
const expectations: Readonly<Record<string, string>> = {
  bool: 'true or false',
  string,
  bytes,
  double: 'a number',
  float,
  int32,
  sint32: int32,
  sfixed32: int32,
  uint32,
  fixed32: uint32,
  int64,
  sint64: int64,
  sfixed64: int64,
  uint64,
  fixed64: uint64,
  Duration: 'seconds with the suffix "s", as in "5s" or "0.25s"',
  Timestamp: 'an RFC 3339 time, as in "2024-01-31T12:00:00Z"',
  FieldMask: 'camelCase field paths with commas between, as in "a,b.cD"',
  Struct: 'an object of JSON values',
  ListValue: 'a list of JSON values',
  Value: 'a JSON value',
  DoubleValue: 'a number',
  FloatValue: float,
  Int64Value: int64,
  UInt64Value: uint64,
  Int32Value: int32,
  UInt32Value: uint32,
  BoolValue: 'true or false',
  StringValue: string,
  BytesValue: bytes,
};

/** A leaf that was read, or what was expected instead. */
export type Leaf = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly expected: string };

/** Reads a scalar of a type such as `uint32`. */
export function readScalar(kind: string, json: unknown): Leaf {
  return guarded(kind, () => {
    const value = kind === 'bool' ? boolOf(json) : json;
    return (protojson.fromJson(scalars, { [kind]: value }) as unknown as Record<string, unknown>)[kind];
  });
}

/** Reads a well-known type that has a form of its own in ProtoJSON. */
export function readWellKnown(type: protobuf.Type, json: unknown): Leaf {
  return guarded(type.name, () => protojson.fromJson(type, type.name === 'BoolValue' ? boolOf(json) : json));
}

/** Envoy reads the strings "true" and "false" too. */
function boolOf(json: unknown): unknown {
  if (json === 'true') return true;
  return json === 'false' ? false : json;
}

function guarded(kind: string, read: () => unknown): Leaf {
  try {
    return { ok: true, value: read() };
  } catch (error) {
    const deep = error instanceof Error && error.message.includes('max depth');
    return { ok: false, expected: deep ? 'less nesting' : (expectations[kind] ?? kind) };
  }
}

const plainForm = /^(Duration|Timestamp|.*(?<!List)Value)$/;

/** Whether Envoy also reads this well-known type as an ordinary message: `{seconds: 5}`, `{value: 1}`. */
export function hasPlainForm(type: protobuf.Type): boolean {
  return plainForm.test(type.name) && type.name !== 'Value';
}
