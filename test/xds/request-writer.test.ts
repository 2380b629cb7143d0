import { expect } from 'chai';
import fc from 'fast-check';
import { loadSchema } from '../../src/protobuf/schema.js';
import { delta } from '../../src/xds/delta-subscription.js';
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
});
