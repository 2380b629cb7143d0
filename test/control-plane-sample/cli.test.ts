import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { type ControlPlaneOptions, startControlPlane } from '../../control-plane-sample/control-plane.js';
import { kinds } from '../../control-plane-sample/resource-kind.js';
import { createLogging } from '../../src/log.js';
import { openStream } from './grpc-client.js';
import { waitFor } from './wait.js';

const root = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))));
const cli = join(root, 'dist', 'control-plane-sample', 'cli.js');
const readme = readFileSync(join(root, 'control-plane-sample', 'README.md'), 'utf8');

/** README's TypeScript, which is plain JavaScript too. */
const example = readme.match(/^```ts\n(.*?)^```/ms)?.[1] ?? '';

/** The lines of README's `sh` blocks, in their order. */
const commands = [...readme.matchAll(/^```sh\n(.*?)^```/gms)].flatMap(([, block = '']) => block.trim().split('\n'));

describe('control-plane-sample: CLI', function () {
  // Each command is a process of its own.
  this.timeout(60_000);
  let server: ChildProcess;
  let output = '';
  let xdsPort = 0;
  let httpPort = 0;

  const run = (args: readonly string[], port = httpPort) =>
    new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
      const env = { ...process.env, CONTROL_PLANE_HTTP_PORT: String(port) };
      const child = execFile(process.execPath, [cli, ...args], { cwd: root, env }, (_error, stdout, stderr) =>
        resolve({ code: child.exitCode ?? -1, stdout, stderr }),
      );
    });

  before(async () => {
    const serve = (commands[0] ?? '').replace('18000', '0').replace('18001', '0').split(' ').slice(1);
    server = spawn(process.execPath, serve, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [server.stdout, server.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        output += chunk.toString();
      });
    }
    const ports = await waitFor('the ports', () => {
      if (server.exitCode !== null) throw new Error(output);
      return output.match(/^xDS on 127\.0\.0\.1:(\d+), HTTP API on http:\/\/127\.0\.0\.1:(\d+)$/m) ?? undefined;
    });
    xdsPort = Number(ports[1]);
    httpPort = Number(ports[2]);
  });
  after(async () => {
    const ended = new Promise((resolve) => server.on('close', resolve));
    server.kill('SIGTERM');
    expect(await ended, output).to.equal(0);
  });

  it("keeps README's promises", async () => {
    expect(commands.length).to.be.greaterThan(8);
    const expected: Record<string, RegExp> = {
      status: /^serving version \w+\n {2}cds {2}\w+ {2}echo\n/,
      'push control-plane-sample/changes/endpoints/echo.yaml': /changed endpoints\/echo$/m,
      'push control-plane-sample/changes/clusters/echo.yaml': /changed clusters\/echo$/m,
      'remove listeners http': /removed listeners\/http$/m,
      reset: /added listeners\/http; changed clusters\/echo, endpoints\/echo$/m,
    };
    for (const command of commands.slice(1)) {
      const [program, script, ...args] = command.split(' ');
      if (program === 'curl') await expectHttp(command);
      else if (args[0] !== 'watch') {
        expect(`${program} ${script}`).to.equal('node dist/control-plane-sample/cli.js');
        const { code, stdout, stderr } = await run(args);
        expect(code, stderr).to.equal(0);
        expect(stdout).to.match(expected[args.join(' ')] ?? /^never$/);
      }
    }
  });

  it('can be used as README shows', async () => {
    const AsyncFunction = (async () => undefined).constructor as new (
      ...parts: string[]
    ) => (...args: unknown[]) => Promise<void>;
    const versions: string[] = [];
    const start = async (options: ControlPlaneOptions) => {
      const controlPlane = await startControlPlane(options);
      controlPlane.events.listen(
        (event) => event.event === 'snapshot' && versions.push(`${event.added} ${event.removed}`),
      );
      return controlPlane;
    };
    expect(example).to.include('setResources');
    await new AsyncFunction('startControlPlane', 'log', example)(start, createLogging('off').logger('test'));
    expect(versions).to.deep.equal(['clusters/b clusters/a']);
  });

  /** What curl would do. */
  async function expectHttp(command: string): Promise<void> {
    const [, method = 'GET', file, url = ''] =
      command.match(/^curl -sS (?:-X (\w+) )?(?:-T (\S+) )?'?(http:[^']+)'?$/) ?? [];
    expect(url, command).to.not.equal('');
    const response = await fetch(url.replace('18001', String(httpPort)), {
      method: file ? 'PUT' : method,
      body: file ? readFileSync(join(root, file)) : undefined,
    });
    expect(response.status, command).to.equal(200);
  }

  it('prints ACKs and NACKs as they come', async () => {
    const watch = spawn(process.execPath, [cli, 'watch', '--http', String(httpPort), '--since', '0'], { cwd: root });
    let text = '';
    for (const output of [watch.stdout, watch.stderr]) {
      output.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
    }
    const stream = openStream(xdsPort, 'sotw');
    try {
      stream.send({ node: { id: 'cli-test' }, type_url: kinds.cluster.typeUrl });
      const response = await stream.response(1);
      const answer = { type_url: response.type_url, response_nonce: response.nonce };
      stream.send({ ...answer, version_info: response.version_info });
      await waitFor('the ACK', () => text.includes(`ACK  cds ${response.version_info} by cli-test`));
      await run(['push', 'control-plane-sample/changes/clusters/echo.yaml']);
      const next = await stream.response(2);
      stream.send({ ...answer, response_nonce: next.nonce, error_detail: { code: 13, message: 'not this one' } });
      await waitFor('the NACK', () => text.includes(`NACK cds ${next.version_info} by cli-test: not this one`));
      const { stdout } = await run(['status']);
      expect(stdout).to.include('node cli-test: connected');
      expect(stdout).to.include(
        `cds  accepted ${response.version_info} (sent ${next.version_info})  REJECTED ${next.version_info}: not this one`,
      );
      expect(text).to.match(/SNAPSHOT \w+ \(push .*echo\.yaml\): changed clusters\/echo/);
    } finally {
      stream.close();
      watch.kill();
      await run(['reset']);
    }
  });

  const failures: [string, string[], RegExp][] = [
    ['a file that is refused', ['push', 'package.json'], /^package\.json:1:1: what type of resource is this\?/],
    ['a file that is not there', ['push', 'nope.yaml'], /ENOENT.*nope\.yaml/],
    ['a resource that is not there', ['remove', 'clusters', 'nope'], /^there is no resource "nope" in clusters$/m],
    ['a port that is none', ['status', '--http', 'x'], /a port is a number/],
    ['a folder that is not there', ['serve', '--resources', 'nope', '--port', '0', '--http', '0'], /ENOENT.*nope/],
  ];
  for (const [name, args, message] of failures) {
    it(`fails with one clear line on ${name}`, async () => {
      const { code, stderr } = await run(args);
      expect(code).to.equal(1);
      expect(stderr).to.match(message);
      expect(stderr).to.not.match(/^ {4}at /m);
    });
  }

  it('says where it looked for a control plane', async () => {
    const { code, stderr } = await run(['status'], 1);
    expect(code).to.equal(1);
    expect(stderr).to.match(/^no control plane answers on http:\/\/127\.0\.0\.1:1 /);
  });
});
