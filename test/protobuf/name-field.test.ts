import { expect } from 'chai';
import fc from 'fast-check';
import { readNameField } from '../../src/protobuf/name-field.js';
import { DecodeError, loadSchema } from '../../src/protobuf/schema.js';

const schema = loadSchema();
const types = [
  ['envoy.config.cluster.v3.Cluster', 'name', { alt_stat_name: 'x', connect_timeout: { seconds: 1 } }],
  ['envoy.config.listener.v3.Listener', 'name', { stat_prefix: 'x' }],
  ['envoy.config.route.v3.RouteConfiguration', 'name', { virtual_hosts: [{ name: 'other', domains: ['*'] }] }],
  ['envoy.config.endpoint.v3.ClusterLoadAssignment', 'cluster_name', { endpoints: [{ priority: 1 }] }],
] as const;

describe('readNameField', () => {
  for (const [typeName, field, more] of types) {
    it(`reads the name of a ${typeName}, wherever it stands`, () => {
      fc.assert(
        fc.property(fc.string({ unit: 'binary' }), (name) => {
          const named = schema.encode(typeName, { [field]: name });
          const rest = schema.encode(typeName, more);
          expect(readNameField(Buffer.concat([named, rest]))).to.equal(name);
          expect(readNameField(Buffer.concat([rest, named]))).to.equal(name);
        }),
      );
      expect(readNameField(schema.encode(typeName, more))).to.equal('');
    });
  }

  it('takes the last one', () => {
    const bytes = ['a', 'b'].map((name) => schema.encode('envoy.config.cluster.v3.Cluster', { name }));
    expect(readNameField(Buffer.concat(bytes))).to.equal('b');
  });

  it('of any bytes gives a name or a DecodeError, as the decoder of the whole message does', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        let name: string | undefined;
        try {
          name = readNameField(bytes);
        } catch (error) {
          expect(error).to.be.instanceOf(DecodeError);
        }
        expect(name === undefined || typeof name === 'string').to.equal(true);
      }),
    );
  });
});
