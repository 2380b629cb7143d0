import { expect } from 'chai';
import fc from 'fast-check';
import { createStatsStore } from '../../src/stats/create-store.js';
import { defineStats } from '../../src/stats/group.js';
import { statsInOrder } from '../../src/stats/in-order.js';
import { formatPrometheus } from '../../src/stats/prometheus.js';
import { sortInSteps } from '../../src/stats/sort-in-steps.js';

const group = defineStats({
  counters: { total: 'rq_total', errors: 'rq_errors' },
  gauges: { active: 'rq_active' },
  histograms: { time: 'rq_time' },
});

describe('groups of statistics', () => {
  it('are zeros until they are touched', () => {
    const stats = createStatsStore();
    const cluster = stats.scope('cluster.a').group(group);
    expect([...stats.counters.keys()]).to.deep.equal(['cluster.a.rq_total', 'cluster.a.rq_errors']);
    expect([...stats.counters.values()].map(({ value }) => value)).to.deep.equal([0, 0]);
    expect([...stats.counters.touched()]).to.deep.equal([]);
    cluster.total.value++;
    cluster.time.record(3);
    expect([...stats.counters.touched()].map(({ name, value }) => [name, value])).to.deep.equal([
      ['cluster.a.rq_total', 1],
    ]);
    expect(stats.histograms.get('cluster.a.rq_time')?.total.count).to.equal(1);
    expect([stats.counters.size, stats.gauges.size, stats.histograms.size]).to.deep.equal([2, 1, 1]);
  });

  it('are the same by name, by group and in a second use of the scope, before and after', () => {
    const stats = createStatsStore();
    stats.scope('cluster.a').counter('inner.rq_total').value = 4;
    const first = stats.scope('cluster.a').scope('inner').group(group);
    const second = stats.scope('cluster.a').scope('inner').group(group);
    first.total.value++;
    second.active.value = 7;
    expect(second.total.value).to.equal(5);
    expect(stats.gauge('cluster.a.inner.rq_active').value).to.equal(7);
    expect(stats.counter('cluster.a.inner.rq_errors')).to.equal(first.errors);
    expect([...stats.counters.keys()].sort()).to.deep.equal(['cluster.a.inner.rq_errors', 'cluster.a.inner.rq_total']);
  });

  it('go with their scope, and watchers hear of what was touched', () => {
    const stats = createStatsStore();
    const heard: string[] = [];
    stats.watch({
      onCounter: (scope, { name }) => heard.push(`${scope}: ${name}`),
      onGauge: (scope, { name }) => heard.push(`${scope}: ${name}`),
      onHistogram: (scope, { name }) => heard.push(`${scope}: ${name}`),
      onRemoved: (scope) => heard.push(`-${scope}`),
    });
    const scope = stats.scope('cluster.a');
    const cluster = scope.group(group);
    cluster.errors.value++;
    scope.remove();
    cluster.total.value++;
    expect(heard).to.deep.equal(['cluster.a: cluster.a.rq_errors', '-cluster.a']);
    expect([...stats.counters.keys()]).to.deep.equal([]);
  });
});

describe('statistics in order', () => {
  const part = fc.constantFrom('a', 'b', 'a-b', 'rq', 'rq_total', 'inner');
  const name = fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('.'));
  const everything = { wanted: () => true, prefix: '', usedOnly: false };

  it('are those of all scopes, sorted by name, however scopes and names overlap', () => {
    fc.assert(
      fc.property(fc.array(name), fc.array(fc.tuple(name, name)), fc.array(name), (roots, scoped, grouped) => {
        const stats = createStatsStore();
        for (const prefix of grouped) stats.scope(prefix).group(group);
        for (const [prefix, rest] of scoped) stats.scope(prefix).counter(rest);
        for (const one of roots) stats.counter(one);
        const found = [...statsInOrder(stats, ['counters', 'gauges'], everything)].flat().map((each) => each.name);
        expect(found).to.deep.equal([...stats.counters.keys(), ...stats.gauges.keys()].sort());
      }),
    );
  });

  it('leave out scopes that cannot have what is wanted', () => {
    const stats = createStatsStore();
    for (const one of ['cluster.a', 'cluster.ab', 'cluster.b']) stats.scope(one).group(group);
    stats.counter('cluster.a.x');
    const found = (prefix: string) =>
      [...statsInOrder(stats, ['counters'], { ...everything, prefix, wanted: (each) => each.startsWith(prefix) })]
        .flat()
        .map((each) => each.name);
    expect(found('cluster.a.')).to.deep.equal(['cluster.a.rq_errors', 'cluster.a.rq_total', 'cluster.a.x']);
    expect(found('cluster.ab.rq_e')).to.deep.equal(['cluster.ab.rq_errors']);
  });

  it('sorting in steps is sorting', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 9_000 }), fc.integer({ min: 1, max: 1_000_003 }), (count, factor) => {
        const items = Array.from({ length: count }, (_, i) => `c${(i * factor) % 10_007}`);
        const steps = sortInSteps(items, (item) => item);
        let step = steps.next();
        while (!step.done) step = steps.next();
        expect(step.value).to.deep.equal(items.toSorted());
      }),
      { numRuns: 20 },
    );
  });
});

describe('statistics for Prometheus', () => {
  it('has every family once, with all that it has, also of clusters whose names look like parts of statistics', () => {
    const stats = createStatsStore();
    for (const name of ['a', 'b.external', 'c.d']) {
      const cluster = stats.scope(`cluster.${name}`);
      cluster.group(group).total.value = name.length;
      cluster.counter('rq_200').value = 1;
    }
    const text = [...formatPrometheus(stats, () => true)].join('');
    const types = [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, family]) => family);
    expect(types).to.deep.equal([...new Set(types)].sort());
    expect(text).to.include('envoy_cluster_rq_total{envoy_cluster_name="a"} 1\n');
    expect(text).to.include('envoy_cluster_rq_total{envoy_cluster_name="c.d"} 3\n');
    expect(text).to.include('envoy_cluster_external_rq_total{envoy_cluster_name="b"} 10\n');
    expect(text).to.include('envoy_cluster_rq_time_count{envoy_cluster_name="a"} 0\n');
    expect(text.match(/rq_errors\{/g)).to.have.length(3);
    const used = [...formatPrometheus(stats, () => true, true)].join('');
    expect(used).to.not.include('rq_errors').and.not.include('rq_time');
  });
});
