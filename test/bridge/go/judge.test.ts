import {
  chmodSync,
  copyFileSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { buildPeer } from '../../support/go-libraries.js';
import { createGoTest } from './harness.js';

const text = (value: string) => ({ typeUrl: 'type.example/x', value: Buffer.from(value) });

describe('Go libraries are judged', () => {
  let library: string;
  let folder: string;

  before(async function () {
    library = await buildPeer(this, 'conformance');
  });

  beforeEach(() => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'pontoon-judge-')));
  });

  const { TMPDIR } = process.env;

  afterEach(() => {
    if (TMPDIR === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = TMPDIR;
    rmSync(folder, { recursive: true, force: true });
  });

  it('by their Parse: its error, its panic, its hanging are the verdict, and others are not touched', async () => {
    const go = createGoTest(library, { timeLimitMs: 4000 });
    const [refused, panicked, hung, good] = await Promise.allSettled([
      go.problem('parsing', text('refuse')),
      go.problem('parsing', text('panic')),
      go.problem('parsing', text('hang')),
      go.prepare('parsing', text('good')),
    ]);
    expect(refused).to.deep.include({
      value: `plugin_config: plugin "parsing" of ${library} rejects it: this is no configuration`,
    });
    expect(panicked).to.deep.include({
      value: `plugin_config: plugin "parsing" of ${library} rejects it: it ended the process: panic: Parse had enough`,
    });
    expect((hung as PromiseFulfilledResult<string>).value).to.match(
      /rejects it: (it was still busy after 4 s|it ended)/,
    );
    expect(good.status).to.equal('fulfilled');
  });

  for (const [name, words] of [
    ['init_panic', 'panic: init had enough'],
    ['init_exit', 'it ended the process with exit code 3'],
    ['init_hang', /it was still busy after 4 s|deadlock/],
  ] as const) {
    it(`by their initialization: ${name}`, async function () {
      const go = createGoTest(await buildPeer(this, name), { timeLimitMs: 4000 });
      const problem = await go.problem('any');
      expect(problem).to.match(/^library_path: .* cannot be loaded: /);
      if (typeof words === 'string') expect(problem).to.include(words);
      else expect(problem).to.match(words);
    });
  }

  it('by what lies at their path', async () => {
    const at = (name: string) => createGoTest(join(folder, name)).problem('any');
    expect(await at('none.so')).to.equal(`library_path: ${join(folder, 'none.so')} does not exist`);
    writeFileSync(join(folder, 'text.so'), 'no library');
    expect(await at('text.so')).to.include('cannot be a Go library: it is not an ELF file');
    expect(await createGoTest(folder).problem('any')).to.include('is not a file');
  });

  it('by who may write to them', async () => {
    const path = join(folder, 'library.so');
    copyFileSync(library, path);
    const go = createGoTest(path);
    expect((await go.runtime.currentHash(config(path)))?.length).to.equal(64);
    const elsewhere = await createGoTest(library).runtime.prepare(config(path));
    expect(elsewhere.ok ? '' : elsewhere.problems[0]?.message).to.include('outside of the plugin roots');
  });

  it('again when the file was replaced: both builds run, and nothing is left in the temporary folder', async function () {
    const rogue = await buildPeer(this, 'rogue');
    const temporary = mkdtempSync(join(folder, 'tmp-'));
    process.env.TMPDIR = temporary;
    const path = join(folder, 'library.so');
    const go = createGoTest(path);
    const place = (from: string): void => {
      copyFileSync(from, `${path}.new`);
      chmodSync(`${path}.new`, 0o755);
      renameSync(`${path}.new`, path);
    };
    place(library);
    const first = await go.prepare('add_data');
    place(rogue);
    const second = await go.prepare('after_return');
    expect(second.libraryHash).to.not.equal(first.libraryHash);
    expect(second.libraryHash).to.equal(await go.runtime.currentHash(second.config));
    first.release();
    second.release();
    expect(readdirSync(temporary)).to.deep.equal([]);
  });

  const config = (libraryPath: string) => ({
    libraryId: 'go',
    libraryPath,
    pluginName: 'any',
    pluginConfig: { typeUrl: '', value: new Uint8Array() },
  });
});
