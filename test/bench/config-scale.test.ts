import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { parseOptions } from '../../bench/config-scale/options.js';
import { renderReport, renderResults } from '../../bench/config-scale/report.js';
import { judge } from '../../bench/config-scale/requirements.js';
import {
  loadPhases,
  type PeerName,
  type Phase,
  type Results,
  type ScaleResult,
  type UnderLoad,
} from '../../bench/config-scale/results.js';
import { mergeRuns } from '../../bench/config-scale/rounds.js';
import { projectRoot } from '../../bench/side-by-side/tools/paths.js';

function scaleOf(peer: PeerName, more: Partial<ScaleResult> = {}): ScaleResult {
  const start = { readyMs: 4000, readyCpuMs: 4000, readyMiB: 800, settledMiB: 790 };
  return { peer, variant: 'GRPC', ...start, changesCpuMs: [1000], ...more };
}

const beats = { stretches: 1, longestOwnMs: 1, longestGcMs: 1, longestWaitMs: 1 };

function phase(name: string, longestMs?: number, p99Us = 1000): Phase {
  return {
    name,
    load: { p50Us: 500, p99Us, failed: 0 },
    ...(longestMs !== undefined && { heartbeat: { ...beats, longestMs } }),
    cpuMs: 100,
    residentMiB: 90,
  };
}

function loadOf(peer: PeerName, phases: readonly Phase[], activeMs: readonly number[] = [10]): UnderLoad {
  return { peer, phases, activeMs };
}

function results(more: Partial<Results> = {}): Results {
  return {
    format: 1,
    machine: { cpu: 'A CPU', cpus: 2, memoryGiB: 4, kernel: 'Linux 6.1', node: '20.19.0' },
    envoyVersion: '1.40.0',
    clusters: 10_000,
    endpoints: 99_982,
    scale: [],
    load: [],
    ...more,
  };
}

function verdictOf(given: Results, title: RegExp) {
  const found = judge(given).find((one) => title.test(one.title));
  if (!found) throw new Error(`no requirement ${title}`);
  return found;
}

