import { expect } from 'chai';
import fc from 'fast-check';
import { DecodeError, loadSchema } from '../../src/protobuf/schema.js';
import type { DeltaDiscoveryResponse, DiscoveryResponse, WrappedResource } from '../../src/xds/discovery.js';
import {
  readDeltaDiscoveryResponse,
  readDiscoveryResponse,
  readWrappedResource,
  type UnreadMessages,
  type UnreadResponse,
} from '../../src/xds/response-reader.js';

const schema = loadSchema();
const prefix = 'envoy.service.discovery.v3.';

const text = fc.string({ unit: 'grapheme', maxLength: 200 });
const any = fc.record({ type_url: text, value: fc.uint8Array({ maxLength: 300 }) });
const wrapped = fc.record(
  {
    name: text,
    version: text,
    aliases: fc.array(text, { maxLength: 3 }),
    resource: any,
    ttl: fc.record({ seconds: fc.integer({ min: -5, max: 1e9 }), nanos: fc.integer({ min: 0, max: 999_999_999 }) }),
    cache_control: fc.record({ do_not_cache: fc.boolean() }),
  },
  { requiredKeys: [] },
);
const response = fc.record(
  {
    version_info: text,
    resources: fc.array(any, { maxLength: 5 }),
    canary: fc.boolean(),
    type_url: text,
    nonce: text,
    control_plane: fc.record({ identifier: text }),
  },
  { requiredKeys: [] },
);
const deltaResponse = fc.record(
  {
    system_version_info: text,
    resources: fc.array(wrapped, { maxLength: 5 }),
    type_url: text,
    removed_resources: fc.array(text, { maxLength: 4 }),
    nonce: text,
  },
  { requiredKeys: [] },
);

/** Without what is of no interest, and bytes as text. */
const plainAny = ({ type_url, value }: { type_url: string; value: Uint8Array }) => [
  type_url,
  Buffer.from(value).toString('hex'),
];
const plainWrapped = ({ name, version, aliases, resource, ttl }: WrappedResource) => ({
  name,
  version,
  aliases,
  resource: resource && plainAny(resource),
  ttl: ttl && { seconds: Number((ttl as { seconds: string }).seconds), nanos: (ttl as { nanos: number }).nanos },
});
const plainResponse = ({ version_info, resources, type_url, nonce }: DiscoveryResponse) => ({
  version_info,
  type_url,
  nonce,
  resources: resources.map(plainAny),
});
const plainDelta = ({
  system_version_info,
  resources,
  type_url,
  removed_resources,
  nonce,
}: DeltaDiscoveryResponse) => ({
  system_version_info,
  type_url,
  removed_resources,
  nonce,
  resources: resources.map(plainWrapped),
});

const readEach = <T>(unread: UnreadMessages<T>): T[] =>
  Array.from({ length: unread.length }, (_, index) => unread.read(index));
const readAll = <R, T>(response: UnreadResponse<R, T>) =>
  ({ ...response, resources: readEach(response.resources) }) as R & { resources: T[] };

describe('reader of discovery responses', () => {
  it('reads what the schema reads', () => {
    fc.assert(
      fc.property(response, deltaResponse, wrapped, (one, two, three) => {
        const bytes = schema.encode(`${prefix}DiscoveryResponse`, one);
        expect(plainResponse(readAll(readDiscoveryResponse(bytes)))).to.deep.equal(
          plainResponse(schema.decode(`${prefix}DiscoveryResponse`, bytes)),
        );
        const delta = schema.encode(`${prefix}DeltaDiscoveryResponse`, two);
        const { removed, ...read } = readAll(readDeltaDiscoveryResponse(delta));
        expect(plainDelta({ ...read, removed_resources: [...removed] })).to.deep.equal(
          plainDelta(schema.decode(`${prefix}DeltaDiscoveryResponse`, delta)),
        );
        const resource = schema.encode(`${prefix}Resource`, three);
        expect(plainWrapped(readWrappedResource(resource))).to.deep.equal(
          plainWrapped(schema.decode(`${prefix}Resource`, resource)),
        );
      }),
    );
  });

  it('merges a message that comes twice, as any decoder', () => {
    const bytes = Buffer.concat([
      schema.encode(`${prefix}Resource`, { name: 'a', resource: { type_url: 't' } }),
      schema.encode(`${prefix}Resource`, { name: 'b', resource: { value: Buffer.from('v') } }),
    ]);
    const { name, resource } = readWrappedResource(bytes);
    expect([name, resource && plainAny(resource)]).to.deep.equal(['b', ['t', '76']]);
  });

  it('leaves resources where they are', () => {
    const value = Buffer.from('something');
    const bytes = schema.encode(`${prefix}DiscoveryResponse`, { resources: [{ type_url: 't', value }] });
    const read = readDiscoveryResponse(bytes).resources.read(0).value;
    expect(read.buffer).to.equal(bytes.buffer);
  });

  it('refuses bytes that are no message, whatever they are, with an error of its own', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        const reads = [
          () => readEach(readDiscoveryResponse(bytes).resources),
          () => readEach(readDeltaDiscoveryResponse(bytes).resources),
          () => readWrappedResource(bytes),
        ];
        for (const read of reads) {
          try {
            read();
          } catch (error) {
            expect(error).to.be.instanceOf(DecodeError);
          }
        }
      }),
      { numRuns: 2_000 },
    );
    const whole = schema.encode(`${prefix}DiscoveryResponse`, {
      resources: [{ type_url: 'type', value: Buffer.alloc(9) }],
    });
    for (let length = 1; length < whole.length; length++)
      expect(() => readDiscoveryResponse(whole.subarray(0, length)), `${length} bytes`).to.throw(DecodeError);
  });

  it('refuses more resources than a configuration can have', () => {
    const empty = Buffer.from([0x12, 0x00]);
    expect(() => readDiscoveryResponse(Buffer.alloc(2_000_002, empty))).to.throw(
      DecodeError,
      'more than 1000000 resources',
    );
    expect(() => readDeltaDiscoveryResponse(Buffer.alloc(2_000_002, empty))).to.throw(DecodeError, 'more than 1000000');
  });
});
