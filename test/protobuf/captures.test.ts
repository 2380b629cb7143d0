import { expect } from 'chai';
import { type AnyValue, unpackAny, unpackTypedStruct } from '../../src/protobuf/any.js';
import type { DeltaDiscoveryResponse__Output } from '../../src/protobuf/generated/envoy/service/discovery/v3/DeltaDiscoveryResponse.js';
import { parseJson, toJson } from '../../src/protobuf/json.js';
import { loadSchema } from '../../src/protobuf/schema.js';
import { validate } from '../../src/protobuf/validate.js';
import { captures } from './captures.js';

const RESPONSE = 'envoy.service.discovery.v3.DeltaDiscoveryResponse';
const schema = loadSchema();

/** Types that no public API has; control planes send them anyway. */
const foreign = ['istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig', 'no.such.Transport'];

function anys(json: unknown, found: Record<string, unknown>[] = []): Record<string, unknown>[] {
  if (typeof json !== 'object' || json === null) return found;
  if ('@type' in json) found.push(json as Record<string, unknown>);
  for (const value of Object.values(json)) anys(value, found);
  return found;
}

describe('recorded responses of control planes', () => {
  for (const { name, bytes } of captures()) {
    it(`${name}: decodes, and encodes to as many bytes`, () => {
      const response = schema.decode<DeltaDiscoveryResponse__Output>(RESPONSE, bytes);
      expect(response.type_url).to.match(/^type\.googleapis\.com\/envoy\.config\./);
      expect(schema.encode(RESPONSE, response).length).to.equal(bytes.length);
    });

    it(`${name}: each resource is of a known type and keeps its rules`, () => {
      const response = schema.decode<DeltaDiscoveryResponse__Output>(RESPONSE, bytes);
      for (const { name: resource, resource: any } of response.resources) {
        const unpacked = unpackAny<object>(schema, any as AnyValue);
        if (!unpacked.known) throw new Error(`${resource}: unknown type ${unpacked.typeUrl}`);
        expect(validate(schema, unpacked.typeName, unpacked.message), resource).to.deep.equal([]);
      }
    });

    it(`${name}: JSON and back keeps the meaning`, () => {
      const json = toJson(schema, RESPONSE, bytes);
      const unknown = anys(json).filter((any) => foreign.some((type) => String(any['@type']).endsWith(`/${type}`)));
      const parsed = parseJson(schema, RESPONSE, json);
      if (unknown.length > 0) {
        if (parsed.ok) throw new Error('unknown types were accepted');
        expect(parsed.problems.map((problem) => problem.message.split(' ').slice(0, 2).join(' '))).to.deep.equal(
          unknown.map(() => 'unknown type'),
        );
        return;
      }
      if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
      expect(toJson(schema, RESPONSE, parsed.bytes)).to.deep.equal(json);
    });
  }

  it('hold TypedStructs of both packages', () => {
    const types = new Set<string>();
    const visit = (value: unknown): void => {
      if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return;
      const any = value as AnyValue;
      if (typeof any.type_url === 'string' && Buffer.isBuffer(any.value)) {
        const struct = unpackTypedStruct(schema, any);
        if (struct) types.add(any.type_url);
        else if (schema.has(any.type_url.split('/').pop() ?? '')) {
          const unpacked = unpackAny<object>(schema, any);
          if (unpacked.known) visit(unpacked.message);
        }
      }
      for (const each of Object.values(value)) visit(each);
    };
    for (const { bytes } of captures()) visit(schema.decode(RESPONSE, bytes));
    expect([...types].sort()).to.deep.equal([
      'type.googleapis.com/udpa.type.v1.TypedStruct',
      'type.googleapis.com/xds.type.v3.TypedStruct',
    ]);
  });
});
