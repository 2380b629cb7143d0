import { execFile, fork } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { buildPeer } from '../../support/go-libraries.js';
import { until } from '../../support/until.js';

const childPath = (name: string): string => fileURLToPath(new URL(`${name}.js`, import.meta.url));

interface Limits {
  readonly path: string;
  /** Per build: open, retired, and the same by the gauges. */
  readonly counts: readonly number[][];
  readonly problems: readonly { path: string; message: string }[];
  readonly warnings: readonly string[];
}

describe('Go libraries that can not be unloaded', () => {
  let library: string;

  before(async function () {
    library = await buildPeer(this, 'conformance');
  });

  async function open(count: number, limit: number, isolated = ''): Promise<Limits> {
    const args = [childPath('limits-child'), library, `${count}`, `${limit}`, isolated];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    return JSON.parse(stdout) as Limits;
  }

  it('are counted, and from eight retired ones on there is a warning', async () => {
    const { counts, warnings, problems } = await open(10, 32);
    expect(problems).to.deep.equal([]);
    expect(counts).to.deep.equal(Array.from({ length: 10 }, (_, i) => [i + 1, i, i + 1, i]));
    expect(warnings[0]).to.include('a Go library runs in this process').and.include('--isolate');
    expect(warnings.slice(1).map((text) => text.slice(0, 55))).to.deep.equal([
      '8 Go libraries that nothing uses any more are still ope',
      '9 Go libraries that nothing uses any more are still ope',
    ]);
  }).timeout(60_000);

  it('are refused beyond the limit, with what to do; in a worker nobody is warned of what they risk', async () => {
    const { path, counts, warnings, problems } = await open(3, 2, 'isolated');
    expect(counts.map(([count]) => count)).to.deep.equal([1, 2, 2]);
    expect(warnings).to.deep.equal([]);
    expect(problems).to.deep.equal([
      {
        path: 'library_path',
        message: `${path} would be Go library number 3 in this process, and 2 may be open: those that nothing uses any more (1) cannot be unloaded. Restart Pontoon, run it with --isolate (then a worker process with old libraries is replaced), or raise --max-go-libraries`,
      },
    ]);
  });
});

describe('a Go library that is taken over from a judge', () => {
  let folder: string;
  let file: string;
  let conformance: string;
  let hanging: string;

  before(async function () {
    conformance = await buildPeer(this, 'conformance');
    hanging = await buildPeer(this, 'init_hang');
  });

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'pontoon-marked-'));
    file = join(folder, 'mark');
    writeFileSync(file, Buffer.alloc(4096));
  });

  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const mark = (): number => readFileSync(file).readUInt32LE(0);

  it('is under its mark only while it runs', async () => {
    const child = fork(childPath('marked-child'), [conformance, 'good', file, '5']);
    const message = await new Promise((resolve) => child.once('message', resolve));
    expect(message).to.deep.equal({ ok: true, mark: 0, warnings: [] });
    child.kill('SIGKILL');
  });

  for (const [what, config] of [
    ['its Parse ends the process', 'panic'],
    ['its Parse never returns', 'hang'],
    ['its initialization never ends', undefined],
  ] as const) {
    it(`leaves its mark when ${what}`, async () => {
      const library = config === undefined ? hanging : conformance;
      const child = fork(childPath('marked-child'), [library, config ?? '', file, '6'], { stdio: 'ignore' });
      const ended = new Promise((resolve) => child.once('exit', resolve));
      // Between opening it and letting it parse there is a moment without a mark.
      let looks = 0;
      const marked = (): true | undefined => {
        looks = mark() === 6 ? looks + 1 : 0;
        return looks === 10 || undefined;
      };
      await until('its mark', marked, 15_000);
      if (config !== 'panic') child.kill('SIGKILL');
      await ended;
      expect(mark()).to.equal(6);
    });
  }
});
