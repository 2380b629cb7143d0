import { expect } from 'chai';
import fc from 'fast-check';
import { loadSchema } from '../../src/protobuf/schema.js';
import { delta } from '../../src/xds/delta-subscription.js';
import { Interest } from '../../src/xds/interest.js';
import { encodeRequest } from '../../src/xds/request-writer.js';
import { sotw } from '../../src/xds/sotw-subscription.js';

const schema = loadSchema();
const listOf = (unit: 'grapheme' | 'grapheme-ascii', maxLength: number) =>
  fc.array(fc.string({ unit, maxLength }), { maxLength: 20 });
const names = fc.oneof(listOf('grapheme', 300), listOf('grapheme-ascii', 130), listOf('grapheme-ascii', 20));

describe('writer of discovery requests', () => {
  for (const { kind, requestType, nameFields } of [sotw, delta]) {
    it(`writes what the schema writes, ${kind}`, () => {
      fc.assert(
        fc.property(names, names, (one, two) => {
          const lists = Object.fromEntries(
            Object.keys(nameFields).map((field, index) => [field, index === 0 ? one : two]),
          );
          const request = { type_url: 't', response_nonce: 'n', node: { id: 'i' }, ...lists };
          const written = encodeRequest(schema, requestType, request, nameFields);
          expect(schema.decode(requestType, written)).to.deep.equal(
            schema.decode(requestType, schema.encode(requestType, request)),
          );
        }),
      );
    });
  }

  for (const variant of [sotw, delta])
    it(`writes names again only when they changed, and then all of them, ${variant.kind}`, () => {
      const { requestType, nameFields } = variant;
      const step = fc.oneof(
        fc.record({ kind: fc.constantFrom('add', 'remove'), name: fc.constantFrom('a', 'b', 'é', 'c'.repeat(200)) }),
        fc.record({ kind: fc.constantFrom('wildcard', 'no wildcard', 'ask', 'answer', 'reconnect') }),
      );
      fc.assert(
        fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
          const interest = new Interest();
          const subscription = variant.createSubscription('t', interest, () => []);
          const written = new WeakMap<readonly string[], Buffer>();
          for (const one of steps) {
            if ('name' in one) interest[one.kind as 'add' | 'remove'](one.name);
            else if (one.kind.endsWith('wildcard')) interest.setWildcard(one.kind === 'wildcard');
            else if (one.kind === 'reconnect') subscription.streamStarted();
            if (one.kind !== 'ask' && one.kind !== 'answer') continue;
            if (one.kind === 'ask' ? !subscription.pending : !subscription.requested) continue;
            const request = subscription.nextRequest(
              one.kind === 'answer' ? { nonce: 'n', error: undefined } : undefined,
            );
            if (!request) continue;
            const bytes = encodeRequest(schema, requestType, request, nameFields, written);
            expect(bytes.equals(encodeRequest(schema, requestType, request, nameFields))).to.equal(true);
            if (variant !== sotw) continue;
            const { resource_names } = schema.decode<{ resource_names: string[] }>(requestType, bytes);
            expect(resource_names.filter((name) => name !== '*')).to.deep.equal([...interest.names]);
          }
        }),
        { numRuns: 500 },
      );
    });
});
