import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { type RunningControlPlane, startControlPlane } from '../../control-plane-sample/control-plane.js';
import { createLogging } from '../../src/log.js';
import type { ConfigDiff } from '../../src/server/inspect/diff.js';
import type { Explanation } from '../../src/server/inspect/explain.js';
import { adsBootstrap } from '../support/ads-bootstrap.js';
import { runChild } from '../support/child.js';
import { cliPath, type Pontoon, projectRoot, startPontoon } from '../support/pontoon.js';
import { bridgeClusterResource, endpointsResource, listenerResource, routesResource } from '../support/resources.js';
import { until } from '../support/until.js';

const library = 'test/fixtures/plugins/recorded.ts';
const cluster = (name: string, more: object = {}) => ({
  ...bridgeClusterResource({ name, library, plugin: 'simple', config: {} }),
  ...more,
});
const resourcesOf = (clusters: readonly { readonly name?: string }[]) => ({
  clusters,
  endpoints: clusters.map(({ name = '' }) => endpointsResource(name, [1])),
  listeners: [listenerResource('in', 'in', 'routes')],
  routes: [routesResource('routes', { '/one': 'one', '/two': 'two' })],
});

describe('pontoon config, on a running instance', function () {
  this.timeout(60_000);
  let controlPlane: RunningControlPlane;
  let pontoon: Pontoon;
  let folder: string;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'pontoon-config-'));
    controlPlane = await startControlPlane({
      resources: resourcesOf([cluster('one'), cluster('two'), cluster('three')]),
      port: 0,
      httpPort: 0,
      log: createLogging('off', undefined).logger('control_plane'),
    });
    const address = `127.0.0.1:${controlPlane.xdsPort}`;
    pontoon = await startPontoon({
      bootstrap: adsBootstrap({ variant: 'SOTW', address, nodeId: 'inspected' }),
      args: ['--snapshot-dir', join(folder, 'kept'), '--snapshot-interval-s', '0'],
    });
    await pontoon.listener('in');
    await until('a snapshot', async () => (await pontoon.stat('server.snapshot.write_success')) > 0 || undefined);
  });
  after(async () => {
    await pontoon?.stop();
    await controlPlane?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const config = (...args: string[]) =>
    runChild(process.execPath, [cliPath, 'config', ...args, '--plugin-root', projectRoot]);
  const diff = async (before: string, after: string) => {
    const { code, stdout, stderr } = await config('diff', before, after, '--json');
    expect(stderr).to.equal('');
    return { code, changes: (JSON.parse(stdout) as ConfigDiff).changes };
  };

  it('finds no difference to its own snapshot, and none to its own dump', async () => {
    const dump = join(folder, 'dump.json');
    writeFileSync(dump, await pontoon.get('/config_dump?include_eds'));
    const address = pontoon.admin.slice('http://'.length);
    expect(await diff(address, join(folder, 'kept'))).to.deep.equal({ code: 0, changes: [] });
    expect(await diff(dump, pontoon.admin)).to.deep.equal({ code: 0, changes: [] });
  });

  it('tells beforehand what a change does, and that it is done', async () => {
    const ignored = { alt_stat_name: 'one', common_lb_config: { locality_weighted_lb_config: {} } };
    const next = [
      cluster('one', { connect_timeout: '2s' }),
      cluster('two', { connect_timeout: '1.0s' }),
      cluster('four', ignored),
    ];
    const file = join(folder, 'next.json');
    const type = 'type.googleapis.com/envoy.config.cluster.v3.Cluster';
    writeFileSync(file, JSON.stringify({ resources: next.map((each) => ({ '@type': type, ...each })) }));
    const { code, changes } = await diff(pontoon.admin, file);
    expect(code).to.equal(1);
    expect(changes.map(({ name, change, effect }) => `${change} ${name}: ${effect}`)).to.deep.equal([
      'added four: pipeline rebuilt',
      'changed one: pipeline rebuilt',
      'removed three: pipeline rebuilt',
    ]);
    const counts = async () =>
      Promise.all(['added', 'modified', 'removed'].map((what) => pontoon.stat(`cluster_manager.cluster_${what}`)));
    const before = await counts();
    controlPlane.setResources(resourcesOf(next));
    await until('the changes', async () => {
      const after = await counts();
      return after.every((count, index) => count === (before[index] ?? 0) + 1) ? true : undefined;
    });
    await until('no difference', async () => ((await diff(pontoon.admin, file)).code === 0 ? true : undefined));
  });

  it('explains what was refused, who needs it, and what is missing', async () => {
    const broken = bridgeClusterResource({ name: 'one', library: 'nowhere.ts', plugin: 'simple', config: {} });
    controlPlane.setResources(resourcesOf([broken as { name?: string }, cluster('two')]));
    const [found] = await until('the refusal', async () => {
      const { code, stdout } = await config('explain', 'one', pontoon.admin, '--type', 'cluster', '--json');
      return code === 1 ? (JSON.parse(stdout) as Explanation[]) : undefined;
    });
    expect(found).to.include({ kind: 'cluster', verdict: 'rejected', origin: 'dynamic', stale: false });
    expect(found?.reasons.join()).to.include('nowhere.ts');
    expect(found?.refused?.version).not.to.equal(found?.version);
    expect(found?.referredToBy[0]).to.include({ kind: 'route', name: 'routes' });
    expect(found?.referredToBy[0]?.links[0]).to.include({ kind: 'listener', name: 'in' });
    expect(found?.missing).to.deep.equal([]);

    const { code, stdout } = await config('explain', 'xds_cluster', pontoon.admin);
    expect(code).to.equal(0);
    expect(stdout).to.match(/^cluster xds_cluster: parked\n {2}source: static/);
    expect(stdout).to.include('bootstrap: active (dynamic_resources.ads_config');
    expect((await config('explain', 'nobody', pontoon.admin)).code).to.equal(1);
  });

  it('has the exit codes of diff', async () => {
    expect((await config('diff', 'only-one')).code).to.equal(2);
    expect((await config('explain', 'one', pontoon.admin, '--type', 'nonsense')).code).to.equal(2);
    expect((await config('diff', pontoon.admin, join(folder, 'no-such-file'))).code).to.equal(2);
    expect((await config('diff', '--help')).code).to.equal(0);
  });
});
