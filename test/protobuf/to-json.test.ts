import { expect } from 'chai';
import fc from 'fast-check';
import { parseJson, toJson } from '../../src/protobuf/json.js';
import { redact } from '../../src/protobuf/redact.js';
import { DecodeError, loadSchema } from '../../src/protobuf/schema.js';

const schema = loadSchema();
const CLUSTER = 'envoy.config.cluster.v3.Cluster';
const EXTENSION = 'envoy.config.core.v3.TypedExtensionConfig';
const SECRET = 'envoy.extensions.transport_sockets.tls.v3.Secret';
const url = (typeName: string): string => `type.googleapis.com/${typeName}`;

function print(plain: object, typeName = CLUSTER): unknown {
  return toJson(schema, typeName, schema.encode(typeName, plain));
}

function parsed(typeName: string, json: unknown): Buffer {
  const result = parseJson(schema, typeName, json);
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return result.bytes;
}

describe('toJson', () => {
  const table: [string, object, unknown][] = [
    ['nothing for defaults', { name: '', lb_policy: 0, respect_dns_ttl: false, health_checks: [] }, {}],
    [
      'wrappers, also of defaults',
      { per_connection_buffer_limit_bytes: { value: 0 } },
      { per_connection_buffer_limit_bytes: 0 },
    ],
    ['defaults of oneofs', { type: 0 }, { type: 'STATIC' }],
    ['empty messages', { circuit_breakers: {} }, { circuit_breakers: {} }],
    ['durations', { connect_timeout: { seconds: 1 } }, { connect_timeout: '1s' }],
    ['fractions of durations', { connect_timeout: { nanos: 5000000 } }, { connect_timeout: '0.005s' }],
    [
      'durations out of range',
      { connect_timeout: { seconds: '999999999999' } },
      { connect_timeout: { seconds: '999999999999' } },
    ],
    ['enum numbers without a name', { lb_policy: 77 }, { lb_policy: 77 }],
    [
      '64-bit integers as strings',
      { ring_hash_lb_config: { minimum_ring_size: { value: 1024 } } },
      { ring_hash_lb_config: { minimum_ring_size: '1024' } },
    ],
    [
      'structs',
      { metadata: { filter_metadata: { a: { fields: { x: { numberValue: 1 } } } } } },
      { metadata: { filter_metadata: { a: { x: 1 } } } },
    ],
    [
      'numbers that are none',
      { common_lb_config: { healthy_panic_threshold: { value: Number.NaN } } },
      { common_lb_config: { healthy_panic_threshold: { value: 'NaN' } } },
    ],
    [
      'maps',
      { load_assignment: { named_endpoints: { x: { hostname: 'h' } } } },
      { load_assignment: { named_endpoints: { x: { hostname: 'h' } } } },
    ],
  ];
  for (const [what, plain, json] of table) {
    it(`prints ${what}`, () => {
      expect(print(plain)).to.deep.equal(json);
    });
  }

  it('prints 32-bit floats with as many digits as they have', () => {
    expect(print({ default_value: 0.1, runtime_key: 'x' }, 'envoy.config.core.v3.RuntimeDouble')).to.deep.equal({
      default_value: 0.1,
      runtime_key: 'x',
    });
    expect(print({ value: 0.1 }, 'google.protobuf.FloatValue')).to.be.closeTo(0.1, 1e-7);
  });

  const anys: [string, object, unknown][] = [
    [
      'a known type',
      { type_url: url(CLUSTER), value: Buffer.from([0x0a, 1, 0x61]) },
      { '@type': url(CLUSTER), name: 'a' },
    ],
    ['a known type without bytes', { type_url: url(CLUSTER) }, { '@type': url(CLUSTER) }],
    [
      'a well-known type',
      { type_url: url('google.protobuf.Duration'), value: Buffer.from([0x08, 5]) },
      { '@type': url('google.protobuf.Duration'), value: '5s' },
    ],
    [
      'an unknown type',
      { type_url: 'x/no.such.Type', value: Buffer.from('abc') },
      { '@type': 'x/no.such.Type', value: 'YWJj' },
    ],
    [
      'bytes that are not of the type',
      { type_url: url(CLUSTER), value: Buffer.from([0xff]) },
      { '@type': url(CLUSTER), value: '/w==' },
    ],
    ['no type', {}, {}],
    ['bytes without a type', { value: Buffer.from('abc') }, { '@type': '', value: 'YWJj' }],
  ];
  for (const [what, any, json] of anys) {
    it(`prints an Any of ${what}`, () => {
      expect(print({ typed_config: any }, EXTENSION)).to.deep.equal({ typed_config: json });
    });
  }

  it('prints Anys in Anys to a limit', () => {
    let bytes: Uint8Array = Buffer.alloc(0);
    for (let i = 0; i < 3000; i++)
      bytes = schema.encode('google.protobuf.Any', { type_url: url('google.protobuf.Any'), value: bytes });
    let json = toJson(schema, 'google.protobuf.Any', bytes) as { value?: unknown };
    let depth = 0;
    for (; typeof json.value === 'object'; depth++) json = json.value as { value?: unknown };
    expect(depth).to.be.within(90, 110);
    expect(json.value).to.be.a('string');
  });

  it('refuses malformed bytes of the outermost message', () => {
    expect(() => toJson(schema, CLUSTER, Buffer.from([0xff]))).to.throw(DecodeError);
  });

  const secret = {
    name: 'a',
    tls_certificate: {
      certificate_chain: { inline_string: 'chain' },
      private_key: { inline_string: 'KEY' },
      password: { inline_bytes: 'S0VZ' },
    },
  };
  const hidden = {
    name: 'a',
    tls_certificate: {
      certificate_chain: { inline_string: 'chain' },
      private_key: { inline_string: '[redacted]' },
      password: { inline_bytes: Buffer.from('[redacted]').toString('base64') },
    },
  };

  it('hides secrets when asked to', () => {
    const bytes = parsed(SECRET, secret);
    expect(toJson(schema, SECRET, bytes)).to.deep.equal(secret);
    expect(toJson(schema, SECRET, bytes, { redact: true })).to.deep.equal(hidden);
  });

  it('hides secrets in Anys and TypedStructs', () => {
    const any = parsed(EXTENSION, { typed_config: { '@type': url(SECRET), ...secret } });
    expect(toJson(schema, EXTENSION, any, { redact: true })).to.deep.equal({
      typed_config: { '@type': url(SECRET), ...hidden },
    });
    for (const typeName of ['xds.type.v3.TypedStruct', 'udpa.type.v1.TypedStruct']) {
      const struct = parsed(typeName, { type_url: url(SECRET), value: secret });
      expect(toJson(schema, typeName, struct, { redact: true })).to.deep.equal({
        type_url: url(SECRET),
        value: hidden,
      });
    }
  });

  const wholes: [string, string, unknown][] = [
    ['a secret', SECRET, secret],
    ['a secret in an Any', EXTENSION, { typed_config: { '@type': url(SECRET), ...secret } }],
    ['a TypedStruct', 'xds.type.v3.TypedStruct', { type_url: url(SECRET), value: secret }],
    [
      'a listener',
      'envoy.config.listener.v3.Listener',
      {
        name: 'tls',
        filter_chains: [
          {
            transport_socket: {
              name: 'envoy.transport_sockets.tls',
              typed_config: {
                '@type': url('envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext'),
                common_tls_context: { tls_certificates: [secret.tls_certificate, hidden.tls_certificate] },
                session_ticket_keys: { keys: [{ inline_string: 'TICKET' }] },
              },
            },
          },
        ],
      },
    ],
    ['a generic secret', SECRET, { name: 'a', generic_secret: { secret: { inline_bytes: 'S0VZ' } } }],
  ];
  for (const [what, typeName, json] of wholes) {
    it(`hides in the bytes of ${what} what it hides in the JSON`, () => {
      const bytes = parsed(typeName, json);
      const shown = redact(schema, typeName, bytes);
      expect(toJson(schema, typeName, shown)).to.deep.equal(toJson(schema, typeName, bytes, { redact: true }));
      expect(Buffer.from(shown).toString('latin1')).not.to.match(/KEY|TICKET/);
      expect(redact(schema, typeName, shown), 'again').to.deep.equal(shown);
    });
  }

  it('gives bytes without secrets back as they came, with fields that nobody knows', () => {
    const unknownField = Buffer.from([0xf8, 0xff, 0x07, 0x01]);
    const bytes = Buffer.concat([parsed(CLUSTER, { name: 'a' }), unknownField]);
    expect(redact(schema, CLUSTER, bytes)).to.equal(bytes);
    expect(() => redact(schema, CLUSTER, Buffer.from([0xff]))).to.throw(DecodeError);
  });
});

