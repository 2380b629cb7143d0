import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import type { Socket } from 'node:net';
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

  /** Starts a Pontoon whose requests all go to `framed`. */
  const serve = async (cluster: string): Promise<{ pontoon: Pontoon; url: string }> => {
    const listener = httpListener(
      'front',
      'front',
      'route_config: {name: r, virtual_hosts: [{name: v, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: framed}}]}]}',
    );
    const started = await startPontoon({
      bootstrap: `admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}\nstatic_resources: {clusters: [${cluster}], listeners: [${listener}]}`,
    });
    pontoon = started;
    return { pontoon: started, url: await started.listener('front') };
  };

  it('serves requests in a Pontoon process', async () => {
    const cluster = bridgeCluster({
      name: 'framed',
      ports: [server.port],
      library,
      plugin: 'length_prefixed',
      config: '{length_size: 2, endianness: little}',
    });
    const { pontoon: running, url } = await serve(cluster);
    for (const body of ['hello', 'go', 'x'.repeat(1000)]) {
      const response = await fetch(url, { method: 'POST', body, headers: { connection: 'close' } });
      expect(response.status).to.equal(200);
      expect(await response.text()).to.equal(body.toUpperCase());
    }
    expect(await running.stat('bridge.go_libraries')).to.equal(1);
    expect(server.connections).to.have.length(1);
    expect(running.log()).to.include('a Go library runs in this process');
    expect(await running.stop()).to.equal(0);
  });

  describe('with a server that is driven by the test', () => {
    let front: string;
    let answer: (socket: Socket, payload: Buffer) => void;
    let framed: TcpServer;
    const header = (length: number) => {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32BE(length);
      return bytes;
    };

    beforeEach(async () => {
      const received = new WeakMap<Socket, Buffer>();
      framed = await startTcpServer({
        onData({ socket }, data) {
          const all = Buffer.concat([received.get(socket) ?? Buffer.alloc(0), data]);
          received.set(socket, all);
          if (all.length < 4 || all.length < 4 + all.readUInt32BE(0)) return;
          received.delete(socket);
          answer(socket, all.subarray(4));
        },
      });
      const cluster = bridgeCluster({ name: 'framed', ports: [framed.port], library, plugin: 'length_prefixed' });
      front = (await serve(cluster)).url;
    });

    afterEach(() => framed.close());

    it('streams large bodies both ways, with and without a known length', async () => {
      answer = (socket, payload) => socket.write(Buffer.concat([header(payload.length), payload]));
      for (const size of [0, 1, 65_536, 65_537, 3_000_000]) {
        const body = randomBytes(size);
        const known = await fetch(front, { method: 'POST', body });
        expect(known.headers.get('content-length')).to.equal(String(size));
        expect(Buffer.from(await known.arrayBuffer()).equals(body), `${size}`).to.equal(true);
        const pieces = new ReadableStream({
          start(controller) {
            for (let at = 0; at < size; at += 100_000) controller.enqueue(body.subarray(at, at + 100_000));
            controller.close();
          },
        });
        const unknown = await fetch(front, { method: 'POST', body: pieces, duplex: 'half' });
        expect(Buffer.from(await unknown.arrayBuffer()).equals(body), `${size}, chunked`).to.equal(true);
      }
    });

    it('answers 502 when a small frame is cut short, and resets what has begun to stream', async () => {
      answer = (socket, payload) => socket.end(Buffer.concat([header(payload.length + 1), payload]));
      const small = await fetch(front, { method: 'POST', body: 'x'.repeat(1000) });
      expect(small.status).to.equal(502);
      expect(await small.text()).to.include('in the middle of a frame');
      const large = fetch(front, { method: 'POST', body: 'x'.repeat(300_000) }).then((response) => response.text());
      expect(
        await large.then(
          () => 'whole',
          () => 'reset',
        ),
      ).to.equal('reset');
    });

    it('cuts off bytes behind the frame, and does not use their connection again', async () => {
      answer = (socket, payload) => socket.write(Buffer.concat([header(payload.length), payload, Buffer.from('more')]));
      for (const size of [1000, 1000, 200_000, 200_000]) {
        const response = await fetch(front, { method: 'POST', body: 'x'.repeat(size) });
        expect(response.status).to.equal(200);
        expect(await response.text()).to.have.length(size);
      }
      expect(framed.connections).to.have.length(4);
    });
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
