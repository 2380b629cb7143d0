import { expect } from 'chai';
import { isReachable } from '../../../src/model/transport-socket.js';
import { active, bytesOf, cluster, summary, translators } from './translators.js';

const bridge = `
  upstream_config:
    name: envoy.upstreams.http.tcp.golang
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.upstreams.http.tcp.golang.v3alpha.Config
      library_id: echo
      library_path: lib/echo.ts
      plugin_name: echo
      plugin_config:
        "@type": type.googleapis.com/xds.type.v3.TypedStruct
        type_url: example/Config
        value: { b: [1, two], a: { x: null } }
`;
const assignment = (address: string): string => `
  load_assignment:
    cluster_name: c
    endpoints:
    - lb_endpoints:
      - endpoint: { address: { socket_address: { address: ${address}, port_value: 7000 } } }
`;
const base = `
  name: c
  type: STATIC
${bridge}
${assignment('10.0.0.1')}
`;

const tls =
  '{ name: tls, typed_config: { "@type": type.googleapis.com/envoy.extensions.transport_sockets.starttls.v3.UpstreamStartTlsConfig } }';
const raw =
  '{ name: raw, typed_config: { "@type": type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer } }';

describe('xds/resources cluster', () => {
  it('fills in the defaults of Envoy', () => {
    const model = active(cluster(base));
    const thresholds = { maxConnections: 1024, maxPendingRequests: 1024, maxRequests: 1024, maxRetries: 3 };
    expect(model).to.deep.include({
      name: 'c',
      statName: 'c',
      lbPolicy: 'ROUND_ROBIN',
      connectTimeoutMs: 5000,
      idleTimeoutMs: 3_600_000,
      perConnectionBufferLimitBytes: 1024 * 1024,
      circuitBreakers: { default: thresholds, high: thresholds },
    });
    expect(model.discovery).to.deep.equal({
      type: 'STATIC',
      loadAssignment: {
        clusterName: 'c',
        overprovisioningFactor: 140,
        localities: [
          {
            locality: { region: '', zone: '', subZone: '' },
            priority: 0,
            weight: undefined,
            endpoints: [
              {
                address: { kind: 'tcp', address: '10.0.0.1', port: 7000 },
                hostname: '',
                weight: 1,
                healthStatus: 'UNKNOWN',
              },
            ],
          },
        ],
      },
    });
  });

  it('reads the bridge and its plugin_config', () => {
    const config = active(cluster(base)).bridge;
    expect(config).to.deep.include({ libraryId: 'echo', libraryPath: 'lib/echo.ts', pluginName: 'echo' });
    expect(config?.pluginConfig.typeUrl).to.equal('type.googleapis.com/xds.type.v3.TypedStruct');
    expect(config?.pluginConfig.value.length).to.be.greaterThan(0);
    expect(config?.pluginConfig.canonical).to.equal('struct example/Config {"a":{"x":null},"b":[1,"two"]}');
  });

  it('keeps no more than the plugin_config of the bytes that it came in', () => {
    const value = active(cluster(base)).bridge?.pluginConfig.value;
    // Small ones share as much.
    expect(value?.buffer.byteLength).to.be.at.most(8192);
  });

  it('gives a parked cluster no model that it could not use', () => {
    const named =
      'name: c\nload_assignment: { cluster_name: c, endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: 10.0.0.1, named_port: a } } } }] }] }';
    expect(cluster(named)).to.include({ kind: 'parked', model: undefined });
  });

  it('takes both names of TypedStruct as the same configuration', () => {
    const old = base.replace('xds.type.v3.TypedStruct', 'udpa.type.v1.TypedStruct');
    expect(active(cluster(old)).bridge?.pluginConfig.canonical).to.equal(
      active(cluster(base)).bridge?.pluginConfig.canonical,
    );
  });

  it('reads a bridge that is wrapped in a TypedStruct', () => {
    const wrapped = `
name: c
${assignment('10.0.0.1')}
  upstream_config:
    name: bridge
    typed_config:
      "@type": type.googleapis.com/xds.type.v3.TypedStruct
      type_url: type.googleapis.com/envoy.extensions.upstreams.http.tcp.golang.v3alpha.Config
      value: { library_id: echo, library_path: lib/echo.ts, plugin_name: echo }
`.replaceAll('\n  ', '\n');
    expect(active(cluster(wrapped)).bridge).to.deep.include({
      pluginName: 'echo',
      pluginConfig: { typeUrl: '', value: new Uint8Array(), canonical: '' },
    });
  });

  it('reads what is set', () => {
    const model = active(
      cluster(`${base}
  alt_stat_name: a:b
  connect_timeout: 0.25s
  per_connection_buffer_limit_bytes: 4096
  typed_extension_protocol_options:
    http:
      "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
      common_http_protocol_options: { idle_timeout: 10s }
      explicit_http_config: { http2_protocol_options: {} }
  circuit_breakers:
    thresholds:
    - { priority: HIGH, max_connections: 1, max_pending_requests: 0, max_requests: 3, max_retries: 4, retry_budget: { budget_percent: { value: 12.5 } } }
    - { max_connections: 5, max_requests: 4294967295 }
    - { max_connections: 6 }
`),
    );
    expect(model).to.deep.include({
      statName: 'a_b',
      connectTimeoutMs: 250,
      idleTimeoutMs: 10_000,
      perConnectionBufferLimitBytes: 4096,
      circuitBreakers: {
        high: {
          maxConnections: 1,
          maxPendingRequests: 0,
          maxRequests: 3,
          maxRetries: 4,
          retryBudget: { percent: 12.5, minConcurrency: 3 },
        },
        default: { maxConnections: 5, maxPendingRequests: 1024, maxRequests: 4294967295, maxRetries: 3 },
      },
    });
  });

  it('prefers the idle timeout of TCP connections, where 0 is none', () => {
    const model = active(
      cluster(`${base}
  typed_extension_protocol_options:
    tcp:
      "@type": type.googleapis.com/envoy.extensions.upstreams.tcp.v3.TcpProtocolOptions
      idle_timeout: 0s
    http:
      "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
      common_http_protocol_options: { idle_timeout: 20s }
      explicit_http_config: { http_protocol_options: {} }
  common_http_protocol_options: { idle_timeout: 10s }
`),
    );
    expect(model.idleTimeoutMs).to.equal(0);
  });

  describe('discovery', () => {
    const dnsCluster = (config: string): string => `name: c
${bridge.replaceAll('\n  ', '\n')}
cluster_type:
  name: envoy.cluster.dns
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.clusters.dns.v3.DnsCluster
${config}
${assignment('db.example.com').replaceAll('\n  ', '\n')}`;

    it('reads DNS settings of both forms alike', () => {
      const own = active(
        cluster(`name: c
type: strict_dns
dns_refresh_rate: 2s
dns_failure_refresh_rate: { base_interval: 1s }
respect_dns_ttl: true
dns_lookup_family: V4_ONLY
${bridge.replaceAll('\n  ', '\n')}
${assignment('db.example.com').replaceAll('\n  ', '\n')}`),
      ).discovery;
      expect(own).to.have.property('type', 'STRICT_DNS');
      expect(own).to.have.deep.property('dns', {
        refreshRateMs: 2000,
        failureRefreshRate: { baseMs: 1000, maxMs: 10_000 },
        respectTtl: true,
        lookupFamily: 'V4_ONLY',
      });
      const typed = active(
        cluster(
          dnsCluster(`    dns_refresh_rate: 2s
    dns_failure_refresh_rate: { base_interval: 1s }
    respect_dns_ttl: true
    dns_lookup_family: V4_ONLY`),
        ),
      ).discovery;
      expect(typed).to.deep.equal(own);
    });

    it('has the defaults of Envoy', () => {
      const { discovery } = active(cluster(dnsCluster('    all_addresses_in_single_endpoint: true')));
      expect(discovery).to.have.property('type', 'LOGICAL_DNS');
      expect(discovery).to.have.deep.property('dns', {
        refreshRateMs: 5000,
        failureRefreshRate: { baseMs: 5000, maxMs: 5000 },
        respectTtl: false,
        lookupFamily: 'AUTO',
      });
    });

    it('reads EDS', () => {
      const eds = (config: string): string =>
        `name: c\ntype: EDS\n${bridge.replaceAll('\n  ', '\n')}\neds_cluster_config: ${config}`;
      expect(active(cluster(eds('{ eds_config: { ads: {} } }'))).discovery).to.deep.equal({
        type: 'EDS',
        serviceName: 'c',
        source: { kind: 'ads', initialFetchTimeoutMs: 15_000 },
      });
      const named = eds('{ service_name: s, eds_config: { self: {}, initial_fetch_timeout: 0s } }');
      expect(active(cluster(named)).discovery).to.deep.equal({
        type: 'EDS',
        serviceName: 's',
        source: { kind: 'self', initialFetchTimeoutMs: 0 },
      });
      expect(summary(cluster(named, 'static'))).to.match(/^rejected \| eds_cluster_config.eds_config.self: .*ads/);
      const everything = eds("{ service_name: '*', eds_config: { ads: {} } }");
      expect(summary(cluster(everything))).to.match(/^rejected \| eds_cluster_config.service_name: must not be '\*'/);
    });
  });

  describe('verdicts of clusters with the bridge', () => {
    const cases: [title: string, change: string | ((yaml: string) => string), expected: RegExp][] = [
      [
        'health checks',
        'health_checks: [{ timeout: 1s, interval: 1s, unhealthy_threshold: 1, healthy_threshold: 1, tcp_health_check: {} }]',
        /^active \| health_checks: ignored/,
      ],
      ['least request', 'lb_policy: LEAST_REQUEST', /^active \| lb_policy: ignored: .*round robin \(LEAST_REQUEST\)$/],
      ['ring hash', 'lb_policy: RING_HASH', /^active \| lb_policy: ignored: .*stick/],
      ['a policy that brings its own', 'lb_policy: CLUSTER_PROVIDED', /^rejected \| lb_policy: /],
      [
        'policies without one',
        'lb_policy: LOAD_BALANCING_POLICY_CONFIG',
        /^rejected \| load_balancing_policy: is required/,
      ],
      [
        'subsets',
        'lb_subset_config: { fallback_policy: ANY_ENDPOINT }',
        /^rejected \| lb_subset_config: not supported/,
      ],
      [
        'a transport socket that is neither plain text nor TLS',
        `transport_socket: ${tls}`,
        /^rejected \| transport_socket.typed_config: not supported: only plain text and TLS are/,
      ],
      ['plain text', `transport_socket: ${raw}`, /^active$/],
      [
        'a transport socket without a type',
        'transport_socket: { name: tls }',
        /^rejected \| transport_socket.typed_config: is required/,
      ],
      [
        'another source address',
        'upstream_bind_config: { source_address: { address: 10.0.0.9, port_value: 0 } }',
        /^rejected \| upstream_bind_config/,
      ],
      [
        'resolvers',
        'dns_resolvers: [{ socket_address: { address: 10.0.0.9, port_value: 53 } }]',
        /^rejected \| dns_resolvers/,
      ],
      [
        'panic mode',
        'common_lb_config: { healthy_panic_threshold: { value: 50 } }',
        /^active \| common_lb_config.healthy_panic_threshold: ignored/,
      ],
      [
        'per host limits',
        'circuit_breakers: { per_host_thresholds: [{ max_connections: 1 }] }',
        /^active \| circuit_breakers.per_host_thresholds: ignored/,
      ],
      [
        'a budget over time',
        'circuit_breakers: { thresholds: [{ retry_budget: { budget_interval: 1s } }] }',
        /^active \| circuit_breakers.thresholds\[0\].retry_budget.budget_interval: ignored/,
      ],
      ['metadata', 'metadata: { filter_metadata: { a: { b: c } } }', /^active$/],
      [
        'EDS settings on STATIC',
        'eds_cluster_config: { eds_config: { ads: {} } }',
        /^rejected \| eds_cluster_config: must not be set/,
      ],
      [
        'no library',
        (yaml) => yaml.replace('lib/echo.ts', '""'),
        /^rejected \| upstream_config.typed_config.library_path: /,
      ],
      ['no servers', (yaml) => yaml.replace(assignment('10.0.0.1'), ''), /^rejected \| load_assignment: is required/],
      [
        'a name where an IP address must be',
        (yaml) => yaml.replace('10.0.0.1', 'db.example.com'),
        /^rejected \| load_assignment.endpoints\[0\].lb_endpoints\[0\].endpoint.address.socket_address.address: malformed IP address: db.example.com.*STRICT_DNS/,
      ],
      [
        'ORIGINAL_DST',
        (yaml) => yaml.replace('STATIC', 'ORIGINAL_DST').replace(assignment('10.0.0.1'), ''),
        /^parked type: not supported: clusters of type ORIGINAL_DST/,
      ],
      [
        'EDS without a source',
        (yaml) => yaml.replace('STATIC', 'EDS'),
        /^rejected \| eds_cluster_config.eds_config: is required/,
      ],
      [
        'EDS from a file that is not there',
        (yaml) => `${yaml.replace('STATIC', 'EDS')}\n  eds_cluster_config: { eds_config: { path: /a.yaml } }`,
        /^rejected \| eds_cluster_config.eds_config.path: there is no file \/a.yaml/,
      ],
      [
        'two hosts of LOGICAL_DNS',
        (yaml) => yaml.replace('STATIC', 'LOGICAL_DNS').replace('- lb_endpoints', '- {}\n    - lb_endpoints'),
        /^rejected \| load_assignment: .*exactly one/,
      ],
      [
        'a pipe in DNS',
        (yaml) => yaml.replace('STATIC', 'STRICT_DNS').replace(/socket_address: {[^}]*}/, 'pipe: { path: /a }'),
        /^rejected \| .*address.pipe: not supported: a DNS cluster needs a socket_address/,
      ],
      ['a connect timeout of 0', 'connect_timeout: 0s', /^rejected \| connect_timeout: /],
      [
        'a filter',
        'filters: [{ name: x, typed_config: { "@type": type.googleapis.com/google.protobuf.Struct, value: {} } }]',
        /^rejected \| filters\[0\]: not supported/,
      ],
      [
        'failure rates in the wrong order',
        (yaml) =>
          yaml.replace('STATIC', 'STRICT_DNS\n  dns_failure_refresh_rate: { base_interval: 2s, max_interval: 1s }'),
        /^rejected \| dns_failure_refresh_rate.max_interval: /,
      ],
    ];
    for (const [title, change, expected] of cases)
      it(title, () => {
        expect(summary(cluster(typeof change === 'string' ? `${base}\n  ${change}` : change(base)))).to.match(expected);
      });

    it('tells all that is wrong at once', () => {
      const verdict = cluster(
        `${base.replace('STATIC', 'EDS')}\n  transport_socket: ${tls}\n  lb_policy: CLUSTER_PROVIDED`,
      );
      expect(summary(verdict)).to.match(/eds_config.*lb_policy.*transport_socket/);
    });
  });

  describe('load balancing policies', () => {
    const policies = (...types: string[]): string => {
      const entry = (type: string): string =>
        `{ typed_extension_config: { name: p, typed_config: { "@type": type.googleapis.com/xds.type.v3.TypedStruct, type_url: type.googleapis.com/${type}, value: {} } } }`;
      return `${base}\n  load_balancing_policy: { policies: [${types.map(entry).join(', ')}] }`;
    };
    const of = (name: string): string => `envoy.extensions.load_balancing_policies.${name}`;
    const cases: [types: string[], expected: RegExp][] = [
      [[of('round_robin.v3.RoundRobin')], /^active$/],
      [[of('least_request.v3.LeastRequest')], /^active \| .*policies\[0\].*: ignored/],
      [[of('maglev.v3.Maglev'), of('round_robin.v3.RoundRobin')], /^active \| .*policies\[0\].*stick/],
      [['my.own.Policy', of('round_robin.v3.RoundRobin')], /^active$/],
      [['my.own.Policy'], /^rejected \| load_balancing_policy.policies: none/],
      [[of('subset.v3.Subset')], /^rejected \| .*not supported/],
    ];
    for (const [types, expected] of cases)
      it(types.join(', '), () => {
        expect(summary(cluster(policies(...types)))).to.match(expected);
      });
  });

  describe('clusters without the bridge', () => {
    const cases: [title: string, yaml: string, expected: RegExp, model: boolean][] = [
      [
        'plain',
        `name: c\ntype: STATIC\n${assignment('10.0.0.1').replaceAll('\n  ', '\n')}`,
        /^parked .*no HTTP-TCP bridge/,
        true,
      ],
      [
        'a transport socket of another kind',
        `name: c\ntype: EDS\neds_cluster_config: { eds_config: { ads: {} } }\ntransport_socket: ${tls}`,
        /^parked /,
        true,
      ],
      ['EDS from elsewhere', 'name: c\ntype: EDS\neds_cluster_config: { eds_config: { path: /a } }', /^parked /, false],
      ['no endpoints', 'name: c\ntype: STATIC', /^parked /, false],
      ['ORIGINAL_DST', 'name: c\ntype: ORIGINAL_DST\nlb_policy: CLUSTER_PROVIDED', /^parked /, false],
      [
        'another upstream',
        'name: c\nupstream_config: { name: g, typed_config: { "@type": type.googleapis.com/envoy.extensions.upstreams.http.generic.v3.GenericConnectionPoolProto } }',
        /^parked .*GenericConnectionPoolProto/,
        false,
      ],
    ];
    for (const [title, yaml, expected, model] of cases)
      it(`parks: ${title}`, () => {
        const verdict = cluster(yaml);
        expect(summary(verdict)).to.match(expected);
        expect(verdict.kind === 'parked' && verdict.model !== undefined).to.equal(model);
      });

    it('rejects what no Envoy takes', () => {
      expect(summary(cluster('type: STATIC'))).to.match(/^rejected \| name: /);
      expect(summary(cluster('name: c\ntype: EDS'))).to.match(
        /^rejected \| eds_cluster_config.eds_config: is required/,
      );
      const bytes = translators.cluster.translate(
        Buffer.concat([bytesOf(translators.cluster, 'name: c'), socketOf('type.googleapis.com/no.such.Transport')]),
        'dynamic',
      );
      expect(summary(bytes)).to.match(
        /^rejected \| transport_socket.typed_config: unknown transport socket type no.such.Transport/,
      );
    });
  });

  describe('transport_socket_matches', () => {
    const matches = `
  transport_socket_matches:
  - { name: mesh, match: { tlsMode: istio }, transport_socket: ${tls} }
  - { name: plain, match: {}, transport_socket: ${raw} }
`;
    it('leaves endpoints to the match that fits them', () => {
      const model = active(cluster(base + matches));
      const endpoint = {
        address: { kind: 'pipe', path: '/x' },
        hostname: '',
        weight: 1,
        healthStatus: 'UNKNOWN',
      } as const;
      expect(isReachable(model, endpoint)).to.equal(true);
      expect(isReachable(model, { ...endpoint, transportSocketMatch: { tlsMode: 'disabled' } })).to.equal(true);
      expect(isReachable(model, { ...endpoint, transportSocketMatch: { tlsMode: 'istio', more: 1 } })).to.equal(false);
    });

    it('rejects a cluster whose own endpoints need what is not run', () => {
      const yaml = base.replace(
        '- endpoint:',
        '- metadata: { filter_metadata: { envoy.transport_socket_match: { tlsMode: istio } } }\n        endpoint:',
      );
      expect(summary(cluster(yaml + matches))).to.match(
        /^rejected \| load_assignment.endpoints\[0\].lb_endpoints\[0\].metadata: not supported/,
      );
    });
  });

  it('rejects bytes that are no cluster', () => {
    expect(summary(translators.cluster.translate(Buffer.from([0xff, 0xff]), 'dynamic'))).to.match(
      /^rejected \| : not a valid/,
    );
    expect(() => translators.cluster.nameOf(Buffer.from([0xff, 0xff]))).to.throw('not a valid');
  });

  it('shares what clusters have alike', () => {
    const model = (name: string, limit: number) => {
      const verdict = cluster(
        `{name: ${name}, type: EDS, eds_cluster_config: {eds_config: {ads: {}, resource_api_version: V3}}, circuit_breakers: {thresholds: [{max_requests: ${limit}}]}, upstream_config: {name: b, typed_config: {"@type": type.googleapis.com/envoy.extensions.upstreams.http.tcp.golang.v3alpha.Config, library_id: l, library_path: p.js, plugin_name: p, plugin_config: {"@type": type.googleapis.com/xds.type.v3.TypedStruct, value: {a: 1}}}}}`,
      );
      if (verdict.kind !== 'active') throw new Error(JSON.stringify(verdict));
      return verdict.model;
    };
    const [one, two, other] = [model('one', 5), model('two', 5), model('other', 6)];
    expect(one.bridge).to.equal(two.bridge);
    expect(one.bridge).to.equal(other.bridge);
    expect(one.circuitBreakers).to.equal(two.circuitBreakers);
    expect(one.circuitBreakers).to.not.equal(other.circuitBreakers);
    expect(other.circuitBreakers.default.maxRequests).to.equal(6);
    expect(
      one.discovery.type === 'EDS' && two.discovery.type === 'EDS' && one.discovery.source === two.discovery.source,
    ).to.equal(true);
    expect(one.name).to.equal('one');
  });
});

/** `transport_socket` (24) with a typed_config of a type that the schema doesn't know. */
function socketOf(typeUrl: string): Buffer {
  const any = Buffer.concat([Buffer.from([0x0a, typeUrl.length]), Buffer.from(typeUrl)]);
  const socket = Buffer.concat([Buffer.from([0x0a, 1, 0x78, 0x1a, any.length]), any]);
  return Buffer.concat([Buffer.from([0xc2, 0x01, socket.length]), socket]);
}
