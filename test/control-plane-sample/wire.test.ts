import { expect } from 'chai';
import fc from 'fast-check';
import { kinds } from '../../control-plane-sample/resource-kind.js';
import type { Resource } from '../../control-plane-sample/snapshot.js';
import {
  decodeDeltaDiscoveryRequest,
  decodeDiscoveryRequest,
  encodeDeltaDiscoveryResponse,
  encodeDiscoveryResponse,
} from '../../control-plane-sample/wire.js';
import { loadSchema } from '../../src/protobuf/schema.js';
import { clusters } from './fixtures.js';

const discovery = 'envoy.service.discovery.v3';

// What google-protobuf writes, protobufjs reads, and the other way round.
describe('control-plane-sample: wire', () => {
  const schema = loadSchema();
  const { typeUrl } = kinds.cluster;
  const resources = clusters('a', 'b@2');
  const response = { typeUrl, version: 'v1', nonce: 'n1', resources, removed: ['gone', 'also gone'] };
  const any = (index: number) => ({ type_url: typeUrl, value: resources[index]?.bytes });

  it('writes a DiscoveryResponse', () => {
    const decoded = schema.decode<Record<string, unknown>>(
      `${discovery}.DiscoveryResponse`,
      encodeDiscoveryResponse(response),
    );
    expect(decoded).to.deep.include({
      version_info: 'v1',
      type_url: typeUrl,
      nonce: 'n1',
      resources: [any(0), any(1)],
    });
    expect(decoded.control_plane).to.deep.equal({ identifier: 'pontoon-control-plane-sample' });
  });

  it('writes a DeltaDiscoveryResponse', () => {
    const bytes = encodeDeltaDiscoveryResponse(response);
    const decoded = schema.decode<{ resources: unknown[] }>(`${discovery}.DeltaDiscoveryResponse`, bytes);
    expect(decoded).to.deep.include({
      system_version_info: 'v1',
      type_url: typeUrl,
      nonce: 'n1',
      removed_resources: ['gone', 'also gone'],
    });
    expect(decoded.resources).to.have.length(2);
    expect(decoded.resources[1]).to.deep.include({ name: 'b', version: resources[1]?.version, resource: any(1) });
  });

  it('writes the same bytes as protobufjs', () => {
    const plain = {
      version_info: 'v1',
      resources: [any(0), any(1)],
      type_url: typeUrl,
      nonce: 'n1',
      control_plane: { identifier: 'pontoon-control-plane-sample' },
    };
    const expected = schema.encode(`${discovery}.DiscoveryResponse`, plain);
    expect(encodeDiscoveryResponse(response).equals(expected)).to.equal(true);
  });

  const node = {
    id: 'n1',
    cluster: 'c1',
    metadata: {
      fields: {
        role: { stringValue: 'edge' },
        list: { listValue: { values: [{ numberValue: 1.5 }, { boolValue: true }, { nullValue: 0 }] } },
      },
    },
    locality: { region: 'r' },
    user_agent_name: 'envoy',
    user_agent_build_version: { version: { major_number: 1, minor_number: 40, patch: 2 } },
    client_features: ['envoy.lb.does_not_support_overprovisioning'],
  };
  const expectedNode = {
    id: 'n1',
    cluster: 'c1',
    userAgentName: 'envoy',
    userAgentVersion: '1.40.2',
    metadata: { role: 'edge', list: [1.5, true, null] },
  };

  it('writes a resource once for all who get it, in each variant', () => {
    const [first] = clusters('a') as [Resource];
    let reads = 0;
    const counted: Resource = {
      ...first,
      get bytes() {
        reads++;
        return first.bytes;
      },
    };
    for (const encode of [encodeDiscoveryResponse, encodeDeltaDiscoveryResponse]) {
      reads = 0;
      const written = ['1', '2', '3'].map((nonce) => encode({ ...response, nonce, resources: [counted] }));
      expect(reads).to.equal(1);
      expect(new Set(written.map(String)).size).to.equal(3);
      expect(written[2]?.equals(encode({ ...response, nonce: '3', resources: [first] }))).to.equal(true);
    }
  });

  it('reads a DiscoveryRequest', () => {
    const bytes = schema.encode(`${discovery}.DiscoveryRequest`, {
      version_info: 'v0',
      node,
      resource_names: ['a', 'b'],
      resource_locators: [{ name: 'skipped' }],
      type_url: typeUrl,
      response_nonce: 'n0',
      error_detail: { code: 13, message: 'bad', details: [any(0)] },
    });
    expect(decodeDiscoveryRequest(bytes)).to.deep.equal({
      versionInfo: 'v0',
      node: expectedNode,
      resourceNames: ['a', 'b'],
      typeUrl,
      responseNonce: 'n0',
      errorDetail: { code: 13, message: 'bad' },
    });
  });

  it('reads a DeltaDiscoveryRequest', () => {
    const bytes = schema.encode(`${discovery}.DeltaDiscoveryRequest`, {
      node,
      type_url: typeUrl,
      resource_names_subscribe: ['*', 'a'],
      resource_names_unsubscribe: ['b'],
      initial_resource_versions: { a: 'v1', b: '' },
      response_nonce: 'n0',
      error_detail: { code: 13, message: 'bad' },
    });
    expect(decodeDeltaDiscoveryRequest(bytes)).to.deep.equal({
      versionInfo: '',
      node: expectedNode,
      typeUrl,
      subscribe: ['*', 'a'],
      unsubscribe: ['b'],
      initialResourceVersions: new Map([
        ['a', 'v1'],
        ['b', ''],
      ]),
      responseNonce: 'n0',
      errorDetail: { code: 13, message: 'bad' },
    });
  });

  it('does not keep large metadata', () => {
    const metadata = { fields: { big: { stringValue: 'x'.repeat(20_000) } } };
    const bytes = schema.encode(`${discovery}.DiscoveryRequest`, { node: { id: 'n1', metadata } });
    expect(decodeDiscoveryRequest(bytes).node).to.deep.include({ id: 'n1', metadata: {} });
  });

  it('reads what protobufjs writes, whatever the strings', () => {
    const text = fc.string({ unit: 'binary' }).map((value) => value.toString());
    fc.assert(
      fc.property(text, fc.array(text), fc.dictionary(text, text), (nonce, names, versions) => {
        const bytes = schema.encode(`${discovery}.DeltaDiscoveryRequest`, {
          resource_names_subscribe: names,
          initial_resource_versions: versions,
          response_nonce: nonce,
        });
        const decoded = decodeDeltaDiscoveryRequest(bytes);
        expect(decoded.subscribe).to.deep.equal(names);
        expect(Object.fromEntries(decoded.initialResourceVersions)).to.deep.equal({ ...versions });
        expect(decoded.responseNonce).to.equal(nonce);
      }),
    );
  });

  it('fails on bytes that are no message, and never hangs', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        for (const decode of [decodeDiscoveryRequest, decodeDeltaDiscoveryRequest]) {
          try {
            decode(bytes);
          } catch (error) {
            expect(error).to.be.instanceOf(Error);
          }
        }
      }),
      { numRuns: 2_000 },
    );
  });
});
