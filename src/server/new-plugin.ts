import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { packageFolder } from '../own-files.js';
import { version } from '../version.js';

/** What is copied; its plugin's name is `skeleton`. It is one of the package's own plugins, so that it is built and tested like them. */
const source = join(packageFolder, 'plugins', 'skeleton');
const skeletonFiles = ['README.md', 'frame.ts', 'index.ts', 'index.test.ts'];
const pluginName = /^[a-z][a-z0-9_-]{0,63}$/;

export interface NewPluginResult {
  readonly ok: boolean;
  readonly lines: readonly string[];
}

/**
 * `pontoon plugin new NAME`: writes a working plugin with its test, README and package.json into the folder NAME (or `directory`). Never overwrites a file.
 * @throws Error when the folder can't be written
 */
export function newPlugin(name: string, directory: string): NewPluginResult {
  if (!pluginName.test(name)) {
    const what = 'small letters, digits, - and _, beginning with a letter, 64 at most';
    return { ok: false, lines: [`NAME must be ${what}, not ${JSON.stringify(name)}`] };
  }
  const folder = resolve(directory);
  mkdirSync(folder, { recursive: true });
  if (readdirSync(folder).length > 0) {
    return { ok: false, lines: [`${folder} is not empty: name another folder with --directory`] };
  }
  for (const [file, text] of filesOf(name)) writeFileSync(join(folder, file), text, { flag: 'wx' });
  return {
    ok: true,
    lines: [
      `${name} is in ${folder}`,
      `try it:    cd ${folder} && npm install && npm test`,
      `judge it:  pontoon plugin check ${join(folder, 'index.ts')} --name ${name}`,
    ],
  };
}

function filesOf(name: string): [file: string, text: string][] {
  const copies = skeletonFiles.map((file): [string, string] => {
    const text = readFileSync(join(source, file), 'utf8');
    // The name as a key of `bridges` needs quotes when it is no identifier.
    const key = /^\w+$/.test(name) ? name : `'${name}'`;
    return [file, text.replace('{ skeleton: plugin }', `{ ${key}: plugin }`).replaceAll('skeleton', name)];
  });
  return [
    ...copies,
    ['package.json', json(packageOf(name))],
    ['tsconfig.json', json(compilerOptions)],
    ['.gitignore', 'dist/\nnode_modules/\n'],
  ];
}

const json = (value: object): string => `${JSON.stringify(value, undefined, 2)}\n`;

/** Versions are those that this package is built with. */
function packageOf(name: string): object {
  const own = JSON.parse(readFileSync(join(dirname(dirname(source)), 'package.json'), 'utf8')) as {
    devDependencies: Record<string, string>;
  };
  return {
    name,
    version: '0.1.0',
    private: true,
    type: 'module',
    scripts: {
      build: 'tsc',
      check: `pontoon plugin check index.ts --plugin-root . --name ${name}`,
      test: 'tsc && node --test dist/index.test.js',
    },
    devDependencies: {
      '@types/node': own.devDependencies['@types/node'],
      pontoon: `^${version}`,
      typescript: own.devDependencies.typescript,
    },
  };
}

const compilerOptions = {
  compilerOptions: {
    target: 'ES2023',
    module: 'NodeNext',
    types: ['node'],
    rootDir: '.',
    outDir: 'dist',
    strict: true,
    skipLibCheck: true,
  },
  include: ['*.ts'],
};
