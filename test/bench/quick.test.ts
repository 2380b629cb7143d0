import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Judged, Results, Row } from '../../bench/side-by-side/results.js';
import { Unavailable } from '../../bench/side-by-side/tools/commands.js';
import { debianTool } from '../../bench/side-by-side/tools/debian.js';
import { runChild } from '../support/child.js';
import { requireDubbo } from '../support/dubbo.js';
import { requireEnvoy } from '../support/envoy.js';
import { compileGoLibrary } from '../support/go-libraries.js';
import { projectRoot } from '../support/pontoon.js';

const main = join(projectRoot, 'dist', 'bench', 'side-by-side', 'main.js');

/** Case → peers of which it must have figures. */
const wanted: Readonly<Record<string, readonly string[]>> = {
  '128-32': ['pontoon-script', 'pontoon-go', 'envoy', 'constant'],
  '1m-1': ['pontoon-script', 'pontoon-go', 'envoy', 'constant'],
  'mux-128': ['pontoon-script', 'pontoon-in-order', 'pontoon-by-id', 'envoy'],
  'mux-128-heads': ['pontoon-script', 'pontoon-in-order', 'pontoon-by-id', 'envoy'],
  'dubbo-128': ['pontoon-dubbo', 'pontoon-dubbo-direct', 'pontoon-by-id'],
  'churn-on': ['pontoon-ads', 'envoy-files'],
  workers: ['pontoon-script', 'pontoon-isolate', 'pontoon-two'],
  'latency-128': ['pontoon-script', 'pontoon-go', 'envoy'],
  'start-up': ['pontoon-script', 'pontoon-go', 'envoy'],
  endurance: ['pontoon-script', 'pontoon-two'],
};

/** What a machine may lack; under CI=true it may not. */
async function requireTools(context: Mocha.Context): Promise<void> {
  await requireEnvoy(context);
  await requireDubbo(context);
  try {
    await debianTool('wrk');
    await compileGoLibrary(join(projectRoot, 'plugins', 'go-length-prefixed'), '.');
  } catch (error) {
    if (process.env.CI === 'true') throw error;
    console.error(`    skipped: ${error instanceof Unavailable ? '' : 'Go: '}${(error as Error).message}`);
    context.skip();
  }
}

describe('npm run bench -- --quick', function () {
  this.timeout(600_000);
  let folder: string;
  before(async function () {
    folder = mkdtempSync(join(tmpdir(), 'pontoon-bench-test-'));
    await requireTools(this);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('measures every case and checks every answer', async () => {
    const output = join(folder, 'results.json');
    const names = new Set(Object.values(wanted).flat());
    const flags = [
      ...Object.keys(wanted).flatMap((id) => ['--case', id]),
      ...[...names].flatMap((name) => ['--peer', name]),
    ];
    const { code, stdout, stderr } = await runChild(process.execPath, [main, '--quick', '--output', output, ...flags]);
    expect(code, stderr).to.equal(0);
    const results = JSON.parse(readFileSync(output, 'utf8')) as Results;
    const cases = new Map<string, readonly Row<Judged>[]>();
    for (const { id, rows } of [...results.throughput, ...results.latency]) cases.set(id, rows);
    cases.set('start-up', results.startUp?.rows ?? []);
    cases.set('endurance', results.endurance?.rows ?? []);
    expect([...cases.keys()]).to.have.members(Object.keys(wanted));
    for (const [id, rows] of cases) {
      expect(
        rows.map(({ peer }) => peer),
        id,
      ).to.have.members(wanted[id] ?? []);
      for (const { peer, rounds, unavailable } of rows) {
        expect({ unavailable, problems: rounds.map(({ problems }) => problems) }, `${id}, ${peer}`).to.deep.equal({
          unavailable: undefined,
          problems: [[]],
        });
      }
    }
    const churn = results.throughput.find(({ id }) => id === 'churn-on');
    for (const { peer, rounds } of churn?.rows ?? []) expect(rounds[0]?.configChanges, peer).to.be.greaterThan(0);
    expect(stdout).to.match(/^\| CPU per request of a generic Dubbo call, .* +\| at most 2 +\| \d/m);
    expect(stdout).to.match(/^\| framed 128 B, exclusive, script +\| at most 0\.6 +\| \d/m);
  });
});
