import { readdirSync } from 'node:fs';
import { getPriority } from 'node:os';
import { expect } from 'chai';
import { type Pontoon, startPontoon } from '../support/pontoon.js';

const bootstrap = 'admin: { address: { socket_address: { address: 127.0.0.1, port_value: 0 } } }\n';

describe('the priority of threads', () => {
  let pontoon: Pontoon | undefined;
  afterEach(() => pontoon?.stop());

  async function processes(): Promise<number[]> {
    const { workers } = JSON.parse((await pontoon?.get('/workers')) ?? '{}') as { workers: { pid: number }[] };
    return [pontoon?.child.pid ?? 0, ...workers.map(({ pid }) => pid)];
  }

  for (const { concurrency, threads } of [
    { concurrency: 1, threads: 4 },
    { concurrency: 2, threads: 1 },
  ])
    it(`is less for those of the engine than for the event loop: --concurrency ${concurrency}`, async () => {
      pontoon = await startPontoon({ bootstrap, args: ['--concurrency', String(concurrency)] });
      const usual = getPriority();
      const lower = Math.min(19, usual + 10);
      const pids = await processes();
      expect(pids).to.have.length(concurrency === 1 ? 1 : 3);
      for (const pid of pids) {
        expect(getPriority(pid)).to.equal(usual);
        const others = readdirSync(`/proc/${pid}/task`).map((thread) => getPriority(Number(thread)));
        expect(others.filter((priority) => priority === lower).length).to.be.at.least(threads);
      }
    });
});
