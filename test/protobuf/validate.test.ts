import { expect } from 'chai';
import { createSchema, loadSchema } from '../../src/protobuf/schema.js';
import { validate } from '../../src/protobuf/validate.js';

const real = loadSchema();

function problems(plain: object, typeName: string, schema = real): string[] {
  const decoded = schema.decode<object>(typeName, schema.encode(typeName, plain));
  return validate(schema, typeName, decoded).map((problem) => `${problem.path}: ${problem.message}`);
}

interface Field {
  readonly type: string;
  readonly rules: object;
  readonly rule?: 'repeated';
  readonly keyType?: string;
}

/** What a message with one field `f` of these rules is told about a value; undefined leaves the field out. */
function judge({ type, rules, rule, keyType }: Field, value: unknown): string[] {
  const schema = createSchema({
    nested: {
      M: {
        fields: { f: { type, id: 1, options: { rules }, ...(rule && { rule }), ...(keyType && { keyType }) } },
        nested: { Inner: { fields: { s: { type: 'string', id: 1, options: { rules: { string: { min_len: 1 } } } } } } },
      },
      E: { values: { A: 0, B: 1, C: 2 } },
      google: { nested: { protobuf: { nested: wellKnown } } },
    },
  });
  return problems(value === undefined ? {} : { f: value }, 'M', schema);
}

const wellKnown = {
  Duration: { fields: { seconds: { type: 'int64', id: 1 }, nanos: { type: 'int32', id: 2 } } },
  Any: { fields: { type_url: { type: 'string', id: 1 }, value: { type: 'bytes', id: 2 } } },
  UInt32Value: { fields: { value: { type: 'uint32', id: 1 } } },
  StringValue: { fields: { value: { type: 'string', id: 1 } } },
};
const DURATION = '.google.protobuf.Duration';
const ANY = '.google.protobuf.Any';

interface Case {
  readonly field: Field;
  readonly good: readonly unknown[];
  readonly bad: readonly unknown[];
  readonly message: string;
}

const string = (rules: object): Field => ({ type: 'string', rules: { string: rules } });
const number = (type: string, rules: object): Field => ({ type, rules: { [type]: rules } });
const duration = (rules: object): Field => ({ type: DURATION, rules: { duration: rules } });
const enumeration = (rules: object): Field => ({ type: '.E', rules: { enum: rules } });

