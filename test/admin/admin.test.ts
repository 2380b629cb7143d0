import { expect } from 'chai';
import { startAdminServer } from '../../src/admin/admin-server.js';
import { clustersEndpoint } from '../../src/admin/clusters.js';
import { configDumpEndpoint } from '../../src/admin/config-dump.js';
import type { AdminEndpoint } from '../../src/admin/endpoint.js';
import { lifecycleEndpoints } from '../../src/admin/lifecycle.js';
import { listenersEndpoint } from '../../src/admin/listeners.js';
import { loggingEndpoint } from '../../src/admin/logging.js';
import type { AdminSources, DumpedResource, ServerState } from '../../src/admin/sources.js';
import { statsEndpoints } from '../../src/admin/stats.js';
import { createLogging } from '../../src/log.js';
import type { Cluster } from '../../src/model/cluster.js';
import { createStatsStore } from '../../src/stats/create-store.js';
import type { ClusterStatus } from '../../src/upstream/cluster-manager.js';

const thresholds = {
  maxConnections: 1024,
  maxPendingRequests: 1024,
  maxRequests: 1024,
  maxRetries: 3,
};
const cluster = {
  name: 'echo',
  statName: 'echo',
  discovery: {
    type: 'EDS',
    serviceName: 'echo-service',
    source: { kind: 'ads', initialFetchTimeoutMs: 15000 },
  },
  lbPolicy: 'ROUND_ROBIN',
  connectTimeoutMs: 1000,
  idleTimeoutMs: 0,
  perConnectionBufferLimitBytes: 1,
  circuitBreakers: { default: thresholds, high: thresholds },
  bridge: undefined,
} as unknown as Cluster;
const status = {
  name: 'echo',
  origin: 'dynamic',
  active: {
    resource: {
      name: 'echo',
      version: '1',
      bytes: new Uint8Array(),
      verdict: { kind: 'active', model: cluster, warnings: [] },
    },
    lastUpdated: new Date(0),
    config: cluster,
    overprovisioningFactor: 140,
  },
  warming: undefined,
  parked: undefined,
  draining: 0,
  shownHosts: [
    {
      address: '127.0.0.1:9',
      socketAddress: { kind: 'tcp', address: '127.0.0.1', port: 9 },
      hostname: 'h',
      locality: { region: 'r', zone: '', subZone: '' },
      priority: 0,
      weight: 2,
      healthStatus: 'HEALTHY',
      stats: {
        cxActive: 1,
        cxConnectFail: 0,
        cxTotal: 4,
        rqActive: 0,
        rqError: 0,
        rqSuccess: 3,
        rqTimeout: 0,
        rqTotal: 3,
      },
    },
  ],
} as unknown as ClusterStatus;

