import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { runChild } from '../support/child.js';
import { cliPath, projectRoot } from '../support/pontoon.js';

const tsc = join(projectRoot, 'node_modules', 'typescript', 'bin', 'tsc');

describe('pontoon plugin new', function () {
  this.timeout(120_000);
  let folder: string;
  const pontoon = (...args: string[]) => runChild(process.execPath, [cliPath, 'plugin', ...args]);

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'pontoon-new-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('writes a plugin that compiles, is judged good, and passes its own test', async () => {
    const directory = join(folder, 'my-bridge');
    const written = await pontoon('new', 'my-bridge', '--directory', directory);
    expect(written.code, written.stderr).to.equal(0);
    expect(written.stdout).to.contain(`my-bridge is in ${directory}`);
    for (const file of ['README.md', 'index.ts', 'index.test.ts', 'frame.ts', 'package.json', 'tsconfig.json']) {
      expect(readFileSync(join(directory, file), 'utf8'), file).to.not.contain('skeleton');
    }
    // As npm install would leave it.
    mkdirSync(join(directory, 'node_modules', '@types'), { recursive: true });
    symlinkSync(projectRoot, join(directory, 'node_modules', 'pontoon'));
    const types = join('node_modules', '@types', 'node');
    symlinkSync(join(projectRoot, types), join(directory, types));

    const compiled = await runChild(process.execPath, [tsc, '-p', directory]);
    expect(compiled.code, compiled.stdout).to.equal(0);
    const library = join(directory, 'index.ts');
    const judged = await pontoon(
      'check',
      library,
      '--plugin-root',
      folder,
      '--name',
      'my-bridge',
      '--config',
      '{"max_frame_size": 100}',
    );
    expect(judged.code, judged.stdout).to.equal(0);
    const refused = await pontoon(
      'check',
      library,
      '--plugin-root',
      folder,
      '--name',
      'my-bridge',
      '--config',
      '{"max_frame_size": 1}',
    );
    expect(refused.code).to.equal(1);
    expect(refused.stdout).to.contain('max_frame_size must be a whole number of at least 4, not 1');
    const tested = await runChild(process.execPath, ['--test', join(directory, 'dist', 'index.test.js')]);
    expect(tested.code, tested.stdout).to.equal(0);
    expect(tested.stdout).to.match(/pass 6\n/);
  });

  it('takes the name for the folder', async () => {
    const { code } = await runChild('sh', ['-c', `cd ${folder} && ${process.execPath} ${cliPath} plugin new other`]);
    expect(code).to.equal(0);
    expect(readFileSync(join(folder, 'other', 'index.ts'), 'utf8')).to.contain('{ other: plugin }');
  });

  it('never writes over anything', async () => {
    writeFileSync(join(folder, 'mine'), '');
    const { code, stderr } = await pontoon('new', 'a', '--directory', folder);
    expect(code).to.equal(1);
    expect(stderr).to.equal(`${folder} is not empty: name another folder with --directory\n`);
    expect(existsSync(join(folder, 'index.ts'))).to.equal(false);
  });

  it('refuses a name that is none', async () => {
    const { code, stderr } = await pontoon('new', '../evil', '--directory', join(folder, 'a'));
    expect(code).to.equal(1);
    expect(stderr).to.contain('NAME must be small letters, digits, - and _');
  });
});
