// Our bytes against those of google-protobuf, an encoder that shares no code with ours.
import { expect } from 'chai';
import { BinaryReader, BinaryWriter } from 'google-protobuf';
import anyPb from 'google-protobuf/google/protobuf/any_pb.js';
import durationPb from 'google-protobuf/google/protobuf/duration_pb.js';
import structPb, { type JavaScriptValue } from 'google-protobuf/google/protobuf/struct_pb.js';
import { structToObject, unpackTypedStruct } from '../../src/protobuf/any.js';
import { parseJson, toJson } from '../../src/protobuf/json.js';
import { loadSchema } from '../../src/protobuf/schema.js';

const schema = loadSchema();
const CLUSTER = 'envoy.config.cluster.v3.Cluster';
const SOCKET_ADDRESS = 'envoy.config.core.v3.SocketAddress';
const TYPED_STRUCT = 'xds.type.v3.TypedStruct';

function written(write: (writer: BinaryWriter) => void): Buffer {
  const writer = new BinaryWriter();
  write(writer);
  return Buffer.from(writer.getResultBuffer());
}

/** Each field of a message by its number, as google-protobuf finds it. */
function fieldsOf(bytes: Uint8Array, read: Record<number, (reader: BinaryReader) => unknown>): Record<number, unknown> {
  const found: Record<number, unknown> = {};
  const reader = new BinaryReader(bytes);
  while (reader.nextField()) {
    const number = reader.getFieldNumber();
    const each = read[number];
    if (each) found[number] = each(reader);
    else reader.skipField();
  }
  return found;
}

const object = { n: -1.5, s: 'ä😀', b: true, z: null, l: [1, 'x', { y: [] }], o: { p: false } };

function typedStruct(): Buffer {
  const struct = structPb.Struct.fromJavaScript(object as Record<string, JavaScriptValue>);
  return written((writer) => {
    writer.writeString(1, 'x/Y');
    writer.writeBytes(2, struct.serializeBinary());
  });
}

describe('the wire format', () => {
  it('reads scalars, enums and nested messages of google-protobuf', () => {
    const duration = new durationPb.Duration();
    duration.setSeconds(5);
    duration.setNanos(250_000_000);
    const bytes = written((writer) => {
      writer.writeString(1, 'a|b');
      writer.writeEnum(2, 3);
      writer.writeBytes(4, duration.serializeBinary());
      writer.writeBytes(
        5,
        written((wrapper) => wrapper.writeUint32(1, 4_294_967_295)),
      );
      writer.writeEnum(6, 1);
      writer.writeBool(39, true);
      writer.writeString(28, 'stat');
    });
    expect(toJson(schema, CLUSTER, bytes)).to.deep.equal({
      name: 'a|b',
      type: 'EDS',
      connect_timeout: '5.250s',
      per_connection_buffer_limit_bytes: 4294967295,
      lb_policy: 'LEAST_REQUEST',
      alt_stat_name: 'stat',
      respect_dns_ttl: true,
    });
  });

  it('reads what is spread over several pieces of one field, and unknown fields between', () => {
    const bytes = written((writer) => {
      writer.writeBytes(
        4,
        written((piece) => piece.writeInt64(1, 5)),
      );
      writer.writeString(500, 'unknown');
      writer.writeBytes(
        4,
        written((piece) => piece.writeInt32(2, 7)),
      );
      writer.writeString(1, 'first');
      writer.writeString(1, 'last');
    });
    expect(schema.decode(CLUSTER, bytes)).to.deep.include({
      name: 'last',
      connect_timeout: { seconds: '5', nanos: 7 },
    });
  });

  it('keeps the last member of a oneof', () => {
    const bytes = written((writer) => {
      writer.writeUint32(3, 80);
      writer.writeString(4, 'http');
    });
    expect(schema.decode(SOCKET_ADDRESS, bytes))
      .to.include({ port_specifier: 'named_port', named_port: 'http' })
      .and.not.have.property('port_value');
  });

  it('reads repeated numbers, packed or not', () => {
    const PARAMS = 'envoy.config.route.v3.RetryPolicy';
    const packed = written((writer) => writer.writePackedUint32(7, [500, 503]));
    const single = written((writer) => writer.writeRepeatedUint32(7, [500, 503]));
    for (const bytes of [packed, single])
      expect(schema.decode(PARAMS, bytes)).to.deep.include({ retriable_status_codes: [500, 503] });
  });

  it('reads structs of google-protobuf', () => {
    const any = { type_url: `type.googleapis.com/${TYPED_STRUCT}`, value: typedStruct() };
    expect(unpackTypedStruct(schema, any)).to.deep.equal({ typeUrl: 'x/Y', value: object });
  });

  it('writes what google-protobuf reads', () => {
    const parsed = parseJson(schema, CLUSTER, {
      name: 'a|b',
      type: 'eds',
      connect_timeout: '5.25s',
      per_connection_buffer_limit_bytes: 4294967295,
      upstream_config: {
        name: 'x',
        typed_config: { '@type': `type.googleapis.com/${TYPED_STRUCT}`, type_url: 'x/Y', value: object },
      },
    });
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
    const fields = fieldsOf(parsed.bytes, {
      1: (reader) => reader.readString(),
      2: (reader) => reader.readEnum(),
      4: (reader) => durationPb.Duration.deserializeBinary(reader.readBytes() as Uint8Array).toObject(),
      5: (reader) => fieldsOf(reader.readBytes() as Uint8Array, { 1: (wrapper) => wrapper.readUint32() }),
      42: (reader) => reader.readBytes(),
      48: (reader) =>
        fieldsOf(reader.readBytes() as Uint8Array, {
          2: (each) => anyPb.Any.deserializeBinary(each.readBytes() as Uint8Array),
        }),
    });
    expect(fields[1]).to.equal('a|b');
    expect(fields[2]).to.equal(3);
    expect(fields[4]).to.deep.equal({ seconds: 5, nanos: 250_000_000 });
    expect(fields[5]).to.deep.equal({ 1: 4_294_967_295 });
    const any = (fields[48] as { 2: InstanceType<typeof anyPb.Any> })[2];
    expect(any.getTypeName()).to.equal(TYPED_STRUCT);
    const inner = fieldsOf(any.getValue_asU8(), {
      1: (reader) => reader.readString(),
      2: (reader) => structPb.Struct.deserializeBinary(reader.readBytes() as Uint8Array).toJavaScript(),
    });
    expect(inner).to.deep.equal({ 1: 'x/Y', 2: object });
  });

  it('writes structs as google-protobuf does', () => {
    const struct = structPb.Struct.fromJavaScript(object as Record<string, JavaScriptValue>);
    const parsed = parseJson(schema, 'google.protobuf.Struct', object);
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
    // The order of a map's entries is free; all else is the same bytes.
    expect([...parsed.bytes].sort()).to.deep.equal([...struct.serializeBinary()].sort());
    expect(structToObject(schema.decode('google.protobuf.Struct', struct.serializeBinary()))).to.deep.equal(object);
  });
});
