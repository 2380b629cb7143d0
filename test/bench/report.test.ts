import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { peers } from '../../bench/side-by-side/peers/index.js';
import { renderReport, renderResults } from '../../bench/side-by-side/report.js';
import { judge } from '../../bench/side-by-side/requirements.js';
import {
  figure,
  type LatencyRound,
  type Results,
  type Row,
  spreadOf,
  type ThroughputCase,
  type ThroughputRound,
} from '../../bench/side-by-side/results.js';
import { benchRoot, projectRoot } from '../../bench/side-by-side/tools/paths.js';

function round(cpuUs: number, more: Partial<ThroughputRound> = {}): ThroughputRound {
  const latency = { p50Us: 1000, p99Us: 2000, p999Us: 3000 };
  const rest = { requests: 10_000, requestsPerSecond: 5000, loadCpus: 0.5, rssMiB: 90, problems: [], foreignCpus: 0 };
  return { cpuUs, ...latency, ...rest, ...more };
}

function row(peer: string, cpuUs: readonly number[], more: Partial<ThroughputRound> = {}): Row<ThroughputRound> {
  return { peer, rounds: cpuUs.map((one) => round(one, more)) };
}

function latencyRow(peer: string, p99Ms: readonly number[]): Row<LatencyRound> {
  const rounds = p99Ms.map((p99) => ({ ...round(1), maxUs: 9000, lagP99Us: 50, p99Us: p99 * 1000 }));
  return { peer, rounds };
}

const bodyCase = (id: string, rows: readonly Row<ThroughputRound>[]): ThroughputCase => ({
  id,
  group: id.startsWith('mux') ? 'multiplexed' : id === 'workers' ? 'workers' : 'bodies',
  title: `case ${id}`,
  body: 128,
  connections: 32,
  rows,
});

function results(more: Partial<Results> = {}): Results {
  return {
    format: 1,
    machine: { cpu: 'A CPU', cpus: 2, memoryGiB: 4, kernel: 'Linux 6.1', node: '20.19.0' },
    settings: { rounds: 3, seconds: 2, requests: 1_000_000 },
    versions: { envoy: '1.40.0', 'pontoon-script': '0.1.0' },
    titles: Object.fromEntries(Object.entries(peers).map(([name, { title }]) => [name, title])),
    throughput: [],
    latency: [],
    ...more,
  };
}

const verdictOf = (given: Results, title: RegExp) => {
  const found = judge(given).find((one) => title.test(one.title));
  if (!found) throw new Error(`no requirement ${title}`);
  return found;
};
const script128 = /^framed 128 B, exclusive, script$/;

