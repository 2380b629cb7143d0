import { expect } from 'chai';
import { parseJson, toJson } from '../../src/protobuf/json.js';
import { loadSchema } from '../../src/protobuf/schema.js';

const schema = loadSchema();
const CLUSTER = 'envoy.config.cluster.v3.Cluster';
const CONFIG = 'type.googleapis.com/envoy.extensions.upstreams.http.tcp.golang.v3alpha.Config';

/** What was read, printed again in the one form that we print. */
function read(json: unknown, typeName = CLUSTER): unknown {
  const parsed = parseJson(schema, typeName, json);
  if (!parsed.ok) throw new Error(parsed.problems.map((p) => `${p.path}: ${p.message}`).join('\n'));
  return toJson(schema, typeName, parsed.bytes);
}

function problems(json: unknown, typeName = CLUSTER, path = ''): string[] {
  const parsed = parseJson(schema, typeName, json, path);
  if (parsed.ok) throw new Error(`was accepted: ${JSON.stringify(parsed.message)}`);
  return parsed.problems.map((problem) => `${problem.path}: ${problem.message}`);
}

describe('parseJson', () => {
  // Each of these was given to Envoy, which accepts it.
  const accepted: [string, unknown, unknown][] = [
    ['snake_case names', { alt_stat_name: 'x' }, { alt_stat_name: 'x' }],
    ['camelCase names', { altStatName: 'x' }, { alt_stat_name: 'x' }],
    ['enum names in lower case', { type: 'strict_dns', lb_policy: 'round_robin' }, { type: 'STRICT_DNS' }],
    ['enum names in mixed case', { lb_policy: 'Least_Request' }, { lb_policy: 'LEAST_REQUEST' }],
    ['enum numbers', { type: 3 }, { type: 'EDS' }],
    ['enum numbers as strings', { type: '3' }, { type: 'EDS' }],
    ['enum numbers without a name', { lb_policy: 77 }, { lb_policy: 77 }],
    ['durations', { connect_timeout: '0.250s' }, { connect_timeout: '0.250s' }],
    ['durations as messages', { connect_timeout: { seconds: 5, nanos: 1000000 } }, { connect_timeout: '5.001s' }],
    ['wrappers as values', { per_connection_buffer_limit_bytes: 0 }, { per_connection_buffer_limit_bytes: 0 }],
    ['wrappers as strings', { per_connection_buffer_limit_bytes: '5' }, { per_connection_buffer_limit_bytes: 5 }],
    [
      'wrappers as messages',
      { per_connection_buffer_limit_bytes: { value: 5 } },
      { per_connection_buffer_limit_bytes: 5 },
    ],
    ['integers as floats', { per_connection_buffer_limit_bytes: 5.0 }, { per_connection_buffer_limit_bytes: 5 }],
    [
      'integers with an exponent',
      { per_connection_buffer_limit_bytes: '8e1' },
      { per_connection_buffer_limit_bytes: 80 },
    ],
    ['big integers', { per_connection_buffer_limit_bytes: 5n }, { per_connection_buffer_limit_bytes: 5 }],
    ['booleans as strings', { respect_dns_ttl: 'true' }, { respect_dns_ttl: true }],
    [
      'the string "false", also in wrappers',
      { respect_dns_ttl: 'false', wait_for_warm_on_init: 'false' },
      { wait_for_warm_on_init: false },
    ],
    ['one value for a list', { dns_resolvers: { pipe: { path: 'x' } } }, { dns_resolvers: [{ pipe: { path: 'x' } }] }],
    ['null as absent', { name: null, dns_resolvers: null, type: null }, {}],
    ['an empty Any', { upstream_config: { typed_config: {} } }, { upstream_config: { typed_config: {} } }],
    [
      'an Any of an ordinary type',
      { upstream_config: { typed_config: { '@type': CONFIG, libraryId: 'a' } } },
      { upstream_config: { typed_config: { '@type': CONFIG, library_id: 'a' } } },
    ],
    [
      'an Any of a well-known type',
      { upstream_config: { typed_config: { '@type': 'type.googleapis.com/google.protobuf.Duration', value: '5s' } } },
      { upstream_config: { typed_config: { '@type': 'type.googleapis.com/google.protobuf.Duration', value: '5s' } } },
    ],
    [
      'an Any in an Any',
      { upstream_config: { typed_config: { '@type': CONFIG, plugin_config: { '@type': CONFIG, library_id: 'b' } } } },
      { upstream_config: { typed_config: { '@type': CONFIG, plugin_config: { '@type': CONFIG, library_id: 'b' } } } },
    ],
    [
      'structs',
      { metadata: { filter_metadata: { a: { n: 1.5, s: 'x', b: false, z: null, l: [1, {}], o: { p: [] } } } } },
      { metadata: { filter_metadata: { a: { n: 1.5, s: 'x', b: false, z: null, l: [1, {}], o: { p: [] } } } } },
    ],
    ['zero in a oneof', { type: 'STATIC' }, { type: 'STATIC' }],
    ['defaults, which are not printed', { name: '', lb_policy: 'ROUND_ROBIN', respect_dns_ttl: false }, {}],
    ['fields newer than the official files', { dns_jitter: '1s' }, { dns_jitter: '1s' }],
  ];
  for (const [what, json, printed] of accepted) {
    it(`reads ${what}`, () => {
      expect(read(json)).to.deep.equal(printed);
    });
  }

  const rejected: [string, unknown, string][] = [
    [
      'durations without a unit',
      { connect_timeout: '5' },
      'connect_timeout: invalid duration "5", expected seconds with the suffix "s", as in "5s" or "0.25s"',
    ],
    [
      'durations as numbers',
      { connect_timeout: 5 },
      'connect_timeout: invalid duration 5, expected seconds with the suffix "s", as in "5s" or "0.25s"',
    ],
    [
      'durations with more than nanoseconds',
      { connect_timeout: '1.1234567891s' },
      'connect_timeout: invalid duration "1.1234567891s", expected seconds with the suffix "s", as in "5s" or "0.25s"',
    ],
    [
      'unknown fields, with the name that was meant',
      { conect_timeout: '5s' },
      'conect_timeout: unknown field of envoy.config.cluster.v3.Cluster, did you mean connect_timeout?',
    ],
    [
      'unknown fields, with all names where they are few',
      { circuit_breakers: { xxxxxxxx: 1 } },
      'circuit_breakers.xxxxxxxx: unknown field of envoy.config.cluster.v3.CircuitBreakers, allowed: thresholds, per_host_thresholds',
    ],
    [
      'unknown enum names',
      { type: 'static_dns' },
      'type: unknown value "static_dns" of envoy.config.cluster.v3.Cluster.DiscoveryType, allowed: STATIC, STRICT_DNS, LOGICAL_DNS, EDS, ORIGINAL_DST',
    ],
    [
      'other separators in enum names',
      { type: 'strict-dns' },
      'type: unknown value "strict-dns" of envoy.config.cluster.v3.Cluster.DiscoveryType, allowed: STATIC, STRICT_DNS, LOGICAL_DNS, EDS, ORIGINAL_DST',
    ],
    ['booleans as numbers', { respect_dns_ttl: 1 }, 'respect_dns_ttl: invalid value 1, expected true or false'],
    ['numbers as strings', { alt_stat_name: 5 }, 'alt_stat_name: invalid value 5, expected a string of valid Unicode'],
    [
      'lone surrogates',
      { alt_stat_name: '\ud800' },
      'alt_stat_name: invalid value "\\ud800", expected a string of valid Unicode',
    ],
    [
      'negative unsigned integers',
      { per_connection_buffer_limit_bytes: -1 },
      'per_connection_buffer_limit_bytes: invalid value -1, expected an integer from 0 to 4294967295',
    ],
    [
      'integers out of range',
      { per_connection_buffer_limit_bytes: 4294967296 },
      'per_connection_buffer_limit_bytes: invalid value 4294967296, expected an integer from 0 to 4294967295',
    ],
    [
      'fractions as integers',
      { per_connection_buffer_limit_bytes: 1.5 },
      'per_connection_buffer_limit_bytes: invalid value 1.5, expected an integer from 0 to 4294967295',
    ],
    [
      'infinite numbers',
      { common_lb_config: { healthy_panic_threshold: { value: Number.POSITIVE_INFINITY } } },
      'common_lb_config.healthy_panic_threshold.value: invalid value Infinity, expected a number',
    ],
    [
      'NaN',
      { common_lb_config: { healthy_panic_threshold: { value: Number.NaN } } },
      'common_lb_config.healthy_panic_threshold.value: invalid value NaN, expected a number',
    ],
    [
      'NaN in structs',
      { metadata: { filter_metadata: { a: { x: Number.NaN } } } },
      'metadata.filter_metadata["a"]: invalid value an object, expected an object of JSON values',
    ],
    [
      'lists as messages',
      { circuit_breakers: [] },
      'circuit_breakers: expected an object (envoy.config.cluster.v3.CircuitBreakers), got a list',
    ],
    [
      'lists as strings',
      { alt_stat_name: ['x'] },
      'alt_stat_name: invalid value a list, expected a string of valid Unicode',
    ],
    [
      'lists as maps',
      { typed_extension_protocol_options: [] },
      'typed_extension_protocol_options: expected an object (a map), got a list',
    ],
    ['null in lists', { dns_resolvers: [null] }, 'dns_resolvers[0]: null is not allowed in a list'],
    [
      'null in maps',
      { typed_extension_protocol_options: { x: null } },
      'typed_extension_protocol_options["x"]: null is not allowed in a map',
    ],
    [
      'a field by both of its names',
      { alt_stat_name: 'x', altStatName: 'y' },
      'alt_stat_name: set twice, once as altStatName',
    ],
    [
      'two members of a oneof',
      { type: 'STATIC', cluster_type: { name: 'x' } },
      'cluster_type: type is set too, and only one of type, cluster_type may be set',
    ],
    [
      'Anys without a type',
      { upstream_config: { typed_config: { a: 1 } } },
      'upstream_config.typed_config: "@type" is missing: it names the type of this object, as in "type.googleapis.com/NAME"',
    ],
    [
      'Anys of an unknown type',
      { upstream_config: { typed_config: { '@type': 'type.googleapis.com/no.such.Type' } } },
      'upstream_config.typed_config.@type: unknown type "type.googleapis.com/no.such.Type"',
    ],
    [
      'Anys of a misspelt type',
      { upstream_config: { typed_config: { '@type': `${CONFIG}s` } } },
      `upstream_config.typed_config.@type: unknown type "${CONFIG}s", did you mean envoy.extensions.upstreams.http.tcp.golang.v3alpha.Config?`,
    ],
    [
      'Anys whose type is no URL',
      { upstream_config: { typed_config: { '@type': 'a.B' } } },
      'upstream_config.typed_config.@type: "a.B" is no type URL, expected "type.googleapis.com/NAME"',
    ],
    [
      'unknown fields in Anys',
      { upstream_config: { typed_config: { '@type': CONFIG, executable: 1 } } },
      'upstream_config.typed_config.executable: unknown field of envoy.extensions.upstreams.http.tcp.golang.v3alpha.Config, allowed: library_id, library_path, plugin_name, plugin_config',
    ],
    [
      'more than a value in Anys of well-known types',
      {
        upstream_config: {
          typed_config: { '@type': 'type.googleapis.com/google.protobuf.Duration', value: '5s', x: 1 },
        },
      },
      'upstream_config.typed_config.x: unknown field: google.protobuf.Duration in an Any has only "@type" and "value"',
    ],
    ['what is no object', 5, ': expected an object (envoy.config.cluster.v3.Cluster), got 5'],
  ];
  for (const [what, json, problem] of rejected) {
    it(`refuses ${what}`, () => {
      expect(problems(json)).to.deep.equal([problem]);
    });
  }

  it('collects all problems, with paths below the one given', () => {
    const json = {
      clusters: [
        { name: 'a', connect_timeout: '5' },
        { nme: 'b', type: 'x' },
      ],
      listeners: [{ address: 5 }],
    };
    expect(
      problems(json, 'envoy.config.bootstrap.v3.Bootstrap.StaticResources', 'static_resources').map(
        (p) => p.split(':')[0],
      ),
    ).to.deep.equal([
      'static_resources.clusters[0].connect_timeout',
      'static_resources.clusters[1].nme',
      'static_resources.clusters[1].type',
      'static_resources.listeners[0].address',
    ]);
  });

  it('stops collecting at a hundred problems', () => {
    const clusters = Array.from({ length: 5000 }, () => ({ nme: 'x' }));
    const found = problems({ clusters }, 'envoy.config.bootstrap.v3.Bootstrap.StaticResources');
    expect(found).to.have.length(101);
    expect(found.at(-1)).to.equal(': and more');
  });

  it('refuses nesting deeper than a hundred levels, of messages, structs and Anys', () => {
    const nest = (depth: number, wrap: (inner: unknown) => unknown): unknown => {
      let json: unknown = {};
      for (let i = 0; i < depth; i++) json = wrap(json);
      return json;
    };
    const AND = 'envoy.config.accesslog.v3.AccessLogFilter';
    const filters = (inner: unknown): unknown => ({ and_filter: { filters: [inner] } });
    expect(() => read(nest(40, filters), AND)).not.to.throw();
    expect(problems(nest(60, filters), AND)[0]).to.contain('nested too deeply');
    const lists = { metadata: { filter_metadata: { a: { x: nest(5000, (inner) => [inner]) } } } };
    expect(problems(lists)[0]).to.contain('expected less nesting');
    const anys = nest(200, (inner) => ({ '@type': CONFIG, plugin_config: inner }));
    expect(problems({ upstream_config: { typed_config: anys } })[0]).to.contain('nested too deeply');
  });

  it('is not fooled by the names of Object.prototype', () => {
    const json = JSON.parse(
      '{"typed_extension_protocol_options": {"__proto__": {}, "constructor": {}}, "toString": 1}',
    );
    expect(problems(json)).to.deep.equal(['toString: unknown field of envoy.config.cluster.v3.Cluster']);
    delete json.toString;
    expect(
      Object.keys((read(json) as { typed_extension_protocol_options: object }).typed_extension_protocol_options),
    ).to.deep.equal(['__proto__', 'constructor']);
  });

  it('leaves defaults out of the bytes, so that equal meaning is equal bytes', () => {
    const parsed = parseJson(schema, CLUSTER, {
      name: '',
      lb_policy: 'ROUND_ROBIN',
      respect_dns_ttl: false,
      health_checks: [],
    });
    expect(parsed).to.deep.include({ ok: true, bytes: Buffer.alloc(0) });
  });

  it('gives the plain message beside the bytes', () => {
    const parsed = parseJson(schema, CLUSTER, { name: 'a', type: 'eds' });
    if (!parsed.ok) throw new Error('refused');
    expect(parsed.message).to.deep.equal(schema.decode(CLUSTER, parsed.bytes));
    expect(parsed.message).to.include({ name: 'a', type: 'EDS', cluster_discovery_type: 'type', alt_stat_name: '' });
  });
});
