import { expect } from 'chai';
import fc from 'fast-check';
import type { ClusterLoadAssignment__Output } from '../../../src/protobuf/generated/envoy/config/endpoint/v3/ClusterLoadAssignment.js';
import { loadSchema } from '../../../src/protobuf/schema.js';
import { readLoadAssignment } from '../../../src/xds/resources/endpoint.js';
import { readPlainLoadAssignment } from '../../../src/xds/resources/plain-endpoints.js';
import { translateResource } from '../../../src/xds/resources/translate.js';

const schema = loadSchema();
const typeName = 'envoy.config.endpoint.v3.ClusterLoadAssignment';
const encode = (assignment: object) => schema.encode(typeName, assignment);

/** By the schema alone. */
const judge = (bytes: Uint8Array) =>
  translateResource(schema, typeName, bytes, 'dynamic', (message: ClusterLoadAssignment__Output, context) =>
    readLoadAssignment(context, message, '', 'ip'),
  );

/** Mostly the first. */
const mostly = <T>(usual: fc.Arbitrary<T>, ...others: fc.Arbitrary<T>[]): fc.Arbitrary<T> =>
  fc.oneof({ weight: 30, arbitrary: usual }, ...others);
const text = mostly(fc.string({ minLength: 1, maxLength: 12 }), fc.string({ unit: 'grapheme', maxLength: 4 }));
const weight = mostly(
  fc.record({ value: fc.integer({ min: 1, max: 300 }) }),
  fc.record({ value: fc.nat(2 ** 32 - 1) }),
  fc.constant({ value: 0 }),
);
const optional = <T>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }) => fc.record(fields, { requiredKeys: [] });
const plainSocket = { address: fc.oneof(fc.ipV4(), fc.ipV6()), port_value: fc.nat(65_535) };
const address = mostly<object>(
  fc.record({ socket_address: fc.record(plainSocket) }),
  fc.record({ socket_address: fc.record({ address: text, port_value: fc.nat(70_000) }) }),
  fc.record({
    socket_address: fc.record({ ...plainSocket, protocol: fc.constantFrom('TCP', 'UDP'), ipv4_compat: fc.boolean() }),
  }),
  fc.constantFrom({ pipe: { path: '/x' } }, {}, { socket_address: {} }),
);
const endpoint = mostly<object>(
  fc.record({ address, hostname: text }),
  fc.record({ address, observability_name: text }),
);
const lbEndpoint = mostly<object>(
  fc.record(
    { endpoint, health_status: mostly(fc.nat(5), fc.nat(7)), load_balancing_weight: weight },
    { requiredKeys: ['endpoint'] },
  ),
  fc.record({ metadata: fc.constant({ filter_metadata: { 'envoy.transport_socket_match': { fields: {} } } }) }),
);
const group = fc.record(
  {
    locality: optional({ region: text, zone: text, sub_zone: text }),
    lb_endpoints: fc.array(
      fc.oneof(
        endpoint.map((one) => ({ endpoint: one })),
        lbEndpoint,
      ),
      { maxLength: 4 },
    ),
    load_balancing_weight: weight,
    priority: mostly(fc.nat(3), fc.nat(140)),
  },
  { requiredKeys: ['lb_endpoints'] },
);
const assignment = mostly<object>(
  fc.record({ cluster_name: text, endpoints: fc.array(group, { maxLength: 3 }) }),
  fc.record({ cluster_name: text, policy: fc.constantFrom({}, { overprovisioning_factor: { value: 200 } }) }),
);

/** Whatever it reads is what the schema reads, and nothing is wrong with it. Returns whether it read it. */
function expectSame(bytes: Uint8Array): boolean {
  const plain = readPlainLoadAssignment(bytes);
  if (plain) expect(judge(bytes)).to.deep.equal({ kind: 'active', model: plain, warnings: [] });
  return plain !== undefined;
}

