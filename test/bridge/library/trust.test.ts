import { chmodSync, realpathSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { createTrust } from '../../../src/bridge/library/trust.js';
import { createLibraryFolder, type LibraryFolder } from '../script/library-folder.js';

const minimal = 'export const bridges = { plugin: { createBridge: () => ({}) } };';

describe('trust in libraries', () => {
  let folder: LibraryFolder;

  afterEach(() => folder.remove());

  describe('without plugin roots', () => {
    beforeEach(() => {
      folder = createLibraryFolder([]);
    });

    it('is there for files that only root and we may write, with all their folders', () => {
      expect(createTrust([]).check(realpathSync('/bin/sh'))).to.equal(undefined);
    });

    it('is not there for a file that others may write', async () => {
      chmodSync(folder.write('lib.js', minimal), 0o666);
      expect(await folder.problem('lib.js')).to.match(
        /^library_path: \S+lib\.js can be written by others, so it is not trusted: .* --plugin-root \S+$/,
      );
    });

    it('is not there in a folder that others may write, sticky or not', async () => {
      folder.write('open/lib.js', minimal);
      for (const mode of [0o777, 0o1777, 0o775]) {
        chmodSync(join(folder.path, 'open'), mode);
        const problem = await folder.problem('open/lib.js');
        expect(problem).to.include(`its folder ${join(folder.path, 'open')} can be written by others`);
        expect(problem).to.include(`--plugin-root ${join(folder.path, 'open')}`);
      }
    });
  });

  describe('with plugin roots', () => {
    let root: LibraryFolder;

    beforeEach(() => {
      root = createLibraryFolder();
      folder = createLibraryFolder([root.path]);
    });

    afterEach(() => root.remove());

    it('is there inside, whoever may write', async () => {
      const file = root.write('lib.js', minimal);
      chmodSync(file, 0o666);
      await folder.prepare(file);
    });

    it('is not there outside', async () => {
      const file = folder.write('lib.js', minimal);
      const problem = await folder.problem(file);
      expect(problem).to.include(`${file} is outside of the plugin roots (${root.path})`);
      expect(problem).to.include(`--plugin-root ${folder.path}`);
    });

    it('is not there for a folder whose name only begins like a root', () => {
      const trust = createTrust([join(root.path, 'a')]);
      root.write('a/lib.js', '');
      expect(trust.check(join(root.path, 'a', 'lib.js'))).to.equal(undefined);
      expect(trust.check(join(root.path, 'ab', 'lib.js'))).to.include('outside');
    });

    it('looks behind symlinks, of the library and of the root', async () => {
      const outside = folder.write('lib.js', minimal);
      symlinkSync(outside, join(root.path, 'link.js'));
      expect(await folder.problem(join(root.path, 'link.js'))).to.include('outside');
      const alias = join(folder.path, 'alias');
      symlinkSync(root.path, alias);
      root.write('lib.js', minimal);
      const aliased = createLibraryFolder([alias]);
      await aliased.prepare(join(root.path, 'lib.js'));
      await aliased.prepare(join(alias, 'lib.js'));
      aliased.remove();
    });

    it('is needed for imported files and packages, too', async () => {
      folder.write('stranger.js', 'export const n = 1;');
      const escaping = root.write(
        'escape.js',
        `import { n } from '${join(folder.path, 'stranger.js')}'; ${minimal} bridges.n = n;`,
      );
      expect(await folder.problem(escaping)).to.include(`${join(folder.path, 'stranger.js')} is outside`);
      const inner = createLibraryFolder([join(root.path, 'inner')]);
      root.write('node_modules/pkg/index.js', 'module.exports = 1;');
      const file = root.write('inner/lib.js', `import pkg from 'pkg'; ${minimal} bridges.n = pkg;`);
      expect(await inner.problem(file)).to.include(`${join(root.path, 'node_modules/pkg/index.js')} is outside`);
      inner.remove();
    });
  });
});
