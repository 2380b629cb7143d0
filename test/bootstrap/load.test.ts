import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { type LoadedBootstrap, type LoadOptions, loadBootstrap } from '../../src/bootstrap/load.js';
import { bootstrapReport } from '../../src/bootstrap/report.js';
import type { Bootstrap } from '../../src/model/bootstrap.js';
import { loadSchema } from '../../src/protobuf/schema.js';
import { httpListener } from '../support/pontoon.js';

const schema = loadSchema();
const docs = fileURLToPath(new URL('../../../test/fixtures/envoy-docs/', import.meta.url));
const load = (yamlText: string, more: Partial<LoadOptions> = {}): LoadedBootstrap =>
  loadBootstrap({ schema, yamlText, ...more });
const report = (yamlText: string): string => bootstrapReport(load(yamlText)).join('\n');

function ok(loaded: LoadedBootstrap): Bootstrap {
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  return loaded.bootstrap;
}

const controlPlane = (
  change: { service?: string; config?: string; cluster?: string; sources?: string; node?: string } = {},
): string => `
node: ${change.node ?? '{ id: n, cluster: c }'}
dynamic_resources:
  ads_config:
    ${change.config ?? 'api_type: GRPC\n    transport_api_version: V3'}
    grpc_services: ${change.service ?? '[{ envoy_grpc: { cluster_name: xds } }]'}
  ${change.sources ?? 'cds_config: { ads: {}, initial_fetch_timeout: 0s }\n  lds_config: { ads: {} }'}
static_resources:
  clusters:
  - name: xds
    ${change.cluster ?? 'type: STATIC'}
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: { http2_protocol_options: {} }
    load_assignment: { cluster_name: xds, endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: 18000 } } } }] }] }
`;