const cases: Case[] = [
  { field: string({ min_len: 1 }), good: ['a'], bad: ['', undefined], message: 'f: must be at least 1 character' },
  {
    field: string({ min_len: 2 }),
    good: ['ab', '😀😀'],
    bad: ['a', '😀'],
    message: 'f: must be at least 2 characters',
  },
  { field: string({ max_len: 2 }), good: ['', 'ab', '😀😀'], bad: ['abc'], message: 'f: must be at most 2 characters' },
  { field: string({ len: 2 }), good: ['ab'], bad: ['a', 'abc'], message: 'f: must be 2 characters' },
  { field: string({ min_bytes: 2 }), good: ['ab', 'ä'], bad: ['a'], message: 'f: must be at least 2 bytes' },
  { field: string({ max_bytes: 2 }), good: ['ab', 'ä'], bad: ['aä'], message: 'f: must be at most 2 bytes' },
  { field: string({ len_bytes: 2 }), good: ['ä'], bad: ['ab1'], message: 'f: must be 2 bytes' },
  { field: string({ const: 'x' }), good: ['x'], bad: ['y'], message: 'f: must be "x"' },
  { field: string({ pattern: '^a(?i)b$' }), good: ['ab', 'aB'], bad: ['xab'], message: 'f: must match ^a(?i)b$' },
  { field: string({ prefix: 'a' }), good: ['ab'], bad: ['ba'], message: 'f: must begin with "a"' },
  { field: string({ suffix: 'a' }), good: ['ba'], bad: ['ab'], message: 'f: must end with "a"' },
  { field: string({ contains: 'a' }), good: ['bab'], bad: ['b'], message: 'f: must contain "a"' },
  { field: string({ not_contains: 'a' }), good: ['b'], bad: ['bab'], message: 'f: must not contain "a"' },
  { field: string({ in: ['a', 'b'] }), good: ['a', 'b'], bad: ['', 'c'], message: 'f: must be one of "a", "b"' },
  { field: string({ not_in: 'a' }), good: ['b'], bad: ['a'], message: 'f: must not be "a"' },
  {
    field: string({ in: 'a', ignore_empty: true }),
    good: ['a', '', undefined],
    bad: ['b'],
    message: 'f: must be one of "a"',
  },
  {
    field: string({ well_known_regex: 'HTTP_HEADER_NAME' }),
    good: ['x-a', ':path', 'A_b'],
    bad: ['', 'a b', 'a\n', 'ä'],
    message: 'f: must be an HTTP header name',
  },
  {
    field: string({ well_known_regex: 'HTTP_HEADER_VALUE' }),
    good: ['', 'a b\tc', 'ä'],
    bad: ['a\nb', 'a\u0001', '\u007f'],
    message: 'f: must be an HTTP header value',
  },
  {
    field: string({ well_known_regex: 'HTTP_HEADER_NAME', strict: false }),
    good: ['a b', 'ä', ''],
    bad: ['a\nb', 'a\r', '\0'],
    message: 'f: must not contain NUL, CR or LF',
  },
  {
    field: string({ well_known_regex: 'HTTP_HEADER_VALUE', strict: false }),
    good: ['a\u0001'],
    bad: ['a\nb'],
    message: 'f: must not contain NUL, CR or LF',
  },
  { field: string({ email: true }), good: ['a@b.c'], bad: ['a', '@b', 'a@-'], message: 'f: must be an e-mail address' },
  {
    field: string({ hostname: true }),
    good: ['a.b', 'a-b'],
    bad: ['', 'a_b', '-a', 'a..b', 'a'.repeat(64)],
    message: 'f: must be a host name',
  },
  { field: string({ ip: true }), good: ['1.2.3.4', '::1'], bad: ['a', '1.2.3'], message: 'f: must be an IP address' },
  { field: string({ ipv4: true }), good: ['1.2.3.4'], bad: ['::1'], message: 'f: must be an IPv4 address' },
  { field: string({ ipv6: true }), good: ['::1'], bad: ['1.2.3.4'], message: 'f: must be an IPv6 address' },
  {
    field: string({ uri: true }),
    good: ['http://a/b?c', 'urn:x'],
    bad: ['/a', 'a b:c', '%zz'],
    message: 'f: must be an absolute URI',
  },
  { field: string({ uri_ref: true }), good: ['/a', 'http://a'], bad: ['a b'], message: 'f: must be a URI reference' },
  {
    field: string({ address: true }),
    good: ['a.b', '::1'],
    bad: ['a b'],
    message: 'f: must be a host name or an IP address',
  },
  {
    field: string({ uuid: true }),
    good: ['123e4567-e89b-12d3-a456-426614174000'],
    bad: ['x'],
    message: 'f: must be a UUID',
  },
  { field: number('uint32', { gt: 0 }), good: [1], bad: [0, undefined], message: 'f: must be > 0' },
  { field: number('uint32', { lte: 65535 }), good: [0, 65535], bad: [65536], message: 'f: must be <= 65535' },
  { field: number('int32', { gte: -1, lt: 5 }), good: [-1, 4], bad: [-2, 5], message: 'f: must be >= -1 and < 5' },
  { field: number('int32', { gt: 5, lt: 0 }), good: [6, -1], bad: [0, 3, 5], message: 'f: must be > 5 or < 0' },
  {
    field: number('uint64', { gte: '9007199254740993' }),
    good: ['9007199254740993'],
    bad: ['9007199254740992'],
    message: 'f: must be >= 9007199254740993',
  },
  {
    field: number('uint64', { lt: 65536 }),
    good: ['65535'],
    bad: ['65536', '18446744073709551615'],
    message: 'f: must be < 65536',
  },
  { field: number('int64', { const: 1 }), good: ['1'], bad: ['2'], message: 'f: must be 1' },
  {
    field: number('double', { gte: 0, lte: 1 }),
    good: [0, 0.5, 1],
    bad: [-0.1, 1.1, Number.NaN],
    message: 'f: must be >= 0 and <= 1',
  },
  { field: number('float', { in: [1, 2] }), good: [1, 2], bad: [3], message: 'f: must be one of 1, 2' },
  { field: number('int32', { not_in: [1, 2] }), good: [3], bad: [1], message: 'f: must not be 1, 2' },
  { field: number('int32', { gt: 5, ignore_empty: true }), good: [0, 6], bad: [1], message: 'f: must be > 5' },
  {
    field: { type: 'bool', rules: { bool: { const: true } } },
    good: [true],
    bad: [false, undefined],
    message: 'f: must be true',
  },
  {
    field: { type: 'bytes', rules: { bytes: { min_len: 1 } } },
    good: [Buffer.from('a')],
    bad: [Buffer.alloc(0), undefined],
    message: 'f: must be at least 1 byte',
  },
  {
    field: { type: 'bytes', rules: { bytes: { max_len: 2 } } },
    good: [Buffer.from('ab')],
    bad: [Buffer.from('abc')],
    message: 'f: must be at most 2 bytes',
  },
  {
    field: enumeration({ defined_only: true }),
    good: ['A', 'B', undefined],
    bad: [7],
    message: 'f: must be one of A, B, C',
  },
  { field: enumeration({ const: 2 }), good: ['C'], bad: ['A'], message: 'f: must be C' },
  { field: enumeration({ in: [0, 2] }), good: ['A', 'C'], bad: ['B', 7], message: 'f: must be one of A, C' },
  { field: enumeration({ not_in: 0 }), good: ['B', 7], bad: ['A', undefined], message: 'f: must be one of B, C' },
  { field: duration({ required: true }), good: [{}], bad: [undefined], message: 'f: required' },
  {
    field: duration({ gt: {} }),
    good: [undefined, { nanos: 1 }],
    bad: [{}, { seconds: -1 }],
    message: 'f: must be > 0s',
  },
  {
    field: duration({ gte: { nanos: 1000000 } }),
    good: [{ nanos: 1000000 }, { seconds: 1 }],
    bad: [{ nanos: 999999 }],
    message: 'f: must be >= 0.001s',
  },
  {
    field: duration({ lt: { seconds: 5 } }),
    good: [{ seconds: 4, nanos: 999999999 }],
    bad: [{ seconds: 5 }],
    message: 'f: must be < 5s',
  },
  {
    field: duration({ lte: { seconds: 5 } }),
    good: [{ seconds: 5 }],
    bad: [{ seconds: 5, nanos: 1 }],
    message: 'f: must be <= 5s',
  },
  {
    field: { type: DURATION, rules: {} },
    good: [{ seconds: -1, nanos: -1 }],
    bad: [{ seconds: 1, nanos: -1 }],
    message: 'f: invalid duration (seconds: 1, nanos: -1)',
  },
  { field: { type: ANY, rules: { any: { required: true } } }, good: [{}], bad: [undefined], message: 'f: required' },
  {
    field: { type: ANY, rules: { any: { in: ['t/A'] } } },
    good: [undefined, { type_url: 't/A' }],
    bad: [{ type_url: 't/B' }],
    message: 'f: its type must be one of t/A',
  },
  {
    field: { type: ANY, rules: { any: { not_in: ['t/A'] } } },
    good: [{ type_url: 't/B' }],
    bad: [{ type_url: 't/A' }],
    message: 'f: its type must not be t/A',
  },
  {
    field: { type: '.M.Inner', rules: { message: { required: true } } },
    good: [{ s: 'a' }],
    bad: [undefined],
    message: 'f: required',
  },
  {
    field: { type: '.M.Inner', rules: {} },
    good: [undefined, { s: 'a' }],
    bad: [{}],
    message: 'f.s: must be at least 1 character',
  },
  {
    field: { type: '.google.protobuf.UInt32Value', rules: { uint32: { gte: 1 } } },
    good: [undefined, { value: 1 }],
    bad: [{ value: 0 }],
    message: 'f: must be >= 1',
  },
  {
    field: { type: '.google.protobuf.StringValue', rules: { string: { min_len: 1 }, message: { required: true } } },
    good: [{ value: 'a' }],
    bad: [{}],
    message: 'f: must be at least 1 character',
  },
  {
    field: { type: 'string', rule: 'repeated', rules: { repeated: { min_items: 1 } } },
    good: [['']],
    bad: [[]],
    message: 'f: must have at least 1 item',
  },
  {
    field: { type: 'string', rule: 'repeated', rules: { repeated: { max_items: 1 } } },
    good: [['a']],
    bad: [['a', 'b']],
    message: 'f: must have at most 1 item',
  },
  {
    field: { type: 'string', rule: 'repeated', rules: { repeated: { unique: true } } },
    good: [['a', 'b']],
    bad: [['a', 'a']],
    message: 'f: must not have equal items',
  },
  {
    field: { type: '.M.Inner', rule: 'repeated', rules: { repeated: { unique: true } } },
    good: [[{ s: 'a' }, { s: 'b' }]],
    bad: [[{ s: 'a' }, { s: 'a' }]],
    message: 'f: must not have equal items',
  },
  {
    field: { type: 'string', rule: 'repeated', rules: { repeated: { items: { string: { min_len: 1 } } } } },
    good: [[], ['a']],
    bad: [['a', '']],
    message: 'f[1]: must be at least 1 character',
  },
  {
    field: { type: '.M.Inner', rule: 'repeated', rules: {} },
    good: [[{ s: 'a' }]],
    bad: [[{ s: 'a' }, {}]],
    message: 'f[1].s: must be at least 1 character',
  },
  {
    field: { type: '.M.Inner', rule: 'repeated', rules: { repeated: { min_items: 2, ignore_empty: true } } },
    good: [[]],
    bad: [[{ s: 'a' }]],
    message: 'f: must have at least 2 items',
  },
  {
    field: { type: 'string', keyType: 'string', rules: { map: { min_pairs: 1 } } },
    good: [{ a: '' }],
    bad: [{}],
    message: 'f: must have at least 1 entry',
  },
  {
    field: { type: 'string', keyType: 'string', rules: { map: { max_pairs: 1 } } },
    good: [{ a: '' }],
    bad: [{ a: '', b: '' }],
    message: 'f: must have at most 1 entry',
  },
  {
    field: { type: 'string', keyType: 'string', rules: { map: { keys: { string: { min_len: 2 } } } } },
    good: [{ ab: '' }],
    bad: [{ a: '' }],
    message: 'f["a"]: must be at least 2 characters',
  },
  {
    field: { type: 'string', keyType: 'string', rules: { map: { values: { string: { min_len: 1 } } } } },
    good: [{ a: 'x' }],
    bad: [{ a: '' }],
    message: 'f["a"]: must be at least 1 character',
  },
  {
    field: { type: '.M.Inner', keyType: 'string', rules: {} },
    good: [{ a: { s: 'x' } }],
    bad: [{ a: {} }],
    message: 'f["a"].s: must be at least 1 character',
  },
];

