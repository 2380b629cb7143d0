import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { bridgeCluster, httpListener, type Pontoon, startPontoon } from '../support/pontoon.js';
import { until } from '../support/until.js';

type Json = Record<string, unknown>;

describe('the admin interface of a running server', function () {
  this.timeout(20_000);
  let folder: string;
  let pontoon: Pontoon;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'pontoon-admin-'));
    const routes = 'route_config: {name: inline, virtual_hosts: [{name: all, domains: ["*"], routes: []}]}';
    const echo = bridgeCluster({
      name: 'echo',
      ports: [9],
      library: 'plugins/length-prefixed/index.ts',
      plugin: 'length_prefixed',
    });
    pontoon = await startPontoon({
      bootstrap: `
admin: {access_log_path: ${join(folder, 'admin.log')}, address: {socket_address: {address: 127.0.0.1, port_value: 0}}}
static_resources:
  clusters: [${echo}]
  listeners: [${httpListener('http', 'ingress', routes)}]
`,
      args: ['-l', 'error'],
    });
  });
  after(async () => {
    await pontoon.stop('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });

  const dump = async (query: string): Promise<Json[]> =>
    (JSON.parse(await pontoon.get(`/config_dump?${query}`)) as { configs?: Json[] }).configs ?? [];

  it('shows the routes inside of listeners and the endpoints inside of clusters', async () => {
    const [routes, ...others] = await dump('resource=static_route_configs');
    expect(others).to.deep.equal([]);
    expect(routes?.route_config).to.deep.equal({
      '@type': 'type.googleapis.com/envoy.config.route.v3.RouteConfiguration',
      name: 'inline',
      virtual_hosts: [{ name: 'all', domains: ['*'] }],
    });
    expect(await dump('resource=static_route_configs&name_regex=other')).to.deep.equal([]);
    const [endpoints] = await dump('resource=static_endpoint_configs&include_eds');
    expect(endpoints?.endpoint_config).to.deep.equal({
      '@type': 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment',
      cluster_name: 'echo',
      endpoints: [
        {
          locality: {},
          lb_endpoints: [
            {
              endpoint: {
                address: { socket_address: { address: '127.0.0.1', port_value: 9 } },
                health_check_config: {},
              },
              health_status: 'HEALTHY',
              load_balancing_weight: 1,
            },
          ],
        },
      ],
      policy: { overprovisioning_factor: 140 },
    });
  });

  it('writes its access log, and opens it anew when asked', async () => {
    const path = join(folder, 'admin.log');
    await pontoon.get('/ready?first');
    const logged = (text: string) =>
      until(text, () => (readFileSync(path, { encoding: 'utf8', flag: 'a+' }).includes(text) ? true : undefined));
    await logged('"GET /ready?first HTTP/1.1" 200 ');
    rmSync(path);
    expect((await fetch(`${pontoon.admin}/reopen_logs`, { method: 'POST' })).status).to.equal(200);
    await pontoon.get('/ready?second');
    await logged('"GET /ready?second HTTP/1.1" 200 ');
    expect(readFileSync(path, 'utf8')).not.to.contain('first');
  });
});
