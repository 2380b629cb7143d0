import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { runChild } from '../support/child.js';
import { bridgeCluster, cliPath, httpListener, type Pontoon, projectRoot, startPontoon } from '../support/pontoon.js';
import { bridgeBootstrap, lengthPrefixed, routesTo, staticBootstrap } from '../support/static-bootstrap.js';
import { startTcpServer, type TcpServer } from '../support/tcp-server.js';

const examples = [
  { file: 'golang-http-tcp-bridge.yaml', library: 'lib/my_bridge.so', says: 'hello' },
  { file: 'golang-http-tcp-bridge-with-config.yaml', library: 'lib/my_configurable_bridge.so', says: 'bar' },
];

describe('pontoon --mode validate', function () {
  this.timeout(60_000);
  let folder: string;
  let file: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'pontoon-validate-'));
    file = join(folder, 'bootstrap.yaml');
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const validate = async (bootstrap: string) => {
    writeFileSync(file, bootstrap);
    const { code, stdout, stderr } = await runChild(process.execPath, [
      ...[cliPath, '-c', file, '--mode', 'validate'],
      ...['--plugin-root', projectRoot, '--plugin-root', folder],
    ]);
    expect(stderr).to.equal('');
    return { code, lines: stdout.trim().split('\n') };
  };

  it('says OK when there is nothing to say', async () => {
    expect(await validate(bridgeBootstrap(1))).to.deep.equal({ code: 0, lines: [`configuration '${file}' OK`] });
  });

  it('lists what is ignored and what is parked, and says OK', async () => {
    const { code, lines } = await validate(
      staticBootstrap({
        clusters: ['{name: plain, type: STATIC, load_assignment: {cluster_name: plain}}'],
        more: 'header_prefix: x-mine',
      }),
    );
    expect(code).to.equal(0);
    expect(lines[0]).to.match(/^bootstrap: warned: header_prefix: /);
    expect(lines[1]).to.match(/^cluster plain: parked: /);
    expect(lines[2]).to.equal(`configuration '${file}' OK`);
  });

  it('tells every problem of the file at once, each with its field and what is allowed', async () => {
    const cluster = bridgeCluster({ name: 'bridge', ports: [1], ...lengthPrefixed });
    const { code, lines } = await validate(
      staticBootstrap({
        clusters: [cluster.replace('port_value: 1', 'port_value: 70000'), cluster.replace('name: bridge', 'name: ""')],
        listeners: [httpListener('http', '', routesTo('bridge').replace('["*"]', '[]'))],
      }),
    );
    const hcm = 'static_resources.listeners[0].filter_chains[0].filters[0].typed_config';
    expect(code).to.equal(1);
    expect(lines.at(-1)).to.equal('4 problems');
    expect(lines.slice(0, -1).sort()).to.deep.equal([
      `${file}: rejected: static_resources.clusters[0].load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address.port_value: must be <= 65535`,
      `${file}: rejected: static_resources.clusters[1].name: must be at least 1 character`,
      `${file}: rejected: ${hcm}.route_config.virtual_hosts[0].domains: must have at least 1 item`,
      `${file}: rejected: ${hcm}.stat_prefix: must be at least 1 character`,
    ]);
  });

  it('loads every plugin, and tells what each refuses', async () => {
    writeFileSync(join(folder, 'broken.ts'), 'export const bridges = {\n  broken: ;\n};\n');
    const cluster = (name: string, library: string, plugin: string, config?: string) =>
      bridgeCluster({ name, ports: [1], library, plugin, ...(config && { config }) });
    const { library, plugin } = lengthPrefixed;
    const { code, lines } = await validate(
      staticBootstrap({
        clusters: [
          cluster('good', library, plugin),
          cluster('config', library, plugin, '{length_size: 5}'),
          cluster('plugin', library, 'length_prefix'),
          cluster('syntax', join(folder, 'broken.ts'), 'broken'),
          cluster('missing', 'no/such/library.ts', plugin),
          cluster('go', 'lib/bridge.so', plugin),
        ],
      }),
    );
    const field = (index: number) =>
      `${file}: rejected: static_resources.clusters[${index}].upstream_config.typed_config`;
    expect(code).to.equal(1);
    expect(lines).to.deep.equal([
      `${field(1)}.plugin_config: plugin "length_prefixed" rejects it: length_size must be one of 1, 2, 3, 4, 8, not 5`,
      `${field(2)}.plugin_name: ${join(projectRoot, library)} has no plugin "length_prefix"; it has "length_prefixed"`,
      `${field(3)}.library_path: ${join(folder, 'broken.ts')}:2:11: Unexpected ";"`,
      `${field(4)}.library_path: ${join(projectRoot, 'no/such/library.ts')} does not exist`,
      `${field(5)}.library_path: ${join(projectRoot, 'lib/bridge.so')} does not exist`,
      '5 problems',
    ]);
  });

  it('starts nothing: a port that is taken is no problem', async () => {
    const server = await startTcpServer();
    const bootstrap = bridgeBootstrap(1).replaceAll('port_value: 0', `port_value: ${server.port}`);
    const { code } = await validate(bootstrap);
    expect(code).to.equal(0);
    expect(server.connections).to.have.length(0);
    await server.close();
  });

  describe("Envoy's examples", () => {
    const running: (Pontoon | TcpServer)[] = [];
    afterEach(async () => {
      for (const each of running.splice(0)) await ('admin' in each ? each.stop('SIGKILL') : each.close());
    });
    const read = ({ file: name, library }: (typeof examples)[number]) =>
      readFileSync(join(projectRoot, 'test', 'fixtures', 'envoy-docs', name), 'utf8').replace(
        library,
        'test/fixtures/plugins/my_bridge.ts',
      );

    for (const example of examples) {
      it(`${example.file} is valid with nothing but the library_path of a script`, async () => {
        expect(await validate(read(example))).to.deep.equal({ code: 0, lines: [`configuration '${file}' OK`] });
      });

      it(`${example.file} serves`, async () => {
        const server = await startTcpServer({ onData: ({ socket }, data) => void socket.write(`server: ${data}`) });
        // Its ports and its host are those of somebody else's machine.
        const bootstrap = read(example)
          .replaceAll(/port_value: (10001|9902)/g, 'port_value: 0')
          .replaceAll('0.0.0.0', '127.0.0.1')
          .replace('port_value: 20880', `port_value: ${server.port}`)
          .replace('host.docker.internal', 'localhost');
        const pontoon = await startPontoon({ bootstrap });
        running.push(pontoon, server);
        const url = await pontoon.listener('listener_0');
        const response = await fetch(`${url}/mytest.service/x`, { method: 'POST', body: 'world' });
        expect([response.status, await response.text()]).to.deep.equal([200, `server: ${example.says} world\n`]);
        expect((await fetch(url)).status).to.equal(404);
      });
    }
  });
});
