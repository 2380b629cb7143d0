import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { startFramedServer } from '../../control-plane-sample/framed-server.js';
import { runChild } from '../support/child.js';
import { cliPath, type Pontoon, type PontoonOptions, projectRoot, startPontoon } from '../support/pontoon.js';
import { bridgeBootstrap, staticBootstrap } from '../support/static-bootstrap.js';
import { startTcpServer, type TcpServer } from '../support/tcp-server.js';
import { until } from '../support/until.js';

const packageVersion = (JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')) as { version: string })
  .version;
const nothing = staticBootstrap({});

describe('pontoon: the command line', function () {
  this.timeout(60_000);
  let folder: string;
  const running: Pontoon[] = [];
  const servers: { close(): Promise<void> }[] = [];

  const start = async (options: PontoonOptions): Promise<Pontoon> => {
    const pontoon = await startPontoon(options);
    running.push(pontoon);
    return pontoon;
  };
  const run = (...args: string[]) => runChild(process.execPath, [cliPath, ...args]);
  const commandLine = async (pontoon: Pontoon) => {
    const info = JSON.parse(await pontoon.get('/server_info')) as { command_line_options: Record<string, unknown> };
    return info.command_line_options;
  };

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'pontoon-cli-'));
  });
  afterEach(async () => {
    for (const pontoon of running.splice(0)) await pontoon.stop('SIGKILL');
    for (const server of servers.splice(0)) await server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  describe('flags that end at once', () => {
    it('--version', async () => {
      const { code, stdout } = await run('--version');
      const [first, second, ...rest] = stdout.split('\n');
      expect({ code, first, rest }).to.deep.equal({
        code: 0,
        first: `pontoon ${packageVersion} (node ${process.version})`,
        rest: [''],
      });
      expect(second).to.match(/^go bridges: (available|unavailable \(.+\))$/);
    });

    it('--help names each flag, and none of those that are only accepted', async () => {
      const { code, stdout } = await run('--help');
      expect(code).to.equal(0);
      for (const flag of ['-c, --config-path', '--config-yaml', '--mode', '--drain-time-s', '--plugin-root'])
        expect(stdout).to.contain(flag);
      expect(stdout).to.not.contain('--restart-epoch');
    });

    const mistakes = [
      { args: ['--nope'], stderr: "error: unknown option '--nope'\n(Did you mean --mode?)\n" },
      {
        args: [],
        stderr: "error: nothing to run: give Envoy's bootstrap with -c FILE (or --config-yaml TEXT)\n",
      },
      { args: ['-c', 'x', 'y'], stderr: 'error: too many arguments. Expected 0 arguments but got 1.\n' },
      {
        args: ['-c', 'x', '--log-level', 'loud'],
        stderr:
          "error: option '-l, --log-level <level>' argument 'loud' is invalid. It must be one of trace, debug, info, warning, error, critical, off.\n",
      },
      {
        args: ['-c', 'x', '--drain-time-s', '-1'],
        stderr:
          "error: option '--drain-time-s <seconds>' argument '-1' is invalid. It must be a whole number of at least 0.\n",
      },
      {
        args: ['-c', 'x', '--concurrency', '0'],
        stderr: "error: option '--concurrency <n>' argument '0' is invalid. It must be a whole number of at least 1.\n",
      },
      {
        args: ['-c', 'x', '--component-log-level', 'xds'],
        stderr:
          "error: option '--component-log-level <list>' argument 'xds' is invalid. It must be component:level pairs, separated by commas.\n",
      },
      {
        args: ['-c', 'x', '--mode', 'init_only'],
        stderr: "error: option '--mode <mode>' argument 'init_only' is invalid. Allowed choices are serve, validate.\n",
      },
    ];
    for (const { args, stderr } of mistakes) {
      it(`pontoon ${args.join(' ')}`, async () => {
        expect(await run(...args)).to.deep.equal({ code: 1, stdout: '', stderr });
      });
    }
  });

  it('merges --config-yaml over the file, and takes it alone', async () => {
    const node = 'node: {id: from-file, cluster: from-file, locality: {zone: from-file}}';
    const merged = await start({
      bootstrap: `${nothing}\n${node}`,
      args: ['--config-yaml', 'node: {id: from-flag}', '--service-zone', 'from-zone-flag'],
    });
    const info = JSON.parse(await merged.get('/server_info')) as { node: Record<string, unknown> };
    expect(info.node).to.deep.include({ id: 'from-flag', cluster: 'from-file' });
    expect(info.node.locality).to.deep.include({ zone: 'from-zone-flag' });

    const { code, stdout } = await run('--config-yaml', nothing, '--mode', 'validate');
    expect({ code, stdout }).to.deep.equal({ code: 0, stdout: "configuration '--config-yaml' OK\n" });
  });

  it('--service-node and --service-cluster win over the file', async () => {
    const pontoon = await start({
      bootstrap: `${nothing}\nnode: {id: a, cluster: b}`,
      args: ['--service-node', 'node-flag', '--service-cluster', 'cluster-flag'],
    });
    const info = JSON.parse(await pontoon.get('/server_info')) as { node: Record<string, unknown> };
    expect(info.node).to.deep.include({ id: 'node-flag', cluster: 'cluster-flag' });
  });

  it('--log-level, --component-log-level and --log-path', async () => {
    const path = join(folder, 'logs', 'pontoon.log');
    const args = ['--log-level', 'warn', '--component-log-level', 'main:info,upstream:debug', '--log-path', path];
    const pontoon = await start({ bootstrap: nothing, args });
    const levels = await (await fetch(`${pontoon.admin}/logging`, { method: 'POST' })).text();
    expect(levels)
      .to.match(/main: info/)
      .and.match(/upstream: debug/)
      .and.match(/listener: warning/);
    expect(await pontoon.stop()).to.equal(0);
    expect(pontoon.log()).to.equal('');
    const lines = readFileSync(path, 'utf8').trim().split('\n');
    const messages = lines.map((line) => (JSON.parse(line) as { msg: string }).msg);
    expect(messages).to.deep.equal(['draining; a second signal ends the process at once', 'stopped']);
  });

  it('--admin-address-path holds what was bound for port 0', async () => {
    const pontoon = await start({ bootstrap: nothing });
    expect(pontoon.admin).to.match(/^http:\/\/127\.0\.0\.1:[1-9]\d*$/);
    expect(await pontoon.get('/ready')).to.equal('LIVE\n');
    expect(await commandLine(pontoon)).to.include({ concurrency: 1, log_level: 'info', mode: 'Serve' });
  });

  it('tells which flags of Envoy have no effect, and serves', async () => {
    const args = ['--disable-hot-restart', '--base-id', '7', '--drain-strategy', 'immediate'];
    const pontoon = await start({ bootstrap: nothing, args });
    expect(await pontoon.get('/ready')).to.equal('LIVE\n');
    const ended = await pontoon.stop().then(() => pontoon.log());
    const warnings = ended
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { level: string; flag?: string })
      .filter(({ level }) => level === 'warn');
    expect(warnings.map(({ flag }) => flag)).to.deep.equal(['--disable-hot-restart', '--base-id', '--drain-strategy']);
  });

  describe('ending', () => {
    /** A server that answers when told, and a request that waits for it. */
    async function requestInFlight(args: readonly string[]) {
      const server: TcpServer = await startTcpServer();
      servers.push(server);
      const pontoon = await start({ bootstrap: bridgeBootstrap(server.port), args });
      const url = await pontoon.listener('http');
      const response = fetch(url, { method: 'POST', body: 'hello' });
      response.catch(() => undefined);
      const connection = await until('the request', () =>
        server.connections.find((each) => each.received().length > 8),
      );
      return { pontoon, url, response, answer: () => connection.socket.write(Buffer.from('\0\0\0\x05world')) };
    }

    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      it(`${signal} lets running requests end, takes no new ones, and ends with 0`, async () => {
        const { pontoon, url, response, answer } = await requestInFlight([]);
        pontoon.child.kill(signal);
        await until('the drain', () => (pontoon.log().includes('draining') ? true : undefined));
        await until('a refused connection', () =>
          fetch(url, { headers: { connection: 'close' } }).then(
            () => undefined,
            () => true,
          ),
        );
        expect(pontoon.child.exitCode).to.equal(null);
        answer();
        const answered = await response;
        expect([answered.status, await answered.text()]).to.deep.equal([200, 'world']);
        expect(await pontoon.stop(), pontoon.log()).to.equal(0);
      });
    }

    it('POST /quitquitquit does the same', async () => {
      const { pontoon, response, answer } = await requestInFlight([]);
      expect(await (await fetch(`${pontoon.admin}/quitquitquit`, { method: 'POST' })).text()).to.equal('OK\n');
      expect(await pontoon.get('/ready')).to.equal('DRAINING\n');
      answer();
      expect((await response).status).to.equal(200);
      expect(await until('the end', () => pontoon.child.exitCode ?? undefined)).to.equal(0);
    });

    it('SIGTERM while it still starts is heeded as soon as it has started', async () => {
      const file = join(folder, 'bootstrap.yaml');
      writeFileSync(file, nothing);
      const child = spawn(process.execPath, [cliPath, '-c', file, '--restart-epoch', '0'], {
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      // The first it says is that the flag has no meaning, before it reads the bootstrap.
      const log: Buffer[] = [];
      child.stderr.on('data', (chunk: Buffer) => log.push(chunk)).once('data', () => child.kill('SIGTERM'));
      const [code, signal] = await once(child, 'close');
      expect({ code, signal }).to.deep.equal({ code: 0, signal: null });
      expect(Buffer.concat(log).toString()).to.contain('"msg":"stopped"');
    });

    it('a second signal ends at once', async () => {
      const { pontoon, response } = await requestInFlight([]);
      pontoon.child.kill('SIGTERM');
      await until('the drain', () => (pontoon.log().includes('draining') ? true : undefined));
      // One that comes within half a second is taken for the same.
      expect(
        await until('the end', () => {
          pontoon.child.kill('SIGTERM');
          return pontoon.child.exitCode ?? undefined;
        }),
      ).to.equal(1);
      expect(
        await response.then(
          () => 'answered',
          () => 'reset',
        ),
      ).to.equal('reset');
    });

    it('the same Ctrl-C twice, as npx has it, is one', async () => {
      const { pontoon, response, answer } = await requestInFlight([]);
      pontoon.child.kill('SIGINT');
      pontoon.child.kill('SIGINT');
      pontoon.child.kill('SIGTERM');
      await until('the drain', () => (pontoon.log().includes('draining') ? true : undefined));
      answer();
      expect((await response).status).to.equal(200);
      expect(await until('the end', () => pontoon.child.exitCode ?? undefined)).to.equal(0);
    });

    it('--drain-time-s bounds the wait', async () => {
      const { pontoon, response } = await requestInFlight(['--drain-time-s', '1']);
      const started = performance.now();
      expect(await pontoon.stop()).to.equal(0);
      expect(performance.now() - started).to.be.greaterThan(900);
      expect(
        await response.then(
          ({ status }) => status,
          () => 'reset',
        ),
      ).to.equal('reset');
    });
  });

  it('SIGUSR1 opens access log files anew', async () => {
    const server = await startFramedServer('server', 0);
    servers.push(server);
    const path = join(folder, 'access.log');
    const accessLog = `access_log: [{name: file, typed_config: {"@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog, path: ${path}}}],`;
    const bootstrap = bridgeBootstrap(server.port).replace(
      'stat_prefix: ingress,',
      `stat_prefix: ingress, ${accessLog}`,
    );
    const pontoon = await start({ bootstrap });
    const url = await pontoon.listener('http');
    rmSync(path);
    pontoon.child.kill('SIGUSR1');
    await until('the file', () => (existsSync(path) ? true : undefined));
    await (
      await fetch(`${url}/a?b=c`, {
        method: 'POST',
        body: 'hello',
        headers: { 'user-agent': 'test', connection: 'close' },
      })
    ).text();
    expect(await pontoon.stop()).to.equal(0);
    // https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage#default-format-string
    expect(readFileSync(path, 'utf8')).to.match(
      new RegExp(
        `^\\[\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z\\] "POST /a\\?b=c HTTP/1\\.1" 200 - 5 14 \\d+ \\d+ "-" "test" "[0-9a-f-]{36}" "${url.slice(7)}" "127\\.0\\.0\\.1:${server.port}"\\n$`,
      ),
    );
  });
});
