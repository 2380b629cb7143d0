import { expect } from 'chai';
import fc from 'fast-check';
import type { Cluster__Output } from '../../src/protobuf/generated/envoy/config/cluster/v3/Cluster.js';
import { createSchema, DecodeError, EncodeError, loadSchema } from '../../src/protobuf/schema.js';
import { captures } from './captures.js';

const schema = loadSchema();
const CLUSTER = 'envoy.config.cluster.v3.Cluster';
const RESPONSE = 'envoy.service.discovery.v3.DeltaDiscoveryResponse';

/** Length-delimited fields in each other, `depth` of them, with the tags in turn. */
function nest(tags: readonly number[], depth: number): Buffer {
  let bytes = Buffer.alloc(0);
  for (let i = 0; i < depth; i++) {
    bytes = Buffer.concat([Buffer.from([tags[i % tags.length] ?? 0, ...varint(bytes.length)]), bytes]);
  }
  return bytes;
}

function varint(number: number): number[] {
  const bytes: number[] = [];
  for (let rest = number; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...bytes, rest];
    bytes.push((rest % 128) + 128);
  }
}

describe('the schema', () => {
  const known = [
    'envoy.config.bootstrap.v3.Bootstrap',
    'envoy.config.cluster.v3.Cluster.CommonLbConfig.ZoneAwareLbConfig',
    'envoy.extensions.clusters.dns.v3.DnsCluster',
    'envoy.extensions.upstreams.http.tcp.golang.v3alpha.Config',
    'envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
    'envoy.service.discovery.v3.Resource',
    'envoy.admin.v3.ConfigDump',
    'google.api.expr.v1alpha1.Expr',
    'google.protobuf.Any',
    'google.rpc.Status',
    'udpa.type.v1.TypedStruct',
    'xds.type.v3.TypedStruct',
  ];
  for (const name of known) {
    it(`has ${name}`, () => {
      expect(schema.has(name)).to.equal(true);
      expect(schema.type(name).fullName).to.equal(`.${name}`);
    });
  }

  it('has neither enums nor services, packages, v2 types nor the types of annotations as messages', () => {
    for (const name of [
      'envoy.config.cluster.v3.Cluster.LbPolicy',
      'envoy.service.discovery.v3.AggregatedDiscoveryService',
      'envoy.config',
      'envoy.api.v2.Cluster',
      'validate.FieldRules',
      'toString',
      '__proto__',
      '',
    ]) {
      expect(schema.has(name), name).to.equal(false);
      expect(schema.find(name), name).to.equal(undefined);
      expect(() => schema.type(name), name).to.throw(`unknown message type ${name}`);
    }
  });

  it('reflects every type', () => {
    for (const name of schema.typeNames()) {
      for (const field of schema.type(name).fieldsArray) expect(field.resolved, `${name}.${field.name}`).to.equal(true);
    }
  });

  it('gives all fields of a plain message', () => {
    const bytes = schema.encode(CLUSTER, {
      name: 'a',
      type: 'EDS',
      connect_timeout: { seconds: '9007199254740993', nanos: 5 },
      per_connection_buffer_limit_bytes: { value: 0 },
      lb_policy: 77,
    });
    const cluster = schema.decode<Cluster__Output>(CLUSTER, bytes);
    expect(cluster.name).to.equal('a');
    expect(cluster.type).to.equal('EDS');
    expect(cluster.cluster_discovery_type).to.equal('type');
    expect(cluster.connect_timeout).to.deep.equal({ seconds: '9007199254740993', nanos: 5 });
    expect(cluster.per_connection_buffer_limit_bytes).to.deep.equal({ value: 0 });
    expect(cluster.lb_policy).to.equal(77);
    expect(cluster.circuit_breakers).to.equal(null);
    expect(cluster.health_checks).to.deep.equal([]);
    expect(cluster.typed_extension_protocol_options).to.deep.equal({});
    expect(cluster.alt_stat_name).to.equal('');
    expect(cluster).not.to.have.property('cluster_type');
    expect(cluster).not.to.have.property('lb_config');
  });

  it('encodes what it decoded', () => {
    const bytes = schema.encode(CLUSTER, {
      name: 'a',
      type: 0,
      metadata: { filter_metadata: { x: { fields: { y: { boolValue: false } } } } },
    });
    expect(schema.encode(CLUSTER, schema.decode(CLUSTER, bytes))).to.deep.equal(bytes);
    expect(bytes).to.deep.equal(schema.encode(CLUSTER, schema.decode(CLUSTER, new Uint8Array(bytes))));
  });

  it('does not keep unknown fields', () => {
    const bytes = Buffer.from([0x0a, 1, 0x61, 0xa2, 0x1f, 1, 0x62]);
    const message = schema.decodeRaw(CLUSTER, bytes);
    expect(Object.getOwnPropertyNames(message)).to.include('name').and.not.include('$unknowns');
    expect(schema.encode(CLUSTER, schema.decode(CLUSTER, bytes))).to.deep.equal(bytes.subarray(0, 3));
  });

  it('says what cannot be encoded', () => {
    expect(() => schema.encode(CLUSTER, { metadata: 5 })).to.throw(EncodeError, `cannot be encoded as ${CLUSTER}`);
    expect(() => schema.encode(CLUSTER, { health_checks: {} })).to.throw(EncodeError);
  });

  it('takes parts of itself out for a gRPC client', () => {
    const subset = schema.subset(['envoy.service.discovery.v3.AggregatedDiscoveryService']);
    const part = createSchema(subset);
    expect(part.has('envoy.service.discovery.v3.DeltaDiscoveryRequest')).to.equal(true);
    expect(part.has('google.rpc.Status')).to.equal(true);
    expect(part.has(CLUSTER)).to.equal(false);
    const bytes = schema.encode(RESPONSE, { nonce: 'n', resources: [{ name: 'x' }] });
    expect(part.decode(RESPONSE, bytes)).to.deep.equal(schema.decode(RESPONSE, bytes));
    expect(() => schema.subset(['no.such.Service'])).to.throw('the schema has no no.such.Service');
  });
});