describe("the benchmark's report", () => {
  it('takes the middle, and of an even number the mean of both', () => {
    expect(spreadOf([5, 1, 9])).to.deep.equal({ median: 5, min: 1, max: 9 });
    expect(spreadOf([4, 1, 2, 9])).to.deep.equal({ median: 3, min: 1, max: 9 });
    expect(() => spreadOf([])).to.throw(/a median of nothing/);
  });

  it('has no figure for a row with a round that is not valid', () => {
    const mixed = { peer: 'envoy', rounds: [round(1), round(2, { problems: ['3 status errors'] })] };
    expect(figure(mixed, ({ cpuUs }) => cpuUs)).to.equal(undefined);
  });

  describe('what has to hold', () => {
    const at = (ours: readonly number[], envoys: readonly number[]) =>
      results({ throughput: [bodyCase('128-32', [row('pontoon-script', ours), row('envoy', envoys)])] });

    it('compares medians', () => {
      expect(verdictOf(at([50, 60, 300], [100, 100, 1]), script128)).to.deep.equal({
        title: 'framed 128 B, exclusive, script',
        wanted: 'at most 0.6',
        got: '0.60: 60.0 (50.0–300.0) to 100.0 (1.0–100.0) µs',
        verdict: 'holds',
      });
    });

    it('says by how much one is missed', () => {
      expect(verdictOf(at([90], [100]), script128)).to.include({ verdict: 'missed', by: '50 %' });
    });

    it('gives no verdict without both figures', () => {
      expect(verdictOf(results(), script128)).to.include({ verdict: 'not measured', got: 'no such row in this run' });
      const invalid = bodyCase('128-32', [row('pontoon-script', [9]), row('envoy', [1], { problems: ['no answer'] })]);
      expect(verdictOf(results({ throughput: [invalid] }), script128)).to.include({
        verdict: 'not measured',
        got: 'no answer',
      });
      const missing = bodyCase('128-32', [{ peer: 'pontoon-script', rounds: [], unavailable: 'why' }]);
      expect(verdictOf(results({ throughput: [missing] }), script128)).to.include({ got: 'why' });
    });

    it('compares rows of one case', () => {
      const rows = [row('pontoon-dubbo', [90]), row('pontoon-by-id', [40]), row('pontoon-dubbo-direct', [60])];
      const of = (kind: string) =>
        verdictOf(results({ throughput: [bodyCase('dubbo-128', rows)] }), new RegExp(`^CPU .* ${kind} Dubbo call`));
      expect(of('generic')).to.include({ wanted: 'at most 2', got: '2.25: 90.0 to 40.0 µs', by: '13 %' });
      expect(of('direct')).to.include({ verdict: 'holds' });
    });

    it("measures latency by Envoy's, with what is allowed on top", () => {
      const of = (p99Ms: number) =>
        verdictOf(
          results({
            latency: [
              {
                id: 'latency-128',
                title: '128 B',
                body: 128,
                connections: 32,
                rate: 700,
                envoyTop: 1000,
                rows: [latencyRow('pontoon-script', [p99Ms]), latencyRow('envoy', [1, 2, 3])],
              },
            ],
          }),
          /^p99 .*128 B, 32 connections, Pontoon, script$/,
        );
      expect(of(2.8)).to.include({ wanted: 'at most 2.8 ms', verdict: 'holds' });
      expect(of(3.5)).to.include({ verdict: 'missed', by: '25 %' });
    });

    it('looks at every round for how connections spread', () => {
      const of = (...rounds: readonly (readonly number[])[]) => {
        const two = { peer: 'pontoon-two', rounds: rounds.map((held) => round(1, { connectionsPerProcess: held })) };
        return verdictOf(results({ throughput: [bodyCase('workers', [two])] }), /^share of 64 connections/);
      };
      expect(of([32, 32], [40, 24])).to.include({ verdict: 'holds', got: '38–63 %' });
      expect(of([32, 32], [16, 48])).to.include({ verdict: 'missed', by: '10 points', got: '25–75 %' });
    });

    it('counts memory in millions of bytes', () => {
      const of = (rssMiB: number) => {
        const memory = { requests: 1_000_000, idleMiB: 80, rssMiB, problems: [], foreignCpus: 0 };
        const rows = [{ peer: 'pontoon-script', rounds: [memory] }];
        return verdictOf(results({ endurance: { requests: 1_000_000, rows } }), /^RSS of one process after/);
      };
      expect(of(114)).to.include({ verdict: 'holds', got: '120 MB' });
      expect(of(116)).to.include({ verdict: 'missed', by: '1 %' });
    });
  });

  const everything = results({
    throughput: [
      bodyCase('128-32', [row('pontoon-script', [50]), row('envoy', [100]), row('nginx', [30], { foreignCpus: 0.5 })]),
      bodyCase('mux-128', [{ peer: 'pontoon-by-id', rounds: [], unavailable: 'a | reason\nin two lines' }]),
    ],
  });

  it('shows medians, ratios, reasons and what was disturbed', () => {
    const text = renderResults(everything);
    expect(text).to.match(/^\| Pontoon, script +\| 50\.0 +\| 0\.50 +\|/m);
    expect(text).to.match(/^\| nginx, HTTP to HTTP \(disturbed in 1 of 1 rounds\) +\| 30\.0 +\| 0\.30/m);
    expect(text).to.match(/^\| Pontoon, script, multiplexed by id +\| – +\|/m);
    expect(text).to.include('- Pontoon, script, multiplexed by id: not available: a | reason\n');
    expect(text).to.include('A CPU, 2 CPUs, 4 GiB, Linux 6.1; Node 20.19.0, envoy 1.40.0. 3 rounds of 2 s.');
  });

  it('fills a template, and refuses one that names a part that there is not', () => {
    expect(renderReport('# A\n\n<!-- machine -->\n\nB\n\n', everything)).to.match(/^# A\n\nA CPU, .*\n\nB\n$/);
    expect(() => renderReport('<!-- weather -->', everything)).to.throw(/the template has <!-- weather -->, but/);
  });

  describe('docs/performance.md', () => {
    const template = readFileSync(join(benchRoot, 'performance.template.md'), 'utf8');
    const committed = join(projectRoot, 'docs', 'performance.json');

    it('has a place for every part', () => {
      const parts = [...renderResults(everything).matchAll(/^## (.*)$/gm)].map(([, name]) => name);
      expect([...template.matchAll(/^<!-- (.*) -->$/gm)].map(([, name]) => name)).to.have.members(parts);
      expect(renderReport(template, everything)).to.not.match(/<!--|undefined|NaN/);
    });

    it('is what the results say', () => {
      const made = renderReport(template, JSON.parse(readFileSync(committed, 'utf8')) as Results);
      expect(readFileSync(join(projectRoot, 'docs', 'performance.md'), 'utf8')).to.equal(made);
    });
  });
});
