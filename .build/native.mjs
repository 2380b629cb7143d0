// The native parts, with the compiler of this machine: the host of Go libraries, src/bridge/go/native/*.cc → FOLDER/pontoon_go.node, and the reader and
// writer of sockets, src/sockets/native/*.cc → FOLDER/pontoon_sockets.node.
// Never fails: where they can't be built, FOLDER/unavailable.txt says why. Go libraries are refused with that reason then, and sockets are left to Node.
// Runs in the build, when the published package is installed, and, where that did not happen, when the first Go library comes
// (`node .build/native.mjs [ROOT [FOLDER]]`).
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { argv, env, kill, pid, platform } from 'node:process';
import { fileURLToPath } from 'node:url';

const flags = ['-std=c++17', '-O2', '-fPIC', '-shared', '-fvisibility=hidden', '-pthread'];
const compilerLimitMs = 120_000;
/** Whoever holds the lock for longer is gone, though its process id may be somebody else's by now. */
const lockLimitMs = compilerLimitMs + 30_000;

/** The first C++ compiler that answers; CXX comes first, as in makefiles. */
function findCompiler() {
  const candidates = env.CXX ? [env.CXX] : ['c++', 'g++', 'clang++'];
  return candidates.find((name) => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0);
}

/** Name and sources of each. */
const parts = { pontoon_go: ['bridge', 'go', 'native'], pontoon_sockets: ['sockets', 'native'] };

function compile(sources, output) {
  if (platform !== 'linux') return 'Go libraries run on Linux only';
  const compiler = findCompiler();
  if (!compiler) return 'there is no C++ compiler to build their native part with: install g++ or clang++';
  const { include_dir: headers } = createRequire(import.meta.url)('node-api-headers');
  const temporary = `${output}.${pid}`;
  const run = spawnSync(
    compiler,
    [...flags, `-I${headers}`, '-o', temporary, ...sources.filter((path) => path.endsWith('.cc')), '-ldl'],
    {
      encoding: 'utf8',
      timeout: compilerLimitMs,
    },
  );
  if (run.status === 0) {
    renameSync(temporary, output);
    return undefined;
  }
  rmSync(temporary, { force: true });
  return `${compiler} could not build their native part: ${describeFailure(run).slice(0, 300)}`;
}

function describeFailure({ error, stderr, status }) {
  if (error?.code === 'ETIMEDOUT') return `it was still busy after ${compilerLimitMs / 1000} s`;
  const said = (stderr || error?.message || '').split('\n').find((line) => /error|cannot/i.test(line));
  return said ?? `exit status ${status}`;
}

function sourcesOf(root, part) {
  const folder = join(root, 'src', ...parts[part]);
  return readdirSync(folder)
    .sort()
    .map((name) => join(folder, name));
}

/** Says what they are made of: others must be built when that changes. */
function stampOf(root) {
  const hash = createHash('sha256').update(`${flags} ${env.CXX ?? ''} ${process.arch}`);
  const sources = Object.keys(parts).flatMap((part) => sourcesOf(root, part));
  for (const path of [...sources, fileURLToPath(import.meta.url)]) hash.update(readFileSync(path));
  return hash.digest('hex');
}

/** Runs `work` while no other process is in here for the same folder. A folder that is not empty can't be renamed over: so only one wins. */
function withLock(folder, work) {
  const lock = join(folder, 'lock');
  const mine = mkdtempSync(join(folder, 'lock.'));
  writeFileSync(join(mine, 'pid'), String(pid));
  const deadline = Date.now() + lockLimitMs;
  try {
    while (!tryRename(mine, lock)) {
      if (isAbandoned(lock)) takeAway(lock, `${mine}.old`);
      else if (Date.now() > deadline) throw new Error(`another process has been building in ${folder} for too long`);
      else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
    }
  } catch (error) {
    rmSync(mine, { recursive: true, force: true });
    throw error;
  }
  try {
    return work();
  } finally {
    takeAway(lock, `${mine}.old`);
  }
}

function tryRename(from, to) {
  try {
    renameSync(from, to);
    return true;
  } catch (error) {
    if (['ENOTEMPTY', 'EEXIST'].includes(error.code)) return false;
    throw error;
  }
}

function isAbandoned(lock) {
  try {
    if (Date.now() - statSync(lock).mtimeMs > lockLimitMs) return true;
    kill(Number(readFileSync(join(lock, 'pid'), 'utf8')), 0);
    return false;
  } catch (error) {
    // ENOENT: given back meanwhile. EPERM: alive, and somebody else's.
    return error.code === 'ESRCH';
  }
}

function takeAway(lock, aside) {
  try {
    renameSync(lock, aside);
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
  }
  rmSync(aside, { recursive: true, force: true });
}

function buildIn(folder, root) {
  const outputs = Object.keys(parts).map((part) => join(folder, `${part}.node`));
  const reasonFile = join(folder, 'unavailable.txt');
  const stampFile = join(folder, 'stamp.txt');
  rmSync(reasonFile, { force: true });
  const stamp = stampOf(root);
  if (
    outputs.every((output) => existsSync(output)) &&
    existsSync(stampFile) &&
    readFileSync(stampFile, 'utf8') === stamp
  )
    return undefined;
  rmSync(stampFile, { force: true });
  let reason;
  for (const [i, part] of Object.keys(parts).entries()) reason ??= compile(sourcesOf(root, part), outputs[i]);
  if (reason !== undefined) for (const output of outputs) rmSync(output, { force: true });
  writeFileSync(reason === undefined ? stampFile : reasonFile, reason ?? stamp);
  return reason;
}

/** Builds it into `folder` when it isn't there or a source has changed since; two processes don't do that at once. */
export function buildNative(root, folder = join(root, 'dist', 'native')) {
  const reason = tryBuild(root, folder);
  if (reason !== undefined) console.error(`pontoon: go bridges will be unavailable (${reason})`);
}

function tryBuild(root, folder) {
  try {
    mkdirSync(folder, { recursive: true });
    return withLock(folder, () => buildIn(folder, root));
  } catch (error) {
    return `their native part could not be built: ${error instanceof Error ? error.message : error}`;
  }
}

const self = fileURLToPath(import.meta.url);
if (argv[1] && realpathSync(argv[1]) === self) buildNative(argv[2] ?? dirname(dirname(self)), argv[3]);
