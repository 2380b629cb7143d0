import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { runChild } from '../support/child.js';
import { bridgeCluster, cliPath, httpListener, projectRoot } from '../support/pontoon.js';
import { bridgeBootstrap, lengthPrefixed, routesTo, staticBootstrap } from '../support/static-bootstrap.js';
import { startTcpServer, type TcpServer } from '../support/tcp-server.js';

const libraries: Readonly<Record<string, string>> = {
  'syntax.ts': 'export const bridges = {\n  plugin: ;\n};\n',
  'import.ts': "import { nothing } from './nowhere.js';\nexport const bridges = { plugin: nothing };\n",
  'throws.ts': "throw new Error('not on this machine');\n",
  'none.ts': 'export const other = 1;\n',
  'config.ts':
    "export const bridges = { plugin: { parseConfig() { throw new Error('color must be red'); }, createBridge: () => ({}) } };\n",
};

describe('bad input at the start', function () {
  this.timeout(60_000);
  let folder: string;
  let taken: TcpServer;
  let free: number;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'pontoon-bad-'));
    for (const [name, source] of Object.entries(libraries)) writeFileSync(join(folder, name), source);
    taken = await startTcpServer();
    const other = await startTcpServer();
    free = other.port;
    await other.close();
  });
  after(async () => {
    await taken.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const good = bridgeBootstrap(1);
  const library = (name: string) => () => bridgeBootstrap(1, { library: join(folder, name), plugin: 'plugin' });
  const bridge = bridgeCluster({ name: 'bridge', ports: [1], ...lengthPrefixed });
  const listener = httpListener('http', 'ingress', routesTo('bridge'));
  const hcm = 'static_resources\\.listeners\\[0\\]\\.filter_chains\\[0\\]\\.filters\\[0\\]\\.typed_config';
  const tls = 'type.googleapis.com/envoy.extensions.transport_sockets.starttls.v3.UpstreamStartTlsConfig';
  const stdout = 'type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog';
  const dynamic = (config: string) => `node: {id: a, cluster: b}\ndynamic_resources: {${config}}`;

  const cases: { name: string; bootstrap: () => string; says: string }[] = [
    { name: 'an empty file', bootstrap: () => '', says: 'FILE: rejected: is empty' },
    {
      name: 'broken YAML',
      bootstrap: () => good.replace('type: STATIC', 'type: [STATIC'),
      says: 'FILE: rejected: line \\d+, column \\d+: .+',
    },
    { name: 'a list', bootstrap: () => '- a', says: 'FILE: rejected: must be a map of the fields of .*Bootstrap' },
    {
      name: 'a key twice',
      bootstrap: () => `${good}\nadmin: {}`,
      says: 'FILE: rejected: line \\d+, column 1: .*unique.*',
    },
    {
      name: 'an unknown field',
      bootstrap: () => good.replace('connect_timeout', 'connect_timeoot'),
      says: 'FILE: rejected: static_resources\\.clusters\\[0\\]\\.connect_timeoot: unknown field of .*Cluster, did you mean connect_timeout\\?',
    },
    {
      name: 'a value of the wrong type',
      bootstrap: () => good.replace('connect_timeout: 1s', 'connect_timeout: soon'),
      says: 'FILE: rejected: static_resources\\.clusters\\[0\\]\\.connect_timeout: invalid duration "soon", expected seconds .*',
    },
    {
      name: 'an unknown enum value',
      bootstrap: () => good.replace('type: STATIC', 'type: STATICAL'),
      says: 'FILE: rejected: static_resources\\.clusters\\[0\\]\\.type: unknown value "STATICAL" .*, allowed: STATIC, .*',
    },
    {
      name: 'an unknown @type',
      bootstrap: () => good.replace('golang.v3alpha.Config', 'golang.v3alpha.Confg'),
      says: 'FILE: rejected: static_resources\\.clusters\\[0\\]\\.upstream_config\\.typed_config.*Confg.*',
    },
    {
      name: 'a required field that is missing',
      bootstrap: () => good.replace('library_id: length_prefixed, ', ''),
      says: 'FILE: rejected: static_resources\\.clusters\\[0\\]\\.upstream_config\\.typed_config\\.library_id: .*',
    },
    {
      name: 'a value out of its range',
      bootstrap: () => good.replace('stat_prefix: ingress', 'stat_prefix: ""'),
      says: `FILE: rejected: ${hcm}\\.stat_prefix: must be at least 1 character`,
    },
    {
      name: 'a regular expression that is none',
      bootstrap: () => good.replace('match: {prefix: /}', 'match: {safe_regex: {regex: "("}}'),
      says: `FILE: rejected: ${hcm}\\.route_config\\.virtual_hosts\\[0\\]\\.routes\\[0\\]\\.match\\.safe_regex\\.regex: .*`,
    },
    {
      name: 'an access log with a command that does not exist',
      bootstrap: () =>
        good.replace(
          'stat_prefix: ingress,',
          `stat_prefix: ingress, access_log: [{name: out, typed_config: {"@type": ${stdout}, log_format: {text_format_source: {inline_string: "%NOPE%"}}}}],`,
        ),
      says: `FILE: rejected: ${hcm}\\.access_log\\[0\\]\\.typed_config\\.log_format\\.text_format: %NOPE% is no command operator .*`,
    },
    {
      name: 'two listeners of one address',
      bootstrap: () => {
        const fixed = listener.replace('port_value: 0', `port_value: ${free}`);
        return staticBootstrap({ clusters: [bridge], listeners: [fixed, fixed.replace('name: http', 'name: other')] });
      },
      says: 'FILE: rejected: static_resources\\.listeners\\[1\\]\\.address: 127\\.0\\.0\\.1:\\d+ is the address of listener http already; give one of them another address',
    },
    {
      name: 'two clusters of one name',
      bootstrap: () => staticBootstrap({ clusters: [bridge, bridge] }),
      says: 'FILE: rejected: static_resources\\.clusters\\[1\\]\\.name: duplicate name bridge',
    },
    {
      name: 'two listeners of one name',
      bootstrap: () => staticBootstrap({ clusters: [bridge], listeners: [listener, listener] }),
      says: 'FILE: rejected: static_resources\\.listeners\\[1\\]\\.name: duplicate name http',
    },
    {
      name: 'a field that must not be ignored',
      bootstrap: () =>
        good.replace(
          'connect_timeout',
          `transport_socket: {name: tls, typed_config: {"@type": ${tls}}}, connect_timeout`,
        ),
      says: 'FILE: rejected: static_resources\\.clusters\\[0\\]\\.transport_socket\\.typed_config: not supported: only plain text and TLS are; .*',
    },
    {
      name: 'no cluster for the control plane',
      bootstrap: () =>
        `${good}\n${dynamic('ads_config: {api_type: GRPC, transport_api_version: V3, grpc_services: [{envoy_grpc: {cluster_name: xds}}]}')}`,
      says: 'FILE: rejected: dynamic_resources\\.ads_config\\.grpc_services\\[0\\]\\.envoy_grpc\\.cluster_name: unknown cluster xds; allowed are the static clusters \\(bridge\\)',
    },
    {
      name: 'ads without ads_config',
      bootstrap: () => `${good}\n${dynamic('cds_config: {ads: {}, resource_api_version: V3}')}`,
      says: 'FILE: rejected: dynamic_resources\\.cds_config\\.ads: needs dynamic_resources\\.ads_config',
    },
    {
      name: 'a library that does not exist',
      bootstrap: library('nowhere.ts'),
      says: 'pontoon: FILE: BRIDGE\\.library_path: FOLDER/nowhere\\.ts does not exist',
    },
    {
      name: 'a library with a syntax error',
      bootstrap: library('syntax.ts'),
      says: 'pontoon: FILE: BRIDGE\\.library_path: FOLDER/syntax\\.ts:2:11: Unexpected ";"',
    },
    {
      name: 'a library with an import that leads nowhere',
      bootstrap: library('import.ts'),
      says: 'pontoon: FILE: BRIDGE\\.library_path: FOLDER/import\\.ts:1:25: .*nowhere.*',
    },
    {
      name: 'a library that throws',
      bootstrap: library('throws.ts'),
      says: 'pontoon: FILE: BRIDGE\\.library_path: .*not on this machine.*',
    },
    {
      name: 'a library without bridges',
      bootstrap: library('none.ts'),
      says: 'pontoon: FILE: BRIDGE\\.library_path: .*FOLDER/none\\.ts.*bridges.*',
    },
    {
      name: 'a plugin that the library has not',
      bootstrap: () => bridgeBootstrap(1, { library: join(folder, 'config.ts'), plugin: 'plugout' }),
      says: 'pontoon: FILE: BRIDGE\\.plugin_name: FOLDER/config\\.ts has no plugin "plugout"; it has "plugin"',
    },
    {
      name: 'a plugin that rejects its configuration',
      bootstrap: library('config.ts'),
      says: 'pontoon: FILE: BRIDGE\\.plugin_config: plugin "plugin" rejects it: color must be red',
    },
    {
      name: 'a taken port of a listener',
      bootstrap: () => {
        const [head, ...rest] = good.split('\n');
        return [head, ...rest.map((line) => line.replace('port_value: 0', `port_value: ${taken.port}`))].join('\n');
      },
      says: 'pontoon: FILE: listener http: cannot bind 127\\.0\\.0\\.1:PORT: the address is in use \\(EADDRINUSE\\); .*',
    },
    {
      name: 'a taken port of the admin interface',
      bootstrap: () => good.replace('port_value: 0', `port_value: ${taken.port}`),
      says: 'pontoon: FILE: admin\\.address: cannot bind 127\\.0\\.0\\.1:PORT: the address is in use \\(EADDRINUSE\\); .*',
    },
    {
      name: 'an address that this machine does not have',
      bootstrap: () => good.replace('address: 127.0.0.1, port_value: 0', 'address: 192.0.2.1, port_value: 0'),
      says: 'pontoon: FILE: admin\\.address: cannot bind 192\\.0\\.2\\.1:0: this machine does not have that address .*',
    },
  ];

  for (const { name, bootstrap, says } of cases) {
    it(`${name}: one line, and exit code 1`, async () => {
      const file = join(folder, 'bootstrap.yaml');
      writeFileSync(file, bootstrap());
      const roots = ['--plugin-root', projectRoot, '--plugin-root', folder];
      const { code, stdout, stderr } = await runChild(process.execPath, [cliPath, '-c', file, ...roots]);
      const literal = (text: string) => text.replaceAll(/[.\\/[\]]/g, '\\$&');
      const pattern = says
        .replaceAll('BRIDGE', 'static_resources\\.clusters\\[0\\]\\.upstream_config\\.typed_config')
        .replaceAll('FILE', literal(file))
        .replaceAll('FOLDER', literal(folder))
        .replaceAll('PORT', String(taken.port));
      // Besides the log's lines.
      expect(stderr.replaceAll(/^\{.*\n/gm, '')).to.match(new RegExp(`^${pattern}\\n$`));
      expect({ code, stdout }).to.deep.equal({ code: 1, stdout: '' });
    });
  }

  it('a file that does not exist', async () => {
    const { code, stderr } = await runChild(process.execPath, [cliPath, '-c', join(folder, 'nowhere.yaml')]);
    expect(code).to.equal(1);
    expect(stderr).to.equal(
      `${join(folder, 'nowhere.yaml')}: rejected: cannot be read: ENOENT: no such file or directory, stat '${join(folder, 'nowhere.yaml')}'\n`,
    );
  });

  for (const flag of ['--log-path', '--admin-address-path']) {
    it(`${flag} that can't be written`, async () => {
      const path = join(folder, 'syntax.ts', 'file');
      const { code, stderr } = await runChild(process.execPath, [
        cliPath,
        '--config-yaml',
        good,
        flag,
        path,
        '--plugin-root',
        projectRoot,
      ]);
      expect(code).to.equal(1);
      expect(stderr.replaceAll(/^\{.*\n/gm, '')).to.match(
        new RegExp(`^pontoon: ${flag} ${path}: cannot be written: E[A-Z]+: [^\n]+\n$`),
      );
    });
  }

  it('a mistake in --config-yaml is told as such', async () => {
    const { code, stderr } = await runChild(process.execPath, [cliPath, '--config-yaml', 'nodes: {}']);
    expect(code).to.equal(1);
    expect(stderr).to.match(/^--config-yaml: rejected: nodes: unknown field of .*Bootstrap, did you mean node\?\n$/);
  });
});
