import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import type { AcceptedBridge } from '../../../src/server/judge-process/accepted-bridge.js';
import { until } from '../../support/until.js';
import { createJudgeTest, type JudgeTest, obedient } from './support.js';

describe("the judge's process", () => {
  let test: JudgeTest;

  afterEach(() => test.close());

  function start(options?: Parameters<typeof createJudgeTest>[0]): void {
    test = createJudgeTest(options);
    test.write('obedient.mjs', obedient);
  }

  it('judges script libraries: what is good is accepted, with its copy, and what is not has its problem', async () => {
    start();
    const bridge = await test.accept('obedient.mjs', 'fine');
    expect(bridge.config.pluginName).to.equal('plugin');
    expect(bridge.library).to.include({
      kind: 'script',
      path: join(test.libraries, 'obedient.mjs'),
      hash: bridge.libraryHash,
    });
    expect(readFileSync(bridge.library.file, 'utf8')).to.contain('the table is broken');
    expect(bridge.number).to.be.greaterThan(0);
    const problems = [
      await test.problem('obedient.mjs', 'refuse'),
      await test.problem('obedient.mjs', '', 'other'),
      await test.problem('none.mjs'),
    ];
    expect(problems.map((problem) => problem.replaceAll(test.libraries, '…'))).to.deep.equal([
      'plugin_config: plugin "plugin" rejects it: not like this',
      'plugin_name: …/obedient.mjs has no plugin "other"; it has "plugin"',
      'library_path: …/none.mjs does not exist',
    ]);
    expect(test.crashes()).to.equal(0);
  });

  it('takes thousands of configurations at once, in one process', async () => {
    start();
    const began = performance.now();
    const all = await Promise.all(
      Array.from({ length: 2_000 }, (_, index) => test.accept('obedient.mjs', `config ${index}`)),
    );
    expect(performance.now() - began).to.be.below(15_000);
    expect(new Set(all.map(({ id }) => id)).size).to.equal(2_000);
    expect(new Set(all.map(({ number }) => number)).size).to.equal(2_000);
    expect(new Set(all.map(({ library }) => library.file)).size).to.equal(1);
    expect(test.crashes()).to.equal(0);
  });

  it('tells the hash of what a file holds now', async () => {
    start();
    const config = test.config('obedient.mjs');
    const { libraryHash } = await test.accept('obedient.mjs');
    expect(await test.judge.currentHash(config)).to.equal(libraryHash);
    test.write('obedient.mjs', `${obedient}console.log();`);
    expect(await test.judge.currentHash(config))
      .to.be.a('string')
      .not.equal(libraryHash);
    expect(await test.judge.currentHash(test.config('none.mjs'))).to.equal(undefined);
  });

  for (const { act, how } of [
    { act: 'exit', how: 'ended with exit code 7: the table is broken.' },
    { act: 'abort', how: 'was ended by SIGABRT' },
  ]) {
    it(`a configuration that ends it (${act}) is refused, and none of the fifty beside it`, async () => {
      start();
      const guilty = test.problem('obedient.mjs', act);
      const innocent = await Promise.all(
        Array.from({ length: 50 }, (_, index) => test.accept('obedient.mjs', `config ${index}`)),
      );
      expect(innocent).to.have.length(50);
      expect(await guilty).to.contain(`obedient.mjs could not be judged: the process that tried it ${how}`);
      // All together, among other suspects, alone.
      expect(test.crashes()).to.be.within(2, 3);
      expect((await test.accept('obedient.mjs', 'after')).number).to.be.greaterThan(0);
    });
  }

  it('several guilty ones are all found', async () => {
    start();
    const texts = Array.from({ length: 40 }, (_, index) => (index % 20 === 7 ? `exit` : `config ${index}`));
    const results = await Promise.all(texts.map((text) => test.judge.prepare(test.config('obedient.mjs', text))));
    expect(results.map(({ ok }) => ok)).to.deep.equal(texts.map((text) => text !== 'exit'));
  });

  it('a library that ends it while it is loaded costs a few processes, however many clusters have it', async () => {
    start();
    test.write('lethal.mjs', 'process.exit(5);');
    const all = await Promise.all(
      Array.from({ length: 300 }, (_, index) => test.judge.prepare(test.config('lethal.mjs', `config ${index}`))),
    );
    expect(all.filter(({ ok }) => ok)).to.have.length(0);
    expect(await test.problem('lethal.mjs', 'later')).to.contain('ended with exit code 5');
    const { value: crashes } = test.stats.counter('bridge.judge_crashes');
    expect(crashes).to.be.below(40);
    // A new build is tried at once.
    test.write('lethal.mjs', obedient);
    await test.accept('lethal.mjs', 'later');
    expect(test.crashes()).to.equal(crashes);
  });

  it('an end that comes late, from what another has left behind, is nobody else’s fault', async () => {
    start();
    await test.accept('obedient.mjs', 'exit_later');
    for (let index = 0; test.crashes() === 0; index++) await test.accept('obedient.mjs', `config ${index}`);
    await test.accept('obedient.mjs', 'last');
  });

  it('a call that blocks it is refused when nothing was answered for a while, and nothing beside it', async function () {
    this.timeout(60_000);
    // Less than the time limit of a call, which such a call may not heed.
    start({ silenceMs: 4_000 });
    const [blocked, ...good] = await Promise.all([
      test.problem('obedient.mjs', 'block'),
      ...Array.from({ length: 20 }, (_, index) => test.accept('obedient.mjs', `config ${index}`)),
    ]);
    expect(blocked).to.match(/could not be judged: the process that tried it was still busy after 4 s\. /);
    expect(good).to.have.length(20);
  });

  it('what runs out of memory is refused', async () => {
    const { NODE_OPTIONS } = process.env;
    process.env.NODE_OPTIONS = '--max-old-space-size=100';
    try {
      start();
      expect(await test.problem('obedient.mjs', 'out_of_memory')).to.match(
        /was ended by SIGABRT: FATAL ERROR: .*heap out of memory/,
      );
    } finally {
      if (NODE_OPTIONS === undefined) delete process.env.NODE_OPTIONS;
      else process.env.NODE_OPTIONS = NODE_OPTIONS;
    }
  });

  it('what is thrown where nobody catches is logged, and harms nobody', async () => {
    start();
    await test.accept('obedient.mjs', 'throw_later');
    const line = await until('the line', () => test.log.lines.find(({ level }) => level === 'error'));
    expect(line.text).to.contain('a plugin threw where nobody catches');
    expect(line.fields.thrown).to.contain('nobody catches this');
    await test.accept('obedient.mjs', 'after');
    expect(test.crashes()).to.equal(0);
  });

  it('messages of plugins to their process manager are none of its own', async () => {
    start();
    await test.accept('obedient.mjs', 'tell');
    await test.accept('obedient.mjs', 'after');
  });

  it('after it was closed nothing is judged, and what was under way is refused', async () => {
    start();
    const underWay = test.problem('obedient.mjs', 'block');
    await test.judge.close();
    expect(await underWay).to.contain('could not be judged: this process is about to end');
    expect(await test.problem('obedient.mjs')).to.contain('this process is about to end');
    expect(await test.judge.currentHash(test.config('obedient.mjs'))).to.equal(undefined);
  });

  it('a folder for copies that can’t be made refuses the resource, and is tried again', async () => {
    start({ folderParent: '/proc/none' });
    expect(await test.problem('obedient.mjs')).to.match(
      /^library_path: .*obedient\.mjs could not be judged: no private folder can be made in \/proc\/none: .*TMPDIR/,
    );
  });

  it('a copy that can’t be written refuses the resource', async () => {
    start();
    await test.accept('obedient.mjs');
    rmSync(join(test.judge.folder, 'libraries'), { recursive: true });
    test.write('other.mjs', `${obedient}console.log();`);
    expect(await test.problem('other.mjs')).to.match(/^library_path: .*other\.mjs cannot be copied to .*ENOENT/);
    expect(test.crashes()).to.equal(0);
  });

  describe('copies', () => {
    it('what was accepted stays when its file is changed or deleted', async () => {
      start();
      const first = await test.accept('obedient.mjs');
      test.write('obedient.mjs', `${obedient}console.log();`);
      const second = await test.accept('obedient.mjs');
      expect(second.libraryHash).not.to.equal(first.libraryHash);
      expect(second.number).not.to.equal(first.number);
      for (const { library } of [first, second]) expect(existsSync(library.file)).to.equal(true);
    });

    it('are there for as long as a bridge of theirs is in use', async () => {
      start();
      const first = await test.accept('obedient.mjs', '1');
      const second = await test.accept('obedient.mjs', '2');
      const third = second.retain('spare');
      const { file } = first.library;
      first.release();
      first.release();
      second.release();
      expect(existsSync(file)).to.equal(true);
      expect(third.number).to.equal(second.number);
      third.release();
      expect(existsSync(file)).to.equal(false);
      expect(() => third.retain()).to.throw('was released already');
    });

    it('are not removed while something is judged that may need them', async () => {
      start();
      const first = await test.accept('obedient.mjs', '1');
      const next = test.accept('obedient.mjs', '2');
      first.release();
      const { file } = (await next).library;
      expect(file).to.equal(first.library.file);
      expect(existsSync(file)).to.equal(true);
      (await next).release();
      expect(test.copies()).to.deep.equal([]);
    });

    it('of what is accepted and let go of at once, again and again, none is missing or left', async () => {
      start();
      const hold = async (text: string): Promise<void> => {
        for (let round = 0; round < 50; round++) {
          const bridge = await test.accept('obedient.mjs', text);
          if (!existsSync(bridge.library.file)) throw new Error('its copy is missing');
          await new Promise((resolve) => setImmediate(resolve));
          bridge.release();
        }
      };
      await Promise.all(['a', 'b', 'c'].map(hold));
      expect(test.copies()).to.deep.equal([]);
    });

    it('are gone with the process', async () => {
      start();
      await test.accept('obedient.mjs');
      const { folder } = test.judge;
      expect(existsSync(folder)).to.equal(true);
      await test.judge.close();
      expect(existsSync(folder)).to.equal(false);
    });
  });

  it('what is blocked is refused, until its file or its configuration is another', async () => {
    start();
    const bad: AcceptedBridge = await test.accept('obedient.mjs', 'bad');
    test.judge.block(bad.id, 'it has ended three workers');
    expect(test.judge.isBlocked(bad.id)).to.equal(true);
    expect(await test.problem('obedient.mjs', 'bad')).to.equal('library_path: it has ended three workers');
    await test.accept('obedient.mjs', 'good');
    test.write('obedient.mjs', `${obedient}console.log();`);
    await test.accept('obedient.mjs', 'bad');
  });

  it('knows what ran by its number, also for a while after it was released', async () => {
    start();
    const bridge = await test.accept('obedient.mjs', 'a');
    const again = await test.accept('obedient.mjs', 'a');
    expect(again.number).to.equal(bridge.number);
    bridge.release();
    again.release();
    expect(test.judge.pluginOf(bridge.number)).to.deep.equal({
      libraryPath: join(test.libraries, 'obedient.mjs'),
      libraryHash: bridge.libraryHash,
      pluginName: 'plugin',
    });
    expect((await test.accept('obedient.mjs', 'a')).number).to.equal(bridge.number);
    expect(test.judge.pluginOf(0)).to.equal(undefined);
    expect(test.judge.pluginOf(bridge.number + 1)).to.equal(undefined);
  });
});