describe('the benchmark of large configurations', () => {
  describe('what has to hold', () => {
    const beside = (own: Partial<ScaleResult>, envoys: Partial<ScaleResult> = {}) =>
      results({ scale: [scaleOf('Envoy', envoys), scaleOf('Pontoon', own)] });

    it("takes a share of Envoy's", () => {
      expect(verdictOf(beside({ readyMiB: 400 }), /^memory then/)).to.deep.include({
        title: 'memory then (RSS) (state-of-the-world)',
        wanted: "at most 0.5 of Envoy's",
        got: '0.50: 400 MiB to 800 MiB',
        verdict: 'holds',
      });
    });

    it('says by how much one is missed, and why', () => {
      expect(verdictOf(beside({ readyMs: 4500 }), /^start to ready \(/)).to.include({ verdict: 'missed', by: '50 %' });
      const slow = verdictOf(beside({ changesCpuMs: [800] }), /^one changed cluster, CPU time \(state/);
      expect(slow).to.include({ verdict: 'missed', by: '4.0 times' });
      expect(slow.because).to.match(/sends all clusters/);
    });

    it('takes the median of all changes, and nothing below zero', () => {
      const change = /^one changed cluster, CPU time \(state/;
      expect(verdictOf(beside({ changesCpuMs: [100, 9000, 150] }), change)).to.include({
        got: '0.15: 0.15 s to 1.00 s',
        verdict: 'holds',
      });
      expect(verdictOf(beside({ changesCpuMs: [-5] }), change)).to.include({ got: '0.00: 0.00 s to 1.00 s' });
    });

    it('gives no verdict without both figures', () => {
      const alone = results({ scale: [scaleOf('Pontoon')] });
      expect(judge(alone).map(({ verdict }) => verdict)).to.deep.equal(judge(alone).map(() => 'not measured'));
    });

    it('looks for the longest stretch in whatever was done', () => {
      const load = [
        loadOf('Envoy', [phase('GET /stats')]),
        loadOf('Pontoon', [phase(loadPhases.growing, 9), phase('GET /stats', 12.04), phase(loadPhases.shrinking, 3)]),
        loadOf('Pontoon, with snapshots', [phase(loadPhases.growing, 10)], []),
      ];
      expect(verdictOf(results({ load }), /longest at a stretch$/)).to.include({
        got: '12.0 ms (GET /stats)',
        verdict: 'missed',
        by: '21 %',
      });
      expect(verdictOf(results({ load }), /with snapshots$/)).to.include({ verdict: 'holds' });
    });

    it('compares the latency of a change with that of rest', () => {
      const of = (p99Us: number) => {
        const phases = [phase(loadPhases.idleLarge, 1, 2000), phase(loadPhases.changing, 1, p99Us)];
        return verdictOf(results({ load: [loadOf('Pontoon', phases)] }), /^p99 of requests/);
      };
      expect(of(4000)).to.include({ verdict: 'holds', got: '2.00: 4.0 ms to 2.0 ms' });
      expect(of(5000)).to.include({ verdict: 'missed', by: '25 %' });
    });

    it('names beside it what the control plane alone does to the latency', () => {
      const phases = [
        phase(loadPhases.idleLarge, 1, 2000),
        phase(loadPhases.changing, 1, 3000),
        phase(loadPhases.changingElsewhere, 1, 2500),
      ];
      expect(verdictOf(results({ load: [loadOf('Pontoon', phases)] }), /^p99 of requests/)).to.include({
        got: '1.50: 3.0 ms to 2.0 ms; the control plane alone 2.5 ms',
      });
    });

    it('counts pushes to the 99th of a hundred', () => {
      const of = (slow: number) => {
        const activeMs = [...Array<number>(100 - slow).fill(20), ...Array<number>(slow).fill(400)];
        return verdictOf(results({ load: [loadOf('Pontoon', [], activeMs)] }), /p99 from push/);
      };
      expect(of(1)).to.include({ verdict: 'holds', got: '20.0 ms' });
      expect(of(2)).to.include({ verdict: 'missed', by: '34 %' });
    });
  });

  describe('several runs of one phase', () => {
    const runs = [phase('x', 3, 1000), phase('x', 9, 8000), phase('x', 2, 2000)];

    it('are the medians of the latencies, and the sums of what was counted', () => {
      const failing = { ...phase('x', 1, 3000), load: { p50Us: 700, p99Us: 3000, failed: 2 }, residentMiB: 95 };
      expect(mergeRuns([...runs, failing, phase('x', 1, 2500)])).to.deep.include({
        name: 'x',
        load: { p50Us: 500, p99Us: 2500, failed: 2 },
        p99sUs: [1000, 8000, 2000, 3000, 2500],
        cpuMs: 500,
        residentMiB: 90,
      });
    });

    it('have the longest stretch of any of them', () => {
      const stretching = { ...phase('x'), heartbeat: { ...beats, stretches: 2, longestMs: 4, longestWaitMs: 20 } };
      const { heartbeat } = mergeRuns([...runs, stretching]);
      expect(heartbeat).to.include({ stretches: 5, longestMs: 9, longestOwnMs: 1, longestWaitMs: 20 });
    });

    it('have no stretches where none was seen', () => {
      expect(mergeRuns([phase('x'), phase('x')])).to.not.have.property('heartbeat');
    });
  });

  describe('flags', () => {
    it('measures everything and keeps the results, unless told otherwise', () => {
      expect(parseOptions([])).to.deep.equal({
        clusters: 10_000,
        pushes: 100,
        variants: ['GRPC', 'DELTA_GRPC'],
        peers: ['Envoy', 'Pontoon'],
        parts: ['scale', 'load'],
        report: false,
        output: 'docs/config-scale.json',
      });
    });

    it('never lets a part overwrite the results of a whole run', () => {
      for (const part of [
        ['--clusters', '100'],
        ['--pushes', '10'],
        ['--peer', 'Envoy'],
        ['--part', 'load'],
        ['--variant', 'GRPC'],
      ])
        expect(parseOptions(part), part.join(' ')).to.not.have.property('output');
      expect(parseOptions(['--peer', 'Envoy', '--output', 'x.json'])).to.include({ output: 'x.json' });
    });

    const wrong: readonly [readonly string[], RegExp][] = [
      [['--clusters', '2'], /--clusters 2: it must be a whole number above 2/],
      [['--pushes', 'x'], /--pushes x: it must be/],
      [['--peer', 'nginx'], /--peer nginx: there are Envoy, Pontoon/],
      [['--part', 'all'], /--part all: there are scale, load/],
      [['--variant', 'REST'], /--variant REST: there are GRPC, DELTA_GRPC/],
      [['--fast'], /--fast/],
    ];
    for (const [args, message] of wrong)
      it(`refuses ${args.join(' ')}`, () => expect(() => parseOptions(args)).to.throw(message));
  });

  describe('docs/config-scale.md', () => {
    const template = readFileSync(join(projectRoot, 'bench', 'config-scale', 'config-scale.template.md'), 'utf8');
    const everything = results({
      scale: [scaleOf('Envoy'), scaleOf('Pontoon', { changesCpuMs: [300, 100, 200] })],
      load: [loadOf('Pontoon', [phase(loadPhases.growing, 12)], [10, 20])],
    });

    it('has a place for every part', () => {
      const parts = [...renderResults(everything).matchAll(/^## (.*)$/gm)].map(([, name]) => name);
      expect([...template.matchAll(/^<!-- (.*) -->$/gm)].map(([, name]) => name)).to.have.members(parts);
      expect(renderReport(template, everything)).to.not.match(/<!--|undefined|NaN/);
    });

    it('shows medians, and by how much and why something was missed', () => {
      const text = renderReport(template, everything);
      expect(text).to.match(/^\| state-of-the-world \| Pontoon \|.*\| 0\.20 \(0\.10–0\.30\) +\|$/m);
      expect(text).to.match(/^- applying.*: 12\.0 ms \(becoming large\), wanted at most 10 ms, missed by 20 %\. The /m);
      expect(text).to.include(
        'A CPU, 2 CPUs, 4 GiB, Linux 6.1; Node 20.19.0, Envoy 1.40.0. 10,000 clusters, 99,982 end',
      );
    });

    it('shows the spread of several runs, and one run as it is', () => {
      const changing = mergeRuns([phase('x', 1, 900), phase('x', 1, 2100), phase('x', 1, 1300)]);
      const text = renderReport(template, results({ load: [loadOf('Pontoon', [changing, phase('y', 1, 900)])] }));
      expect(text).to.match(/^\| x +\| 0\.5 +\| 1\.3 \(0\.9–2\.1\) +\|/m);
      expect(text).to.match(/^\| y +\| 0\.5 +\| 0\.9 +\|/m);
    });

    it('is what the results say', () => {
      const inDocs = (name: string) => readFileSync(join(projectRoot, 'docs', name), 'utf8');
      const committed = JSON.parse(inDocs('config-scale.json')) as Results;
      expect(inDocs('config-scale.md')).to.equal(renderReport(template, committed));
    });
  });
});
