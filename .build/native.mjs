// The host of Go libraries: src/bridge/go/native/*.cc → dist/native/pontoon_go.node, with the compiler of this machine.
// Never fails: where it can't be built, dist/native/unavailable.txt says why, and Go libraries are refused with that reason.
// Runs in the build, and on its own (`node .build/native.mjs [ROOT]`) when the published package is installed.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { argv, env, platform } from 'node:process';
import { fileURLToPath } from 'node:url';

const flags = ['-std=c++17', '-O2', '-fPIC', '-shared', '-fvisibility=hidden', '-pthread'];

/** The first C++ compiler that answers; CXX comes first, as in makefiles. */
function findCompiler() {
  const candidates = env.CXX ? [env.CXX] : ['c++', 'g++', 'clang++'];
  return candidates.find((name) => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0);
}

function compile(root, output) {
  if (platform !== 'linux') return 'Go libraries run on Linux only';
  const compiler = findCompiler();
  if (!compiler) return 'there was no C++ compiler at build time: install g++ or clang++, then build again';
  const { include_dir: headers } = createRequire(import.meta.url)('node-api-headers');
  const sources = sourcesOf(root).filter((path) => path.endsWith('.cc'));
  const temporary = `${output}.${process.pid}`;
  const run = spawnSync(compiler, [...flags, `-I${headers}`, '-o', temporary, ...sources, '-ldl'], {
    encoding: 'utf8',
  });
  if (run.status === 0) {
    renameSync(temporary, output);
    return undefined;
  }
  rmSync(temporary, { force: true });
  const said = (run.stderr || run.error?.message || '').split('\n').find((line) => /error|cannot/i.test(line));
  return `${compiler} could not build its native part: ${(said ?? `exit status ${run.status}`).slice(0, 300)}`;
}

function sourcesOf(root) {
  const folder = join(root, 'src', 'bridge', 'go', 'native');
  return readdirSync(folder)
    .sort()
    .map((name) => join(folder, name));
}

/** Builds it when a source has changed since. */
export function buildNative(root) {
  const folder = join(root, 'dist', 'native');
  const output = join(folder, 'pontoon_go.node');
  const reasonFile = join(folder, 'unavailable.txt');
  const stampFile = join(folder, 'stamp.txt');
  try {
    mkdirSync(folder, { recursive: true });
    const hash = createHash('sha256').update(`${flags} ${env.CXX ?? ''} ${process.arch}`);
    for (const path of [...sourcesOf(root), fileURLToPath(import.meta.url)]) hash.update(readFileSync(path));
    const stamp = hash.digest('hex');
    if (existsSync(output) && existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return;
    rmSync(output, { force: true });
    rmSync(reasonFile, { force: true });
    const reason = compile(root, output);
    if (reason === undefined) return void writeFileSync(stampFile, stamp);
    writeFileSync(reasonFile, reason);
    console.error(`pontoon: go bridges will be unavailable (${reason})`);
  } catch (error) {
    console.error(`pontoon: go bridges will be unavailable (${error instanceof Error ? error.message : error})`);
  }
}

const self = fileURLToPath(import.meta.url);
if (argv[1] && realpathSync(argv[1]) === self) buildNative(argv[2] ?? dirname(dirname(self)));
