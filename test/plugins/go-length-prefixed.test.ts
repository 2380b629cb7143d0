import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { runChild } from '../support/child.js';
import { buildGoLibrary } from '../support/go-libraries.js';
import { bridgeCluster, cliPath, httpListener, type Pontoon, projectRoot, startPontoon } from '../support/pontoon.js';
import { startTcpServer, type TcpServer } from '../support/tcp-server.js';

describe('plugins/go-length-prefixed', () => {
  let library: string;
  let server: TcpServer;
  let pontoon: Pontoon | undefined;

  before(async function () {
    library = await buildGoLibrary(this, join(projectRoot, 'plugins', 'go-length-prefixed'));
  });

  /** Answers each frame (two bytes of length, little-endian) with its payload in upper case. */
  beforeEach(async () => {
    let rest = Buffer.alloc(0);
    server = await startTcpServer({
      onData({ socket }, data) {
        rest = Buffer.concat([rest, data]);
        if (rest.length < 2 || rest.length < 2 + rest.readUInt16LE(0)) return;
        const payload = Buffer.from(rest.subarray(2).toString().toUpperCase());
        rest = Buffer.alloc(0);
        const header = Buffer.alloc(2);
        header.writeUInt16LE(payload.length);
        socket.write(header);
        setImmediate(() => socket.write(payload));
      },
    });
  });

  afterEach(async () => {
    await pontoon?.stop();
    pontoon = undefined;
    await server.close();
  });

  const check = (...args: string[]) =>
    runChild(process.execPath, [cliPath, 'plugin', 'check', library, '--plugin-root', projectRoot, ...args]);

  it('serves requests in a Pontoon process', async () => {
    const cluster = bridgeCluster({
      name: 'framed',
      ports: [server.port],
      library,
      plugin: 'length_prefixed',
      config: '{length_size: 2, endianness: little}',
    });
    const listener = httpListener(
      'front',
      'front',
      'route_config: {name: r, virtual_hosts: [{name: v, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: framed}}]}]}',
    );
    pontoon = await startPontoon({
      bootstrap: `admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}\nstatic_resources: {clusters: [${cluster}], listeners: [${listener}]}`,
    });
    const url = await pontoon.listener('front');
    for (const body of ['hello', 'go', 'x'.repeat(1000)]) {
      const response = await fetch(url, { method: 'POST', body, headers: { connection: 'close' } });
      expect(response.status).to.equal(200);
      expect(await response.text()).to.equal(body.toUpperCase());
    }
    expect(await pontoon.stat('bridge.go_libraries')).to.equal(1);
    expect(server.connections).to.have.length(1);
    expect(pontoon.log()).to.include('a Go library runs in this process');
    expect(await pontoon.stop()).to.equal(0);
  });

  it('is judged by `pontoon plugin check`', async () => {
    const good = await check('--name', 'length_prefixed', '--config', '{"length_size": 8}');
    expect(good.stdout).to.match(/ OK \(sha256 [0-9a-f]{64}\)\n/);
    expect(good.code).to.equal(0);
    const bad = await check('--name', 'length_prefixed', '--config', '{"length_size": 5}');
    expect(bad.stdout)
      .to.include('plugin_config: plugin "length_prefixed" of')
      .and.include('length_size: must be 1, 2, 4 or 8, not 5');
    expect(bad.code).to.equal(1);
  });

  it('is refused with the reason where the native host could not be built', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'pontoon-native-'));
    try {
      for (const name of ['.build', 'package.json', 'node_modules', 'src'])
        symlinkSync(join(projectRoot, name), join(folder, name));
      const build = await runChild(process.execPath, [join(projectRoot, '.build', 'native.mjs'), folder], {
        CXX: 'no-compiler',
      });
      expect(build.code).to.equal(0);
      for (const name of ['src', 'schema.txt'])
        symlinkSync(join(projectRoot, 'dist', name), join(folder, 'dist', name));
      const run = (...args: string[]) =>
        runChild(
          process.execPath,
          ['--preserve-symlinks', '--preserve-symlinks-main', join(folder, 'dist', 'src', 'cli.js'), ...args],
          { CXX: 'no-compiler' },
        );
      const reason = 'there is no C++ compiler to build their native part with: install g++ or clang++';
      expect((await run('--version')).stdout)
        .to.match(/^pontoon .*\ngo bridges: unavailable \(/)
        .and.include(reason);
      const refused = await run('plugin', 'check', library, '--plugin-root', projectRoot);
      expect(refused.stdout).to.include(`library_path: Go bridges are unavailable here: ${reason}`);
      expect(refused.code).to.equal(1);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
    expect((await runChild(process.execPath, [cliPath, '--version'])).stdout).to.match(/\ngo bridges: available\n$/);
  });
});