describe('validation rules', () => {
  for (const { field, good, bad, message } of cases) {
    it(`${field.rule ?? field.keyType ?? ''} ${field.type} ${JSON.stringify(field.rules)}`.trim(), () => {
      for (const value of good) expect(judge(field, value), JSON.stringify(value)).to.deep.equal([]);
      for (const value of bad) expect(judge(field, value), JSON.stringify(value)).to.deep.equal([message]);
    });
  }

  it('can skip what a message holds', () => {
    expect(judge({ type: '.M.Inner', rules: { message: { skip: true } } }, {})).to.deep.equal([]);
  });

  it('are all implemented: no type of the API has one that would be passed over', () => {
    for (const name of real.typeNames()) validate(real, name, real.decode(name, Buffer.alloc(0)));
    expect(() => judge({ type: 'string', rules: { string: { rot13: true } } }, 'x')).to.throw(
      'the validation rule string.rot13 is not implemented',
    );
  });
});

describe('validate', () => {
  const LISTENER = 'envoy.config.listener.v3.Listener';
  const ROUTES = 'envoy.config.route.v3.RouteConfiguration';
  const table: [string, string, object, string[]][] = [
    [
      'nested lists',
      'envoy.config.cluster.v3.Cluster',
      {
        name: 'a',
        connect_timeout: {},
        load_assignment: {
          cluster_name: 'a',
          endpoints: [
            {
              lb_endpoints: [
                { endpoint: { address: { socket_address: { address: 'x', port_value: 1 } } } },
                { endpoint: { address: {} } },
                {
                  endpoint: { address: { socket_address: { port_value: 70000 } } },
                  load_balancing_weight: { value: 0 },
                },
              ],
            },
          ],
        },
      },
      [
        'connect_timeout: must be > 0s',
        'load_assignment.endpoints[0].lb_endpoints[1].endpoint.address.address: required: one of socket_address, pipe, envoy_internal_address must be set',
        'load_assignment.endpoints[0].lb_endpoints[2].endpoint.address.socket_address.address: must be at least 1 character',
        'load_assignment.endpoints[0].lb_endpoints[2].endpoint.address.socket_address.port_value: must be <= 65535',
        'load_assignment.endpoints[0].lb_endpoints[2].load_balancing_weight: must be >= 1',
      ],
    ],
    [
      'required oneofs',
      ROUTES,
      { virtual_hosts: [{ name: 'v', domains: ['*'], routes: [{ match: {} }, { route: { cluster: 'a' } }] }] },
      [
        'virtual_hosts[0].routes[0].match.path_specifier: required: one of prefix, path, safe_regex, connect_matcher, path_separated_prefix, path_match_policy must be set',
        'virtual_hosts[0].routes[0].action: required: one of route, redirect, direct_response, filter_action, non_forwarding_action must be set',
        'virtual_hosts[0].routes[1].match: required',
      ],
    ],
    [
      'an empty member of a oneof',
      ROUTES,
      { virtual_hosts: [{ name: 'v', domains: ['*'], routes: [{ match: { prefix: '' }, route: { cluster: 'a' } }] }] },
      [],
    ],
    [
      'types that contain themselves',
      'envoy.config.accesslog.v3.AccessLogFilter',
      { and_filter: { filters: [{ or_filter: { filters: [{}] } }] } },
      [
        'and_filter.filters: must have at least 2 items',
        'and_filter.filters[0].or_filter.filters: must have at least 2 items',
        'and_filter.filters[0].or_filter.filters[0].filter_specifier: required: one of status_code_filter, duration_filter, not_health_check_filter, traceable_filter, runtime_filter, and_filter, or_filter, header_filter, response_flag_filter, grpc_status_filter, extension_filter, metadata_filter, log_type_filter must be set',
      ],
    ],
    [
      'nothing of an Any',
      LISTENER,
      {
        filter_chains: [
          {
            filters: [
              {
                name: 'x',
                typed_config: { type_url: `type.googleapis.com/${ROUTES}`, value: Buffer.from('nonsense') },
              },
            ],
          },
        ],
      },
      [],
    ],
    [
      'our own messages',
      'envoy.extensions.upstreams.http.tcp.golang.v3alpha.Config',
      { library_path: '/x.so' },
      ['library_id: must be at least 1 character', 'plugin_name: must be at least 1 character'],
    ],
    [
      'fields newer than the official files',
      'envoy.config.cluster.v3.Cluster',
      { name: 'a', dns_jitter: { seconds: -1 } },
      ['dns_jitter: must be >= 0s'],
    ],
  ];
  for (const [what, typeName, plain, expected] of table) {
    it(`checks ${what}`, () => {
      expect(problems(plain, typeName).sort()).to.deep.equal([...expected].sort());
    });
  }

  it('stops at a hundred problems', () => {
    const found = validate(
      real,
      ROUTES,
      real.decode(ROUTES, real.encode(ROUTES, { virtual_hosts: Array.from({ length: 500 }, () => ({})) })),
    );
    expect(found).to.have.length(101);
    expect(found.at(-1)).to.deep.equal({ path: '', message: 'and more' });
  });
});