describe('JSON to bytes and back', () => {
  const value = fc.jsonValue({ maxDepth: 4 });
  const key = fc.string({ minLength: 1, unit: 'grapheme' });
  const cluster = fc.record(
    {
      name: fc.string({ unit: 'grapheme' }),
      type: fc.constantFrom('STATIC', 'eds', 1, '2'),
      lb_policy: fc.constantFrom('ROUND_ROBIN', 'Maglev', 'random'),
      connectTimeout: fc.tuple(fc.nat(1e9), fc.nat(999)).map(([s, ms]) => `${s}.${String(ms).padStart(3, '0')}s`),
      per_connection_buffer_limit_bytes: fc.option(fc.nat(0xffffffff)),
      respect_dns_ttl: fc.boolean(),
      health_checks: fc.array(fc.record({ reuse_connection: fc.boolean(), timeout: fc.constant('1s') })),
      metadata: fc.record({ filter_metadata: fc.dictionary(key, fc.dictionary(key, value)) }),
      upstream_config: fc.record({
        typed_config: fc
          .dictionary(key, value)
          .map((struct) => ({ '@type': url('xds.type.v3.TypedStruct'), type_url: 'x/Y', value: struct })),
      }),
    },
    { requiredKeys: [] },
  );

  it('is stable', () => {
    fc.assert(
      fc.property(cluster, (json) => {
        const bytes = parsed(CLUSTER, json);
        const printed = toJson(schema, CLUSTER, bytes);
        expect(toJson(schema, CLUSTER, parsed(CLUSTER, printed))).to.deep.equal(printed);
        expect(schema.encode(CLUSTER, schema.decode(CLUSTER, bytes)).equals(bytes)).to.equal(true);
      }),
      { numRuns: 300 },
    );
  });

  it('refuses or reads any JSON, and never throws', () => {
    const field = fc.constantFrom(
      'name',
      'type',
      'connect_timeout',
      'health_checks',
      'metadata',
      'load_assignment',
      'transport_socket',
      '@type',
      'value',
    );
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { maxDepth: 5 },
        fc.jsonValue({ maxDepth: 1 }),
        fc.array(tie('tree'), { maxLength: 3 }),
        fc.dictionary(field, tie('tree'), { maxKeys: 4 }),
      ),
    }));
    fc.assert(
      fc.property(fc.dictionary(field, tree), (json) => {
        const result = parseJson(schema, CLUSTER, json);
        if (result.ok) toJson(schema, CLUSTER, result.bytes);
        else expect(result.problems).not.to.deep.equal([]);
      }),
      { numRuns: 1000 },
    );
  });
});
