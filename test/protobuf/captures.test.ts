import { expect } from 'chai';
import { type AnyValue, unpackAny, unpackTypedStruct } from '../../src/protobuf/any.js';
import { parseJson, toJson } from '../../src/protobuf/json.js';
import { loadSchema } from '../../src/protobuf/schema.js';
import { validate } from '../../src/protobuf/validate.js';
import { captures } from './captures.js';

const schema = loadSchema();

interface Response {
  readonly type_url: string;
  readonly resources: readonly (AnyValue | { readonly resource: AnyValue | null })[];
}

/** Types that no public API has; control planes send them anyway. */
const foreign = ['istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig', 'no.such.Transport'];

function anys(json: unknown, found: Record<string, unknown>[] = []): Record<string, unknown>[] {
  if (typeof json !== 'object' || json === null) return found;
  if ('@type' in json) found.push(json as Record<string, unknown>);
  for (const value of Object.values(json)) anys(value, found);
  return found;
}

describe('recorded responses of control planes', () => {
  for (const { name, type, bytes } of captures()) {
    it(`${name}: decodes, and encodes to as many bytes`, () => {
      const response = schema.decode<Response>(type, bytes);
      expect(response.type_url).to.match(/^type\.googleapis\.com\/envoy\.config\./);
      expect(schema.encode(type, response).length).to.equal(bytes.length);
    });

    it(`${name}: each resource is of a known type and keeps its rules`, () => {
      for (const resource of schema.decode<Response>(type, bytes).resources) {
        // Delta's have a name of their own around them.
        const any = 'resource' in resource ? resource.resource : resource;
        // A heartbeat has none.
        if (any === null) continue;
        const unpacked = unpackAny<object>(schema, any);
        if (!unpacked.known) throw new Error(`unknown type ${unpacked.typeUrl}`);
        expect(validate(schema, unpacked.typeName, unpacked.message)).to.deep.equal([]);
      }
    });

    it(`${name}: JSON and back keeps the meaning`, () => {
      const json = toJson(schema, type, bytes);
      const unknown = anys(json).filter((any) => foreign.some((type) => String(any['@type']).endsWith(`/${type}`)));
      const parsed = parseJson(schema, type, json);
      if (unknown.length > 0) {
        if (parsed.ok) throw new Error('unknown types were accepted');
        expect(parsed.problems.map((problem) => problem.message.split(' ').slice(0, 2).join(' '))).to.deep.equal(
          unknown.map(() => 'unknown type'),
        );
        return;
      }
      if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
      expect(toJson(schema, type, parsed.bytes)).to.deep.equal(json);
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
    for (const { type, bytes } of captures()) visit(schema.decode(type, bytes));
    expect([...types].sort()).to.deep.equal([
      'type.googleapis.com/udpa.type.v1.TypedStruct',
      'type.googleapis.com/xds.type.v3.TypedStruct',
    ]);
  });
});
