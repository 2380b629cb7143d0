import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { startChild } from '../../support/child.js';
import { until } from '../../support/until.js';
import { createJudgeTest, type JudgeTest, obedient } from './support.js';

const mainChild = fileURLToPath(new URL('./main-child.js', import.meta.url));

/** It is refused, with the number of the process that judged it. */
const revealing =
  'export const bridges = { plugin: { parseConfig() { throw new Error("pid " + process.pid); }, createBridge: () => ({}) } };';

const pidIn = (text: string): number => Number(/pid (\d+)/.exec(text)?.[1]);

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe("the judge's process lives", () => {
  let test: JudgeTest;

  beforeEach(() => {
    test = createJudgeTest();
    test.write('obedient.mjs', obedient);
    test.write('revealing.mjs', revealing);
  });
  afterEach(() => test.close());

  it('from the first question on, for all that follow', async () => {
    const pid = pidIn(await test.problem('revealing.mjs'));
    expect(pid).to.be.greaterThan(0).and.not.equal(process.pid);
    expect(pidIn(await test.problem('revealing.mjs'))).to.equal(pid);
  });

  it('when a terminal, or whoever stops or rotates logs, sends a signal to the whole group', async () => {
    const pid = pidIn(await test.problem('revealing.mjs'));
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR1'] as const) {
      process.kill(pid, signal);
      expect(pidIn(await test.problem('revealing.mjs')), signal).to.equal(pid);
    }
  });

  it('no longer than until it is closed', async () => {
    const pid = pidIn(await test.problem('revealing.mjs'));
    await test.judge.close();
    expect(isRunning(pid)).to.equal(false);
  });

  it('no longer than its main process; the next one removes what that has left', async () => {
    const parent = dirname(test.judge.folder);
    const main = startChild(process.execPath, [mainChild, join(test.libraries, 'revealing.mjs'), parent]);
    const pid = pidIn((await main.outputs(/pid (\d+)\n/))[0]);
    expect(readdirSync(parent)).to.have.length(2);
    main.process.kill('SIGKILL');
    await main.closed;
    await until('its end', () => (isRunning(pid) ? undefined : true));
    const next = startChild(process.execPath, [mainChild, join(test.libraries, 'obedient.mjs'), parent]);
    try {
      await next.outputs(/accepted/);
      const folders = readdirSync(parent);
      expect(folders).to.have.length(2);
      expect(folders.some((name) => name.includes(`-${main.process.pid}-`))).to.equal(false);
    } finally {
      next.process.kill('SIGKILL');
      await next.closed;
    }
  });
});
