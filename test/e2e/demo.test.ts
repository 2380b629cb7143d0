import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { type Child, runChild, startChild } from '../support/child.js';
import { projectRoot } from '../support/pontoon.js';
import { startTcpServer } from '../support/tcp-server.js';

const demoPath = join(projectRoot, 'dist', 'control-plane-sample', 'demo.js');
const portFlags = ['listener', 'admin', 'xds', 'http', 'server1', 'server2'].map((name) => `--${name}-port`);
const freePorts = portFlags.flatMap((flag) => [flag, '0']);

/** The indented lines of the demo's guide: what a user copies. */
function commandsOf(guide: string): string[] {
  return [...guide.matchAll(/^ {2}((?:curl|npm) .*)$/gm)].map(([, command = '']) => command);
}

async function shell(command: string): Promise<string> {
  const { stdout } = await promisify(execFile)('sh', ['-c', command], { cwd: projectRoot });
  return stdout;
}

describe('npm start', function () {
  // Three processes, and npm for each change.
  this.timeout(120_000);
  let folder: string;
  let log: string;

  const started: Child[] = [];

  const start = (): Child => {
    const demo = startChild(process.execPath, ['--enable-source-maps', demoPath, ...freePorts, '--log', log]);
    started.push(demo);
    return demo;
  };

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'pontoon-demo-test-'));
    log = join(folder, 'pontoon.log');
  });
  afterEach(async () => {
    for (const demo of started.splice(0)) {
      // So that it ends what it has started, also when the test has failed.
      demo.process.kill('SIGTERM');
      await demo.closed;
    }
    rmSync(folder, { recursive: true, force: true });
  });

  it('prints lines to try that do what it says, shows ACKs and NACKs, and ends with 0', async () => {
    const demo = start();
    const [guide] = await demo.outputs(/Pontoon is ready[\s\S]*Ctrl-C ends everything/);
    const [hello = '', clusters = '', shout = '', , refuse = '', , reset = ''] = commandsOf(guide);

    const answers = [await shell(hello), await shell(hello)];
    expect(answers.sort()).to.deep.equal(['server 1: hello\n', 'server 2: hello\n']);
    expect(await shell(clusters)).to.match(/^echo::127\.0\.0\.1:\d+::rq_success::1$/m);

    let seen = demo.stdout().length;
    expect(await shell(shout)).to.match(/changed clusters\/echo$/m);
    await demo.outputs(/ACK {2}cds \w+ by demo/, seen);
    expect(await shell(hello)).to.match(/^server [12]: HELLO!!!\n$/);

    seen = demo.stdout().length;
    await shell(refuse);
    await demo.outputs(/NACK cds \w+ by demo: .*echo.*exclamation_marks must be a whole number from 0 to 10/, seen);
    expect(await shell(hello)).to.match(/^server [12]: HELLO!!!\n$/);

    seen = demo.stdout().length;
    await shell(reset);
    await demo.outputs(/ACK {2}cds \w+ by demo/, seen);
    expect(await shell(hello)).to.match(/^server [12]: hello\n$/);

    demo.process.kill('SIGINT');
    demo.process.kill('SIGINT');
    expect(await demo.closed, demo.stderr()).to.equal(0);
    expect(demo.stderr()).to.equal('');
  });

  it('loses no request while the cluster changes', async () => {
    const demo = start();
    const [guide] = await demo.outputs(/Pontoon is ready[\s\S]*Ctrl-C ends everything/);
    const [hello = '', , shout = '', , , , reset = ''] = commandsOf(guide);
    const url = hello.split(' ').at(-1) ?? '';
    let running = true;
    const bodies = new Set<string>();
    const client = async (): Promise<void> => {
      while (running) {
        const response = await fetch(url, { method: 'POST', body: 'hello' });
        bodies.add(`${response.status} ${await response.text()}`);
        // Leaves the processor to the processes that are being tested.
        await sleep(5);
      }
    };
    const clients = [client(), client()];
    for (const command of [shout, reset, shout]) {
      const seen = demo.stdout().length;
      await shell(command);
      await demo.outputs(/ACK {2}cds \w+ by demo/, seen);
    }
    running = false;
    await Promise.all(clients);
    expect([...bodies].sort()).to.deep.equal([
      '200 server 1: HELLO!!!\n',
      '200 server 1: hello\n',
      '200 server 2: HELLO!!!\n',
      '200 server 2: hello\n',
    ]);
    demo.process.kill('SIGTERM');
    expect(await demo.closed).to.equal(0);
  });

  it('says which ports are taken and how to choose others, before anything starts', async () => {
    const [one, two] = [await startTcpServer(), await startTcpServer()];
    const flags = ['--xds-port', String(one.port), '--listener-port', String(two.port)];
    const { code, stdout, stderr } = await runChild(process.execPath, [demoPath, ...freePorts, '--log', log, ...flags]);
    await one.close();
    await two.close();
    expect(code).to.equal(1);
    expect(stdout).to.equal('');
    expect(stderr.trim().split('\n')).to.deep.equal([
      `port ${two.port} for Pontoon's HTTP listener is taken: end the program that has it, or choose another: npm start -- --listener-port 0`,
      `port ${one.port} for the control plane is taken: end the program that has it, or choose another: npm start -- --xds-port 0`,
    ]);
  });

  it('ends, and says so, when Pontoon has ended', async () => {
    const demo = start();
    const [guide] = await demo.outputs(/Pontoon is ready[\s\S]*Ctrl-C ends everything/);
    const admin = /curl (\S+)\/clusters/.exec(guide)?.[1] ?? '';
    await fetch(`${admin}/quitquitquit`, { method: 'POST' });
    expect(await demo.closed).to.equal(1);
    expect(demo.stderr()).to.equal(`Pontoon has ended (exit code 0); its log is ${log}\n`);
  });

  it('can be ended while it starts', async () => {
    const demo = start();
    await demo.outputs(/connected demo/);
    demo.process.kill('SIGTERM');
    expect(await demo.closed, demo.stderr()).to.equal(0);
  });

  it('gets the signals that npm gets', async () => {
    const { scripts } = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')) as {
      scripts: { start: string };
    };
    // What npm runs, without a build.
    const script = scripts.start.replace('node .build/ready.mjs', 'true');
    const npm = startChild('sh', ['-c', `${script} ${freePorts.join(' ')} --log ${log}`]);
    started.push(npm);
    await npm.outputs(/Ctrl-C ends everything/);
    npm.process.kill('SIGTERM');
    expect(await npm.closed, npm.stderr()).to.equal(0);
    expect(npm.stdout()).to.match(/everything has ended\n$/);
  });

  it('refuses a port that is none', async () => {
    const { code, stderr } = await runChild(process.execPath, [demoPath, '--xds-port', '70000']);
    expect(code).to.equal(1);
    expect(stderr).to.match(/--xds-port.*A port is a number from 0 to 65535/);
  });

  it('has the ports of README as defaults', async () => {
    const { stdout } = await runChild(process.execPath, [demoPath, '--help']);
    const defaults = [...stdout.matchAll(/default: (\d+)\)/g)].map(([, port]) => Number(port));
    expect(defaults).to.deep.equal([10_000, 9901, 18_000, 18_001, 19_001, 19_002]);
  });
});
