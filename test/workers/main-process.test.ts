import { rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { type Child, startChild } from '../support/child.js';
import { connectTo } from './test-fleet.js';

const program = fileURLToPath(new URL('./test-main.js', import.meta.url));

interface Started {
  readonly port: number;
  readonly pids: readonly number[];
  readonly folder: string;
}

describe('workers and their main process', () => {
  let main: Child;
  let started: Started;

  beforeEach(async () => {
    main = startChild(process.execPath, [program]);
    started = JSON.parse((await main.outputs(/^\{.*\}\n/))[0]) as Started;
  });

  afterEach(async () => {
    main.process.kill('SIGKILL');
    // The workers hold its stdout: it is closed when the last one has ended.
    await main.closed;
    rmSync(started.folder, { recursive: true });
  });

  it('end when the main process is killed', async () => {
    const client = await connectTo(started.port);
    await client.ask('hello');
    main.process.kill('SIGKILL');
    // As in afterEach, and their connections with them.
    await main.closed;
    await client.ended.catch(() => undefined);
  });

  it('leave signals that reach the whole terminal to the main process, and open no debugger', async () => {
    const client = await connectTo(started.port);
    const pid = Number(await client.ask('hello'));
    expect(started.pids).to.contain(pid);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR1'] as const) {
      for (const each of started.pids) process.kill(each, signal);
      expect(Number(await client.ask(signal)), signal).to.equal(pid);
    }
    expect(main.stderr()).not.to.contain('Debugger listening');
  });
});

describe('a worker that has no file descriptor left', () => {
  it('does not keep the connections that it cannot take', async () => {
    const limited = ['-c', 'ulimit -n 100 && exec "$0" "$@"', process.execPath, program, 'open_files'];
    const main = startChild('/bin/sh', limited);
    try {
      const { port, pids, folder } = JSON.parse((await main.outputs(/^\{.*\}\n/))[0]) as Started;
      rmSync(folder, { recursive: true });
      for (let round = 0; round < 4; round++) {
        const client = await connectTo(port);
        expect(Number(await client.ask('hello'))).to.equal(pids[1]);
      }
    } finally {
      main.process.kill('SIGKILL');
      await main.closed;
    }
  });
});

describe('a worker without a main process', () => {
  it('says how it is started', async () => {
    const link = new URL('../../src/workers/worker-link.js', import.meta.url).href;
    const program = `import { serveAsWorker } from ${JSON.stringify(link)}; serveAsWorker({});`;
    const child = startChild(process.execPath, ['--input-type=module', '--eval', program]);
    expect(await child.closed).to.equal(1);
    expect(child.stderr()).to.contain('it is started by its main process');
  });
});