describe('bootstrap', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'pontoon-bootstrap-'));
  });
  after(() => rmSync(folder, { recursive: true }));
  const write = (name: string, text: string): string => {
    const file = join(folder, name);
    writeFileSync(file, text);
    return file;
  };

  for (const [name, library] of [
    ['golang-http-tcp-bridge.yaml', 'my-bridge-id'],
    ['golang-http-tcp-bridge-with-config.yaml', 'my-configurable-bridge-id'],
  ] as const)
    it(`loads ${name} of Envoy's documentation as it is`, () => {
      const loaded = loadBootstrap({ schema, file: join(docs, name) });
      const { clusters, listeners, admin } = ok(loaded);
      expect(bootstrapReport(loaded)).to.deep.equal([]);
      expect(clusters.map(({ verdict }) => verdict.kind)).to.deep.equal(['active']);
      expect(listeners.map(({ verdict }) => verdict.kind)).to.deep.equal(['active']);
      expect(clusters[0]?.verdict).to.have.nested.property('model.bridge.libraryId', library);
      expect(clusters[0]?.verdict).to.have.nested.property('model.discovery.type', 'STRICT_DNS');
      expect(admin).to.deep.equal({
        address: { kind: 'tcp', address: '0.0.0.0', port: 9902 },
        accessLogs: [{ target: { kind: 'file', path: '/dev/null' }, format: undefined }],
      });
    });

  it('reads node, admin, layered runtime and intervals', () => {
    const { node, admin, statsFlushIntervalMs, warnings } = ok(
      load(`
node: { id: n, cluster: c, locality: { region: r, zone: z, sub_zone: s }, metadata: { a: [1, { b: null }] } }
admin: { address: { pipe: { path: /run/admin.sock } } }
stats_flush_interval: 1s
layered_runtime: { layers: [{ name: a, admin_layer: {} }] }
flags_path: /etc/envoy/flags
watchdogs: {}
`),
    );
    expect(node).to.deep.equal({
      id: 'n',
      cluster: 'c',
      locality: { region: 'r', zone: 'z', subZone: 's' },
      metadata: { a: [1, { b: null }] },
    });
    expect(admin?.address).to.deep.equal({ kind: 'pipe', path: '/run/admin.sock' });
    expect(statsFlushIntervalMs).to.equal(1000);
    expect(warnings).to.deep.equal([]);
  });

  it('needs no admin, and warns of what it ignores', () => {
    const loaded = load(
      'stats_sinks: [{ name: x, typed_config: { "@type": type.googleapis.com/google.protobuf.Struct, value: {} } }]',
    );
    expect(ok(loaded).admin).to.equal(undefined);
    expect(bootstrapReport(loaded)).to.deep.equal([
      'bootstrap: warned: stats_sinks: ignored: statistics are read at the admin address',
    ]);
  });

  it('lets flags win over node', () => {
    const overrides = { serviceNode: 'N', serviceCluster: 'C', serviceZone: 'Z' };
    const { node } = ok(load('node: { id: n, locality: { zone: z, region: r } }', { overrides }));
    expect(node).to.deep.include({ id: 'N', cluster: 'C', locality: { region: 'r', zone: 'Z', subZone: '' } });
  });

  describe('--config-yaml over a file', () => {
    it('merges messages, replaces scalars and oneofs, appends lists', () => {
      const file = write(
        'base.json',
        '{\n\t"node": {"id": "a", "cluster": "c", "locality": {"zone": "z"}},\n\t"static_resources": {"clusters": [{"name": "x"}]}, "admin": {"address": {"socketAddress": {"address": "127.0.0.1", "portValue": 1}}}}',
      );
      const { node, clusters, admin } = ok(
        load(
          '{ node: { id: b, locality: { region: r } }, static_resources: { clusters: [{ name: y }] }, admin: { address: { pipe: { path: /p } } } }',
          { file },
        ),
      );
      expect(node).to.deep.include({ id: 'b', cluster: 'c', locality: { region: 'r', zone: 'z', subZone: '' } });
      expect(clusters.map(({ name }) => name)).to.deep.equal(['x', 'y']);
      expect(admin?.address).to.deep.equal({ kind: 'pipe', path: '/p' });
    });

    it('says which of them has a problem', () => {
      const file = write('bad.yaml', 'nod: {}');
      const loaded = load('admin: { adress: {} }', { file });
      expect(bootstrapReport(loaded)).to.have.lengthOf(2);
      expect(bootstrapReport(loaded)[0]).to.match(new RegExp(`^${file}: rejected: nod: unknown field of .*node`));
      expect(bootstrapReport(loaded)[1]).to.match(/^--config-yaml: rejected: admin.adress: unknown field .*address/);
    });
  });

  describe('YAML', () => {
    const cases: [title: string, text: string, expected: RegExp][] = [
      ['a key twice', 'node: {}\nnode: {}', /^--config-yaml: rejected: line 2, column 1: Map keys must be unique$/],
      ['a syntax error', 'node: [', /^--config-yaml: rejected: line 1, column 8: /],
      ['nothing', '', /^--config-yaml: rejected: is empty$/],
      ['a list', '- a', /must be a map/],
      ['two documents', 'node: {}\n---\nnode: {}', /more than one YAML document/],
      ['an unknown alias', 'node: *a', /^--config-yaml: rejected: .*[Uu]nresolved alias/],
      ['an unknown tag', 'node: !x {}', /^--config-yaml: rejected: line 1, column 7: Unresolved tag: !x/],
      ['aliases without end', 'node: &a { metadata: *a }', /^--config-yaml: rejected: /],
      [
        'an alias bomb',
        [
          'a0: &a0 [x, x, x, x, x, x, x, x, x, x]',
          ...Array.from({ length: 9 }, (_, i) => `a${i + 1}: &a${i + 1} [${Array(10).fill(`*a${i}`)}]`),
        ].join('\n'),
        /expands to more than|Excessive alias/,
      ],
      ['deep nesting', `node: ${'['.repeat(30_000)}`, /^--config-yaml: rejected: /],
      [
        'an unknown field',
        'static_resources: { cluster: [] }',
        /^--config-yaml: rejected: static_resources.cluster: unknown field .*did you mean clusters/,
      ],
      ['a removed field', 'runtime: {}', /^--config-yaml: rejected: runtime: unknown field/],
      [
        'a hidden field',
        'static_resources: { clusters: [{ name: c, hidden_envoy_deprecated_hosts: [] }] }',
        /clusters\[0\].hidden_envoy_deprecated_hosts: unknown field/,
      ],
      ['a wrong type', 'node: { id: 1 }', /^--config-yaml: rejected: node.id: /],
      [
        'an unknown enum name',
        'static_resources: { clusters: [{ name: c, type: DYNAMIC }] }',
        /clusters\[0\].type: .*STRICT_DNS/,
      ],
      [
        'an unknown extension',
        'stats_sinks: [{ name: x, typed_config: { "@type": type.googleapis.com/no.such.Sink } }]',
        /stats_sinks\[0\].typed_config.@type: unknown type/,
      ],
    ];
    for (const [title, text, expected] of cases)
      it(`refuses ${title}`, () => {
        expect(report(text)).to.match(expected);
      });

    it('takes anchors, merge keys and !ignore', () => {
      const { node } = ok(load('!ignore parts: &a { id: n, cluster: c }\nnode: { <<: *a, cluster: d }'));
      expect(node).to.include({ id: 'n', cluster: 'd' });
    });

    it('reads enum names in any case, and camelCase', () => {
      const { clusters } = ok(
        load('staticResources: { clusters: [{ name: c, type: strict_dns, lbPolicy: round_robin }] }'),
      );
      expect(clusters[0]?.verdict).to.have.property('kind', 'parked');
    });
  });

  it('refuses two listeners with one address, unless its port is 0', () => {
    const listeners = (port: number): string =>
      report(
        `static_resources: { listeners: [${httpListener('a', 'a', 'route_config: { name: r }')}, ${httpListener('b', 'b', 'route_config: { name: r }')}] }`.replaceAll(
          'port_value: 0',
          `port_value: ${port}`,
        ),
      );
    expect(listeners(0)).to.equal('');
    expect(listeners(8080)).to.equal(
      '--config-yaml: rejected: static_resources.listeners[1].address: 127.0.0.1:8080 is the address of listener a already; give one of them another address',
    );
  });

  it('tells all problems, with file, path and what is allowed', () => {
    const file = write(
      'many.yaml',
      `static_resources:
  clusters:
  - { name: "" }
  - { name: a, type: EDS }
  - { name: b }
  - { name: b }
  listeners:
  - { name: l, address: { socket_address: { address: nowhere, port_value: 99999 } } }
admin: { address: { socket_address: { address: localhost, port_value: 0 } } }
stats_flush_interval: 0s
`,
    );
    const lines = bootstrapReport(loadBootstrap({ schema, file }));
    const expected = [
      /static_resources.clusters\[0\].name: /,
      /static_resources.clusters\[1\].eds_cluster_config.eds_config: is required/,
      /static_resources.clusters\[3\].name: duplicate name b/,
      /static_resources.listeners\[0\].address.socket_address.port_value: /,
      /admin.address.socket_address.address: malformed IP address: localhost/,
      /stats_flush_interval: /,
    ];
    for (const pattern of expected)
      expect(
        lines.filter((line) => pattern.test(line)),
        String(pattern),
      ).to.have.lengthOf(1);
    expect(lines).to.have.lengthOf(expected.length);
    for (const line of lines) expect(line).to.match(new RegExp(`^${file}: `));
  });

  it('keeps parked and warned static resources, and reports them', () => {
    const loaded = load('static_resources: { clusters: [{ name: plain }] }');
    expect(ok(loaded).clusters[0]?.verdict).to.have.property('kind', 'parked');
    expect(bootstrapReport(loaded)[0]).to.match(/^cluster plain: parked: the cluster has no HTTP-TCP bridge/);
  });

  describe('control plane', () => {
    it('is a static cluster with gRPC', () => {
      const loaded = load(
        controlPlane({
          config: 'api_type: DELTA_GRPC\n    transport_api_version: V3\n    set_node_on_first_message_only: true',
          service: '[{ envoy_grpc: { cluster_name: xds }, initial_metadata: [{ key: authorization, value: t }] }]',
        }),
      );
      expect(bootstrapReport(loaded)).to.deep.equal([]);
      expect(ok(loaded)).to.deep.include({
        ads: {
          kind: 'api',
          variant: 'DELTA',
          services: [
            {
              target: { kind: 'cluster', clusterName: 'xds', authority: undefined },
              initialMetadata: [{ key: 'authorization', value: 't' }],
              maxReceiveMessageLength: undefined,
              retry: undefined,
            },
          ],
          setNodeOnFirstMessageOnly: true,
          rateLimit: undefined,
        },
        cds: { kind: 'ads', initialFetchTimeoutMs: 0 },
        lds: { kind: 'ads', initialFetchTimeoutMs: 15_000 },
      });
      expect(ok(load(controlPlane())).ads?.variant).to.equal('SOTW');
      expect(ok(load(controlPlane())).clusters[0]?.verdict).to.have.nested.property('model.discovery.type', 'STATIC');
    });

    const cases: [title: string, change: Parameters<typeof controlPlane>[0], expected: RegExp][] = [
      [
        'REST',
        { config: 'api_type: REST\n    transport_api_version: V3' },
        /ads_config.api_type: REST is not supported; allowed are GRPC and DELTA_GRPC/,
      ],
      [
        'the aggregated type',
        { config: 'api_type: AGGREGATED_GRPC\n    transport_api_version: V3' },
        /ads_config.api_type: AGGREGATED_GRPC is not/,
      ],
      [
        'no version',
        { config: 'api_type: GRPC' },
        /ads_config.transport_api_version: AUTO is not supported; allowed is V3/,
      ],
      ['no service', { service: '[]' }, /grpc_services: has 0 entries; name the control plane/],
      [
        'an unknown cluster',
        { service: '[{ envoy_grpc: { cluster_name: other } }]' },
        /envoy_grpc.cluster_name: unknown cluster other; allowed are the static clusters \(xds\)/,
      ],
      [
        'EDS',
        { cluster: 'type: EDS\n    eds_cluster_config: { eds_config: { ads: {} } }' },
        /static_resources.clusters\[0\].load_assignment: the control plane needs a cluster of type/,
      ],
      [
        'a file that is not there',
        { sources: 'cds_config: { path: /a.yaml }' },
        /cds_config.path: there is no file \/a.yaml/,
      ],
      [
        'another server over REST',
        {
          sources:
            'lds_config: { api_config_source: { api_type: REST, transport_api_version: V3, cluster_names: [] } }',
        },
        /lds_config.api_config_source.api_type: REST is not supported; allowed are GRPC and DELTA_GRPC/,
      ],
      [
        'resources of v2',
        { sources: 'lds_config: { ads: {}, resource_api_version: V2 }' },
        /lds_config.resource_api_version: not supported: resources are those of v3/,
      ],
      [
        'v2',
        { config: 'api_type: GRPC\n    transport_api_version: V2' },
        /ads_config.transport_api_version: V2 is not supported; allowed is V3/,
      ],
      ['a locator', { sources: 'cds_resources_locator: xdstp://a' }, /cds_resources_locator: not supported/],
      ['no id', { node: '{ cluster: c }' }, /node.id: is required with a control plane; set it or use --service-node/],
      [
        'no cluster',
        { node: '{ id: c }' },
        /node.cluster: is required with a control plane; set it or use --service-cluster/,
      ],
    ];
    for (const [title, change, expected] of cases)
      it(`is not ${title}`, () => {
        expect(report(controlPlane(change))).to.match(expected);
        expect(report(controlPlane(change)).split('\n')).to.have.lengthOf(1);
      });

    it('is reached as its cluster says', () => {
      const { grpcClusters } = ok(
        load(
          controlPlane({
            cluster:
              'connect_timeout: 2s\n    http2_protocol_options: { connection_keepalive: { interval: 30s, timeout: 5s } }',
          }).replace(/ {4}typed_extension_protocol_options:[\s\S]*? {4}load_assignment/, '    load_assignment'),
        ),
      );
      expect(grpcClusters.get('xds')).to.deep.equal({
        name: 'xds',
        priorities: [[{ kind: 'tcp', address: '127.0.0.1', port: 18_000 }]],
        connectTimeoutMs: 2_000,
        tls: undefined,
        keepalive: { timeMs: 30_000, timeoutMs: 5_000 },
      });
    });

    it('is needed where resources come from it', () => {
      expect(report('{ node: { id: a, cluster: b }, dynamic_resources: { cds_config: { ads: {} } } }')).to.match(
        /cds_config.ads: needs dynamic_resources.ads_config/,
      );
    });
  });

  describe('load reports', () => {
    const withReports = (config: string, node = '{ id: a, cluster: b }') => `
node: ${node}
cluster_manager:
  ${config}
static_resources:
  clusters:
  - name: lrs
    load_assignment: { cluster_name: lrs, endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: 18000 } } } }] }] }
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        '@type': type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: { http2_protocol_options: {} }
`;
    const to = (name: string) => `grpc_services: [{ envoy_grpc: { cluster_name: ${name} } }]`;
    const config = (more: string) => withReports(`load_stats_config: { transport_api_version: V3, ${more} }`);

    it('go to a static cluster', () => {
      const loaded = load(config(`api_type: GRPC, ${to('lrs')}`));
      expect(bootstrapReport(loaded)).to.deep.equal([]);
      expect(ok(loaded).loadReporting?.services[0].target).to.deep.include({ kind: 'cluster', clusterName: 'lrs' });
      expect(ok(load(withReports('{}'))).loadReporting).to.equal(undefined);
    });

    it('go to the first service, as often as it says', () => {
      const services = 'grpc_services: [{ envoy_grpc: { cluster_name: lrs } }, { envoy_grpc: { cluster_name: lrs } }]';
      const loaded = load(config(`api_type: GRPC, rate_limit_settings: {}, ${services}`));
      expect(ok(loaded).loadReporting?.services).to.have.length(2);
      expect(bootstrapReport(loaded).join('\n'))
        .to.match(/load_stats_config.grpc_services: load is reported to the first/)
        .and.match(/load_stats_config.rate_limit_settings: is ignored/);
    });

    const wrong: [string, string, RegExp][] = [
      ['over REST', config(`api_type: REST, ${to('lrs')}`), /load_stats_config.api_type: REST is not supported/],
      ['to nobody', config('api_type: GRPC'), /load_stats_config.grpc_services: has 0 entries/],
      ['to a cluster that is not there', config(`api_type: GRPC, ${to('x')}`), /cluster_name: unknown cluster x/],
      [
        'without a node',
        withReports(`load_stats_config: { api_type: GRPC, transport_api_version: V3, ${to('lrs')} }`, '{ cluster: c }'),
        /node.id: is required with a control plane/,
      ],
    ];
    for (const [title, text, expected] of wrong)
      it(`do not go ${title}`, () => {
        expect(report(text)).to.match(expected);
      });

    it('are the one setting of the cluster manager that counts', () => {
      const loaded = load(withReports('local_cluster_name: lrs'));
      expect(bootstrapReport(loaded).join('\n')).to.match(/cluster_manager.local_cluster_name: /);
    });
  });

  describe('files', () => {
    it('are needed', () => {
      expect(bootstrapReport(loadBootstrap({ schema }))[0]).to.match(/--config-path FILE or --config-yaml TEXT/);
    });
    it('must be there', () => {
      const file = join(folder, 'none.yaml');
      expect(bootstrapReport(loadBootstrap({ schema, file }))[0]).to.match(
        new RegExp(`^${file}: rejected: cannot be read: ENOENT`),
      );
    });
    it('must be YAML or JSON', () => {
      expect(bootstrapReport(loadBootstrap({ schema, file: 'a.pb' }))[0]).to.equal(
        'a.pb: rejected: protobuf files are not supported; use YAML or JSON',
      );
    });
  });
});
