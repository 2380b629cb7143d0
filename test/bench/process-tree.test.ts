import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { expect } from 'chai';
import { connectionsPerProcess, parseEstablished } from '../../bench/side-by-side/measure/connections.js';
import { planCpus } from '../../bench/side-by-side/measure/cpus.js';
import {
  cpuTimeUs,
  parseMachineTicks,
  parseProcessStat,
  readTree,
  residentMiB,
  treeOf,
  treeResidentMiB,
} from '../../bench/side-by-side/measure/process-tree.js';
import { startTcpServer } from '../support/tcp-server.js';
import { until } from '../support/until.js';

const stat = (pid: number, name: string, parent: number, times: string) =>
  `${pid} (${name}) S ${parent} 10 11 0 -1 4194560 1 2 3 4 ${times} 20 0 1 0 5 6 7\n`;

describe("the benchmark's accounting of processes", () => {
  it('reads the fields behind any name', () => {
    for (const name of ['node', 'a b', 'x) S 9 9 (y', ') 1 2 3']) {
      expect(parseProcessStat(stat(42, name, 7, '100 20 3 4')), name).to.deep.equal({
        pid: 42,
        parent: 7,
        cpuTicks: 127,
      });
    }
  });

  it('finds descendants of any depth, in any order', () => {
    const all = [
      [5, 4],
      [4, 2],
      [3, 1],
      [2, 1],
      [1, 0],
      [6, 3],
      [7, 0],
    ].map(([pid = 0, parent = 0]) => ({ pid, parent, cpuTicks: 0 }));
    expect(treeOf(2, all).map(({ pid }) => pid)).to.deep.equal([2, 4, 5]);
    expect(treeOf(9, all)).to.deep.equal([]);
  });

  it("adds up the machine's time in processes", () => {
    expect(parseMachineTicks('cpu  10 20 30 4000 500 600 700 800 0 0\ncpu0 1 1 1 1\n')).to.equal(60);
  });

  it('counts the time of grandchildren that run, and of those that have ended', async () => {
    // It burns so much, and stays until its input ends.
    const inner = JSON.stringify(
      "while (process.cpuUsage().user < 100_000); process.stdin.resume().on('end', () => process.exit());",
    );
    const script = `require('node:child_process').spawnSync(process.execPath, ['-e', ${inner}], { stdio: ['inherit', 'ignore', 'inherit'] }); console.log('done'); setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['-e', script], { stdio: ['pipe', 'pipe', 'inherit'] });
    const ended = once(child, 'exit');
    try {
      const pid = child.pid as number;
      await until('a grandchild', () => readTree(pid).length === 2 || undefined);
      expect(treeResidentMiB(pid)).to.be.greaterThan(residentMiB(pid));
      const done = once(child.stdout, 'data');
      child.stdin.end();
      await done;
      expect(readTree(pid)).to.have.length(1);
      expect(cpuTimeUs(pid)).to.be.greaterThan(100_000);
    } finally {
      child.kill('SIGKILL');
      await ended;
    }
    expect(cpuTimeUs(child.pid as number)).to.equal(0);
  });

  it('reads established connections of a port', () => {
    const table = [
      '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode',
      '   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 100 1 0',
      '   1: 0100007F:1F90 0100007F:A000 01 00000000:00000000 00:00000000 00000000     0        0 101 1 0',
      '   2: 0100007F:A000 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 102 1 0',
      '   3: 0100007F:1F90 0100007F:A001 06 00000000:00000000 00:00000000 00000000     0        0 0 1 0',
      '',
    ].join('\n');
    expect([...parseEstablished(table, 8080)]).to.deep.equal(['101']);
  });

  it('tells who holds the connections', async () => {
    const server = await startTcpServer({});
    const clients = [1, 2, 3].map(() => connect(server.port, '127.0.0.1'));
    try {
      await until('three connections', () =>
        connectionsPerProcess(process.pid, server.port).get(process.pid) === 3 ? true : undefined,
      );
    } finally {
      for (const client of clients) client.destroy();
      await server.close();
    }
  });

  it('gives the proxy a CPU of its own as soon as there are two', () => {
    for (const count of [2, 3, 4, 16]) {
      const { proxy, load, upstream } = planCpus(count);
      expect([load, upstream], `${count} CPUs`).to.not.include(proxy);
    }
    expect(planCpus(1)).to.deep.equal({ proxy: '0', proxies: '0', load: '0', upstream: '0' });
  });
});
