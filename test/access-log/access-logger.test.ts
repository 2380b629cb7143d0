import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  constants,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { checkTarget, createAccessLogManager } from '../../src/access-log/access-logger.js';
import { HeaderMap } from '../../src/bridge/header-map.js';
import { createLogging } from '../../src/log.js';
import type { AccessLogConfig } from '../../src/model/listener.js';
import { createStatsStore } from '../../src/stats/create-store.js';
import { streamInfo } from '../routing/support.js';
import { FakeClock } from '../support/fake-clock.js';

describe('access log files', () => {
  let folder: string;
  const info = streamInfo();
  const silent = createLogging('off').logger('access-log');

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'pontoon-access-log-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  function bed(maxBufferedBytes?: number) {
    const clock = new FakeClock();
    const stats = createStatsStore();
    const limit = maxBufferedBytes === undefined ? {} : { maxBufferedBytes };
    const manager = createAccessLogManager({ clock, log: silent, stats, ...limit });
    const counter = (name: string): number => stats.counter(name).value;
    return { clock, manager, counter, buffered: () => stats.gauge('filesystem.write_total_buffered').value };
  }

  const file = (path: string, text = '%REQ(X)%\n'): AccessLogConfig => ({
    target: { kind: 'file', path },
    format: { kind: 'text', text },
  });
  const request = (value: string): HeaderMap => new HeaderMap(['x', value]);
  const eventually = async (condition: () => boolean): Promise<void> => {
    const deadline = Date.now() + 5000;
    while (!condition()) {
      if (Date.now() > deadline) throw new Error(`never came true: ${condition}`);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };

  it('writes at the latest after a second', async () => {
    const { clock, manager, counter, buffered } = bed();
    const path = join(folder, 'a.log');
    const logger = manager.createLogger([file(path)]);
    logger.log(info, request('one'), undefined);
    logger.log(info, request('two'), undefined);
    clock.advance(999);
    expect(readFileSync(path, 'utf8')).to.equal('');
    expect(buffered()).to.equal(8);
    clock.advance(1);
    await eventually(() => counter('filesystem.write_completed') === 1);
    expect(readFileSync(path, 'utf8')).to.equal('one\ntwo\n');
    expect(counter('filesystem.write_buffered')).to.equal(2);
    expect(counter('filesystem.flushed_by_timer')).to.equal(1);
    expect(buffered()).to.equal(0);
    expect(clock.pending).to.equal(0);
    await manager.close();
  });

  it('writes at once when there are 64 KiB, and keeps the order', async () => {
    const { clock, manager, counter } = bed();
    const path = join(folder, 'a.log');
    const logger = manager.createLogger([file(path)]);
    const lines = Array.from({ length: 500 }, (_, i) => `${i} ${'x'.repeat(300)}`);
    for (const text of lines) logger.log(info, request(text), undefined);
    await eventually(() => counter('filesystem.write_completed') > 0);
    clock.advance(1000);
    await eventually(() => readFileSync(path, 'utf8').split('\n').length === 501);
    expect(readFileSync(path, 'utf8')).to.equal(`${lines.join('\n')}\n`);
    await manager.close();
  });

  it('lines that come while a write is on its way are written too', async () => {
    const { clock, manager, counter } = bed();
    const path = join(folder, 'a.log');
    const logger = manager.createLogger([file(path)]);
    logger.log(info, request('x'.repeat(70_000)), undefined);
    logger.log(info, request('late'), undefined);
    await eventually(() => counter('filesystem.write_completed') === 1);
    clock.advance(1000);
    await eventually(() => counter('filesystem.write_completed') === 2);
    expect(readFileSync(path, 'utf8').slice(-5)).to.equal('late\n');
    await manager.close();
  });

  it('lines whose second is over while a write is on its way are not forgotten', async () => {
    const { clock, manager, counter } = bed();
    const path = join(folder, 'a.log');
    const logger = manager.createLogger([file(path)]);
    logger.log(info, request('one'), undefined);
    clock.advance(1000);
    logger.log(info, request('two'), undefined);
    clock.advance(1000);
    await eventually(() => counter('filesystem.write_completed') === 2);
    expect(readFileSync(path, 'utf8')).to.equal('one\ntwo\n');
    await manager.close();
  });

  it('flush and close wait until everything is on disk; bytes are kept', async () => {
    const { manager } = bed();
    const path = join(folder, 'a.log');
    const logger = manager.createLogger([file(path, 'ü%REQ(X)%\n')]);
    logger.log(info, request('\xff'), undefined);
    await manager.flush();
    expect(readFileSync(path)).to.deep.equal(Buffer.from([0xc3, 0xbc, 0xff, 0x0a]));
    logger.log(info, request('b'), undefined);
    await manager.close();
    expect(readFileSync(path, 'latin1').split('\n')).to.have.length(3);
    logger.log(info, request('too late'), undefined);
  });

  it('one file per path, closed with its last user', async () => {
    const { manager } = bed();
    const path = join(folder, 'a.log');
    const first = manager.createLogger([file(path), file(join(folder, 'b.log'), 'b\n')]);
    const second = manager.createLogger([file(path)]);
    first.log(info, request('first'), undefined);
    first.close();
    first.close();
    second.log(info, request('second'), undefined);
    await manager.flush();
    expect(readFileSync(path, 'utf8')).to.equal('first\nsecond\n');
    expect(readFileSync(join(folder, 'b.log'), 'utf8')).to.equal('b\n');
    second.close();
    const third = manager.createLogger([file(path)]);
    third.log(info, request('third'), undefined);
    await manager.close();
    expect(readFileSync(path, 'utf8')).to.equal('first\nsecond\nthird\n');
  });

  it('reopens after the file was moved away', async () => {
    const { manager } = bed();
    const path = join(folder, 'a.log');
    const logger = manager.createLogger([file(path)]);
    logger.log(info, request('old'), undefined);
    await manager.flush();
    renameSync(path, `${path}.1`);
    manager.reopen();
    logger.log(info, request('new'), undefined);
    await manager.flush();
    expect(readFileSync(`${path}.1`, 'utf8')).to.equal('old\n');
    expect(readFileSync(path, 'utf8')).to.equal('new\n');
    await manager.close();
  });

  it('goes on with the old file when the new one can not be opened', async () => {
    const { manager, counter } = bed();
    const inner = join(folder, 'inner');
    execFileSync('mkdir', [inner]);
    const logger = manager.createLogger([file(join(inner, 'a.log'))]);
    renameSync(inner, join(folder, 'moved'));
    manager.reopen();
    logger.log(info, request('kept'), undefined);
    await manager.flush();
    expect(counter('filesystem.reopen_failed')).to.equal(1);
    expect(readFileSync(join(folder, 'moved', 'a.log'), 'utf8')).to.equal('kept\n');
    await manager.close();
  });

  it('a file that can not be opened loses lines and says so, until its folder is there', async () => {
    const { manager, counter } = bed();
    const inner = join(folder, 'inner');
    const logger = manager.createLogger([file(join(inner, 'a.log'))]);
    logger.log(info, request('lost'), undefined);
    await manager.flush();
    expect(counter('filesystem.write_failed')).to.equal(1);
    expect(existsSync(inner)).to.equal(false);
    execFileSync('mkdir', [inner]);
    logger.log(info, request('found'), undefined);
    await manager.close();
    expect(readFileSync(join(inner, 'a.log'), 'utf8')).to.equal('found\n');
  });

  it('a reader that does not read costs lines, not memory, and nobody waits for it', async () => {
    const { clock, manager, counter, buffered } = bed(300_000);
    const path = join(folder, 'fifo');
    execFileSync('mkfifo', [path]);
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const logger = manager.createLogger([file(path)]);
    const text = 'x'.repeat(999);
    for (let i = 0; i < 2000; i++) logger.log(info, request(text), undefined);
    const dropped = counter('access_log_file.lines_dropped');
    expect(dropped).to.be.above(1500);
    expect(buffered()).to.be.at.most(300_000);
    // The flush that is due, and the retry of the write that the full pipe refused.
    await eventually(() => clock.pending === 2);
    // Once somebody reads, all that was accepted comes, in whole lines.
    let received = '';
    const closed = manager.close();
    let open = true;
    void closed.then(() => {
      open = false;
    });
    const chunk = Buffer.alloc(65_536);
    const drain = (): void => {
      try {
        for (let n = readSync(reader, chunk); n > 0; n = readSync(reader, chunk))
          received += chunk.toString('latin1', 0, n);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      }
    };
    while (open) {
      drain();
      clock.advance(50);
      await new Promise((resolve) => setImmediate(resolve));
    }
    drain();
    closeSync(reader);
    expect(received).to.equal(`${text}\n`.repeat(2000 - dropped));
  });

  it('a reader that never reads does not hold up the end', async () => {
    const { clock, manager, counter } = bed();
    const path = join(folder, 'fifo');
    execFileSync('mkfifo', [path]);
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const logger = manager.createLogger([file(path)]);
    for (let i = 0; i < 200; i++) logger.log(info, request('x'.repeat(999)), undefined);
    let open = true;
    void manager.close().then(() => {
      open = false;
    });
    while (open) {
      clock.advance(50);
      await new Promise((resolve) => setImmediate(resolve));
    }
    closeSync(reader);
    expect(counter('filesystem.write_failed')).to.be.at.least(1);
  });

  for (const how of ['pipe', 'socket']) {
    it(`nor does it when it reads our own stdout, a ${how}`, async () => {
      const src = new URL('../../src/', import.meta.url).href;
      const script = `
        const { createAccessLogManager } = await import('${src}access-log/access-logger.js');
        const { systemClock } = await import('${src}clock.js');
        const { createStatsStore } = await import('${src}stats/create-store.js');
        const log = { error() {}, warn() {} };
        const manager = createAccessLogManager({ clock: systemClock, log, stats: createStatsStore() });
        const format = { kind: 'text', text: 'x'.repeat(1000) };
        const logger = manager.createLogger([{ target: { kind: 'stdout' }, format }]);
        for (let i = 0; i < 500; i++) logger.log({}, undefined, undefined);
        const alive = setInterval(() => undefined, 1000);
        await manager.close();
        clearInterval(alive);`;
      const fifo = join(folder, 'stdout');
      execFileSync('mkfifo', [fifo]);
      const reader = openSync(fifo, constants.O_RDWR);
      const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
        stdio: ['ignore', how === 'pipe' ? reader : 'pipe', 'inherit'],
        timeout: 10_000,
        killSignal: 'SIGKILL',
      });
      const [code] = await once(child, 'exit');
      closeSync(reader);
      expect(code).to.equal(0);
    });
  }

  it('tells beforehand whether a file can be opened', () => {
    const path = join(folder, 'a.log');
    expect(checkTarget(file(path))).to.deep.equal([]);
    expect(readFileSync(path, 'utf8')).to.equal('');
    expect(checkTarget({ target: { kind: 'stdout' }, format: undefined })).to.deep.equal([]);
    const pipe = join(folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
    expect(checkTarget(file(pipe)), 'a pipe that nobody reads yet').to.deep.equal([]);
    for (const bad of [folder, join(folder, 'none', 'a.log'), 'a\0b']) {
      const [problem] = checkTarget(file(bad));
      expect(problem?.path).to.equal('path');
      expect(problem?.message).to.match(/^unable to open file ".*": .*; make its folder/);
    }
  });

  it('refuses a bad format', () => {
    const { manager } = bed();
    expect(() => manager.createLogger([file(join(folder, 'a'), '%X%')])).to.throw(/text_format: %X%/);
    expect(existsSync(join(folder, 'a'))).to.equal(false);
  });
});