describe('decoding hostile bytes', () => {
  // Its and_filter is field 6, the filters in that field 1.
  const FILTER = 'envoy.config.accesslog.v3.AccessLogFilter';
  const hostile: [string, string, Buffer, RegExp][] = [
    ['a cut message', CLUSTER, Buffer.from([0x0a, 5, 0x61]), /index out of range/],
    ['a huge length', CLUSTER, Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x07]), /index out of range/],
    ['an endless varint', CLUSTER, Buffer.alloc(20, 0xff), /invalid/],
    ['invalid UTF-8', CLUSTER, Buffer.from([0x0a, 1, 0xff]), /utf/i],
    ['an end without a group', CLUSTER, Buffer.from([0x0c]), /invalid/],
    ['a group without an end', CLUSTER, Buffer.from([0xfb, 0x3f]), /./],
    ['deep nesting', FILTER, nest([0x0a, 0x32], 200), /max depth exceeded/],
    ['deep groups', CLUSTER, Buffer.alloc(5000, 0x7b), /./],
  ];
  for (const [what, typeName, bytes, message] of hostile) {
    it(`refuses ${what}`, () => {
      expect(() => schema.decode(typeName, bytes)).to.throw(DecodeError, message);
    });
  }

  it('refuses messages that are small on the wire and large in memory', () => {
    // Two bytes each: an empty cluster in a list of clusters.
    const bytes = Buffer.alloc(2_000_000, Buffer.from([0x12, 0]));
    expect(() => schema.decode('envoy.config.bootstrap.v3.Bootstrap.StaticResources', bytes)).to.throw(
      DecodeError,
      /too large in memory/,
    );
  }).timeout(60_000);

  it('never throws anything but DecodeError for random bytes', () => {
    const names = [CLUSTER, RESPONSE, 'envoy.config.listener.v3.Listener', 'google.protobuf.Struct'];
    fc.assert(
      fc.property(fc.constantFrom(...names), fc.uint8Array({ maxLength: 200 }), (typeName, bytes) => {
        try {
          schema.decode(typeName, bytes);
        } catch (error) {
          expect(error).to.be.instanceOf(DecodeError);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('never throws anything but DecodeError for recorded bytes with flaws', () => {
    const recorded = captures().map((capture) => capture.bytes);
    fc.assert(
      fc.property(
        fc.nat(recorded.length - 1),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 5 }),
        (index, flaws) => {
          const bytes = Buffer.from(recorded[index] as Buffer);
          for (const [at, value] of flaws) bytes[at % bytes.length] = value;
          try {
            const { resources } = schema.decode<{ resources: { resource: { value: Buffer } | null }[] }>(
              RESPONSE,
              bytes,
            );
            for (const { resource } of resources) schema.decode(CLUSTER, resource?.value ?? Buffer.alloc(0));
          } catch (error) {
            expect(error).to.be.instanceOf(DecodeError);
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});
