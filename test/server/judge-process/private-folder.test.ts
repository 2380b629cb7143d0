import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { expect } from 'chai';
import { createPrivateFolder, type PrivateFolder } from '../../../src/server/judge-process/private-folder.js';
import { type TestLog, testLog } from '../../bridge/harness.js';
import { runChild } from '../../support/child.js';
import { FakeClock } from '../../support/fake-clock.js';

const hourMs = 60 * 60 * 1000;

describe('the private folder', () => {
  let parent: string;
  let inUse: Set<string>;
  let clock: FakeClock;
  let log: TestLog;

  beforeEach(() => {
    parent = mkdtempSync(join(tmpdir(), 'pontoon-folders-'));
    inUse = new Set();
    clock = new FakeClock(Date.now());
    log = testLog();
  });
  afterEach(() => rmSync(parent, { recursive: true, force: true }));

  const create = (): PrivateFolder => createPrivateFolder({ clock, log, parent, filesInUse: () => inUse });

  it('is made when it is first needed, for nobody else, and goes when it is closed', () => {
    const folder = create();
    expect(readdirSync(parent)).to.deep.equal([]);
    const path = folder.path();
    expect(folder.path()).to.equal(path);
    expect(folder.libraries()).to.equal(join(path, 'libraries'));
    expect(statSync(path).mode & 0o777).to.equal(0o700);
    folder.close();
    expect(readdirSync(parent)).to.deep.equal([]);
    expect(clock.pending).to.equal(0);
    folder.close();
  });

  it('keeps the copies that are in use, and all else that is not a copy', () => {
    const folder = create();
    const [used, unused] = ['used', 'unused'].map((name) => join(folder.libraries(), name)) as [string, string];
    const other = join(folder.path(), 'other');
    for (const file of [used, unused, other]) writeFileSync(file, '');
    inUse.add(used);
    folder.removeUnused();
    expect([used, unused, other].map(existsSync)).to.deep.equal([true, false, true]);
  });

  it('is touched, with its copies, before the system takes it for forgotten', () => {
    const folder = create();
    const used = join(folder.libraries(), 'used');
    writeFileSync(used, '');
    inUse.add(used);
    clock.advance(3 * hourMs);
    for (const path of [used, folder.path(), folder.libraries()]) {
      expect(statSync(path).mtimeMs).to.be.closeTo(clock.now(), 1);
    }
    expect(log.lines).to.deep.equal([]);
    rmSync(used);
    clock.advance(hourMs);
    expect(log.lines.map(({ level, fields }) => [level, fields.file])).to.deep.equal([['error', used]]);
    folder.close();
  });

  it('removes what processes have left that are gone, and nothing else', async () => {
    const mine = create();
    const [prefix = '', place = ''] = /^(pontoon-private-)(\w+)/.exec(basename(mine.path()))?.slice(1) ?? [];
    const gone = (await runChild(process.execPath, ['-p', 'process.pid'])).stdout.trim();
    const cases = [
      { name: `${prefix}${place}-${gone}-abc`, stays: false },
      { name: `${prefix}${place}-${process.ppid}-abc`, stays: true },
      // Of another container, or from before the last start of the machine.
      { name: `${prefix}000000000000-${gone}-new`, stays: true },
      { name: `${prefix}000000000000-${gone}-old`, ageMs: 25 * hourMs, stays: false },
      { name: 'somebody-elses', ageMs: 25 * hourMs, stays: true },
    ];
    for (const { name, ageMs = 0 } of cases) {
      mkdirSync(join(parent, name, 'libraries'), { recursive: true });
      const time = new Date(clock.now() - ageMs);
      utimesSync(join(parent, name), time, time);
    }
    const next = create();
    next.path();
    expect(cases.map(({ name }) => existsSync(join(parent, name)))).to.deep.equal(cases.map(({ stays }) => stays));
    expect(existsSync(mine.libraries())).to.equal(true);
  });
});
