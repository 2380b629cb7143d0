import { copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { buildPeer } from '../../support/go-libraries.js';
import { createJudgeTest, type JudgeTest } from './support.js';

describe("the judge's process with Go libraries", () => {
  let built: string;
  let test: JudgeTest;

  before(async function () {
    built = await buildPeer(this, 'conformance');
  });
  beforeEach(() => {
    test = createJudgeTest({ maxGoLibraries: 1 });
    copyFileSync(built, join(test.libraries, 'plugins.so'));
  });
  afterEach(() => test.close());

  it('tells the verdicts of their own trials, and lives on', async () => {
    const [good, refused, panicked] = await Promise.all([
      test.accept('plugins.so', 'good', 'parsing'),
      test.problem('plugins.so', 'refuse', 'parsing'),
      test.problem('plugins.so', 'panic', 'parsing'),
    ]);
    expect(good.library).to.include({ kind: 'go', path: join(test.libraries, 'plugins.so'), hash: good.libraryHash });
    expect(refused).to.match(/^plugin_config: plugin "parsing" of .*plugins\.so rejects it: this is no configuration$/);
    expect(panicked).to.match(/^plugin_config: .* it ended the process: panic: Parse had enough$/);
    expect(test.crashes()).to.equal(0);
  });

  it('keeps a copy that outlives the file', async () => {
    const { library } = await test.accept('plugins.so', 'good', 'parsing');
    rmSync(join(test.libraries, 'plugins.so'));
    expect(readFileSync(library.file).equals(readFileSync(built))).to.equal(true);
  });

  it('takes no more contents at the same time than allowed', async () => {
    const first = await test.accept('plugins.so', 'a', 'parsing');
    const same = await test.accept('plugins.so', 'b', 'parsing');
    // Bytes after its sections change a library's content and nothing else.
    writeFileSync(join(test.libraries, 'other.so'), Buffer.concat([readFileSync(built), Buffer.from('other')]));
    expect(await test.problem('other.so', 'a', 'parsing')).to.match(
      /^library_path: .*other\.so would be one Go library too many: 1 are in use, and --max-go-libraries allows 1/,
    );
    const kept = first.retain('spare');
    for (const bridge of [first, same]) bridge.release();
    // What is only kept to be gone back to does not count, until it is.
    const other = await test.accept('other.so', 'a', 'parsing');
    expect(test.copies()).to.have.length(2);
    const back = kept.retain();
    for (const bridge of [other, kept, back]) bridge.release();
    expect(test.copies()).to.deep.equal([]);
  });
});
