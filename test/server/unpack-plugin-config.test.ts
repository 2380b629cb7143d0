import { expect } from 'chai';
import { DecodeError, loadSchema } from '../../src/protobuf/schema.js';
import { unpackPluginConfig } from '../../src/server/unpack-plugin-config.js';

const schema = loadSchema();
const url = (typeName: string) => `type.googleapis.com/${typeName}`;

describe('unpackPluginConfig', () => {
  for (const typeName of ['xds.type.v3.TypedStruct', 'udpa.type.v1.TypedStruct']) {
    it(`gives the object of a ${typeName}`, () => {
      const fields = { size: { numberValue: 2 }, deep: { structValue: { fields: { on: { boolValue: true } } } } };
      const bytes = schema.encode(typeName, { value: { fields } });
      expect(unpackPluginConfig(schema, url(typeName), bytes)).to.deep.equal({ size: 2, deep: { on: true } });
    });
  }

  it('gives another known message as ProtoJSON', () => {
    const bytes = schema.encode('google.protobuf.Duration', { seconds: 1, nanos: 500_000_000 });
    expect(unpackPluginConfig(schema, url('google.protobuf.Duration'), bytes)).to.equal('1.500s');
    const config = 'envoy.extensions.upstreams.http.tcp.golang.v3alpha.Config';
    expect(unpackPluginConfig(schema, url(config), schema.encode(config, { library_id: 'a' }))).to.deep.equal({
      library_id: 'a',
    });
  });

  it('refuses an unknown type by name, and says what to use', () => {
    expect(() => unpackPluginConfig(schema, url('my.Config'), Buffer.alloc(0))).to.throw(
      'plugin_config: type.googleapis.com/my.Config is not a known type; use xds.type.v3.TypedStruct, or read the bytes',
    );
  });

  it('refuses bytes that are none of the type', () => {
    expect(() => unpackPluginConfig(schema, url('xds.type.v3.TypedStruct'), Buffer.from([0xff]))).to.throw(DecodeError);
  });
});
