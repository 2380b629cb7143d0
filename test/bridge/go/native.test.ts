import { execFile, fork } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { ensureNativeHost } from '../../../src/bridge/go/native-host.js';

const root = fileURLToPath(new URL('../../../..', import.meta.url));
const run = promisify(execFile);
const parts = ['pontoon_go.node', 'pontoon_sockets.node'];

/** Skips where there is no compiler, but not under CI=true. */
async function needCompiler(context: Mocha.Context): Promise<void> {
  const native = await ensureNativeHost();
  if (native.available) return;
  if (process.env.CI === 'true') throw new Error(native.reason);
  console.error(`    skipped: ${native.reason}`);
  context.skip();
}

describe('the native part where the package came without it', () => {
  let folder: string;
  let copy: string;
  let compilations: string;

  before(async function () {
    this.timeout(60_000);
    await needCompiler(this);
    folder = mkdtempSync(join(tmpdir(), 'pontoon-native-'));
    copy = join(folder, 'package');
    for (const part of ['.build/native.mjs', 'package.json', 'dist/src', 'src/bridge/go/native', 'src/sockets/native'])
      cpSync(join(root, part), join(copy, part), { recursive: true });
    symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
    compilations = join(folder, 'compilations');
  });

  after(() => {
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  beforeEach(() => {
    for (const path of ['dist/native', '../cache', '../compilations'])
      rmSync(join(copy, path), { recursive: true, force: true });
  });

  /** A compiler that runs `script`; each compilation adds a line to `compilations`. */
  function compiler(script: string): string {
    const path = join(folder, 'compiler.sh');
    writeFileSync(path, `#!/bin/sh\n[ "$1" = --version ] && exit 0\necho run >> ${compilations}\n${script}\n`);
    chmodSync(path, 0o755);
    return path;
  }

  const compiled = (): number =>
    existsSync(compilations) ? readFileSync(compilations, 'utf8').split('\n').length - 1 : 0;

  /** What a process that runs the copy says of its host. */
  async function ask(CXX: string): Promise<string> {
    const module = pathToFileURL(join(copy, 'dist/src/bridge/go/native-host.js')).href;
    const program = `const { ensureNativeHost } = await import('${module}'); const host = await ensureNativeHost(); console.log(host.available ? 'available ' + typeof host.host.addon.open : host.reason); process.exit();`;
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', program], {
      env: { ...process.env, CXX, XDG_CACHE_HOME: join(folder, 'cache'), NODE_V8_COVERAGE: '' },
    });
    return stdout.trim();
  }

  it('is built once, however many processes need it at the same time', async () => {
    const CXX = compiler('exec c++ "$@" -O0');
    expect(await Promise.all([ask(CXX), ask(CXX), ask(CXX)])).to.deep.equal(Array(3).fill('available function'));
    expect(compiled()).to.equal(parts.length);
    expect(readdirSync(join(copy, 'dist/native')).sort()).to.deep.equal([...parts, 'stamp.txt']);
    expect(await ask(CXX)).to.equal('available function');
    expect(compiled()).to.equal(parts.length);
  }).timeout(60_000);

  it("is built in the user's own folder where the package can't be written to", async () => {
    writeFileSync(join(copy, 'dist/native'), 'no folder: also root can not write into it');
    const CXX = compiler('exec c++ "$@" -O0');
    expect(await ask(CXX)).to.equal('available function');
    const [name] = readdirSync(join(folder, 'cache'));
    const cache = join(folder, 'cache', String(name));
    expect(name).to.match(/^pontoon-\d+\.\d+\.\d+-\d+-/);
    expect(statSync(cache).mode & 0o777).to.equal(0o700);
    expect(await ask(CXX)).to.equal('available function');
    expect(compiled()).to.equal(parts.length);
    chmodSync(cache, 0o777);
    expect(await ask(CXX)).to.include(`${cache} must be a folder that belongs to this user`);
    expect(compiled()).to.equal(parts.length);
  }).timeout(60_000);

  it('is not there, with the words of the compiler, where it can not be built', async () => {
    expect(await ask(compiler('echo "host.cc:1: error: no such thing" >&2; exit 1'))).to.include(
      'could not build their native part: host.cc:1: error: no such thing',
    );
    // The next process tries again.
    expect(await ask(join(folder, 'no-compiler'))).to.equal(
      'there is no C++ compiler to build their native part with: install g++ or clang++',
    );
    renameSync(join(copy, 'src'), join(copy, 'away'));
    try {
      expect(await ask(compiler('exit 0'))).to.include('no such file or directory');
    } finally {
      renameSync(join(copy, 'away'), join(copy, 'src'));
    }
  }).timeout(60_000);

  it('is built anew where the one that is there can not be loaded', async () => {
    const CXX = compiler('exec c++ "$@" -O0');
    await ask(CXX);
    writeFileSync(join(copy, 'dist/native/pontoon_go.node'), 'of another system');
    expect(await ask(CXX)).to.equal('available function');
    expect(compiled()).to.equal(2 * parts.length);
  }).timeout(60_000);

  it('is built by the next process when the one that built it was killed', async () => {
    const native = join(copy, 'dist/native');
    mkdirSync(join(native, 'lock'), { recursive: true });
    const gone = await run(process.execPath, ['-p', 'process.pid']);
    writeFileSync(join(native, 'lock', 'pid'), gone.stdout.trim());
    expect(await ask(compiler('exec c++ "$@" -O0'))).to.equal('available function');
    expect(existsSync(join(native, 'lock'))).to.equal(false);
  }).timeout(60_000);
});

describe('memory that is shared with other processes', () => {
  let folder: string;

  before(async function () {
    this.timeout(60_000);
    await needCompiler(this);
  });

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'pontoon-shared-'));
  });

  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('holds what a process wrote last, also when it was killed in the middle of a call', async () => {
    const file = join(folder, 'mark');
    writeFileSync(file, Buffer.alloc(4096));
    const child = fork(fileURLToPath(new URL('shared-memory-child.js', import.meta.url)), [file, '7']);
    await new Promise((resolve) => child.once('message', resolve));
    // It hangs in a call of its plugin now.
    expect(readFileSync(file).readUInt32LE(0)).to.equal(7);
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('exit', resolve));
    expect(readFileSync(file).readUInt32LE(0)).to.equal(7);
  });

  it('must be there, and large enough', async () => {
    const native = await ensureNativeHost();
    if (!native.available) throw new Error(native.reason);
    const { mapSharedMemory } = native.host;
    expect(() => mapSharedMemory(join(folder, 'none'), 4096)).to.throw('No such file');
    const file = join(folder, 'small');
    writeFileSync(file, Buffer.alloc(100));
    expect(() => mapSharedMemory(file, 101)).to.throw('the file is smaller');
    expect(() => mapSharedMemory(file, 0)).to.throw('the file is smaller');
    const memory = new Uint8Array(mapSharedMemory(file, 100));
    memory[99] = 1;
    expect(readFileSync(file)[99]).to.equal(1);
    writeFileSync(file, Buffer.alloc(100, 2));
    // O_TRUNC takes the old bytes away, the new ones are in the same file.
    expect(memory[99]).to.equal(2);
  });
});
