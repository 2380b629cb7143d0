// Makes a checkout ready to run: installs when the lock file changed, builds when a source is newer than the build.
// Plain JavaScript without dependencies, because it runs before anything is installed.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const sources = [
  '.build',
  'proto',
  'src',
  'plugins',
  'control-plane-sample',
  'test',
  'bench',
  'package.json',
  'tsconfig.json',
];

function newest(path) {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat) return 0;
  if (!stat.isDirectory()) return stat.mtimeMs;
  let latest = 0;
  for (const entry of readdirSync(path)) {
    if (entry !== 'node_modules' && entry !== 'generated') latest = Math.max(latest, newest(join(path, entry)));
  }
  return latest;
}

function run(command, args) {
  const result = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2], shell: process.platform === 'win32' });
  if (result.status !== 0) process.exit(result.status ?? 1);
}

const installed = join(root, 'node_modules', '.package-lock.json');
if (!existsSync(installed) || newest(installed) < newest(join(root, 'package-lock.json'))) {
  console.error('pontoon: installing dependencies …');
  run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']);
}
const built = join(root, 'dist', '.built');
if (!existsSync(built) || newest(built) < Math.max(...sources.map((source) => newest(join(root, source))))) {
  console.error('pontoon: building …');
  run(process.execPath, [join(root, '.build', 'build.mjs')]);
}
