import { expect } from 'chai';
import { type RunningControlPlane, startControlPlane } from '../../control-plane-sample/control-plane.js';
import { type FramedServer, startFramedServer } from '../../control-plane-sample/framed-server.js';
import { createLogging } from '../../src/log.js';
import { classifyStat, isServingStat } from '../../src/stats/serving-stats.js';
import { adsBootstrap } from '../support/ads-bootstrap.js';
import { bridgeCluster, httpListener, type Pontoon, startPontoon } from '../support/pontoon.js';
import { bridgeClusterResource, endpointsResource, listenerResource, routesResource } from '../support/resources.js';
import { lengthPrefixed, routesTo } from '../support/static-bootstrap.js';

describe('the rule which statistics are merged', () => {
  for (const [name, expected] of [
    ['cluster.a.upstream_rq_total', 'serving'],
    ['cluster.a.external.upstream_rq_200', 'serving'],
    ['cluster.a.internal.upstream_rq_time', 'serving'],
    ['cluster.a.circuit_breakers.high.rq_pending_open', 'serving'],
    ['cluster.a.circuit_breakers.default.remaining_cx', 'serving'],
    ['cluster.a.lb_healthy_panic', 'serving'],
    ['cluster.a.membership_total', 'own'],
    ['cluster.a.update_no_rebuild', 'own'],
    ['cluster.a.warming_state', 'own'],
    ['cluster.upstream_rq_total.membership_total', 'own'],
    ['cluster.membership_total.upstream_rq_total', 'serving'],
    ['listener.0.0.0.0_80.downstream_cx_total', 'serving'],
    ['listener.0.0.0.0_80.http.in.downstream_rq_2xx', 'serving'],
    ['http.in.downstream_rq_total', 'serving'],
    ['http.in.no_route', 'serving'],
    ['http.in.rds.routes.v1.update_success', 'own'],
    ['http.x.rds.downstream_rq_total', 'serving'],
    ['bridge.plugin.exchanges_active', 'serving'],
    ['bridge.go_libraries.exchanges_total', 'serving'],
    ['bridge.rogue_calls', 'serving'],
    ['bridge.go_libraries', 'own'],
    ['filesystem.write_total_buffered', 'serving'],
    ['access_log_file.lines_dropped', 'serving'],
    ['server.uptime', 'own'],
    ['server.uncaught_errors', 'own'],
    ['cluster_manager.cds.version', 'own'],
    ['listener_manager.total_listeners_active', 'own'],
    ['control_plane.connected_state', 'own'],
    ['xds.cds.judged', 'own'],
    ['workers.live', 'own'],
    ['cluster.a.bridge.plugin_not_found', 'serving'],
    ['cluster.a.multiplexing.late_answers', 'serving'],
    ['bridge.crashes_by_library', 'own'],
    ['sds.a.update_success', 'own'],
    ['cluster.a.ssl.versions.TLSv1.3', 'serving'],
    ['listener.a.server_ssl_socket_factory.ssl_context_update_by_sds', 'own'],
    ['unknown.a.update_success', undefined],
    ['http', undefined],
    ['', undefined],
  ] as const) {
    it(`${name || 'an empty name'}: ${expected ?? 'nobody knows'}`, () => {
      expect(classifyStat(name)).to.equal(expected);
      expect(isServingStat(name)).to.equal(expected === 'serving');
    });
  }
});

describe('the statistics of a real run', function () {
  this.timeout(60_000);
  let server: FramedServer;
  let controlPlane: RunningControlPlane;
  let pontoon: Pontoon;
  let names: string[];

  before(async () => {
    server = await startFramedServer('server', 0);
    const ports = [server.port];
    controlPlane = await startControlPlane({
      resources: {
        clusters: [bridgeClusterResource({ name: 'dynamic', ...lengthPrefixed })],
        endpoints: [endpointsResource('dynamic', ports)],
        listeners: [listenerResource('dynamic', 'dynamic_in', 'routes')],
        routes: [routesResource('routes', { '/': 'dynamic' })],
      },
      port: 0,
      httpPort: 0,
      log: createLogging('off').logger('control-plane'),
    });
    const ads = adsBootstrap({ variant: 'DELTA', address: `127.0.0.1:${controlPlane.xdsPort}`, nodeId: 'test' });
    const fixed = bridgeCluster({ name: 'fixed', ports, ...lengthPrefixed });
    const listener = httpListener('fixed', 'fixed_in', routesTo('fixed'));
    pontoon = await startPontoon({ bootstrap: `${ads}    - ${fixed}\n  listeners:\n    - ${listener}\n` });
    for (const name of ['fixed', 'dynamic']) {
      const response = await fetch(await pontoon.listener(name), { method: 'POST', body: 'hello' });
      expect(response.status).to.equal(200);
    }
    names = (await pontoon.get('/stats'))
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => line.slice(0, line.indexOf(': ')));
  });
  after(async () => {
    await pontoon?.stop('SIGKILL');
    await controlPlane?.close();
    await server?.close();
  });

  it('are all known to the rule', () => {
    expect(names).to.include.members([
      'cluster.fixed.upstream_rq_200',
      'cluster.dynamic.upstream_rq_200',
      'http.dynamic_in.rds.routes.update_success',
    ]);
    expect(names.filter((name) => classifyStat(name) === undefined)).to.deep.equal([]);
  });

  it('are those of configuration, and no others, where the process counts them itself', () => {
    const own = new Set(
      names
        .filter((name) => /^(?:cluster|http|listener|bridge|filesystem|access_log_file)\./.test(name))
        .filter((name) => !isServingStat(name))
        .map((name) => `${name.slice(0, name.indexOf('.'))} … ${name.slice(name.lastIndexOf('.') + 1)}`),
    );
    expect([...own].sort()).to.deep.equal([
      'bridge … go_libraries',
      'bridge … go_libraries_retired',
      'cluster … init_fetch_timeout',
      'cluster … max_host_weight',
      'cluster … membership_change',
      'cluster … membership_degraded',
      'cluster … membership_excluded',
      'cluster … membership_healthy',
      'cluster … membership_total',
      'cluster … update_attempt',
      'cluster … update_empty',
      'cluster … update_failure',
      'cluster … update_no_rebuild',
      'cluster … update_rejected',
      'cluster … update_success',
      'cluster … warming_state',
      'http … config_reload',
      'http … config_reload_time_ms',
      'http … init_fetch_timeout',
      'http … update_attempt',
      'http … update_empty',
      'http … update_failure',
      'http … update_rejected',
      'http … update_success',
      'http … update_time',
      'http … version',
    ]);
  });
});