describe('plain load assignments', () => {
  it('are what the schema reads', () => {
    let read = 0;
    const property = fc.property(assignment, (one) => {
      if (expectSame(encode(one))) read++;
    });
    fc.assert(property, { numRuns: 2_000 });
    expect(read).to.be.within(500, 1_900);
  });

  it('are so with bytes changed, left out and put in', () => {
    const change = fc.record({
      at: fc.nat(),
      byte: fc.nat(255),
      how: fc.constantFrom('set', 'insert', 'remove', 'twice'),
    });
    const plain = fc.record({
      cluster_name: fc.string({ minLength: 1, maxLength: 5 }),
      endpoints: fc.array(
        fc.record({
          priority: fc.nat(3),
          lb_endpoints: fc.array(
            fc.record({
              endpoint: fc.record({
                address: fc.record({ socket_address: fc.record({ address: fc.ipV4(), port_value: fc.nat(65_535) }) }),
              }),
              health_status: fc.nat(5),
            }),
            { minLength: 1, maxLength: 2 },
          ),
        }),
        { minLength: 1, maxLength: 2 },
      ),
    });
    let read = 0;
    const property = fc.property(plain, fc.array(change, { maxLength: 3 }), (one, changes) => {
      const bytes = [...encode(one)];
      for (const { at, byte, how } of changes) {
        const index = at % bytes.length;
        if (how === 'set') bytes[index] = byte;
        else if (how === 'insert') bytes.splice(index, 0, byte);
        else if (how === 'remove') bytes.splice(index, 1);
        else bytes.push(...bytes);
      }
      if (expectSame(Uint8Array.from(bytes))) read++;
    });
    fc.assert(property, { numRuns: 5_000 });
    expect(read).to.be.greaterThan(500);
  });

  it('are read without the schema where there is nothing special', () => {
    const socket_address = { address: '10.0.0.1', port_value: 0 };
    const bytes = encode({
      cluster_name: 'a',
      endpoints: [
        {
          locality: { region: 'r', zone: 'z', sub_zone: 's' },
          priority: 1,
          load_balancing_weight: { value: 7 },
          lb_endpoints: [
            {
              endpoint: { address: { socket_address }, hostname: 'h' },
              health_status: 'DRAINING',
              load_balancing_weight: { value: 300 },
            },
          ],
        },
      ],
    });
    expect(expectSame(bytes)).to.equal(true);
  });

  const assignmentOf = (socket_address: object, lb: object = {}, group: object = {}, name = 'a') => ({
    cluster_name: name,
    endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address } }, ...lb }], ...group }],
  });
  const good = { address: '10.0.0.1', port_value: 80 };
  const special: Readonly<Record<string, object>> = {
    'a port out of range': assignmentOf({ ...good, port_value: 65_536 }),
    'no port': assignmentOf({ address: '10.0.0.1' }),
    'a name for an address': assignmentOf({ ...good, address: 'localhost' }),
    UDP: assignmentOf({ ...good, protocol: 'UDP' }),
    'an unknown health status': assignmentOf(good, { health_status: 6 }),
    'a weight of 0': assignmentOf(good, { load_balancing_weight: { value: 0 } }),
    'a locality weight of 0': assignmentOf(good, {}, { load_balancing_weight: {} }),
    'a priority out of range': assignmentOf(good, {}, { priority: 129 }),
    'no name': assignmentOf(good, {}, {}, ''),
    'text that is not ASCII': assignmentOf(good, {}, {}, 'é'),
    'no address': { cluster_name: 'a', endpoints: [{ lb_endpoints: [{ endpoint: {} }] }] },
    metadata: assignmentOf(good, { metadata: {} }),
    'a policy': { ...assignmentOf(good), policy: {} },
  };
  for (const [title, one] of Object.entries(special)) {
    it(`are left to the schema: ${title}`, () => {
      expect(readPlainLoadAssignment(encode(assignmentOf(good)))).to.not.equal(undefined);
      expect(readPlainLoadAssignment(encode(one))).to.equal(undefined);
    });
  }

  it('are left to the schema when they are large', () => {
    const bytes = Buffer.concat([encode({ cluster_name: 'a' }), Buffer.alloc(1024 * 1024, Buffer.of(0x12, 0))]);
    expect(readPlainLoadAssignment(bytes)).to.equal(undefined);
  });
});
