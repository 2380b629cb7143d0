import { join } from 'node:path';
import { expect } from 'chai';
import type { PreparedBridge } from '../../src/bridge/prepared-bridge.js';
import { loadSchema } from '../../src/protobuf/schema.js';
import { createResourceTypes, type JudgedCluster, judgeBridge } from '../../src/server/resource-types.js';
import { createLibraryFolder, type LibraryFolder } from '../bridge/script/library-folder.js';

const schema = loadSchema();
const typePrefix = 'type.googleapis.com/';

const library = (version: number) =>
  `export const bridges = { plugin: { parseConfig(config) { if (config.typeUrl !== '') throw new Error('no config, please'); return ${version}; }, createBridge: () => ({}) } };`;

describe('resource types', () => {
  let folder: LibraryFolder;

  beforeEach(() => {
    folder = createLibraryFolder();
    folder.write('good.mjs', library(1));
  });
  afterEach(() => folder.remove());

  function cluster(libraryPath: string | undefined, more: object = {}): Uint8Array {
    const value = schema.encode('envoy.extensions.upstreams.http.tcp.golang.v3alpha.Config', {
      library_id: 'id',
      library_path: libraryPath,
      plugin_name: 'plugin',
      ...more,
    });
    const typed_config = {
      type_url: `${typePrefix}envoy.extensions.upstreams.http.tcp.golang.v3alpha.Config`,
      value,
    };
    return schema.encode('envoy.config.cluster.v3.Cluster', {
      name: 'c',
      type: 'STATIC',
      load_assignment: { cluster_name: 'c' },
      ...(libraryPath && { upstream_config: { name: 'bridge', typed_config } }),
    });
  }
  function listener(connectionManager: object): Uint8Array {
    const typeName = 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';
    const routerName = 'envoy.extensions.filters.http.router.v3.Router';
    const router = { type_url: typePrefix + routerName, value: schema.encode(routerName, {}) };
    const value = schema.encode(typeName, {
      stat_prefix: 'in',
      http_filters: [{ name: 'router', typed_config: router }],
      ...connectionManager,
    });
    return schema.encode('envoy.config.listener.v3.Listener', {
      name: 'l',
      address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
      filter_chains: [{ filters: [{ name: 'http', typed_config: { type_url: typePrefix + typeName, value } }] }],
    });
  }
  const types = () => createResourceTypes(schema, folder.runtime);
  const judge = (bytes: Uint8Array) => types().clusters.judge({ name: 'c', version: '1', bytes });
  async function active(bytes: Uint8Array): Promise<JudgedCluster<PreparedBridge>> {
    const verdict = await judge(bytes);
    if (verdict.kind !== 'active') throw new Error(JSON.stringify(verdict));
    return verdict.model;
  }

  it('a cluster with a bridge is active with its plugin prepared', async () => {
    const { cluster: model, bridge } = await active(cluster('good.mjs'));
    expect(model.name).to.equal('c');
    expect(bridge?.config.pluginName).to.equal('plugin');
    bridge?.release();
  });

  it('problems of its plugin have the path inside the cluster', async () => {
    const plugin_config = { type_url: `${typePrefix}xds.type.v3.TypedStruct`, value: Buffer.alloc(0) };
    const cases = [
      { bytes: cluster('none.mjs'), path: 'upstream_config.typed_config.library_path' },
      { bytes: cluster('good.mjs', { plugin_name: 'other' }), path: 'upstream_config.typed_config.plugin_name' },
      { bytes: cluster('good.mjs', { plugin_config }), path: 'upstream_config.typed_config.plugin_config' },
    ];
    for (const { bytes, path } of cases) {
      const verdict = await judge(bytes);
      if (verdict.kind !== 'rejected') throw new Error(verdict.kind);
      expect(verdict.problems.map((problem) => problem.path)).to.deep.equal([path]);
    }
  });

  it('a cluster without one is parked, without a look at any library', async () => {
    const verdict = await judge(cluster(undefined));
    expect(verdict.kind).to.equal('parked');
  });

  it('bytes that are no cluster are rejected, not thrown', async () => {
    expect((await judge(Buffer.from([0xff]))).kind).to.equal('rejected');
    const problems = [{ path: 'name', message: 'x' }];
    expect(await judgeBridge({ kind: 'rejected', problems }, folder.runtime)).to.deep.equal({
      kind: 'rejected',
      problems,
    });
  });

  it('a judged cluster is stale when its library has changed, and not when it can no longer be read', async () => {
    const model = await active(cluster('good.mjs'));
    const stale = () => types().clusters.staleCheck?.()(model);
    expect(await stale()).to.equal(false);
    folder.write('good.mjs', library(2));
    expect(await stale()).to.equal(true);
    folder.write('good.mjs', 'export const bridges = {');
    expect(await stale()).to.equal(false);
    model.bridge?.release();
  });

  it('one that is dropped before it ran gives back its plugin', async () => {
    const model = await active(cluster('good.mjs'));
    types().clusters.discard?.(model);
    expect(() => model.bridge?.createBridge({} as never)).to.throw(/released/);
  });

  it('routes that the compiler refuses are rejected, in a listener too', async () => {
    const regex = { safe_regex: { google_re2: {}, regex: '(' } };
    const routes = {
      name: 'r',
      virtual_hosts: [{ name: 'v', domains: ['*'], routes: [{ match: regex, direct_response: { status: 200 } }] }],
    };
    const bytes = schema.encode('envoy.config.route.v3.RouteConfiguration', routes);
    const verdict = await types().routes.judge({ name: 'r', version: '1', bytes });
    expect(verdict.kind).to.equal('rejected');

    const judged = await types().listeners.judge({
      name: 'l',
      version: '1',
      bytes: listener({ route_config: routes }),
    });
    if (judged.kind !== 'rejected') throw new Error(judged.kind);
    expect(judged.problems[0]?.message).to.match(/regex|parenthesis|missing/i);
  });

  it('a listener whose access log cannot be written is rejected', async () => {
    const fileName = 'envoy.extensions.access_loggers.file.v3.FileAccessLog';
    const judgeLog = (path: string) => {
      const typed_config = { type_url: typePrefix + fileName, value: schema.encode(fileName, { path }) };
      const bytes = listener({ route_config: { name: 'r' }, access_log: [{ name: 'file', typed_config }] });
      return types().listeners.judge({ name: 'l', version: '1', bytes });
    };
    expect((await judgeLog(join(folder.path, 'access.log'))).kind).to.equal('active');
    const judged = await judgeLog(join(folder.path, 'none', 'access.log'));
    if (judged.kind !== 'rejected') throw new Error(judged.kind);
    expect(judged.problems[0]?.path).to.equal('access_log[0].typed_config.path');
    expect(judged.problems[0]?.message).to.match(/unable to open file .*ENOENT.*make its folder/);
  });

  it('know what a full response means, and where it is counted', () => {
    const { clusters, listeners, endpoints, routes } = types();
    expect(
      [clusters, listeners, endpoints, routes].map((type) => [type.shortName, type.fullState, type.statPrefix]),
    ).to.deep.equal([
      ['cds', true, 'cluster_manager.cds'],
      ['lds', true, 'listener_manager.lds'],
      ['eds', false, undefined],
      ['rds', false, undefined],
    ]);
    expect(clusters.nameOf(cluster('good.mjs'))).to.equal('c');
  });
});
