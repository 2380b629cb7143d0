import { mkdirSync, readFileSync, renameSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { isPromise } from '../../../src/bridge/plugin-error.js';
import { createLibraryFolder, jsonConfig, type LibraryFolder, noCallbacks } from './library-folder.js';

const minimal = 'export const bridges = { plugin: { createBridge: () => ({}) } };';

describe('script runtime', () => {
  let folder: LibraryFolder;

  beforeEach(() => {
    folder = createLibraryFolder();
  });

  afterEach(() => folder.remove());

  describe('loads', () => {
    const typescript =
      'export const bridges: Record<string, unknown> = { plugin: { createBridge: (): object => ({ n: 1 as number }) } };';
    const commonjs = 'exports.bridges = { plugin: { createBridge: () => ({ n: 1 }) } };';
    const cases: Record<string, string> = {
      'esm.js': typescript.replace(/: Record<string, unknown>|: object| as number/g, ''),
      'esm.mjs': typescript.replace(/: Record<string, unknown>|: object| as number/g, ''),
      'commonjs.cjs': commonjs,
      'commonjs.js': 'module.exports = { bridges: { plugin: { createBridge: () => ({ n: 1 }) } } };',
      'typescript.ts': typescript,
      'typescript.mts': typescript,
    };
    for (const [name, source] of Object.entries(cases)) {
      it(name, async () => {
        folder.write(name, source);
        const bridge = await folder.prepare(name);
        expect(bridge.createBridge(noCallbacks)).to.deep.equal({ n: 1 });
        bridge.release();
      });
    }

    it('relative imports, packages, node: modules, __dirname and import.meta.url', async () => {
      folder.write('node_modules/pkg/index.js', 'exports.name = "pkg";');
      folder.write('lib/data.json', '{"n": 2}');
      folder.write('lib/helper.ts', 'export const help = (n: number): number => n + 1;');
      folder.write(
        'main.ts',
        `import { basename } from 'node:path';
         import pkg from 'pkg';
         import type { Missing } from 'nowhere';
         import { help } from './lib/helper.js';
         import data from './lib/data.json';
         const later = () => import('./lib/helper.js');
         export const bridges = { plugin: { createBridge: () => ({ n: help(data.n), pkg: pkg.name, file: basename(__filename), url: import.meta.url.slice(0, 8), later }) } };
         export type Kept = Missing;`,
      );
      const bridge = await folder.prepare('main.ts');
      const made = bridge.createBridge(noCallbacks) as Record<string, unknown>;
      expect(made).to.include({ n: 3, pkg: 'pkg', file: 'main.ts', url: 'file:///' });
      expect(await (made.later as () => Promise<{ help: unknown }>)()).to.have.property('help');
    });

    it('after esbuild’s process was killed', async () => {
      for (const name of ['a.js', 'b.js', 'c.js']) folder.write(name, `${minimal} // ${name}`);
      const bridges = [await folder.prepare('a.js')];
      const children = readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8').trim().split(' ');
      const builders = children.filter((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'esbuild');
      expect(builders).to.have.length(1);
      process.kill(Number(builders[0]), 'SIGKILL');
      bridges.push(...(await Promise.all([folder.prepare('b.js'), folder.prepare('c.js')])));
      expect(bridges).to.have.length(3);
      for (const bridge of bridges) bridge.release();
    });

    it('without looking at a tsconfig.json further up', async () => {
      folder.write(
        'tsconfig.json',
        '{ "extends": "./nowhere.json", "compilerOptions": { "target": "es5", "paths": { "*": ["./evil/*"] } } }',
      );
      folder.write('evil/lib.ts', 'throw new Error("evil");');
      folder.write('sub/lib.ts', minimal);
      await folder.prepare('sub/lib.ts');
    });

    it('the same file and content once, for any number of clusters', async () => {
      folder.write('lib.js', `globalThis.loads = (globalThis.loads ?? 0) + 1; ${minimal}`);
      const counter = globalThis as { loads?: number };
      delete counter.loads;
      const bridges = await Promise.all([1, 2, 3].map(() => folder.prepare('lib.js')));
      bridges.push(await folder.prepare('lib.js'));
      expect(counter.loads).to.equal(1);
      for (const bridge of bridges) bridge.release();
      const again = await folder.prepare('lib.js');
      expect(counter.loads).to.equal(2);
      expect(again.libraryHash).to.equal(bridges[0]?.libraryHash);
      again.release();
    });
  });

  describe('refuses, with the field and the cause,', () => {
    const cases: { name: string; file?: string; source?: string; expect: (string | RegExp)[] }[] = [
      { name: 'a file that does not exist', expect: ['library_path', 'lib.js does not exist'] },
      {
        name: 'a syntax error',
        source: 'export const bridges = {\n  a: [1 2]\n};',
        expect: ['library_path', /lib\.js:2:9: Expected "]"/],
      },
      {
        name: 'an import that is not there',
        source: 'import "./nowhere.js";',
        expect: ['library_path', /lib\.js:1:8: Could not resolve "\.\/nowhere\.js"/],
      },
      {
        name: 'a package that is not there',
        source: `import x from "nowhere-at-all"; x(); ${minimal}`,
        expect: ['library_path', "Cannot find module 'nowhere-at-all'"],
      },
      {
        name: 'top-level await',
        source: `await 1;\n${minimal}`,
        expect: ['library_path', /lib\.js:1:1: top-level await is not possible/],
      },
      {
        name: 'an exception while it is loaded',
        source: `const x = undefined;\n${minimal}\nx.y;`,
        expect: ['library_path', /lib\.js:3:\d+: Cannot read properties of undefined/],
      },
      {
        name: 'no export',
        source: 'export const bridge = 1;',
        expect: ['library_path', 'no export named bridges; it exports "bridge"'],
      },
      {
        name: 'an export that is no record',
        source: 'export const bridges = [1];',
        expect: ['library_path', 'not a record'],
      },
      {
        name: 'module.exports that is nothing',
        source: 'module.exports = null;',
        file: 'lib.cjs',
        expect: ['library_path', 'no export named bridges'],
      },
      {
        name: 'a plugin that is not there',
        source: 'export const bridges = { a: {}, b: {} };',
        expect: ['plugin_name', 'no plugin "plugin"; it has "a", "b"'],
      },
      {
        name: 'no createBridge',
        source: 'export const bridges = { plugin: {} };',
        expect: ['plugin_name', 'no function createBridge'],
      },
      {
        name: 'a plugin that is no object',
        source: 'export const bridges = { plugin: 1 };',
        expect: ['plugin_name', 'no function createBridge'],
      },
      {
        name: 'maxResponseBuffer that is none',
        source: 'export const bridges = { plugin: { createBridge() {}, maxResponseBuffer: -1 } };',
        expect: ['plugin_name', 'maxResponseBuffer'],
      },
      {
        name: 'parseConfig throwing',
        source:
          'export const bridges = { plugin: { createBridge() {}, parseConfig() { throw new Error("size must be 1-9"); } } };',
        expect: ['plugin_config', 'rejects it: size must be 1-9'],
      },
      {
        name: 'an async parseConfig',
        source: 'export const bridges = { plugin: { createBridge() {}, async parseConfig() { throw 1; } } };',
        expect: ['plugin_config', 'returned a promise'],
      },
      {
        name: 'a hostile getter',
        source: 'export const bridges = { get plugin() { throw new Error("mine"); } };',
        expect: ['plugin_name', 'mine'],
      },
      {
        name: 'a hostile proxy',
        source: 'export const bridges = new Proxy({}, { getOwnPropertyDescriptor() { throw null; } });',
        expect: ['plugin_name', 'null'],
      },
      {
        name: 'a hostile thrown value',
        source: 'throw { get message() { throw 1; }, toString() { throw 2; } };',
        expect: ['library_path', 'cannot be described'],
      },
      { name: 'an unknown extension', file: 'lib.py', source: '', expect: ['library_path', 'no known extension'] },
      { name: 'a folder', file: 'lib.js/x', source: '', expect: ['library_path', 'not a file'] },
      {
        name: 'a file that is too large',
        source: `//${'x'.repeat(8 << 20)}`,
        expect: ['library_path', /may have up to/],
      },
    ];
    for (const test of cases) {
      it(test.name, async () => {
        const file = test.file ?? 'lib.js';
        if (test.source !== undefined) folder.write(file, test.source);
        const problem = await folder.problem(file.split('/')[0] as string);
        const [path, ...texts] = test.expect;
        expect(problem.startsWith(`${path as string}: `), problem).to.equal(true);
        for (const text of texts) {
          if (typeof text === 'string') expect(problem).to.include(text);
          else expect(problem).to.match(text);
        }
      });
    }

    it('own names of every object', async () => {
      folder.write('lib.js', minimal);
      for (const pluginName of ['constructor', '__proto__', 'toString']) {
        expect(await folder.problem('lib.js', { pluginName })).to.include('plugin_name: ');
      }
    });

    for (const [what, source] of [
      ['a top level', 'for (;;);'],
      ['a parseConfig', 'export const bridges = { plugin: { createBridge() {}, parseConfig() { for (;;); } } };'],
    ] as const) {
      it(`${what} that never ends`, async () => {
        folder.write('lib.js', source);
        expect(await folder.problem('lib.js')).to.include('took more than 0.2 s');
      });
    }
  });

  describe('configuration', () => {
    it('reaches parseConfig, and its result every bridge', async () => {
      folder.write(
        'lib.js',
        'export const bridges = { plugin: { parseConfig: (c) => ({ url: c.typeUrl, size: c.value.length, plain: c.unpack() }), createBridge: (config) => config } };',
      );
      const bridge = await folder.prepare('lib.js', { pluginConfig: jsonConfig({ a: [1] }) });
      const config = bridge.createBridge(noCallbacks) as unknown;
      expect(config).to.deep.equal({ url: jsonConfig(1).typeUrl, size: 9, plain: { a: [1] } });
      expect(bridge.createBridge(noCallbacks)).to.equal(config);
    });

    it('is parsed under a time limit, but not again when it was parsed in time', async () => {
      const busy = 'if (parsed++ > 0) for (const end = performance.now() + 400; performance.now() < end; );';
      folder.write(
        'lib.js',
        `let parsed = 0; export const bridges = { plugin: { parseConfig() { ${busy} return parsed; }, createBridge: (n) => ({ n }) } };`,
      );
      const config = folder.config('lib.js');
      const first = await folder.runtime.prepare(config);
      const second = await folder.runtime.prepare(config);
      expect([first, second].map((each) => each.ok && each.bridge.createBridge(noCallbacks))).to.deep.equal([
        { n: 1 },
        { n: 2 },
      ]);
      expect(await folder.problem('lib.js', { pluginConfig: jsonConfig(2) })).to.include('took more than 0.2 s');
    });

    it('that is not there has typeUrl "" and unpacks to undefined', async () => {
      folder.write(
        'lib.js',
        'export const bridges = { plugin: { parseConfig: (c) => [c.typeUrl, c.unpack()], createBridge: (config) => config } };',
      );
      const bridge = await folder.prepare('lib.js');
      expect(bridge.createBridge(noCallbacks)).to.deep.equal(['', undefined]);
    });

    it('goes to the bridges as it is without a parseConfig', async () => {
      folder.write(
        'lib.js',
        'export const bridges = { plugin: { createBridge: (config) => ({ got: config.unpack() }) } };',
      );
      const bridge = await folder.prepare('lib.js', { pluginConfig: jsonConfig('x') });
      expect(bridge.createBridge(noCallbacks)).to.deep.equal({ got: 'x' });
    });

    it('is parsed once per prepared bridge, and let go with its last use', async () => {
      folder.write(
        'lib.js',
        'let parsed = 0; export const bridges = { plugin: { parseConfig: () => ++parsed, createBridge: (n) => ({ n }) } };',
      );
      const first = await folder.prepare('lib.js');
      const second = await folder.prepare('lib.js');
      expect([first, second, first].map((bridge) => bridge.createBridge(noCallbacks))).to.deep.equal([
        { n: 1 },
        { n: 2 },
        { n: 1 },
      ]);
      first.release();
      first.release();
      expect(() => first.createBridge(noCallbacks)).to.throw('released');
    });

    it('of a type that is not known fails when the plugin unpacks it', async () => {
      folder.write(
        'lib.js',
        'export const bridges = { plugin: { parseConfig: (c) => c.unpack(), createBridge() {} } };',
      );
      const pluginConfig = { typeUrl: 'x', value: Buffer.from('no json') };
      expect(await folder.problem('lib.js', { pluginConfig })).to.match(/^plugin_config: .*JSON/);
    });
  });

  describe('identity', () => {
    it('is the same for the same meaning, and another for all else', async () => {
      folder.write('lib.js', `${minimal} bridges.other = bridges.plugin;`);
      folder.write('copy.js', `${minimal} bridges.other = bridges.plugin;`);
      const id = async (name: string, overrides = {}): Promise<string> => (await folder.prepare(name, overrides)).id;
      const same = await id('lib.js', { pluginConfig: jsonConfig({ a: 1, b: { c: 2, d: 3 } }) });
      expect(
        await id('lib.js', { pluginConfig: jsonConfig({ b: { d: 3, c: 2 }, a: 1 }), libraryId: 'another label' }),
      ).to.equal(same);
      const others = [
        await id('lib.js', { pluginConfig: jsonConfig({ a: 1, b: { c: 2, d: 4 } }) }),
        await id('lib.js'),
        await id('copy.js', { pluginConfig: jsonConfig({ a: 1, b: { c: 2, d: 3 } }) }),
        await id('lib.js', { pluginConfig: jsonConfig({ a: 1, b: { c: 2, d: 3 } }), pluginName: 'other' }),
        await id('lib.js', { pluginConfig: { ...jsonConfig({ a: 1, b: { c: 2, d: 3 } }), typeUrl: 'x' } }),
      ];
      expect(new Set([same, ...others]).size).to.equal(6);
    });

    it('changes with an imported file', async () => {
      folder.write(
        'lib.js',
        `import { n } from './n.js'; export const bridges = { plugin: { createBridge: () => ({ n }) } };`,
      );
      folder.write('n.js', 'export const n = 1;');
      const first = await folder.prepare('lib.js');
      expect(await folder.runtime.currentHash(folder.config('lib.js'))).to.equal(first.libraryHash);
      folder.write('n.js', 'export const n = 2;');
      const hash = await folder.runtime.currentHash(folder.config('lib.js'));
      expect(hash).to.not.equal(first.libraryHash);
      const second = await folder.prepare('lib.js');
      expect(second.libraryHash).to.equal(hash);
      expect(first.createBridge(noCallbacks)).to.deep.equal({ n: 1 });
      expect(second.createBridge(noCallbacks)).to.deep.equal({ n: 2 });
    });

    it('does not change when a file is only touched', async () => {
      const file = folder.write('lib.js', minimal);
      utimesSync(file, 1, 1);
      const bridge = await folder.prepare('lib.js');
      utimesSync(file, 2, 2);
      expect(await folder.runtime.currentHash(folder.config('lib.js'))).to.equal(bridge.libraryHash);
      writeFileSync(file, minimal);
      expect((await folder.prepare('lib.js')).libraryHash).to.equal(bridge.libraryHash);
    });

    it('is seen after every change, however quick', async () => {
      for (let n = 0; n < 20; n++) {
        folder.write('lib.js', `export const bridges = { plugin: { createBridge: () => ({ n: ${n % 10} }) } };`);
        const bridge = await folder.prepare('lib.js');
        expect(bridge.createBridge(noCallbacks)).to.deep.equal({ n: n % 10 });
      }
    });

    it('follows a symlink that is moved', async () => {
      folder.write('v1/lib.js', minimal);
      folder.write('v2/lib.js', `${minimal} // 2\nbridges.two = 2;`);
      symlinkSync('v1', join(folder.path, 'current'));
      const first = await folder.prepare('current/lib.js');
      symlinkSync('v2', join(folder.path, 'next'));
      renameSync(join(folder.path, 'next'), join(folder.path, 'current'));
      expect(await folder.runtime.currentHash(folder.config('current/lib.js'))).to.not.equal(first.libraryHash);
    });

    it('is undefined for what cannot be read', async () => {
      expect(await folder.runtime.currentHash(folder.config('nowhere.js'))).to.equal(undefined);
      folder.write('broken.js', '{');
      expect(await folder.runtime.currentHash(folder.config('broken.js'))).to.equal(undefined);
    });
  });

  it('makes stack traces speak of the source files', async () => {
    folder.write(
      'deep.ts',
      'interface Long {\n  a: 1;\n}\nexport function fail(): never {\n  throw new Error("deep");\n}',
    );
    folder.write(
      'lib.ts',
      `import { fail } from './deep.js';\nexport const bridges = { plugin: { createBridge: () => fail() } };`,
    );
    const bridge = await folder.prepare('lib.ts');
    try {
      bridge.createBridge(noCallbacks);
      expect.fail('it must throw');
    } catch (error) {
      expect(bridge.mapStack?.((error as Error).stack ?? '')).to.include(`${join(folder.path, 'deep.ts')}:5:9`);
    }
  });

  it('swallows the rejection of a promise that it refuses', async () => {
    expect(isPromise(Promise.reject(new Error('unheard')))).to.equal(true);
    expect(isPromise({})).to.equal(false);
    await new Promise((resolve) => setImmediate(resolve));
  });

  it('reads what is there: no cache survives the last user', async () => {
    const file = folder.write('lib.js', minimal);
    (await folder.prepare('lib.js')).release();
    mkdirSync(join(folder.path, 'x'));
    expect(readFileSync(file, 'utf8')).to.equal(minimal);
    folder.write('lib.js', 'export const bridges = {};');
    expect(await folder.problem('lib.js')).to.include('it has nothing');
  });
});
