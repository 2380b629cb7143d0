import { expect } from 'chai';
import fc from 'fast-check';
import { loadSchema } from '../../src/protobuf/schema.js';
import { sotw } from '../../src/xds/sotw-subscription.js';

const schema = loadSchema();
const typeUrl = 'type.googleapis.com/envoy.config.route.v3.RouteConfiguration';
const otherType = 'type.googleapis.com/envoy.config.cluster.v3.Cluster';
const routes = (name: string, more: object = {}) =>
  schema.encode('envoy.config.route.v3.RouteConfiguration', { name, ...more });

function responseOf(resources: readonly { readonly type_url: string; readonly value: Uint8Array }[]) {
  const bytes = schema.encode('envoy.service.discovery.v3.DiscoveryResponse', { version_info: '2', resources });
  return sotw.unpack(bytes).resources;
}

const name = fc.string({ unit: 'grapheme', maxLength: 140 });
const value = fc.oneof(
  fc.tuple(name, fc.boolean()).map(([text, more]) => routes(text, more ? { validate_clusters: { value: true } } : {})),
  fc.uint8Array({ maxLength: 30 }),
);
const any = fc.record({ type_url: fc.constantFrom(typeUrl, typeUrl, typeUrl, otherType, ''), value });

describe('resources of a state-of-the-world response', () => {
  it('are taken for repeated only where they say so when they are read', () => {
    fc.assert(
      fc.property(fc.array(any, { maxLength: 6 }), fc.array(value, { maxLength: 6 }), (sent, held) => {
        const kept = [...held, ...sent.slice(0, 3).map((one) => one.value)].map((bytes) => ({ accepted: { bytes } }));
        const resources = responseOf(sent);
        expect(resources.length).to.equal(sent.length);
        for (let index = 0; index < resources.length; index++) {
          for (const one of kept) {
            const repeats = resources.repeats?.(index, typeUrl, () => one);
            const body = resources.at(index)?.body;
            const same =
              body?.kind === 'message' &&
              body.typeUrl === typeUrl &&
              Buffer.compare(body.bytes, one.accepted.bytes) === 0;
            if (repeats) expect(same).to.equal(true);
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  it('are found by their names', () => {
    const held = new Map(['a', 'b', 'é'].map((each) => [each, { each, accepted: { bytes: routes(each) } }]));
    const sent = ['é', 'b', 'c', 'a'].map((each) => ({ type_url: typeUrl, value: routes(each) }));
    const changed = { type_url: typeUrl, value: routes('a', { validate_clusters: { value: true } }) };
    const resources = responseOf([...sent, changed, { ...changed, type_url: otherType }]);
    const found = Array.from({ length: 6 }, (_, index) => resources.repeats?.(index, typeUrl, (one) => held.get(one)));
    expect(found.map((one) => one?.each)).to.deep.equal(['é', 'b', undefined, 'a', undefined, undefined]);
    expect(resources.at(6)).to.equal(undefined);
  });
});
