import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { expect } from 'chai';
import fc from 'fast-check';
import { parseJson } from '../../../src/protobuf/json.js';
import { loadSchema } from '../../../src/protobuf/schema.js';
import { configDiff, configExplain } from '../../../src/server/inspect/command.js';
import type { ConfigDiff } from '../../../src/server/inspect/diff.js';
import type { Explanation } from '../../../src/server/inspect/explain.js';
import { fieldChanges } from '../../../src/server/inspect/field-changes.js';
import { referencesOf } from '../../../src/server/inspect/references.js';
import { type Json, type JsonObject, type Kind, typeNames } from '../../../src/server/inspect/view.js';
import { encodeSnapshot } from '../../../src/snapshot/format.js';
import { projectRoot } from '../../support/pontoon.js';
import { bridgeClusterResource, endpointsResource, listenerResource, routesResource } from '../../support/resources.js';

const schema = loadSchema();
const library = join(projectRoot, 'test/fixtures/plugins/recorded.ts');
const cluster = (name: string, more: object = {}) => ({
  ...bridgeClusterResource({ name, library, plugin: 'simple', config: {} }),
  ...more,
});

describe('pontoon config, on files', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'pontoon-inspect-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const file = (name: string, content: string | Buffer): string => {
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  };
  const bytesOf = (kind: Kind, resource: object): Buffer => {
    const parsed = parseJson(schema, typeNames[kind], resource);
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
    return parsed.bytes;
  };
  const response = (name: string, kind: Kind, resources: readonly object[], version = '1'): string =>
    file(
      name,
      JSON.stringify({
        version_info: version,
        type_url: `type.googleapis.com/${typeNames[kind]}`,
        resources: resources.map((each) => ({ '@type': `type.googleapis.com/${typeNames[kind]}`, ...each })),
      }),
    );
  function snapshot(name: string, resources: readonly (readonly [Kind, string, object])[]): string {
    const saved = resources.map(([kind, resource, json]) => ({
      source: 'ads',
      typeUrl: `type.googleapis.com/${typeNames[kind]}`,
      name: resource,
      version: '7',
      bytes: bytesOf(kind, json),
      acceptedAt: new Date(Date.UTC(2026, 0, 1)),
    }));
    const owner = { nodeId: 'n', nodeCluster: 'c' };
    return file(
      name,
      Buffer.concat([...encodeSnapshot({ owner, savedAt: new Date(), writtenBy: 't', resources: saved })]),
    );
  }
  const common = { schema, configPath: undefined, pluginRoots: [projectRoot] };
  async function diff(before: string, after: string): Promise<{ code: number; diff: ConfigDiff; text: string }> {
    const { code, stdout, stderr } = await configDiff({ ...common, json: true, before, after });
    expect(stderr).to.deep.equal([]);
    const plain = await configDiff({ ...common, json: false, before, after });
    return { code, diff: JSON.parse(stdout.join('\n')) as ConfigDiff, text: plain.stdout.join('\n') };
  }
  const told = ({ changes }: ConfigDiff) =>
    changes.map(({ kind, name, change, verdict, effect, fields }) => [
      `${change} ${kind} ${name}: ${verdict.before ?? '-'} > ${verdict.after ?? '-'}, ${effect}`,
      ...fields.map(({ path }) => path),
    ]);

  it('sees no difference where the meaning is the same', async () => {
    const before = response('a.json', 'cluster', [cluster('one'), cluster('two', { lb_policy: 'round_robin' })], '1');
    const two = cluster('two', { connectTimeout: '1.000s', connect_timeout: undefined, lb_policy: 0 });
    const after = response('b.json', 'cluster', [two, cluster('one')], '2');
    const { code, text } = await diff(before, after);
    expect(code).to.equal(0);
    expect(text).to.equal('no difference in meaning: 2 resources compared');
  });

  it('says what would be added, changed and removed, with fields, verdicts and what becomes of the pipeline', async () => {
    const before = response('a.json', 'cluster', [
      cluster('same'),
      cluster('changed'),
      cluster('gone'),
      cluster('worse'),
    ]);
    const after = response('b.json', 'cluster', [
      cluster('same'),
      cluster('changed', { connect_timeout: '3s', per_connection_buffer_limit_bytes: 5 }),
      cluster('worse', { upstream_config: undefined }),
      cluster('added', { alt_stat_name: 'x' }),
    ]);
    const { code, diff: found } = await diff(before, after);
    expect(code).to.equal(1);
    expect(told(found)).to.deep.equal([
      ['added cluster added: - > active, pipeline rebuilt'],
      [
        'changed cluster changed: active > active, pipeline rebuilt',
        'connect_timeout',
        'per_connection_buffer_limit_bytes',
      ],
      ['removed cluster gone: active > -, pipeline rebuilt'],
      ['changed cluster worse: active > parked, pipeline rebuilt', 'upstream_config'],
    ]);
  });

  it('knows that a version that would be refused changes nothing that runs', async () => {
    const before = response('a.json', 'cluster', [cluster('one')]);
    const broken = bridgeClusterResource({ name: 'one', library: '/nowhere/at-all.ts', plugin: 'simple' });
    const { diff: found, text } = await diff(before, response('b.json', 'cluster', [broken]));
    expect(told(found)[0]?.[0]).to.equal('changed cluster one: active > rejected, nothing');
    expect(found.changes[0]?.reasons.join()).to.match(/library_path: .*nowhere/);
    expect(text).to.include('active → rejected; nothing that runs changes').and.include('library_path');
  });

  it('keeps the pipeline where a field that is ignored changes', async () => {
    const probe = (interval: string) => ({
      health_checks: [{ timeout: '1s', interval, unhealthy_threshold: 1, healthy_threshold: 1, tcp_health_check: {} }],
    });
    const before = response('a.json', 'cluster', [cluster('one', probe('1s'))]);
    const { diff: found } = await diff(before, response('b.json', 'cluster', [cluster('one', probe('2s'))]));
    expect(told(found)).to.deep.equal([['changed cluster one: warned > warned, nothing', 'health_checks[0].interval']]);
  });

  it('compares a snapshot with a response as far as that goes', async () => {
    const kept = snapshot('n.snapshot', [
      ['cluster', 'one', cluster('one')],
      ['cluster', 'two', cluster('two')],
      ['endpoints', 'one', endpointsResource('one', [1])],
      ['endpoints', 'two', endpointsResource('two', [1])],
      ['listener', 'in', listenerResource('in', 'in', 'routes')],
      ['route', 'routes', routesResource('routes', { '/': 'one' })],
    ]);
    const clusters = await diff(kept, response('cds.json', 'cluster', [cluster('one')]));
    expect(told(clusters.diff)).to.deep.equal([['removed cluster two: active > -, pipeline rebuilt']]);
    // Such a response has what changed, and says nothing about the others.
    const endpoints = await diff(kept, response('eds.json', 'endpoints', [endpointsResource('one', [2])]));
    expect(told(endpoints.diff)).to.deep.equal([
      [
        'changed endpoints one: active > active, hosts updated',
        'endpoints[0].lb_endpoints[0].endpoint.address.socket_address.port_value',
      ],
    ]);
    const nothing = await diff(kept, response('none.json', 'listener', []));
    expect(told(nothing.diff)).to.deep.equal([['removed listener in: active > -, listener replaced']]);
  });

  it('reads the only snapshot of a folder, and asks for a name when there are more', async () => {
    const kept = snapshot('a.snapshot', [['cluster', 'one', cluster('one')]]);
    expect((await diff(folder, kept)).code).to.equal(0);
    snapshot('b.snapshot', []);
    const { code, stderr } = await configDiff({ ...common, json: false, before: folder, after: kept });
    expect(code).to.equal(2);
    expect(stderr[0]).to.include('several nodes').and.include('a.snapshot, b.snapshot');
  });

  it('shows no secrets, and sees that they changed', async () => {
    const secret = (value: string) => ({ name: 's', generic_secret: { secret: { inline_string: value } } });
    const before = response('a.json', 'secret', [secret('hunter2')]);
    const after = response('b.json', 'secret', [secret('hunter3')]);
    const { code, diff: found, text } = await diff(before, after);
    expect(code).to.equal(1);
    expect(told(found)[0]).to.include('(a hidden value)');
    expect(JSON.stringify(found) + text).not.to.include('hunter');
  });

  it('explains a chain down to what is missing', async () => {
    const kept = snapshot('n.snapshot', [
      ['cluster', 'one', cluster('one')],
      ['listener', 'in', listenerResource('in', 'in', 'routes')],
      ['route', 'routes', routesResource('routes', { '/a': 'one', '/b': 'nobody' })],
    ]);
    const { code, stdout } = await configExplain({ ...common, json: true, name: 'in', kind: 'listener', source: kept });
    expect(code).to.equal(1);
    const [found] = JSON.parse(stdout.join('')) as Explanation[];
    expect(found).to.include({ kind: 'listener', verdict: 'active', version: '7', since: '2026-01-01T00:00:00.000Z' });
    expect(found?.missing).to.have.length(2);
    expect(found?.missing[0]).to.include('endpoints one (cluster one: name)');
    expect(found?.missing[1]).to.include('cluster nobody (route routes: virtual_hosts[0].routes[1].route.cluster)');

    const below = await configExplain({ ...common, json: false, name: 'one', kind: undefined, source: kept });
    expect(below.stdout.join('\n')).to.match(
      /cluster one: active[\s\S]*referred to by:\n {4}route routes: active \(.*\n {6}listener in: active \(.*rds\.route_config_name\)/,
    );
  });

  it('finds names wherever they stand', () => {
    const names = (kind: Kind, json: JsonObject) =>
      referencesOf({ kind, name: 'x', json }).map(({ kind: to, name, path }) => `${to} ${name} ${path}`);
    const route = (action: JsonObject): JsonObject => ({ virtual_hosts: [{ routes: [{ route: action }] }] });
    const at = 'virtual_hosts[0].routes[0].route';
    expect(names('route', route({ cluster: 'a', request_mirror_policies: [{ cluster: 'm' }] }))).to.deep.equal([
      `cluster a ${at}.cluster`,
      `cluster m ${at}.request_mirror_policies[0].cluster`,
    ]);
    expect(
      names('route', route({ weighted_clusters: { clusters: [{ name: 'a', weight: 1 }, { name: 'b' }] } })),
    ).to.deep.equal([
      `cluster a ${at}.weighted_clusters.clusters[0].name`,
      `cluster b ${at}.weighted_clusters.clusters[1].name`,
    ]);
    expect(names('cluster', { name: 'x', type: 'EDS', eds_cluster_config: { service_name: 's' } })).to.deep.equal([
      'endpoints s eds_cluster_config.service_name',
    ]);
    const tls = { common_tls_context: { tls_certificate_sds_secret_configs: [{ name: 'cert' }] } };
    expect(names('listener', { transport_socket: { typed_config: tls } })).to.deep.equal([
      'secret cert transport_socket.typed_config.common_tls_context.tls_certificate_sds_secret_configs[0].name',
    ]);
  });

  it('tells what is wrong with what it is given, with code 2', async () => {
    mkdirSync(join(folder, 'empty'));
    const good = response('good.json', 'cluster', []);
    const cases: readonly (readonly [string, RegExp])[] = [
      [join(folder, 'nothing'), /there is no such file, and it is no address/],
      [join(folder, 'empty'), /there is no snapshot in it/],
      ['127.0.0.1:1', /config_dump\?include_eds: .*is it the address of an admin interface\?/],
      [file('torn.snapshot', 'pontoon-snapshot 1\n{}'), /torn\.snapshot is not whole/],
      [file('bad.yaml', 'a: [b'), /bad\.yaml: line 1/],
      [file('other.yaml', 'node: {idd: x}'), /other\.yaml: rejected: node\.idd/],
      [file('half.pb', Buffer.from([0x0a, 0x7f])), /half\.pb/],
      [
        file('type.yaml', 'resources: [{"@type": type.googleapis.com/google.protobuf.Empty}]'),
        /is not a type that is served/,
      ],
    ];
    for (const [source, says] of cases) {
      const { code, stdout, stderr } = await configDiff({ ...common, json: false, before: good, after: source });
      expect(code, source).to.equal(2);
      expect(stdout).to.deep.equal([]);
      expect(stderr.join('\n')).to.match(says);
    }
    const lonely = response('lds.json', 'listener', [listenerResource('in', 'in', 'r')]);
    const { code, stderr } = await configDiff({ ...common, json: false, before: good, after: lonely });
    expect(code).to.equal(2);
    expect(stderr.join()).to.include('have no type of resource in common');
  });

  it('field changes: none for the same, and one that leads to each that is another', () => {
    const json = fc.jsonValue({ maxDepth: 4 }) as fc.Arbitrary<Json>;
    fc.assert(
      fc.property(json, json, (one, other) => {
        expect(fieldChanges(one, structuredClone(one))).to.deep.equal([]);
        const changes = fieldChanges({ at: one }, { at: other });
        expect(changes.length === 0).to.equal(isDeepStrictEqual(one, other));
        for (const { path, before, after } of changes) {
          expect(path).to.match(/^at/);
          expect(isDeepStrictEqual(before, after)).to.equal(false);
        }
      }),
    );
    const list = (...names: string[]) => names.map((name) => ({ name }));
    expect(fieldChanges({ a: list('x', 'y') }, { a: list('y', 'x') }).map(({ path }) => path)).to.deep.equal([
      'a (order)',
    ]);
    expect(fieldChanges({ a: list('x', 'y') }, { a: list('x', 'z') }).map(({ path }) => path)).to.deep.equal([
      'a[y]',
      'a[z]',
    ]);
  });
});