describe('admin', () => {
  const logging = createLogging('off');
  const log = logging.logger('admin');
  const stats = createStatsStore();
  let collect = (): Promise<void> => Promise.resolve();
  const dumped: DumpedResource[] = [
    {
      name: 'echo',
      origin: 'dynamic',
      active: {
        version: '1',
        bytes: new Uint8Array([1]),
        lastUpdated: new Date(0),
      },
    },
    {
      name: 'bad',
      origin: 'dynamic',
      error: {
        version: '2',
        details: 'name: too bad',
        lastAttempt: new Date(0),
        bytes: new Uint8Array([2]),
      },
    },
    {
      name: 'other',
      origin: 'dynamic',
      active: {
        version: '1',
        bytes: new Uint8Array([3]),
        lastUpdated: new Date(0),
      },
      parked: { reason: 'no bridge' },
    },
    {
      name: 'slow',
      origin: 'dynamic',
      warming: {
        version: '3',
        bytes: new Uint8Array([4]),
        lastUpdated: new Date(0),
        waitingFor: ['endpoints'],
      },
    },
  ];
  let state: ServerState = 'LIVE';
  let quits = 0;
  let reopened = 0;
  let base = '';
  let close: () => Promise<void>;

  before(async () => {
    const sources: AdminSources = {
      bootstrap: {
        node: {
          id: 'n',
          cluster: 'c',
          locality: { region: '', zone: '', subZone: '' },
          metadata: {},
        },
        bytes: new Uint8Array(),
      } as unknown as AdminSources['bootstrap'],
      startTime: new Date(),
      version: '0/1',
      commandLine: { concurrency: 1 },
      state: () => state,
      clusters: () => [status],
      listeners: () => [
        {
          name: 'l',
          addresses: [{ kind: 'tcp', address: '127.0.0.1', port: 80 }],
        },
      ],
      versionInfo: () => '1',
      dump: (kind) => (kind === 'clusters' ? dumped : []),
      certificates: () => [],
      waitingFor: () => ['cluster slow: endpoints'],
    };
    const failing: AdminEndpoint = {
      path: '/boom',
      method: 'GET',
      help: 'fails',
      handle() {
        throw new Error('boom');
      },
    };
    const actions = {
      quit: () => {
        quits++;
      },
      failHealthCheck: (failed: boolean) => {
        state = failed ? 'DRAINING' : 'LIVE';
      },
      reopenLogs: () => {
        reopened++;
      },
      drainListeners: () => undefined,
    };
    const server = await startAdminServer({
      address: { kind: 'tcp', address: '127.0.0.1', port: 0 },
      log,
      endpoints: [
        clustersEndpoint(sources),
        listenersEndpoint(sources),
        configDumpEndpoint(sources, (_type, bytes) => ({
          name: `bytes ${bytes[0]}`,
        })),
        ...statsEndpoints(stats),
        loggingEndpoint(logging),
        ...lifecycleEndpoints(sources, actions),
        failing,
      ],
      collect: () => collect(),
    });
    if (server.address.kind !== 'tcp') throw new Error('not TCP');
    base = `http://127.0.0.1:${server.address.port}`;
    close = server.close;
  });
  after(() => close());

  const get = async (path: string, method = 'GET') => {
    const response = await fetch(base + path, { method });
    return {
      status: response.status,
      type: response.headers.get('content-type'),
      body: await response.text(),
    };
  };

  it('prints clusters as Envoy does', async () => {
    const { body, type } = await get('/clusters');
    expect(type).to.equal('text/plain; charset=UTF-8');
    const lines = body.split('\n');
    for (const line of [
      'echo::observability_name::echo',
      'echo::default_priority::max_connections::1024',
      'echo::added_via_api::true',
      'echo::eds_service_name::echo-service',
      'echo::127.0.0.1:9::cx_total::4',
      'echo::127.0.0.1:9::health_flags::healthy',
      'echo::127.0.0.1:9::weight::2',
      'echo::127.0.0.1:9::region::r',
    ]) {
      expect(lines).to.include(line);
    }
    const { cluster_statuses: statuses } = JSON.parse((await get('/clusters?format=json')).body);
    expect(statuses[0]).to.deep.include({
      name: 'echo',
      added_via_api: true,
      eds_service_name: 'echo-service',
    });
    expect(statuses[0].host_statuses[0].stats).to.deep.include({
      value: '4',
      name: 'cx_total',
    });
    expect((await get('/clusters?filter=nothing')).body).to.equal('');
  });

  it('prints listeners', async () => {
    expect((await get('/listeners')).body).to.equal('l::127.0.0.1:80\n');
    expect(JSON.parse((await get('/listeners?format=json')).body)).to.deep.equal({
      listener_statuses: [
        {
          name: 'l',
          local_address: {
            socket_address: { address: '127.0.0.1', port_value: 80 },
          },
        },
      ],
    });
  });

  it('dumps what is active, rejected, parked and warming, with the reasons', async () => {
    const { configs } = JSON.parse((await get('/config_dump')).body);
    const clusters = configs.find((config: { '@type': string }) => config['@type'].endsWith('ClustersConfigDump'));
    expect(clusters.version_info).to.equal('1');
    const byName = Object.fromEntries(
      clusters.dynamic_active_clusters.map((entry: { cluster: { name: string } }) => [entry.cluster.name, entry]),
    );
    expect(byName['bytes 1']).to.include({
      version_info: '1',
      client_status: 'ACKED',
    });
    expect(byName.bad).to.include({ client_status: 'NACKED' });
    expect(byName.bad.error_state).to.include({
      details: 'rejected: name: too bad',
      version_info: '2',
    });
    expect(byName['bytes 3'].error_state.details).to.equal('parked: no bridge');
    expect(clusters.dynamic_warming_clusters).to.have.length(1);
    const one = JSON.parse((await get('/config_dump?resource=dynamic_active_clusters&name_regex=echo')).body);
    expect(one.configs).to.have.length(1);
    expect(one.configs[0]['@type']).to.equal('type.googleapis.com/envoy.admin.v3.ClustersConfigDump.DynamicCluster');
    expect(JSON.parse((await get('/config_dump?resource=dynamic_listeners')).body)).to.deep.equal({});
    expect(await get('/config_dump?resource=foo')).to.include({
      status: 404,
      body: 'foo not found in config dump',
    });
    expect((await get('/config_dump?name_regex=(')).status).to.equal(400);
  });

  it('prints stats in three formats, filtered', async () => {
    stats.counter('cluster.a.upstream_rq_total').value = 2;
    stats.counter('cluster.b.upstream_rq_total').value = 0;
    stats.histogram('cluster.a.upstream_rq_time').record(5);
    expect((await get('/stats?filter=cluster.*total')).body).to.equal(
      'cluster.a.upstream_rq_total: 2\ncluster.b.upstream_rq_total: 0\n',
    );
    expect((await get('/stats?filter=cluster.*total&usedonly')).body).to.equal('cluster.a.upstream_rq_total: 2\n');
    expect((await get('/stats?filter=rq_time')).body).to.match(/^cluster\.a\.upstream_rq_time: P0\(nan,5[\d.]*\) P25/);
    const json = JSON.parse((await get('/stats?format=json&filter=cluster.a')).body);
    expect(json.stats[0]).to.deep.equal({
      name: 'cluster.a.upstream_rq_total',
      value: 2,
    });
    expect(json.stats[1].histograms.computed_quantiles[0].name).to.equal('cluster.a.upstream_rq_time');
    expect((await get('/stats/prometheus')).body).to.include(
      'envoy_cluster_upstream_rq_total{envoy_cluster_name="a"} 2',
    );
    expect((await get('/stats?filter=(')).status).to.equal(400);
  });

  it('collects what other processes counted before it shows or resets numbers', async () => {
    const counter = stats.counter('cluster.c.upstream_rq_total');
    const paths: [path: string, method: string, collects: boolean][] = [
      ['/stats', 'GET', true],
      ['/stats/prometheus', 'GET', true],
      ['/clusters', 'GET', true],
      ['/reset_counters', 'GET', false],
      ['/reset_counters', 'POST', true],
      ['/listeners', 'GET', false],
      ['/ready', 'GET', false],
    ];
    for (const [path, method, collects] of paths) {
      let calls = 0;
      collect = async () => {
        calls++;
        await new Promise((resolve) => setImmediate(resolve));
        counter.value += 7;
      };
      const { body } = await get(path, method);
      expect(calls, path).to.equal(collects ? 1 : 0);
      if (path === '/stats') expect(body).to.include('cluster.c.upstream_rq_total: 7\n');
    }
    expect(counter.value, 'reset after what was collected').to.equal(0);
    collect = () => Promise.reject(new Error('nobody answers'));
    expect(await get('/stats')).to.include({ status: 500, body: 'error: nobody answers\n' });
    collect = () => Promise.resolve();
  });

  it('changes log levels', async () => {
    expect((await get('/logging')).status).to.equal(405);
    expect((await get('/logging?admin=debug', 'POST')).body).to.include('  admin: debug');
    expect(logging.levels().admin).to.equal('debug');
    expect(await get('/logging?nobody=debug', 'POST').then(({ status }) => status)).to.equal(400);
    await get('/logging?level=off', 'POST');
    expect(logging.levels().admin).to.equal('off');
  });

  it('tells and changes the server state', async () => {
    expect(await get('/ready')).to.include({ status: 200, body: 'LIVE\n' });
    expect(await get('/healthcheck/fail', 'POST')).to.include({
      status: 200,
      body: 'OK\n',
    });
    expect(await get('/ready')).to.include({ status: 503, body: 'DRAINING\n' });
    await get('/healthcheck/ok', 'POST');
    expect(JSON.parse((await get('/server_info')).body)).to.include({
      state: 'LIVE',
      version: '0/1',
    });
    expect(JSON.parse((await get('/init_dump')).body).unready_targets_dumps[0].target_names).to.deep.equal([
      'cluster slow: endpoints',
    ]);
    await get('/quitquitquit', 'POST');
    expect(quits).to.equal(1);
  });

  it('answers what scripts for Envoy ask', async () => {
    expect(await get('/hot_restart_version')).to.include({ status: 200, body: 'disabled' });
    expect(JSON.parse((await get('/runtime')).body)).to.deep.equal({ entries: {}, layers: [] });
    expect(JSON.parse((await get('/certs')).body)).to.deep.equal({ certificates: [] });
    expect(await get('/reopen_logs')).to.include({ status: 405 });
    expect(await get('/reopen_logs', 'POST')).to.include({ status: 200, body: 'OK\n' });
    expect(reopened).to.equal(1);
    stats.counter('http.a.rq').value = 3;
    stats.gauge('http.a.active').value = 3;
    expect(await get('/reset_counters', 'POST')).to.include({ status: 200, body: 'OK\n' });
    expect((await get('/stats?filter=^http.a')).body).to.equal('http.a.active: 3\nhttp.a.rq: 0\n');
    expect(await get('/ready', 'PUT')).to.include({ status: 200 });
  });

  it('answers mistakes with the status that Envoy gives', async () => {
    const statuses = {
      '/clusters?filter=(': 400,
      '/stats?type=foo': 400,
      '/config_dump?resource=bootstrap': 400,
      '/config_dump?resource=nothing': 404,
      '/config_dump?resource=static_endpoint_configs': 404,
      '/config_dump?resource=static_endpoint_configs&include_eds': 200,
    };
    for (const [path, status] of Object.entries(statuses)) expect((await get(path)).status, path).to.equal(status);
    expect(JSON.parse((await get('/clusters?filter=nobody&format=json')).body)).to.deep.equal({});
  });

  it('refuses what it does not know and survives a failing endpoint', async () => {
    expect(await get('/nope').then(({ status, body }) => [status, body.slice(0, 13)])).to.deep.equal([
      404,
      'invalid path.',
    ]);
    expect(await get('/quitquitquit').then(({ status }) => status)).to.equal(405);
    expect(await get('/boom').then(({ status }) => status)).to.equal(500);
    expect((await get('/help')).body).to.include('/config_dump');
  });
});
