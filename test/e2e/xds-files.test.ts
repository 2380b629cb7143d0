import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { loadSchema } from '../../src/protobuf/schema.js';
import { runChild } from '../support/child.js';
import { cliPath, type Pontoon, projectRoot, startPontoon } from '../support/pontoon.js';
import { bridgeClusterResource, endpointsResource, listenerResource, routesResource } from '../support/resources.js';
import { startTcpServer, type TcpServer } from '../support/tcp-server.js';
import { until } from '../support/until.js';

const schema = loadSchema();
const types = {
  cluster: 'envoy.config.cluster.v3.Cluster',
  endpoints: 'envoy.config.endpoint.v3.ClusterLoadAssignment',
  listener: 'envoy.config.listener.v3.Listener',
  route: 'envoy.config.route.v3.RouteConfiguration',
} as const;
type Kind = keyof typeof types;

const library = 'test/fixtures/plugins/my_bridge.ts';
const ads = JSON.stringify({ ads: {}, resource_api_version: 'V3' });

describe('xDS files', function () {
  this.timeout(60_000);
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'pontoon-xds-files-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  /** A complete file takes the place of what was there, as configuration tools do it. */
  function write(name: string, content: string | Uint8Array): string {
    const path = join(folder, name);
    writeFileSync(`${path}.tmp`, content);
    renameSync(`${path}.tmp`, path);
    return path;
  }
  const response = (kind: Kind, ...resources: object[]): string =>
    JSON.stringify({
      resources: resources.map((each) => ({ '@type': `type.googleapis.com/${types[kind]}`, ...each })),
    });
  const fileSource = (path: string) => ({ path_config_source: { path } });
  /** A resource that takes what it needs from a file instead of the aggregated stream. */
  const from = (path: string, resource: object): object =>
    JSON.parse(JSON.stringify(resource).replace(ads, JSON.stringify(fileSource(path)))) as object;
  const bridge = (name: string, more: object = {}) => ({
    ...bridgeClusterResource({ name, ports: [1], library, plugin: 'my_bridge' }),
    ...more,
  });
  const edsBridge = (name: string, eds: string, service_name: string) => ({
    ...bridge(name),
    type: 'EDS',
    load_assignment: undefined,
    eds_cluster_config: { service_name, eds_config: fileSource(eds) },
  });
  const bootstrapOf = (cds: string, lds: string, more: object = {}): string =>
    JSON.stringify({
      admin: { address: { socket_address: { address: '127.0.0.1', port_value: 0 } } },
      dynamic_resources: { cds_config: fileSource(cds), lds_config: fileSource(lds) },
      ...more,
    });

  describe('are judged by --mode validate', () => {
    async function validate(bootstrap: string): Promise<{ code: number | null; lines: string[] }> {
      const flags = ['-c', write('bootstrap.json', bootstrap), '--mode', 'validate', '--plugin-root', projectRoot];
      const { code, stdout } = await runChild(process.execPath, [cliPath, ...flags]);
      return { code, lines: stdout.trim().replaceAll(`${folder}/`, '').split('\n') };
    }

    it('with all that they name, in the words of the log', async () => {
      const eds = write(
        'eds.json',
        response('endpoints', { ...endpointsResource('svc', [1]), named_endpoints: { a: {} } }),
      );
      const routes = { ...routesResource('r', { '/': 'good' }), vhds: { config_source: { ads: {} } } };
      const message = { resources: [{ type_url: `/${types.route}`, value: schema.encode(types.route, routes) }] };
      const rds = write('rds.pb', schema.encode('envoy.service.discovery.v3.DiscoveryResponse', message));
      const cds = write(
        'cds.yaml',
        response(
          'cluster',
          bridge('good'),
          bridge('careful', { track_cluster_stats: {} }),
          { name: 'plain', load_assignment: { cluster_name: 'plain' } },
          bridge('library', { upstream_config: withLibrary('no/such.ts') }),
          edsBridge('svc', eds, 'svc'),
          edsBridge('other', eds, 'none'),
        ),
      );
      const lds = write('lds.json', response('listener', from(rds, listenerResource('l', 's', 'r'))));
      const { code, lines } = await validate(bootstrapOf(cds, lds));
      expect(code).to.equal(1);
      expect(lines).to.deep.equal([
        `cds.yaml: cluster library: rejected: upstream_config.typed_config.library_path: ${join(projectRoot, 'no/such.ts')} does not exist`,
        'eds.json: endpoints svc: rejected: named_endpoints: not supported: Envoy does not implement them either',
        'rds.pb: route configuration r: rejected: vhds: not supported: virtual hosts are not discovered; put them into virtual_hosts',
        'cds.yaml: cluster careful: warned: track_cluster_stats: ignored: these statistics are not kept',
        'cds.yaml: cluster plain: parked: the cluster has no HTTP-TCP bridge (upstream_config is not set)',
        'eds.json: endpoints none: does not exist',
        '3 problems',
      ]);
    });

    it('also those of static resources, and says OK where there is nothing to say', async () => {
      const eds = write('eds.json', response('endpoints', endpointsResource('svc', [1])));
      const resources = { static_resources: { clusters: [edsBridge('a', eds, 'svc')] }, dynamic_resources: undefined };
      const good = await validate(bootstrapOf('', '', resources));
      expect(good).to.deep.equal({ code: 0, lines: ["configuration 'bootstrap.json' OK"] });
      write('eds.json', '{');
      const { code, lines } = await validate(bootstrapOf('', '', resources));
      expect(code).to.equal(1);
      expect(lines[0]).to.match(/^eds\.json: rejected: line 1/);
    });

    it('each with what it is where it does not belong', async () => {
      const cds = write('cds.json', response('endpoints', endpointsResource('a', [1])));
      const { lines } = await validate(bootstrapOf(cds, write('lds.yaml', '')));
      expect(lines).to.deep.equal([
        `cds.json: cluster a: rejected: it is a ${types.endpoints}; allowed is ${types.cluster}`,
        'lds.yaml: rejected: lds.yaml is empty; no resources are `resources: []`',
        '2 problems',
      ]);
    });
  });

  describe('serve', () => {
    const running: (Pontoon | TcpServer)[] = [];
    afterEach(async () => {
      for (const each of running.splice(0)) await ('admin' in each ? each.stop('SIGKILL') : each.close());
    });
    async function serverOf(name: string): Promise<number> {
      const server = await startTcpServer({ onData: ({ socket }) => void socket.write(`${name}\n`) });
      running.push(server);
      return server.port;
    }
    async function start(bootstrap: string): Promise<Pontoon> {
      const pontoon = await startPontoon({ bootstrap, args: ['-l', 'info'] });
      running.push(pontoon);
      return pontoon;
    }

    it('endpoints of one name from two files to two clusters', async () => {
      const [one, two] = [await serverOf('one'), await serverOf('two')];
      const files = [one, two].map((port, index) =>
        write(`eds${index}.json`, response('endpoints', endpointsResource('svc', [port]))),
      ) as [string, string];
      const cds = write(
        'cds.json',
        response('cluster', edsBridge('a', files[0], 'svc'), edsBridge('b', files[1], 'svc')),
      );
      const rds = write('rds.json', response('route', routesResource('r', { '/a': 'a', '/b': 'b' })));
      const lds = write('lds.json', response('listener', from(rds, listenerResource('l', 's', 'r'))));
      const url = await (await start(bootstrapOf(cds, lds))).listener('l');
      const answers = await Promise.all(['/a', '/b'].map(async (path) => (await fetch(`${url}${path}`)).text()));
      expect(answers.map((text) => /one|two/.exec(text)?.[0])).to.deep.equal(['one', 'two']);
      write('eds0.json', response('endpoints', endpointsResource('svc', [two])));
      await until(
        'the new endpoints',
        async () => (await (await fetch(`${url}/a`)).text()).includes('two') || undefined,
      );
    });

    it('what they have once they are put right, and nothing waits for that', async () => {
      const port = await serverOf('one');
      const cds = write('cds.json', response('cluster', edsBridge('a', write('eds.json', 'endpoints: ['), 'svc')));
      const lds = write('lds.json', '{"resorces": []}');
      const began = performance.now();
      const pontoon = await start(bootstrapOf(cds, lds));
      // initial_fetch_timeout is 15 s.
      await until('readiness', async () => (await pontoon.get('/ready')).trim() === 'LIVE' || undefined);
      expect(performance.now() - began).to.be.lessThan(14_000);
      const log = pontoon.log();
      expect(log).to.contain('an xDS file cannot be used').and.to.contain('resorces').and.to.contain('eds.json');
      write('eds.json', response('endpoints', endpointsResource('svc', [port])));
      const rds = write('rds.json', response('route', routesResource('r', { '/': 'a' })));
      write('lds.json', response('listener', from(rds, listenerResource('l', 's', 'r'))));
      const url = await pontoon.listener('l');
      await until('an answer', async () => (await (await fetch(url)).text()).includes('one') || undefined);
    });
  });
});

const withLibrary = (library_path: string) => ({
  name: 'bridge',
  typed_config: {
    '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.tcp.golang.v3alpha.Config',
    library_id: 'l',
    library_path,
    plugin_name: 'p',
  },
});
